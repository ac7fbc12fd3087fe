"use strict";
// The page follows the kiosk: it loads again when there is something new to show, and
// when the door's own page has come in its place.
(() => {
  const seen = document.body.dataset.seen;
  const look = async () => {
    try {
      const r = await fetch("/seen", { cache: "no-store" });
      if (!r.ok || (await r.text()) !== seen) {
        location.reload();
        return;
      }
    } catch {
      // Between this page and the door's nobody answers for a moment.
    }
    setTimeout(look, 500);
  };
  setTimeout(look, 500);
  document.addEventListener("click", (e) => {
    const answer = e.target.closest("[data-answer]")?.dataset.answer;
    if (!answer) return;
    fetch("/answer", {
      method: "POST", headers: { "Content-Type": "application/json", "X-QRGate-Token": document.querySelector('meta[name="token"]').content },
      body: JSON.stringify({ seen, answer }),
    }).catch(() => {}); // the page that follows says it
  });
  addEventListener("contextmenu", (e) => e.preventDefault());
})();
