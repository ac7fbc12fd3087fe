// The diary: what this phone remembers of where it was. Nothing of it is sent.
(() => {
  const by = (id) => document.getElementById(id);
  const list = by("diary"), words = list.dataset;
  const el = (name, text, kind) => {
    const e = document.createElement(name);
    e.textContent = text;
    if (kind) e.className = kind;
    return e;
  };
  const zone = { timeZone: "Asia/Ho_Chi_Minh" };
  const draw = async () => {
    const all = (await outbox.all()).sort((a, b) => b.at - a.at);
    list.replaceChildren(...all.map((v) => {
      const item = document.createElement("li"), at = new Date(v.at);
      item.append(
        el("strong", v.place || v.code),
        el("p", at.toLocaleTimeString("vi-VN", { ...zone, hour: "2-digit", minute: "2-digit" }) + " · " + at.toLocaleDateString("vi-VN", zone)),
        el("p", words[v.direction]),
        el("p", { sent: "✓ ", waiting: "… ", refused: "✕ " }[v.state] + words[v.state] + (words[v.problem] ? ": " + words[v.problem] : ""), "state " + v.state),
      );
      if (v.state !== "waiting") {
        const button = el("button", words.delete, "second");
        button.type = "button";
        button.setAttribute("aria-label", words.delete + ": " + (v.place || v.code));
        button.addEventListener("click", async () => { await outbox.drop(v.key); draw(); });
        item.append(button);
      }
      return item;
    }));
    by("none").hidden = all.length > 0;
    by("clear").hidden = !all.some((v) => v.state !== "waiting");
    by("again").hidden = !all.some((v) => v.state === "waiting");
  };
  const send = async () => { await outbox.deliverAll(); draw(); };
  by("again").addEventListener("click", send);
  by("clear").addEventListener("click", async () => {
    if (!confirm(by("clear").dataset.sure)) return;
    for (const v of await outbox.all()) if (v.state !== "waiting") await outbox.drop(v.key);
    draw();
  });
  outbox.news?.addEventListener("message", draw);
  addEventListener("online", send);
  navigator.serviceWorker?.register("/sw.js").catch(() => {});
  outbox.forget(Number(words.days)).then(send, draw);
})();
