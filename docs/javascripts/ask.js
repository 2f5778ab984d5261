// The access matrix as a question: who, what, which image repository. Owns the form above the tables, and
// reads the answers from them, so that the two cannot disagree. Without scripts the tables are there alone.
"use strict";
(() => {
  const place = document.getElementById("ask");
  const tables = new Map();
  for (const heading of document.querySelectorAll("article h2")) {
    let next = heading.nextElementSibling;
    while (next && next.tagName !== "H2" && !next.querySelector("table")) next = next.nextElementSibling;
    const table = next && next.tagName !== "H2" ? next.querySelector("table") : null;
    if (table) tables.set(heading.firstChild.textContent.replace(/^Who may /, "").trim(), { table, id: heading.id });
  }
  if (!place || !tables.size) return;
  const [{ table: first }] = tables.values();
  const cellsOf = (row) => [...row.cells].map((cell) => cell.textContent.trim());
  const where = cellsOf(first.tHead.rows[0]).slice(1);
  const who = [...first.tBodies[0].rows].map((row) => cellsOf(row)[0]);
  const choose = (id, label, values) => {
    const part = document.createElement("p");
    const name = document.createElement("label");
    const field = document.createElement("select");
    name.htmlFor = field.id = `ask-${id}`;
    name.textContent = label;
    for (const value of values) field.add(new Option(value, value));
    part.append(name, field);
    place.append(part);
    return field;
  };
  place.classList.add("estate");
  const fields = {
    who: choose("who", "May", who),
    what: choose("what", "do this", tables.keys()),
    where: choose("where", "with the image repository", where),
  };
  const answer = document.createElement("p");
  answer.className = "ask-answer";
  answer.setAttribute("role", "status");
  place.after(answer);
  const means = {
    yes: "Yes. The documents allow it.",
    no: "No. No statement allows it.",
    denied: "No. A statement denies it, and nothing else can outweigh that.",
  };
  const asked = new URLSearchParams(location.search);
  for (const [name, field] of Object.entries(fields)) {
    const wanted = [...field.options].find((each) => each.value === asked.get(name));
    if (wanted) field.value = wanted.value;
  }
  const show = () => {
    const { table, id } = tables.get(fields.what.value);
    const row = [...table.tBodies[0].rows].map(cellsOf).find((cells) => cells[0] === fields.who.value);
    const said = row[1 + cellsOf(table.tHead.rows[0]).slice(1).indexOf(fields.where.value)];
    answer.textContent = `${means[said] || said} `;
    const link = document.createElement("a");
    link.href = `#${id}`;
    link.textContent = "See the whole table.";
    link.addEventListener("click", () => { table.closest("details").open = true; });
    answer.append(link);
  };
  for (const [, field] of Object.entries(fields)) {
    field.addEventListener("input", () => {
      show();
      history.replaceState(null, "", `?${new URLSearchParams(Object.entries(fields).map(([name, each]) => [name, each.value]))}`);
    });
  }
  show();
})();
