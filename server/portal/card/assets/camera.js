"use strict";
// The camera of this telephone or computer reads papers, where the browser can.
(async () => {
  const box = document.querySelector("[data-camera]");
  if (!box) return;
  const by = (what) => box.querySelector(`[data-${what}]`);
  const able = self.BarcodeDetector && navigator.mediaDevices?.getUserMedia && (await BarcodeDetector.getSupportedFormats().catch(() => [])).includes("qr_code");
  if (!able) { document.querySelector("[data-blind]").hidden = false; return; }
  box.hidden = false;
  const detector = new BarcodeDetector({ formats: ["qr_code"] }), video = box.querySelector("video"), form = box.querySelector("form");
  let stream = null;
  const stop = () => {
    for (const t of stream?.getTracks() ?? []) t.stop();
    stream = null;
    by("view").hidden = true;
    by("open").hidden = false;
  };
  const look = async () => {
    if (!stream) return;
    const [found] = await detector.detect(video).catch(() => []);
    if (found?.rawValue && stream) {
      stop();
      form.elements["card.find"].value = found.rawValue;
      form.submit();
      return;
    }
    setTimeout(look, 150);
  };
  addEventListener("pagehide", stop);
  by("close").addEventListener("click", stop);
  by("open").addEventListener("click", async () => {
    by("shut").hidden = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
      video.srcObject = stream;
      await video.play();
    } catch {
      stop();
      by("shut").hidden = false;
      return;
    }
    by("view").hidden = false;
    by("open").hidden = true;
    look();
  });
})();
