"use strict";
// Keeps the list of kiosks as the server says. Without this script the page reloads
// itself.
(() => {
  const page = document.getElementById("fleet");
  if (!page) return;
  const quiet = 30_000; // figures come every two seconds: a link without any is dead
  const rows = document.getElementById("kiosks");
  const show = (state) => {
    for (const words of document.querySelectorAll("#link > [data-when]")) words.hidden = words.dataset.when !== state;
  };
  // The server escapes all that people have written. Rows stand in a table.
  const parse = (html) => {
    const t = document.createElement("template");
    t.innerHTML = html;
    return t.content;
  };
  const on = {
    figures(html) {
      for (const fresh of parse(html).querySelectorAll("[data-fresh]")) {
        const old = page.querySelector(`[data-fresh="${CSS.escape(fresh.dataset.fresh)}"]`);
        if (old) old.replaceChildren(...fresh.childNodes);
      }
    },
    rows(html) {
      // Whoever is at a link keeps it, unless its kiosk has gone from the page.
      const at = document.activeElement?.closest?.("tr[data-kiosk]")?.dataset.kiosk;
      rows.replaceChildren(parse(html));
      if (at) rows.querySelector(`tr[data-kiosk="${CSS.escape(at)}"] a`)?.focus({ preventScroll: true });
    },
    row(html) {
      for (const row of [...parse(html).children]) {
        const old = rows.querySelector(`tr[data-kiosk="${CSS.escape(row.dataset.kiosk)}"]`);
        if (!old) continue;
        const here = old.contains(document.activeElement);
        old.replaceWith(row);
        if (here) row.querySelector("a")?.focus({ preventScroll: true });
      }
    },
  };
  let source, watch;
  const later = (ms) => {
    clearTimeout(watch);
    watch = setTimeout(() => { show("lost"); listen(); }, ms);
  };
  const listen = () => {
    source?.close();
    source = new EventSource(page.dataset.stream);
    for (const [name, take] of Object.entries(on)) {
      source.addEventListener(name, (event) => { show("live"); later(quiet); take(JSON.parse(event.data)); });
    }
    source.addEventListener("error", () => {
      show("lost");
      if (source.readyState === EventSource.CLOSED) later(10_000 + Math.random() * 20_000);
    });
    later(quiet);
  };
  show("wait");
  listen();
})();
