"use strict";
// The visits that this phone knows of: those that wait to be sent, and the diary
// of those that were. A page and the service worker use it at once.
const outbox = (() => {
  const open = () => new Promise((ok, no) => {
    const r = indexedDB.open("qrgate", 1);
    r.onupgradeneeded = () => r.result.createObjectStore("visits", { keyPath: "key" });
    r.onsuccess = () => ok(r.result);
    r.onerror = r.onblocked = () => no(r.error);
  });
  const run = async (mode, fn) => {
    const db = await open();
    try {
      return await new Promise((ok, no) => {
        const t = db.transaction("visits", mode, { durability: "strict" });
        const r = fn(t.objectStore("visits"));
        t.oncomplete = () => ok(r.result);
        t.onerror = t.onabort = () => no(t.error);
      });
    } finally {
      db.close();
    }
  };
  const news = self.BroadcastChannel ? new BroadcastChannel("qrgate") : null;

  const all = () => run("readonly", (s) => s.getAll());
  const find = (key) => run("readonly", (s) => s.get(key));
  const keep = (visit) => run("readwrite", (s) => s.put(visit));
  const drop = (key) => run("readwrite", (s) => s.delete(key));

  // One sender at a time. Were there two, the key of the visit would still make
  // one effect of what both send.
  const alone = (fn) => (navigator.locks ? navigator.locks.request("qrgate-outbox", fn) : fn());

  // What waiting does not cure.
  const final = new Set(["fields", "code", "gone", "late", "conflict", "message"]);

  const send = async (visit, patience) => {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), patience);
    try {
      const r = await fetch("/p/" + visit.code + "/gui", {
        method: "POST", credentials: "same-origin", redirect: "error", signal: stop.signal,
        headers: { "Content-Type": "application/json", ...(visit.account && { "Qrgate-Account": visit.account }) },
        body: JSON.stringify({ ...visit.body, key: visit.key, said: visit.at, sent: Date.now() }),
      });
      return await r.json();
    } catch {
      return {}; // no network, or something in its place
    } finally {
      clearTimeout(timer);
    }
  };

  // deliver sends a visit that waits, and returns it as it then is, with the
  // address of its confirmation. What the phone keeps of a visit that has an
  // answer is no more than the diary says.
  const deliver = (key, patience) => alone(async () => {
    const visit = await find(key);
    if (!visit || visit.state !== "waiting") return visit;
    const said = await send(visit, patience);
    const now = { ...visit };
    if (said.page) Object.assign(now, { state: "sent", place: said.place, at: said.at });
    else if (final.has(said.problem)) Object.assign(now, { state: "refused", problem: said.problem });
    else return visit;
    delete now.body;
    delete now.account;
    await keep(now);
    news?.postMessage(now);
    self.dispatchEvent?.(new CustomEvent("qrgate", { detail: now })); // the channel tells all but ourselves
    return { ...now, page: said.page };
  });

  // deliverAll sends what waits, oldest first, and returns how many still do.
  const deliverAll = async () => {
    const waiting = (await all()).filter((v) => v.state === "waiting").sort((a, b) => a.at - b.at);
    let left = 0;
    for (const v of waiting) {
      const now = await deliver(v.key, 15000);
      if (now?.state === "waiting") left++;
    }
    return left;
  };

  const forget = async (days) => {
    const before = Date.now() - days * 86400000;
    for (const v of await all()) if (v.state !== "waiting" && v.at < before) await drop(v.key);
  };

  return { all, keep, drop, deliver, deliverAll, forget, news };
})();
