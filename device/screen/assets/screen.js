"use strict";
// Follows the door. What the kiosk does not say any more is not shown any longer
// than it said: an answer goes by itself, and after some silence the page says
// that the kiosk is restarting.
(() => {
  const of = (id) => document.getElementById(id);
  const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
  const body = document.body, beat = Number(meta("beat"));
  const wordIds = ["vi-head", "vi-do", "en-head", "en-do"];
  let shown = "", back, silence, standing = null, with_ = 0;

  const draw = (state, words) => {
    wordIds.forEach((id, i) => { of(id).textContent = words[i]; });
    body.dataset.state = state;
  };
  const starting = () => {
    shown = "";
    clearTimeout(back);
    close();
    bring(0);
    setUp("");
    of("time").textContent = of("date").textContent = of("inside").textContent = of("list").textContent = "";
    draw("starting", wordIds.map((id) => of(id).dataset.starting));
  };
  const setUp = (code, ask) => {
    const box = of("setup");
    if (code && ask) [of("setup-vi").textContent, of("setup-en").textContent] = ask;
    if (box.dataset.code === code) return;
    box.dataset.code = code;
    box.hidden = !code;
    if (code) of("setup-code").src = "/setup.png?" + code;
  };
  const show = (v) => {
    clearTimeout(silence);
    silence = setTimeout(starting, 3 * beat);
    if (v.boot !== meta("boot")) { location.reload(); return; }
    of("time").textContent = v.time;
    of("date").textContent = v.date;
    of("inside").textContent = v.inside;
    of("list").textContent = v.list;
    setUp(v.state === "ready" ? v.setup || "" : "", v.ask);
    const words = [v.vi.head, v.vi.do, v.en.head, v.en.do], key = v.number + v.state;
    if (v.left === 0) standing = [v.state, words];
    if (key === shown) return;
    shown = key;
    clearTimeout(back);
    if (v.left > 0) {
      close();
      // The kiosk says when it is over; this is for when it cannot.
      back = setTimeout(() => { if (standing) { draw(...standing); bring(0); } else starting(); }, v.left + 250);
    }
    draw(v.state, words);
    bring(v.bring || 0);
  };
  let source;
  const follow = () => {
    source = new EventSource("/events");
    source.onmessage = (e) => show(JSON.parse(e.data));
    source.onerror = () => {
      // A browser gives up on what is no answer at all; this page never does.
      if (source.readyState === EventSource.CLOSED) setTimeout(follow, beat);
    };
  };

  const send = (path, entry) => fetch(path, {
    method: "POST", headers: {"Content-Type": "application/json", "X-QRGate-Token": meta("token")}, body: JSON.stringify(entry),
  }).catch(() => {}); // the silence of the kiosk says it

  const bring = (seq) => {
    with_ = seq;
    if (of("bring")) of("bring").hidden = !seq;
  };
  of("bring")?.addEventListener("click", (e) => {
    const more = Number(e.target.dataset?.more);
    if (!more || !with_) return;
    send("/companions", {with: with_, number: more});
    bring(0);
  });

  // A pad of keys: of letters for a code, of digits for a telephone number. What is
  // typed goes when nobody types on, and with the next answer.
  let pad = null, typed = "", idle;
  const close = () => { if (pad) pad.hidden = true; pad = null; typed = ""; clearTimeout(idle); };
  const type = () => {
    const length = Number(pad.dataset.length);
    pad.querySelector(".typed").textContent = typed.padEnd(length, "·").replace(length === 10 ? /^(....)(...)/ : /^(....)()/, "$1 $2 ").replace("  ", " ");
    clearTimeout(idle);
    idle = setTimeout(close, 20000);
  };
  const does = {
    close,
    erase: () => { typed = typed.slice(0, -1); type(); },
    enter: () => {
      if (typed.length !== Number(pad.dataset.length)) return;
      send(pad.dataset.path, {[pad.dataset.entry]: typed});
      close();
    },
  };
  document.querySelectorAll("[data-opens]").forEach((b) => b.addEventListener("click", () => { close(); pad = of(b.dataset.opens); pad.hidden = false; type(); }));
  document.querySelectorAll(".pad").forEach((p) => p.addEventListener("click", (e) => {
    const b = e.target.closest("button");
    if (!b || !pad) return;
    if (b.dataset.does) does[b.dataset.does]();
    else if (typed.length < Number(pad.dataset.length)) { typed += b.dataset.key; type(); }
  }));
  addEventListener("contextmenu", (e) => e.preventDefault());

  silence = setTimeout(starting, 3 * beat);
  follow();
})();
