// The check-in by phone: one tap for whom the phone remembers, and no network
// needed. Without this script the form works as any form does.
(() => {
  const by = (id) => document.getElementById(id);
  const form = by("checkin");

  const worker = navigator.serviceWorker;
  // What the app needs is fetched when this page has all that it needs.
  addEventListener("load", () => { worker?.register("/sw.js").catch(() => {}); });
  const later = async () => {
    try {
      const sync = (await worker?.getRegistration())?.sync;
      await sync?.register("qrgate-send");
    } catch { /* the next page, or this one, sends it */ }
  };

  // Send what waits: now, when the network is back, and again while it does not
  // go through.
  let pause = 5000, timer = 0;
  const sendAll = async () => {
    clearTimeout(timer);
    const left = await outbox.deliverAll().catch(() => 0);
    pause = left ? Math.min(pause * 2, 120000) : 5000;
    if (left) timer = setTimeout(sendAll, pause);
  };
  addEventListener("online", sendAll);
  sendAll();
  if (!form) return;

  const words = by("words").dataset;
  outbox.forget(Number(words.days)).catch(() => {});
  let code = form.dataset.code;
  if (code) {
    worker?.ready.then((r) => r.active?.postMessage({ seen: location.pathname }));
  } else {
    code = posterCode(location.pathname);
    if (!code) return;
    form.action = "/p/" + code;
    form.hidden = by("unknown").hidden = false;
    by("unknown").querySelector("strong").textContent = code;
  }

  const offline = () => { by("offline").hidden = navigator.onLine || form.hidden; };
  addEventListener("online", offline);
  addEventListener("offline", offline);
  offline();
  if (new URLSearchParams(location.search).has("ra")) form.querySelector(".go").classList.add("leave");

  // Who this phone belongs to.
  const known = () => { try { return JSON.parse(localStorage.getItem("qrgate.me")); } catch { return null; } };
  const show = (me) => {
    if (!by("who")) return; // somebody is signed in
    by("remember").hidden = false;
    by("you").hidden = !me;
    by("who").hidden = !!me;
    if (!me) return;
    by("phone").value = me.phone;
    by("name").value = me.name;
    by("you").querySelector("strong").textContent = me.name;
  };
  // What the server shows again is not replaced.
  if (!document.querySelector("[aria-invalid]")) show(known());
  else if (by("who")) by("remember").hidden = false;
  by("change")?.addEventListener("click", () => { by("you").hidden = true; by("who").hidden = false; by("phone").focus(); });
  by("forget")?.addEventListener("click", () => {
    localStorage.removeItem("qrgate.me");
    by("phone").value = by("name").value = "";
    show(null);
    by("forgotten").hidden = false;
    by("phone").focus();
  });

  // A number that the server would refuse is corrected while its owner is here.
  const looksRight = (phone) => /^(\+84\d{8,11}|\+(?!84)[1-9]\d{7,14}|0\d{9,10}|1\d{7}|1\d{9})$/.test(phone.replace(/[ .()-]/g, ""));
  by("phone")?.addEventListener("input", () => { by("phone").removeAttribute("aria-invalid"); by("e-phone").textContent = ""; });

  let plain = false, visit = null;
  form.addEventListener("submit", async (event) => {
    if (plain) return;
    event.preventDefault();
    if (visit) return;
    const phone = by("phone")?.value ?? "", name = (by("name")?.value ?? "").trim();
    if (by("phone") && !looksRight(phone)) {
      by("you").hidden = true;
      by("who").hidden = false;
      by("phone").setAttribute("aria-invalid", "true");
      by("e-phone").textContent = words.phone;
      by("phone").focus();
      return;
    }
    if (by("phone")) {
      if (by("keep").checked) localStorage.setItem("qrgate.me", JSON.stringify({ phone, name }));
      else localStorage.removeItem("qrgate.me");
    }
    const me = known(); // in case the sign-in has ended when this is sent
    visit = {
      key: newKey(), code, place: form.dataset.place ?? "", at: Date.now(), state: "waiting", direction: event.submitter?.value ?? "in",
      account: form.elements.account?.value, // another may be signed in when this is sent
      body: {
        direction: event.submitter?.value ?? "in", account: !by("phone"), phone: phone || me?.phone || "", name: name || me?.name || "",
        others: Number(by("others").value), names: by("names").value.split("\n"),
      },
    };
    form.elements.key.value = visit.key;
    const asForm = () => { plain = true; form.requestSubmit(event.submitter); };
    try {
      await outbox.keep(visit);
    } catch {
      return asForm(); // nowhere to keep it
    }
    by("sending").hidden = false;
    const now = await outbox.deliver(visit.key, 8000);
    by("sending").hidden = true;
    if (now.page) return location.assign(now.page);
    if (now.problem === "fields") {
      await outbox.drop(visit.key);
      return asForm(); // which says what is wrong
    }
    saved(now);
    if (now.state === "waiting") { later(); timer = setTimeout(sendAll, pause); }
  });

  // What became of the visit.
  const saved = (now) => {
    form.hidden = by("offline").hidden = true;
    if (!form.dataset.place) document.querySelector(".place").hidden = true; // it says that nothing is known
    const box = by("saved");
    box.hidden = false;
    box.className = "result saved " + now.state;
    for (const state of ["waiting", "sent", "refused"]) by("saved-" + state).hidden = state !== now.state;
    by("saved-what").textContent = (now.place || now.code) + " · " + words[now.direction];
    by("saved-at").textContent = new Date(now.at).toLocaleTimeString("vi-VN", { hour: "2-digit", minute: "2-digit", timeZone: "Asia/Ho_Chi_Minh" });
    by("saved-do").hidden = by("again").hidden = now.state !== "waiting";
    box.focus();
  };
  by("again").addEventListener("click", sendAll);
  const heard = (now) => { if (now.key === visit?.key && !by("saved").hidden) saved(now); };
  outbox.news?.addEventListener("message", (event) => heard(event.data));
  addEventListener("qrgate", (event) => heard(event.detail));

  function newKey() {
    const b = crypto.getRandomValues(new Uint8Array(16));
    return btoa(String.fromCharCode(...b)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }

  // The code in an address, if its check characters are right: as package pass
  // makes them, for no server can say so now.
  function posterCode(path) {
    const m = /^\/p\/([a-z2-7]{8})-(\d{1,3})\/?$/i.exec(path);
    if (!m || m[2] > 255) return "";
    const text = m[1].toUpperCase();
    let bits = 0n;
    for (const c of text) bits = (bits << 5n) | BigInt("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c));
    let sum = 0;
    for (const byte of [Number(m[2]), ...[32n, 24n, 16n, 8n].map((n) => Number((bits >> n) & 255n))]) {
      sum ^= byte;
      for (let i = 0; i < 8; i++) sum = sum & 128 ? ((sum << 1) ^ 0x11d) & 255 : sum << 1;
    }
    return (sum ^ 0x5a) === Number(bits & 255n) ? text + "-" + Number(m[2]) : "";
  }
})();
