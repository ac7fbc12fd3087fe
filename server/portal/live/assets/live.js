"use strict";
// Keeps the page as the server says. Without this script the page reloads itself.
(() => {
  const keep = 50; // check-ins on the page, as the server sends at most
  const quiet = 30_000; // figures come every five seconds: a link without any is dead
  const again = 20_000; // before a refused stream is asked for once more
  const $ = (id) => document.getElementById(id);
  const figures = $("figures"), kiosks = $("kiosks"), checkins = $("checkins");
  const numbers = new Intl.NumberFormat("vi-VN");

  const show = (state) => {
    for (const words of $("link").children) words.hidden = words.dataset.when !== state;
  };
  // The server escapes all that people have written.
  const parse = (html) => {
    const t = document.createElement("template");
    t.innerHTML = html;
    return t.content;
  };
  const rowOf = (kiosk) => kiosks.querySelector(`tr[data-kiosk="${CSS.escape(kiosk)}"]`);

  const on = {
    snapshot(data) {
      const all = JSON.parse(data);
      on.figures(all.figures);
      if (all.kiosks) kiosks.replaceChildren(parse(all.kiosks));
      const none = checkins.querySelector(".none");
      checkins.replaceChildren(parse(all.checkins), none);
    },
    figures(data) { figures.replaceChildren(parse(data)); },
    kiosks(data) {
      kiosks.querySelector(".none")?.remove();
      for (const row of [...parse(data).children]) {
        const old = rowOf(row.dataset.kiosk);
        if (old) old.replaceWith(row); else kiosks.append(row);
      }
    },
    count(data) {
      for (const [kiosk, n] of Object.entries(JSON.parse(data))) {
        const cell = rowOf(kiosk)?.querySelector(".count");
        if (cell) cell.textContent = numbers.format(n);
      }
    },
    checkin(data) {
      const lines = parse(data);
      for (const line of lines.children) line.classList.add("fresh");
      checkins.prepend(lines);
      const all = checkins.querySelectorAll("li:not(.none)");
      for (let i = keep; i < all.length; i++) all[i].remove();
    },
  };

  let source, watch;
  const listen = () => {
    source?.close();
    source = new EventSource("/live");
    for (const [name, take] of Object.entries(on)) {
      source.addEventListener(name, (event) => { heard(); take(event.data); });
    }
    source.addEventListener("error", () => {
      show("lost");
      // The browser comes back by itself unless the server has refused.
      if (source.readyState === EventSource.CLOSED) later(again / 2 + Math.random() * again);
    });
  };
  const later = (ms) => {
    clearTimeout(watch);
    watch = setTimeout(() => { show("lost"); later(quiet); listen(); }, ms);
  };
  const heard = () => { show("live"); later(quiet); };
  show("wait");
  later(quiet);
  listen();
})();
