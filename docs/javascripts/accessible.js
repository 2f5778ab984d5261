// What the theme leaves to do for a keyboard and a screen reader: the search has no name, the buttons of
// the menu and of the search are labels that no key reaches, landmarks share their names, and a table that
// is wider than its page can only be scrolled by a pointer.
"use strict";
(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  for (const [toggle, name] of [["__drawer", "Menu"], ["__search", "Open the search"]]) {
    const label = document.querySelector(`label.md-header__button[for="${toggle}"]`);
    const box = document.getElementById(toggle);
    if (!label || !box) continue;
    // A label takes no key, and may have no role: a button stands in its place, which looks like it.
    const button = document.createElement("button");
    button.type = "button";
    button.className = label.className;
    button.setAttribute("for", toggle); // by which the theme shows it at some widths only
    button.setAttribute("aria-label", name);
    button.append(...label.childNodes);
    button.addEventListener("click", () => box.click());
    label.replaceWith(button);
    const state = () => button.setAttribute("aria-expanded", String(box.checked));
    box.addEventListener("change", state);
    state();
  }
  document.addEventListener("keydown", (event) => {
    const drawer = document.getElementById("__drawer");
    if (event.key !== "Escape" || !drawer?.checked) return;
    drawer.click();
    document.querySelector('.md-header__button[for="__drawer"]')?.focus();
  });
  // Landmarks of the same kind are told apart by a number. The theme adds some after it has started.
  const named = new Map();
  const told = new WeakSet();
  const tellApart = () => {
    for (const part of document.querySelectorAll("nav, [role=region], [role=search], aside, figure.diagram")) {
      if (told.has(part)) continue;
      told.add(part);
      const code = part.classList.contains("md-code__nav") ? "Code" : "";
      const given = part.getAttribute("aria-label") || document.getElementById(part.getAttribute("aria-labelledby"))?.textContent.trim() || code;
      const key = `${part.getAttribute("role") || part.tagName} ${given}`;
      const times = (named.get(key) || 0) + 1;
      named.set(key, times);
      if (times === 1 && !code) continue;
      part.removeAttribute("aria-labelledby");
      part.setAttribute("aria-label", times === 1 ? given : `${given} ${times}`.trim());
    }
  };
  tellApart();
  new MutationObserver(tellApart).observe(document.body, { childList: true, subtree: true });
  // On a phone a table of prose becomes a card for each row, where each cell says its column: see estate.css.
  for (const table of document.querySelectorAll(".md-typeset table:not([class])")) {
    const columns = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    if (columns.length < 3 || columns.length > 4) continue;
    table.dataset.cards = "";
    for (const row of table.tBodies[0]?.rows ?? []) {
      [...row.cells].forEach((cell, column) => {
        if (columns[column]) cell.dataset.label = columns[column];
      });
    }
  }
  const scrollable = () => {
    for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .estate-table, figure.diagram, .highlight code")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("load", scrollable);
  addEventListener("resize", scrollable);
})();
