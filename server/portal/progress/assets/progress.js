"use strict";
// Reads a poster with the camera, where the browser can, instead of typing its code.
(async () => {
  const by = (id) => document.getElementById(id);
  const start = by("start"), form = by("find");
  if (!start || !self.BarcodeDetector || !navigator.mediaDevices?.getUserMedia) return;
  if (!(await BarcodeDetector.getSupportedFormats()).includes("qr_code")) return;
  const detector = new BarcodeDetector({ formats: ["qr_code"] }), video = by("video");
  let stream = null;
  const stop = () => { for (const t of stream?.getTracks() ?? []) t.stop(); stream = null; };
  addEventListener("pagehide", stop);
  start.hidden = false;
  start.addEventListener("click", async () => {
    by("no-camera").hidden = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      video.srcObject = stream;
      await video.play();
    } catch {
      by("no-camera").hidden = false;
      return;
    }
    video.hidden = false;
    const look = async () => {
      if (!stream) return;
      for (const { rawValue } of await detector.detect(video).catch(() => [])) {
        if (!/\/p\/[a-z2-7]{8}-\d{1,3}\/?$/i.test(rawValue)) continue;
        stop();
        by("f-progress_find").value = rawValue;
        form.requestSubmit();
        return;
      }
      setTimeout(look, 150);
    };
    look();
  });
})();
