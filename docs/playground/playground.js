// The playground's page. Owns the form and how an answer is shown; the evaluation is Python's, in
// worker.js, and the examples are data.js, which `python -m pages` writes.
"use strict";
(() => {
  const element = (id) => document.getElementById(`playground-${id}`);
  const form = element("form");
  const say = (text) => { element("status").textContent = text; };
  form.hidden = false;
  if (!window.playground) {
    say("There are no examples and no simulator here: they are written by make docs.");
    return;
  }
  const { examples, sources } = window.playground;

  const made = (name, text = "", attributes = {}) => {
    const node = document.createElement(name);
    node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const row = (labels, cells) => {
    const line = made("tr");
    line.append(...cells.map((text, index) => made(index ? "td" : "th", text, index ? { "data-label": labels[index] } : { scope: "row", "data-label": labels[0] })));
    return line;
  };
  const labels = (table) => [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const WORDS = { expire: "is deleted", transition: "is archived" };

  let worker;
  let ready = false;
  let asked = 0;
  const start = () => {
    say("Loading Python…");
    if (location.protocol === "file:") {
      say("Browsers do not run Python from a folder. Serve the site, for example by python -m http.server --directory site, and open it there.");
      return;
    }
    worker = new Worker(new URL("worker.js", document.baseURI), { type: "module" });
    worker.onmessage = ({ data }) => {
      if (data.failed) say(`It did not work: ${data.failed}`);
      else if (data.ready) { ready = true; simulate(); }
      else if (data.number === asked) show(data.answer);
    };
    worker.onerror = () => say("Python could not be loaded. This site was built without it: make docs fetches it by npm, and says what is missing.");
    worker.postMessage({ sources });
  };

  const simulate = () => {
    if (!ready) return;
    asked += 1;
    say("Simulating…");
    worker.postMessage({
      number: asked,
      request: {
        policy: element("policy").value,
        images: element("images").value,
        now: Date.now() / 1000,
        days: Number(element("days").value),
        pushes: Number(element("pushes").value),
      },
    });
  };

  const show = (answer) => {
    const problem = element("problem");
    problem.hidden = !answer.problem;
    element("result").hidden = Boolean(answer.problem);
    if (answer.problem) {
      const list = made("ul");
      list.append(...answer.offences.map((each) => made("li", each)));
      problem.replaceChildren(made("p", answer.problem, { class: "admonition-title" }), list);
      say("");
      return;
    }
    const gone = answer.images.filter((each) => each.action).length;
    const later = answer.later ? ` ${answer.later} more are dated in the future and arrive in the days ahead.` : "";
    say(`${answer.images.length} images: ${gone} go today, ${answer.images.length - gone} stay.${later}`);
    const verdicts = element("verdicts");
    const heads = labels(verdicts);
    verdicts.tBodies[0].replaceChildren(
      ...answer.images.map((each) => {
        const spared = each.action || !each.sparedFromRule ? "" : `; spared from rule ${each.sparedFromRule}`;
        const line = row(heads, [
          each.imageDigest, `${each.age} d`, each.imageTags.join(" ") || "-",
          WORDS[each.action] ?? "stays", each.rule ?? "-", each.reason + spared + (each.doubt ? ` (? ${each.doubt})` : ""),
        ]);
        line.className = each.action ? "playground-goes" : "";
        return line;
      }),
    );
    const ahead = answer.forecast.filter((step) => step.day > 0);
    element("later").hidden = Number(element("days").value) === 0;
    const forecast = element("forecast");
    const days = new Map();
    for (const step of ahead) {
      const key = `${step.day}/${step.action}/${step.rule}`;
      if (!days.has(key)) days.set(key, { ...step, images: [] });
      days.get(key).images.push(step.imageDigest);
    }
    forecast.tBodies[0].replaceChildren(
      ...[...days.values()].map((step) => row(labels(forecast), [
        `in ${step.day} d`, WORDS[step.action], step.rule, step.images.join(", "),
      ])),
    );
    if (!ahead.length) forecast.tBodies[0].append(row(labels(forecast), ["-", "nothing", "-", "-"]));
  };

  const choose = (index) => {
    const example = examples[index];
    [...element("examples").children].forEach((button, at) => button.setAttribute("aria-pressed", at === index));
    element("about").textContent = example.about;
    element("policy").value = example.policy;
    element("images").value = example.images;
    element("days").value = example.days;
    element("pushes").value = example.pushes;
    simulate();
  };

  examples.forEach((example, index) => {
    const button = made("button", example.name, { type: "button" });
    button.addEventListener("click", () => choose(index));
    element("examples").append(button);
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); simulate(); });
  choose(0);
  start();
})();
