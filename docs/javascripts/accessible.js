// What the theme leaves to do for a keyboard and a screen reader: the search has no name, and a table
// that is wider than its page can only be scrolled by a pointer.
"use strict";
(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  const scrollable = () => {
    for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .estate-table, figure.diagram, .highlight code")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("load", scrollable);
  addEventListener("resize", scrollable);
})();
