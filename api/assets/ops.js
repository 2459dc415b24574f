// What moves on a page is shown as it moves; everything else works without this script.
(() => {
  "use strict";
  const live = document.querySelector("[data-live]");
  if (live && window.EventSource) {
    const source = new EventSource(live.dataset.live);
    source.addEventListener("part", (event) => {
      const html = JSON.parse(event.data);
      // Whoever reads a table with the keyboard, or has scrolled it, keeps their place.
      const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
      const scrolled = [...live.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
      live.innerHTML = html;
      live.querySelectorAll(".scroll").forEach((part, place) => { part.scrollLeft = scrolled[place] || 0; });
      if (focused) {
        const same = [...live.querySelectorAll("[aria-label]")].find((part) => part.getAttribute("aria-label") === focused);
        if (same) same.focus({ preventScroll: true });
      }
      document.body.dataset.live = "on";
    });
    source.addEventListener("error", () => { document.body.dataset.live = "off"; });
  }
  for (const form of document.querySelectorAll("form[data-auto]")) {
    form.addEventListener("change", () => form.requestSubmit());
  }
  for (const button of document.querySelectorAll("button.danger")) {
    button.addEventListener("click", (event) => {
      if (!window.confirm(button.textContent.trim() + "?")) event.preventDefault();
    });
  }
})();
