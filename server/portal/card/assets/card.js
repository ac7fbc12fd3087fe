"use strict";
// How far printing has come, without loading the page again and again.
(() => {
  const box = document.querySelector("[data-progress]");
  if (!box) return;
  const bar = box.querySelector("progress");
  const said = box.querySelector("[data-done]");
  const ask = async () => {
    try {
      const answer = await fetch(box.dataset.progress, { cache: "no-store" });
      if (!answer.ok) { location.reload(); return; }
      const is = await answer.json();
      if (is.over) { location.reload(); return; }
      bar.value = is.done;
      box.querySelector("[data-signing]").hidden = !is.signing;
      said.textContent = is.done.toLocaleString("vi-VN");
    } catch { /* the network comes back */ }
    setTimeout(ask, 700);
  };
  setTimeout(ask, 400);
})();
