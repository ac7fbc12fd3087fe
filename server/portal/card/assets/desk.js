"use strict";
// What a scanner at the desk has read comes into the page by itself, unless somebody
// has typed what would be lost. Without this script there is the form's button.
(() => {
  const box = document.querySelector("[data-line]");
  if (!box) return;
  const take = box.querySelector("form[action$='/lay']");
  const fields = [...document.querySelectorAll("main form:not([action*='/may-quet']) :is(input:not([type=hidden]), select)")];
  const typed = () => "asks" in box.dataset || fields.some((f) =>
    f.type === "checkbox" || f.type === "radio" ? f.checked !== f.defaultChecked
      : f.options ? [...f.options].some((o) => o.selected !== o.defaultSelected && o.value !== "") : f.value !== f.defaultValue);
  const ask = async (seen) => {
    try {
      const answer = await fetch(`${box.dataset.line}?thay=${seen}`, { cache: "no-store" });
      if (!answer.ok || answer.redirected) return; // signed out: the page says so when it is used
      const is = await answer.json();
      if (is.waiting > 0 && !typed()) { take.submit(); return; }
      if (is.waiting > 0) box.querySelector("[data-more]")?.removeAttribute("hidden");
      if (is.state !== box.dataset.state && !typed()) { location.reload(); return; }
      if (is.state === "ended") return;
      setTimeout(ask, 200, is.version);
    } catch { // the network comes back
      setTimeout(ask, 3000, seen);
    }
  };
  ask(0);
})();
