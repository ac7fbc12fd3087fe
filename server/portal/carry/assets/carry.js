"use strict";
// Reads the codes that a kiosk's screen shows one after the other: the browser, or the
// server where that cannot, as on an iPhone.
(async () => {
  const by = (id) => document.getElementById(id);
  const start = by("carry-start");
  if (!start || !navigator.mediaDevices?.getUserMedia) return;
  const video = by("carry-video"), form = by("carry-codes"), canvas = document.createElement("canvas");
  const own = self.BarcodeDetector && (await BarcodeDetector.getSupportedFormats()).includes("qr_code") ? new BarcodeDetector({ formats: ["qr_code"] }) : null;
  const ask = async () => {
    const scale = Math.min(1, 1280 / Math.max(video.videoWidth, video.videoHeight, 1));
    [canvas.width, canvas.height] = [video.videoWidth * scale, video.videoHeight * scale];
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const frame = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
    const answer = await fetch(form.dataset.frames, { method: "POST", body: frame });
    return answer.ok ? (await answer.text()).split("\n").map((rawValue) => ({ rawValue })) : [];
  };
  const codesOf = () => (own ? own.detect(video) : ask());
  let stream = null, codes = new Map(), reel = "";
  const stop = () => { for (const t of stream?.getTracks() ?? []) t.stop(); stream = null; };
  addEventListener("pagehide", stop);
  // Where a code says which reel it is of, of how many it is one, and which: base32.
  const bits = (text, from, n) => {
    let value = 0n;
    for (const c of text) value = value * 32n + BigInt("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c));
    return Number((value >> BigInt(5 * text.length - from - n)) & ((1n << BigInt(n)) - 1n));
  };
  const take = (text) => {
    if (!/^QGF1[A-Z2-7]{26,}$/.test(text)) return false;
    const head = text.slice(4, 24), of = bits(head, 64, 16), which = bits(head, 80, 16), name = head.slice(0, 12) + of;
    if (name !== reel) [reel, codes] = [name, new Map()];
    codes.set(which, text);
    const bar = by("carry-progress");
    [bar.hidden, bar.max, bar.value] = [false, of, codes.size];
    by("carry-said").textContent = `${codes.size} / ${of}`;
    return codes.size === of;
  };
  start.hidden = false;
  start.addEventListener("click", async () => {
    by("carry-no-camera").hidden = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
      video.srcObject = stream;
      await video.play();
    } catch {
      by("carry-no-camera").hidden = false;
      return;
    }
    video.hidden = false;
    const look = async () => {
      if (!stream) return;
      for (const { rawValue } of await codesOf().catch(() => [])) {
        if (!take(rawValue)) continue;
        stop();
        by("f-carry.codes").value = [...codes.values()].join("\n");
        form.requestSubmit();
        return;
      }
      setTimeout(look, 60);
    };
    look();
  });
})();
