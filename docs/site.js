// A table that is wider than the page scrolls; by this also with the keyboard (WCAG 2.1.1).
function reachTables() {
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset table:not([class])")) {
    if (wrap.scrollWidth > wrap.clientWidth) {
      wrap.tabIndex = 0;
    } else {
      wrap.removeAttribute("tabindex");
    }
  }
}

addEventListener("load", reachTables);
addEventListener("resize", reachTables);
