"use strict";
// Reads posters with the camera, where the browser can.
(async () => {
  navigator.serviceWorker?.register("/sw.js").catch(() => {});
  const by = (id) => document.getElementById(id);
  if (!self.BarcodeDetector || !navigator.mediaDevices?.getUserMedia) return;
  if (!(await BarcodeDetector.getSupportedFormats()).includes("qr_code")) return;
  by("camera").hidden = false;
  const detector = new BarcodeDetector({ formats: ["qr_code"] }), video = by("video");
  let stream = null;
  const stop = () => { for (const t of stream?.getTracks() ?? []) t.stop(); stream = null; };
  addEventListener("pagehide", stop);
  by("start").addEventListener("click", async () => {
    by("no-camera").hidden = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      video.srcObject = stream;
      await video.play();
    } catch {
      by("no-camera").hidden = false;
      return;
    }
    by("view").hidden = false;
    by("start").hidden = true;
    const look = async () => {
      if (!stream) return;
      const found = await detector.detect(video).catch(() => []);
      for (const { rawValue } of found) {
        // Only the code counts: an address elsewhere is never opened.
        const m = /^https?:\/\/[^/]+\/p\/([a-z2-7]{8}-\d{1,3})\/?$/i.exec(rawValue);
        if (m) {
          stop();
          location.assign("/p/" + m[1].toUpperCase());
          return;
        }
        by("other").hidden = false;
      }
      setTimeout(look, 150);
    };
    look();
  });
})();
