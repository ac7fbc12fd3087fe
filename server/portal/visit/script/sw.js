// The service worker: pages that open without a network, and visits that are
// sent when it is back. The server completes the first two lines.
const version = "VERSION";
const files = FILES;
const shell = "qrgate-shell-" + version, seen = "qrgate-seen-" + version;
const offline = "/ngoai-mang";
const poster = /^\/p\/[^/]+$/;

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(caches.open(shell).then((c) => c.addAll(files)));
});

// Pages of posters that were kept for another version would ask for files that
// are not there any more: they are fetched again.
addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const paths = new Set();
    for (const name of await caches.keys()) {
      if (name === shell || name === seen) continue;
      if (name.startsWith("qrgate-seen-")) {
        for (const r of await (await caches.open(name)).keys()) paths.add(new URL(r.url).pathname);
      }
      await caches.delete(name);
    }
    await clients.claim();
    await Promise.all([...paths].map(keep));
  })());
});

// keep fetches a page as nobody in particular would see it.
async function keep(path) {
  const cache = await caches.open(seen);
  if (!poster.test(path) || await cache.match(path)) return;
  const r = await fetch(path, { credentials: "omit" }).catch(() => null);
  if (r?.ok && !r.redirected && r.headers.get("Qrgate-Keep")) await cache.put(path, r);
}

addEventListener("message", (event) => {
  if (event.data?.seen) event.waitUntil(keep(String(event.data.seen)));
});

addEventListener("sync", (event) => {
  if (event.tag !== "qrgate-send") return;
  event.waitUntil(outbox.deliverAll().then((left) => {
    if (left) throw new Error("the browser tries again"); // only if told so
  }));
});

addEventListener("fetch", (event) => {
  const { request } = event, url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname.startsWith("/assets/")) {
    event.respondWith(caches.match(request).then((r) => r || fetch(request)));
    return;
  }
  if (request.mode === "navigate" && (poster.test(url.pathname) || url.pathname === "/p" || files.includes(url.pathname))) event.respondWith(page(event, url));
});

// A weak network may take as long as this.
const patience = 5000;

async function page(event, url) {
  let timer;
  try {
    const r = await Promise.race([fetch(event.request), new Promise((_, no) => { timer = setTimeout(() => no(new Error("slow")), patience); })]);
    if (r.ok && !r.redirected && r.headers.get("Qrgate-Keep")) {
      const copy = r.clone();
      event.waitUntil(caches.open(seen).then((c) => c.put(url.pathname, copy)));
    }
    return r;
  } catch {
    if (url.pathname === "/p") {
      const code = (url.searchParams.get("ma") ?? "").toUpperCase().split("/P/").pop().replace(/\s/g, "");
      return Response.redirect(code ? "/p/" + encodeURIComponent(code) : "/quet");
    }
    return (await caches.match(url.pathname, { ignoreSearch: true })) || (await caches.match(offline)) || Response.error();
  } finally {
    clearTimeout(timer);
  }
}
