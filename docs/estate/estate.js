// The estate page. Owns finding, sorting and showing; the data is data.js, which `ecr-estate estate`
// writes. Whatever somebody pastes is understood: an address with a tag or a digest, an ARN, the address
// of a repository on GitHub, an id. Rows are added a page at a time: ten thousand stay quick.
"use strict";
(() => {
  const PAGE = 100;
  const element = (id) => document.getElementById(`estate-${id}`);
  if (!window.estate) {
    element("missing").hidden = false;
    return;
  }
  const { stack, registries, services, leftOut, deselected, unselected = [], measured = null } = window.estate;

  const made = (name, text = "", attributes = {}) => {
    const node = document.createElement(name);
    node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const number = (value) => value.toLocaleString("en-GB");
  const count = (value, one, many) => `${number(value)} ${value === 1 ? one : many}`;
  const size = (bytes) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let power = 0;
    while (bytes >= 1000 && power < units.length - 1) { bytes /= 1000; power += 1; }
    return `${bytes >= 10 || power === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[power]}`;
  };

  const rows = services.map(
    ([id, repository, service, namespace, state, since, reason, placements, replicas, owns = ""]) => {
      const places = [...placements, ...replicas].map(([registry, name]) => [registries[registry], name]);
      const locations = places.map(([[key], name]) => `${key}/${name}`);
      const seen = measured ? locations.map((each) => measured[each]).filter(Boolean) : [];
      const owner = owns || (seen.find(([name]) => name) || [""])[0];
      const names = [repository, service, String(id), ...places.map(([, name]) => name)];
      return {
        id, repository, service, namespace, state, since, reason, placements, replicas, owner,
        keys: new Set(places.map(([[key]]) => key)),
        exact: new Set([...names, ...locations, ...places.map(([[, host], name]) => `${host}/${name}`)].map((each) => each.toLowerCase())),
        bytes: seen.reduce((sum, each) => sum + each[2], 0),
        pushed: seen.map((each) => each[3]).sort().pop() || "",
        cost: seen.reduce((sum, each) => sum + each[4], 0),
        text: [id, repository, service, state, since, reason, owner, ...locations].join("\n").toLowerCase(),
      };
    },
  );
  // What was selected once and is kept has its row among the services.
  const placed = new Set(rows.map((row) => row.id));
  const outside = [
    ...leftOut.map(([id, repository, reason]) => ({ id, repository, reason, what: "left out" })),
    ...unselected.map(([id, repository, reason]) => ({ id, repository, reason, what: "deselected" })),
  ].filter((each) => !placed.has(each.id)).map((each) => ({
    ...each,
    exact: new Set([String(each.id), each.repository.toLowerCase()]),
    text: `${each.id}\n${each.repository}\n${each.reason}\n${each.what}`.toLowerCase(),
  }));
  const known = new Set([...rows, ...outside].flatMap((each) => [...each.exact]));

  // What was pasted, as what it may mean: first as it is, then without what stands before each slash.
  const meant = (word) => {
    let plain = word.toLowerCase().replace(/^["'`(]+|["'`),;]+$/g, "");
    const arn = plain.match(/^arn:[\w-]+:ecr:([\w-]+):(\d+):repository\/(.+)$/);
    if (arn) return [`${arn[2]}/${arn[1]}/${arn[3]}`];
    plain = plain.replace(/^[a-z][a-z-]*:\/\//, "").replace(/^git@([^:]+):/, "$1/").replace(/@sha256:[0-9a-f]*$/, "").replace(/\.git$|\/+$/g, "");
    const [, path, tag] = plain.match(/^(.*?)(:[\w][\w.-]*)?$/);
    if (tag && !path.includes("\n")) plain = path;
    const parts = plain.split("/");
    return parts.map((_, at) => parts.slice(at).join("/"));
  };

  const finder = (text) => {
    const tests = text.split(/\s+/).filter(Boolean).map((word) => {
      const pasted = /[/@:]/.test(word);
      const found = pasted && meant(word).find((each) => known.has(each));
      const plain = pasted ? meant(word)[0] : word.toLowerCase();
      return found ? (each) => each.exact.has(found) : (each) => each.text.includes(plain);
    });
    return (each) => tests.every((test) => test(each));
  };

  const filters = { text: element("text"), state: element("state"), namespace: element("namespace"), registry: element("registry"), owner: element("owner") };
  const body = element("services").tBodies[0];
  const shownColumns = {
    namespace: rows.some((row) => row.namespace),
    replicas: rows.some((row) => row.replicas.length),
    owner: rows.some((row) => row.owner),
    measured: Boolean(measured),
  };
  for (const cell of element("services").tHead.rows[0].cells) {
    const needs = cell.dataset.needs;
    if (needs && !shownColumns[needs]) cell.hidden = true;
  }
  let sorted = { column: "service", descending: false };
  let found = rows;
  let shown = 0;

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
    return cell;
  };

  const drawn = (row) => {
    const line = made("tr");
    const service = made("th", "", { scope: "row", "data-label": "Service" });
    service.append(made("strong", row.service));
    service.append(made("small", row.repository === row.service ? `id ${row.id}` : `${row.repository}, id ${row.id}`));
    const state = made("td", "", { "data-label": "State" });
    const since = made("small", `since ${row.since}`, { class: "estate-day" });
    state.append(made("span", row.state, { class: `estate-state estate-${row.state}` }), since);
    if (row.reason) state.append(made("small", row.reason));
    line.append(service);
    if (shownColumns.owner) line.append(made("td", row.owner || "nobody", { "data-label": "Owner" }));
    if (shownColumns.namespace && row.namespace) line.append(made("td", row.namespace, { "data-label": "Namespace" }));
    else if (shownColumns.namespace) line.append(made("td", "", { "data-label": "Namespace", class: "estate-empty" }));
    line.append(state, located(row.placements, row, "Image repositories"));
    if (shownColumns.replicas) {
      const replicas = located(row.replicas, row, "Replicas");
      if (!row.replicas.length) replicas.className = "estate-empty";
      line.append(replicas);
    }
    if (measured) {
      line.append(
        made("td", row.pushed || "never", { "data-label": "Last push", class: "estate-day" }),
        made("td", size(row.bytes), { "data-label": "Size", class: "estate-day" }),
        made("td", `$${row.cost.toFixed(2)}`, { "data-label": "Cost a month", class: "estate-day" }),
      );
    }
    return line;
  };

  const showMore = () => {
    const next = found.slice(shown, shown + PAGE);
    body.append(...next.map(drawn));
    shown += next.length;
    const rest = found.length - shown;
    element("more").hidden = rest === 0;
    element("more").textContent = `Show ${Math.min(PAGE, rest)} more of ${number(rest)}`;
  };

  const showOutside = (fits) => {
    const fitting = outside.filter(fits);
    const table = element("left-out");
    table.parentElement.hidden = !fitting.length;
    table.tBodies[0].replaceChildren(
      ...fitting.slice(0, PAGE).map((each) => {
        const line = made("tr");
        const name = made("th", "", { scope: "row", "data-label": "Repository" });
        name.append(made("strong", each.repository), made("small", `id ${each.id}`));
        line.append(name, made("td", each.what, { "data-label": "What" }), made("td", each.reason, { "data-label": "Reason" }));
        return line;
      }),
    );
    element("rest").textContent = fitting.length > PAGE ? `${number(fitting.length - PAGE)} more are not shown. Find one by its name.` : "";
    return fitting.length;
  };

  const show = () => {
    const fits = finder(filters.text.value);
    const { state, namespace, registry, owner } = filters;
    found = rows.filter(
      (row) =>
        fits(row) &&
        (!state.value || row.state === state.value) &&
        (!namespace.value || `/${row.namespace}` === namespace.value) &&
        (!registry.value || row.keys.has(registry.value)) &&
        (!owner.value || `/${row.owner}` === owner.value),
    );
    const way = sorted.descending ? -1 : 1;
    const key = (row) => row[sorted.column];
    found.sort((a, b) => way * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
    const beyond = showOutside(fits);
    const wanted = filters.text.value.trim();
    const also = wanted && beyond ? `; ${count(beyond, "repository", "repositories")} without an image repository, below` : "";
    element("count").textContent = `${number(found.length)} of ${count(rows.length, "service", "services")}${also}`;
    const digest = wanted.match(/^(sha256:[0-9a-f]+)$/);
    element("hint").textContent = digest
      ? "A digest alone does not say which image repository it is in. Paste the whole address."
      : wanted && !found.length && !beyond
        ? "Nothing of this estate has that name. Is it of another stack, or newer than the last deployment?"
        : "";
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

  // The picture: a box for each registry, those that are pushed to on the left, replicas on the right.
  const picture = () => {
    const tally = registries.map(() => ({ active: 0, kept: 0, retiring: 0 }));
    const pushed = new Set();
    const arrows = new Set();
    for (const row of rows) {
      for (const [at, , state] of [...row.placements, ...row.replicas]) tally[at][state] += 1;
      for (const [from] of row.placements) {
        pushed.add(from);
        for (const [to] of row.replicas) if (from !== to) arrows.add(`${from} ${to}`);
      }
    }
    const words = (at) => Object.entries(tally[at]).filter(([, many]) => many).map(([state, many]) => `${number(many)} ${state}`).join(", ") || "nothing";
    const left = [...registries.keys()].filter((at) => pushed.has(at));
    const right = [...registries.keys()].filter((at) => !pushed.has(at));
    const place = new Map([...left.map((at, row) => [at, [0, row]]), ...right.map((at, row) => [at, [1, row]])]);
    const height = Math.max(left.length, right.length) * 64;
    const draw = (name, attributes, text = "") => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      node.textContent = text;
      return node;
    };
    const sentences = [...place.keys()].map((at) => `${registries[at][0]}, ${pushed.has(at) ? "which services push to" : "which holds replicas"}: ${words(at)}.`);
    const svg = draw("svg", { viewBox: `0 0 ${right.length ? 640 : 280} ${height}`, role: "img", "aria-label": `The registries of this estate. ${sentences.join(" ")}` });
    for (const arrow of arrows) {
      const [from, to] = arrow.split(" ").map((at) => place.get(Number(at)));
      if (!from || !to || from[0] === to[0]) continue;
      const [y1, y2] = [from[1] * 64 + 26, to[1] * 64 + 26];
      svg.append(draw("path", { d: `M270 ${y1} C315 ${y1} 315 ${y2} 352 ${y2}`, fill: "none", stroke: "currentColor" }));
      svg.append(draw("path", { d: `M352 ${y2 - 5} L362 ${y2} L352 ${y2 + 5} Z`, fill: "currentColor" }));
    }
    for (const [at, [column, row]] of place) {
      const [x, y] = [column * 364 + 1, row * 64 + 1];
      svg.append(
        draw("rect", { x, y, width: 268, height: 50, rx: 4, fill: "none", stroke: "currentColor", "stroke-dasharray": column ? "5 3" : "none" }),
        draw("text", { x: x + 12, y: y + 21, fill: "currentColor", "font-size": 14, "font-weight": 700 }, registries[at][0]),
        draw("text", { x: x + 12, y: y + 40, fill: "currentColor", "font-size": 13 }, `${column ? "replicas: " : ""}${words(at)}`),
      );
    }
    element("picture").replaceChildren(svg);
    element("picture").style.maxWidth = right.length ? "40rem" : "17.5rem";
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
  const reasons = Object.entries(deselected).map(([reason, many]) => `${reason}: ${number(many)}`);
  element("deselected").textContent = `${leftOut.length ? `${count(leftOut.length, "repository is", "repositories are")} selected and cannot be placed.` : "Nothing that was selected is left out."} Deselected by the rules of the settings: ${reasons.join("; ") || "none"}.`;
  element("whole").hidden = false;
  picture();
  show();
})();
