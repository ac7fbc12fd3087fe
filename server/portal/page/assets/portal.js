"use strict";
// Small helps; every page works without them.
(() => {
  // What is wrong with a form is read out and in sight.
  document.querySelector(".wrongs")?.focus();
  // A form that was sent is not sent twice by an impatient finger.
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      setTimeout(() => { delete form.dataset.sent; }, 4000);
    });
  }
  // Confirm what cannot be taken back: <button data-confirm="...">.
  for (const button of document.querySelectorAll("[data-confirm]")) {
    button.addEventListener("click", (event) => { if (!confirm(button.dataset.confirm)) event.preventDefault(); });
  }
})();
