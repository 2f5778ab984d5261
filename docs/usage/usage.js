// The pictures and tables of the usage page. Owns how a report is shown; the data is data.js, which
// `ecr-estate usage --output` writes. Every picture has its numbers in a table or in its text.
"use strict";
(() => {
  const PAGE = 100;
  const BARS = 15;
  const UNITS = [["GB", 2 ** 30], ["MB", 2 ** 20], ["kB", 2 ** 10], ["bytes", 1]]; // of 1,024, as ECR bills
  const SVG = "http://www.w3.org/2000/svg";
  const element = (id) => document.getElementById(`usage-${id}`);
  if (!window.usage) {
    element("missing").hidden = false;
    return;
  }
  const report = window.usage;
  const { currency } = report.prices;
  const KINDS = {
    service: ["Service", report.byService],
    owner: ["Owner", report.byOwner],
    architecture: ["Architecture", report.byArchitecture],
    platform: ["Platform", report.byPlatform],
    registry: ["Registry", report.byRegistry],
  };

  const made = (name, text = "", attributes = {}) => {
    const node = document.createElement(name);
    node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const drawn = (name, attributes, text = "") => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  };
  const number = (value) => value.toLocaleString("en-GB");
  const size = (bytes) => {
    if (!bytes) return "0";
    const [unit, one] = UNITS.find(([, least]) => Math.abs(bytes) >= least) ?? UNITS.at(-1);
    return `${(bytes / one).toLocaleString("en-GB", { maximumSignificantDigits: 3 })} ${unit}`;
  };
  const money = (value) =>
    value && value < 0.01
      ? "under 0.01"
      : value.toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const count = (value, one, many) => `${number(value)} ${value === 1 ? one : many}`;

  // Bars stand in HTML so that their names wrap and grow with the reader's letters; the bar alone is drawn.
  const bars = (lines) => {
    const dearest = Math.max(...lines.map((line) => line.cost), 0) || 1;
    return lines.slice(0, BARS).map((line) => {
      const row = made("div", "", { class: "usage-bar" });
      const picture = drawn("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
      let left = 0;
      for (const part of ["storage", "transfer", "scanning"]) {
        const width = (line[`${part}Cost`] / dearest) * 100;
        picture.append(drawn("rect", { x: left, y: 0, width, height: 8, class: `usage-${part}` }));
        left += width;
      }
      row.append(made("span", line.name, { class: "usage-name" }), picture, made("span", money(line.cost), { class: "usage-cost" }));
      return row;
    });
  };

  const legend = () =>
    [["storage", "storage"], ["transfer", "transfer to other Regions"], ["scanning", "scanning"]].flatMap(([part, name]) => {
      const sign = drawn("svg", { viewBox: "0 0 8 8", class: "usage-sign", "aria-hidden": "true" });
      sign.append(drawn("rect", { width: 8, height: 8, class: `usage-${part}` }));
      return [sign, ` ${name}  `];
    });

  const months = (held) => {
    const most = Math.max(...held) || 1;
    const height = 120;
    const wide = 56;
    const picture = drawn("svg", {
      viewBox: `0 0 ${held.length * wide} ${height + 40}`,
      role: "img",
      "aria-label": `Size by month, the oldest first: ${[...held].reverse().map(size).join(", ")}`,
    });
    [...held].reverse().forEach((bytes, index) => {
      const tall = (bytes / most) * height;
      const ago = held.length - 1 - index;
      picture.append(
        drawn("rect", { x: index * wide + 6, y: height + 12 - tall, width: wide - 12, height: Math.max(tall, 0.5), class: "usage-storage" }),
        drawn("text", { x: index * wide + wide / 2, y: height + 8 - tall, "text-anchor": "middle" }, bytes ? size(bytes) : ""),
        drawn("text", { x: index * wide + wide / 2, y: height + 30, "text-anchor": "middle" }, ago ? `−${ago}` : "now"),
      );
    });
    return picture;
  };

  const body = element("lines").tBodies[0];
  let lines = [];
  let shown = 0;
  const showMore = () => {
    const [label] = KINDS[element("by").value];
    const next = lines.slice(shown, shown + PAGE);
    body.append(
      ...next.map((line) => {
        const row = made("tr");
        row.append(
          made("th", line.name, { scope: "row", "data-label": label }),
          made("td", number(line.imageRepositories), { "data-label": "Image repositories" }),
          made("td", number(line.images), { "data-label": "Images" }),
          made("td", size(line.bytes), { "data-label": "Size" }),
          made("td", size(line.growthBytes), { "data-label": "Growth" }),
          made("td", line.lastPush, { "data-label": "Last push" }),
          made("td", line.lastPull, { "data-label": "Last pull" }),
          made("td", money(line.cost), { "data-label": "Cost" }),
        );
        return row;
      }),
    );
    shown += next.length;
    element("more").hidden = shown >= lines.length;
    element("more").textContent = `Show ${Math.min(PAGE, lines.length - shown)} more of ${number(lines.length - shown)}`;
  };
  const show = () => {
    const [label, held] = KINDS[element("by").value];
    lines = held;
    shown = 0;
    element("by-name").textContent = label;
    element("bars").replaceChildren(...bars(lines));
    const some = lines.length > BARS ? `The ${BARS} dearest of ${number(lines.length)}` : "All";
    element("bars-about").replaceChildren(`${some}, in ${currency} a month: `, ...legend());
    body.replaceChildren();
    showMore();
  };
  for (const [value, [name, held]] of Object.entries(KINDS)) {
    if (value !== "platform" || report.sharedLayersOnce) element("by").append(made("option", name, { value }));
    KINDS[value] = [name, held];
  }
  const asked = new URLSearchParams(location.search).get("by");
  if (asked && [...element("by").options].some((each) => each.value === asked)) element("by").value = asked;
  element("by").addEventListener("input", () => {
    show();
    history.replaceState(null, "", `?by=${element("by").value}`);
  });
  element("choice").addEventListener("submit", (event) => event.preventDefault());
  element("more").addEventListener("click", () => {
    const first = shown;
    showMore();
    body.rows[first].cells[0].setAttribute("tabindex", "-1");
    body.rows[first].cells[0].focus();
  });

  const whole = report.byRegistry.reduce((sum, line) => sum + line.cost, 0);
  const stored = report.byRegistry.reduce((sum, line) => sum + line.bytes, 0);
  const layers = report.sharedLayersOnce
    ? "layers that images of one image repository share count once"
    : "layers that images share count with each, so it is at most this much";
  element("about").textContent = `${report.stack ? `The stack ${report.stack}` : "This stack"}, on ${report.measured}: ${count(report.byService.length, "service", "services")} in ${count(report.byRegistry.length, "registry", "registries")}, ${size(stored)}, ${money(whole)} ${currency} a month. ${layers[0].toUpperCase()}${layers.slice(1)}. Prices of ${report.prices.asOf} (${report.prices.source}).`;
  element("months").append(months(report.byMonth));
  element("findings-about").textContent = report.findings.length
    ? `Nothing pushed or pulled for ${count(report.months, "month", "months")} counts as unused.`
    : "Nothing: all of it is used, owned and kept within its lifecycle policy.";
  element("findings").parentElement.hidden = !report.findings.length;
  element("findings").tBodies[0].append(
    ...report.findings.map((each) => {
      const row = made("tr");
      row.append(
        made("th", each.what, { scope: "row", "data-label": "What" }),
        made("td", each.owner || "-", { "data-label": "Owner" }),
        made("td", each.finding, { "data-label": "Finding" }),
        made("td", each.step, { "data-label": "Next step" }),
        made("td", each.text, { "data-label": "Why" }),
        made("td", money(each.cost), { "data-label": "Cost" }),
      );
      return row;
    }),
  );
  element("whole").hidden = false;
  show();
})();
