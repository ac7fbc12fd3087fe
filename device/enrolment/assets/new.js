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
})();
