// Shows what becomes of orders as it comes. Without this the page is loaded again.
(() => {
  "use strict";
  const wait = 1000;
  async function look() {
    const live = document.getElementById("orders");
    if (!live || live.dataset.live !== "1") return;
    // A button that is about to be pressed stays where it is.
    if (!document.hidden && !live.querySelector("details[open]") && !live.contains(document.activeElement)) {
      try {
        const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
        if (answer.ok) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const fresh = page.getElementById("orders");
          if (fresh && fresh.innerHTML !== live.innerHTML) live.replaceWith(fresh);
        }
      } catch { /* the line is down: the next look may fare better */ }
    }
    setTimeout(look, wait);
  }
  setTimeout(look, wait);
})();
