// The page of a code follows the kiosk: it loads again when there is something new.
(() => {
  const page = document.querySelector("[data-enrol]");
  if (!page || !["offered", "asked", "granted"].includes(page.dataset.state)) return;
  const look = async () => {
    try {
      const r = await fetch(page.dataset.enrol, { headers: { Accept: "application/json" } });
      if (r.ok && (await r.json()).state !== page.dataset.state) {
        location.reload();
        return;
      }
    } catch {
      // The network comes back; the link below the code is always there.
    }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
})();
