// The table of the estate page. Owns filtering, sorting and showing; the data is data.js, which
// `python -m ecr estate` writes. Rows are added a page at a time: ten thousand stay quick.
"use strict";
(() => {
  const PAGE = 100;
  const element = (id) => document.getElementById(`estate-${id}`);
  if (!window.estate) {
    element("missing").hidden = false;
    return;
  }
  const { stack, registries, services, leftOut, deselected } = window.estate;
  const rows = services.map(
    ([id, repository, service, namespace, state, since, reason, placements, replicas, owner]) => {
      const places = [...placements, ...replicas].map(([registry, name]) => [registries[registry], name]);
      const all = places.flatMap(([[key], name]) => [key, name]);
      return {
        id, repository, service, namespace, state, since, reason, placements, replicas, owner,
        keys: new Set(places.map(([[key]]) => key)),
        text: [id, repository, service, state, since, reason, owner, ...all].join("\n").toLowerCase(),
      };
    },
  );
  const filters = { text: element("text"), state: element("state"), namespace: element("namespace"), registry: element("registry"), owner: element("owner") };
  const body = element("services").tBodies[0];
  let sorted = { column: "service", descending: false };
  let found = rows;
  let shown = 0;

  const made = (name, text = "", attributes = {}) => {
    const node = document.createElement(name);
    node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };

  const count = (number, one, many) => `${number.toLocaleString("en-GB")} ${number === 1 ? one : many}`;

  const located = (list, row, label) => {
    const cell = made("td", "", { "data-label": label });
    for (const [registry, name, state] of list) {
      const line = made("div");
      const address = made("code", `${registries[registry][1]}/`);
      address.append(made("wbr"), name);
      line.append(address);
      if (state !== row.state) line.append(` ${state}`);
      cell.append(line);
    }
    if (!list.length) cell.textContent = "-";
    return cell;
  };

  const drawn = (row) => {
    const line = made("tr");
    const service = made("th", "", { scope: "row", "data-label": "Service" });
    service.append(made("strong", row.service));
    service.append(made("small", row.repository === row.service ? `id ${row.id}` : `${row.repository}, id ${row.id}`));
    const state = made("td", "", { "data-label": "State" });
    state.append(made("span", row.state, { class: `estate-state estate-${row.state}` }));
    if (row.reason) state.append(made("small", row.reason));
    line.append(
      service,
      made("td", row.namespace || "-", { "data-label": "Namespace" }),
      made("td", row.owner || "-", { "data-label": "Owner" }),
      state,
      made("td", row.since, { "data-label": "Since" }),
      located(row.placements, row, "Image repositories"),
      located(row.replicas, row, "Replicas"),
    );
    return line;
  };

  const showMore = () => {
    const next = found.slice(shown, shown + PAGE);
    body.append(...next.map(drawn));
    shown += next.length;
    const rest = found.length - shown;
    element("more").hidden = rest === 0;
    element("more").textContent = `Show ${Math.min(PAGE, rest)} more of ${rest.toLocaleString("en-GB")}`;
  };

  const show = () => {
    const words = filters.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { state, namespace, registry, owner } = filters;
    found = rows.filter(
      (row) =>
        words.every((word) => row.text.includes(word)) &&
        (!state.value || row.state === state.value) &&
        (!namespace.value || `/${row.namespace}` === namespace.value) &&
        (!registry.value || row.keys.has(registry.value)) &&
        (!owner.value || `/${row.owner}` === owner.value),
    );
    const way = sorted.descending ? -1 : 1;
    const key = (row) => row[sorted.column];
    found.sort((a, b) => way * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
    element("count").textContent = `${found.length.toLocaleString("en-GB")} of ${count(rows.length, "service", "services")}`;
    body.replaceChildren();
    shown = 0;
    showMore();
  };

  const remember = () => {
    const wanted = Object.entries(filters).filter(([, field]) => field.value).map(([name, field]) => [name, field.value]);
    history.replaceState(null, "", wanted.length ? `?${new URLSearchParams(wanted)}` : location.pathname);
  };

  const choices = (field, values, name = (value) => value) => {
    for (const value of [...values].sort()) field.append(made("option", name(value), { value }));
    field.parentElement.hidden = field.options.length < 3;
  };

  choices(filters.state, new Set(rows.map((row) => row.state)));
  choices(filters.namespace, new Set(rows.map((row) => `/${row.namespace}`)), (value) => value.slice(1) || "none");
  choices(filters.owner, new Set(rows.map((row) => `/${row.owner}`)), (value) => value.slice(1) || "nobody");
  choices(filters.registry, new Set(rows.flatMap((row) => [...row.keys])));
  const asked = new URLSearchParams(location.search);
  for (const [name, field] of Object.entries(filters)) {
    if (asked.get(name)) field.value = asked.get(name);
    field.addEventListener("input", () => { show(); remember(); });
  }
  element("filter").addEventListener("submit", (event) => event.preventDefault());
  element("more").addEventListener("click", () => {
    const first = shown;
    showMore();
    body.rows[first].cells[0].setAttribute("tabindex", "-1");
    body.rows[first].cells[0].focus();
  });
  for (const button of element("services").tHead.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const column = button.dataset.column;
      sorted = { column, descending: sorted.column === column && !sorted.descending };
      for (const head of element("services").tHead.rows[0].cells) head.removeAttribute("aria-sort");
      button.parentElement.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
      show();
    });
  }

  element("about").textContent = `${stack ? `The stack ${stack}` : "This stack"}: ${count(rows.length, "service", "services")} in ${count(registries.length, "registry", "registries")}.`;
  const reasons = Object.entries(deselected).map(([reason, number]) => `${reason}: ${number.toLocaleString("en-GB")}`);
  element("deselected").textContent = `${leftOut.length ? "Selected, but they cannot be placed:" : "Nothing that was selected is left out."} Deselected by the rules of the settings: ${reasons.join("; ") || "none"}.`;
  element("left-out").parentElement.hidden = !leftOut.length;
  element("left-out").tBodies[0].append(
    ...leftOut.map(([id, repository, reason]) => {
      const line = made("tr");
      const name = made("th", "", { scope: "row", "data-label": "Repository" });
      name.append(made("strong", repository), made("small", `id ${id}`));
      line.append(name, made("td", reason, { "data-label": "Reason" }));
      return line;
    }),
  );
  element("whole").hidden = false;
  show();
})();
