"use strict";
// Small helps for organisations and places; every page works without them.
(() => {
  const $ = (selector, of = document) => of.querySelector(selector);
  const make = (tag, attrs = {}, text = "") => {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
    e.textContent = text;
    return e;
  };

  // An invitation's link carries its code behind #, which no server sees.
  const invitation = $("form[data-invitation]");
  if (invitation && location.hash.length > 1) {
    $("input", invitation).value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    invitation.requestSubmit();
  }

  for (const button of document.querySelectorAll("[data-copies]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).value);
      button.textContent = button.dataset.done;
    });
  }
  for (const input of document.querySelectorAll("[data-copy]")) input.addEventListener("focus", () => input.select());

  const form = $("form.place");
  if (!form) return;
  const field = (name) => form.elements.namedItem(name);

  // The kind brings the sector that is usual for it, until somebody chooses.
  const kind = field("place.kind"), sector = field("place.sector");
  let chosen = sector.value !== "" && kind.value !== "";
  sector.addEventListener("change", () => { chosen = sector.value !== ""; });
  kind.addEventListener("change", () => {
    if (!chosen) sector.value = kind.selectedOptions[0].dataset.sector || "";
  });

  // Open all day needs no times.
  for (const line of form.querySelectorAll(".opening")) {
    const all = $("input[name$='.all']", line), times = line.querySelectorAll("input[type=time]");
    const show = () => { for (const t of times) t.disabled = all.checked; };
    all.addEventListener("change", show);
    show();
  }

  const commune = communes();
  map(commune);

  // The commune by typing: a list below the field, for keyboard and finger.
  function communes() {
    const input = field("place.commune"), id = field("place.area"), now = $(".commune .now");
    const list = make("ul", { id: "found", role: "listbox", class: "suggest", "aria-label": $("label[for='f-place.commune']").textContent });
    list.hidden = true;
    input.removeAttribute("list");
    for (const [k, v] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": "found", "aria-expanded": "false" })) input.setAttribute(k, v);
    $(".commune .with").append(list);
    $(".commune button").hidden = true;
    let timer = 0, asked = 0, at = -1, shown = [], listeners = [];

    const close = () => { list.hidden = true; at = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
    const say = (found) => { now.textContent = found && found.now ? "→ " + found.now : ""; };
    const set = (found) => {
      id.value = found.id;
      input.value = found.name;
      say(found);
      close();
      for (const pick of form.querySelectorAll("input[name='place.pick']")) pick.checked = false;
      for (const f of listeners) f(found);
    };
    const mark = (n) => {
      at = n;
      [...list.children].forEach((li, i) => li.setAttribute("aria-selected", i === n));
      if (n >= 0) { input.setAttribute("aria-activedescendant", list.children[n].id); list.children[n].scrollIntoView({ block: "nearest" }); }
    };
    const ask = async () => {
      const turn = ++asked;
      if (input.value.trim().length < 2) return close();
      let found;
      try {
        const answer = await fetch("/dia-danh?q=" + encodeURIComponent(input.value.trim()));
        if (!answer.ok) return;
        found = await answer.json();
      } catch { return; } // the server finds it when the form is sent
      if (turn !== asked || document.activeElement !== input) return;
      shown = found;
      list.replaceChildren(...found.map((f, i) => {
        const li = make("li", { role: "option", id: "found-" + i, "aria-selected": "false" }, f.name);
        if (f.now) li.append(make("span", { class: "soft" }, " → " + f.now));
        li.addEventListener("pointerdown", (event) => { event.preventDefault(); set(f); });
        return li;
      }));
      list.hidden = found.length === 0;
      input.setAttribute("aria-expanded", String(!list.hidden));
      at = -1;
    };
    input.addEventListener("input", () => { id.value = ""; say(null); clearTimeout(timer); timer = setTimeout(ask, 200); });
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      if (list.hidden) return;
      if (event.key === "ArrowDown") mark((at + 1) % shown.length);
      else if (event.key === "ArrowUp") mark((at + shown.length - 1) % shown.length);
      else if (event.key === "Escape") close();
      else if (event.key === "Enter" && at >= 0) set(shown[at]);
      else return;
      event.preventDefault();
    });
    return { set, empty: () => input.value.trim() === "", onSet: (f) => listeners.push(f) };
  }

  // The map: press to set the pin, buttons to come nearer, where the phone is.
  async function map(commune) {
    const box = $("#map"), data = box.dataset, lat = field("place.lat"), lon = field("place.lon");
    let svg;
    try {
      const answer = await fetch(data.source);
      svg = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
      if (svg.nodeName !== "svg") return;
    } catch { return; } // the picture that is there works as well
    const whole = svg.getAttribute("viewBox").split(" ").map(Number);
    let view = data.box.split(" ").map(Number);
    svg = document.importNode(svg, true);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", data.label);
    const pin = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    pin.setAttribute("class", "pin");
    svg.append(pin);
    const said = make("p", { class: "hint", "aria-live": "polite" });
    const frame = make("div", { class: "frame" });
    const tools = make("div", { class: "tools" });
    const button = (label, text, press) => {
      const b = make("button", { type: "button", class: "second", "aria-label": label, title: label }, text);
      b.addEventListener("click", press);
      tools.append(b);
      return b;
    };
    // Names where there is room for them, the pin's commune first.
    const name = () => {
      const size = 13 * view[2] / Math.max(frame.clientWidth, 200), taken = [];
      const ours = (data.commune || "").split("@")[0];
      const names = [...svg.querySelectorAll("text")].sort((a, b) => (b.dataset.code === ours) - (a.dataset.code === ours));
      for (const text of names) {
        const x = Number(text.getAttribute("x")), y = Number(text.getAttribute("y")), w = text.textContent.length * size * .3, h = size * .7;
        const room = x - w > view[0] && x + w < view[0] + view[2] && y - h > view[1] && y + h < view[1] + view[3]
          && !taken.some((t) => Math.abs(t.x - x) < t.w + w && Math.abs(t.y - y) < t.h + h);
        text.setAttribute("font-size", size);
        text.setAttribute("visibility", room ? "visible" : "hidden");
        if (room) taken.push({ x, y, w, h });
      }
    };
    const here = () => {
      for (const path of svg.querySelectorAll("path.here")) path.classList.remove("here");
      svg.getElementById("area-" + (data.commune || "").split("@")[0])?.classList.add("here");
    };
    const show = () => { svg.setAttribute("viewBox", view.join(" ")); here(); name(); place(); };
    const degrees = (text) => { const n = Number(text.trim().replace(",", ".")); return text.trim() === "" || Number.isNaN(n) ? null : n; };
    const place = () => {
      const a = degrees(lat.value), b = degrees(lon.value);
      pin.setAttribute("visibility", a === null || b === null ? "hidden" : "visible");
      if (a === null || b === null) return null;
      const x = (b - data.lon0) / data.lonx, y = (a - data.lat0) / data.laty;
      pin.setAttribute("cx", x); pin.setAttribute("cy", y); pin.setAttribute("r", view[2] / 70); pin.setAttribute("stroke-width", view[2] / 250);
      return [x, y];
    };
    const zoom = (by, centre) => {
      const w = Math.min(whole[2], Math.max(200, view[2] * by)), h = w * whole[3] / whole[2];
      const [x, y] = centre || place() || [view[0] + view[2] / 2, view[1] + view[3] / 2];
      const keep = (v, least, room) => Math.min(Math.max(v, least), least + Math.max(0, room));
      view = [keep(x - w / 2, 0, whole[2] - w), keep(y - h / 2, 0, whole[3] - h), w, h];
      show();
    };
    const put = async (a, b) => {
      lat.value = a.toFixed(6); lon.value = b.toFixed(6);
      place();
      try {
        const found = await (await fetch(`/dia-danh?vd=${a}&kd=${b}`)).json();
        said.textContent = found.length ? found[0].name : "";
        if (found.length && commune.empty()) commune.set(found[0]);
      } catch { /* the server says so when the form is sent */ }
    };
    svg.addEventListener("click", (event) => {
      const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      put(Number(data.lat0) + p.y * data.laty, Number(data.lon0) + p.x * data.lonx);
    });
    commune.onSet((found) => { data.commune = found.today; view = found.box.split(" ").map(Number); show(); });
    lat.addEventListener("change", place); lon.addEventListener("change", place);
    button(data.in, "+", () => zoom(1 / 1.7));
    button(data.out, "−", () => zoom(1.7));
    if (navigator.geolocation && isSecureContext) {
      const locate = button(data.here, "◎ " + data.here, () => {
        locate.disabled = true;
        navigator.geolocation.getCurrentPosition(
          (p) => { locate.disabled = false; put(p.coords.latitude, p.coords.longitude).then(() => zoom(1, place())); },
          () => { locate.disabled = false; said.textContent = data.nowhere; },
          { enableHighAccuracy: true, timeout: 15000 });
      });
    }
    for (const image of box.querySelectorAll("input[type=image]")) image.remove();
    frame.append(svg);
    $(".hint", box).after(frame, tools, said);
    show();
  }
})();
