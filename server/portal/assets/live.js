"use strict";
// Adds what the server has just stored to the page. Without this script the page
// reloads itself every five seconds.
(() => {
  const feed = document.getElementById("checkins");
  const total = document.getElementById("total");
  const link = document.getElementById("link");
  const numbers = new Intl.NumberFormat("vi-VN");
  const calm = link.innerHTML;
  const keep = 50;

  const bump = (cell, by) => {
    const n = Number(cell.dataset.n ?? cell.textContent.replaceAll(".", "")) + by;
    cell.dataset.n = n;
    cell.textContent = numbers.format(n);
  };
  const source = new EventSource("/live");
  source.addEventListener("open", () => { link.innerHTML = calm; link.classList.remove("lost"); });
  source.addEventListener("error", () => { link.textContent = link.dataset.lost; link.classList.add("lost"); });
  source.addEventListener("checkin", (event) => {
    feed.insertAdjacentHTML("afterbegin", event.data);
    while (feed.children.length > keep) feed.lastElementChild.remove();
  });
  source.addEventListener("count", (event) => {
    const counts = JSON.parse(event.data);
    for (const [kiosk, n] of Object.entries(counts)) {
      bump(total, n);
      const cell = document.querySelector(`tr[data-kiosk="${CSS.escape(kiosk)}"] .count`);
      if (cell) bump(cell, n);
    }
  });
  source.addEventListener("kiosks", (event) => { document.getElementById("kiosks").innerHTML = event.data; });
})();
