"use strict";
// Follows the door. It is plain enough for the browser of an old telephone; without it
// the page loads itself again every twenty seconds.
(function () {
  var head = document.getElementById("top"), rest = document.getElementById("rest"), stale = document.getElementById("stale");
  if (head && window.EventSource) {
    var last = new Date(), timer, source;
    var ever = false;
    var heard = function () {
      ever = true;
      last = new Date();
      stale.hidden = true;
      clearTimeout(timer);
      timer = setTimeout(lost, 12000);
    };
    var two = function (n) { return (n < 10 ? "0" : "") + n; };
    var lost = function () {
      stale.textContent = "! " + stale.getAttribute("data-said").replace("{time}", two(last.getHours()) + ":" + two(last.getMinutes()));
      stale.hidden = false;
    };
    var follow = function () {
      source = new EventSource("/song");
      source.onopen = heard;
      source.addEventListener("here", heard);
      source.addEventListener("top", function (e) { heard(); head.innerHTML = e.data; });
      source.addEventListener("rest", function (e) { heard(); rest.innerHTML = e.data; });
      source.addEventListener("over", function () { source.close(); location.reload(); });
      source.onerror = function () {
        // A browser gives up on an answer that is no stream; this page asks again. Some
        // follow no page whose certificate they do not know: those load it again.
        if (!ever) { source.close(); setTimeout(function () { location.replace("/?xem"); }, 15000); return; }
        if (source.readyState === 2) { lost(); setTimeout(follow, 15000); }
      };
    };
    timer = setTimeout(lost, 12000);
    follow();
  }
  var print = document.querySelector("[data-print]");
  if (print) {
    print.hidden = false;
    print.addEventListener("click", function () { window.print(); });
  }
  // One press is one act, also of a finger that shakes.
  Array.prototype.forEach.call(document.forms, function (form) {
    form.addEventListener("submit", function (e) {
      if (form.sent) e.preventDefault();
      form.sent = true;
    });
  });
  window.addEventListener("pageshow", function (e) {
    if (e.persisted) location.reload();
  });
})();
