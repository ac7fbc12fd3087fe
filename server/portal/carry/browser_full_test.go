//go:build full

package carry_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/reel"
)

// camera makes a browser's camera see pictures, one after the other.
const camera = `(async () => {
	const all = await Promise.all(%s.map(async (src) => { const i = new Image(); i.src = src; await i.decode(); return i; }));
	const c = document.createElement("canvas"), x = c.getContext("2d");
	[c.width, c.height] = [1280, 720];
	let n = 0;
	const draw = () => { x.fillStyle = "#888"; x.fillRect(0, 0, 1280, 720); x.drawImage(all[n++ %% all.length], 320, 40, 640, 640); };
	draw();
	setInterval(draw, 500);
	self.BarcodeDetector = undefined;
	navigator.mediaDevices.getUserMedia = async () => c.captureStream(10);
	return true;
})()`

// A browser that cannot read codes itself, as that of an iPhone, has the server read them
// until all have been seen.
func TestCodesAreReadForABrowserThatCannot(t *testing.T) {
	w, in := newWorld(t)
	in.c = ingest.Carried{Batches: 1, Records: 3, Fresh: 3}
	var pictures []string
	for _, img := range screens(t, reel.Cut(bundle(t, bytes.Repeat([]byte{7}, 2*reel.Piece)))) {
		pictures = append(pictures, "data:image/png;base64,"+base64.StdEncoding.EncodeToString(pagetest.PNG(t, img)))
	}
	list, err := json.Marshal(pictures)
	if err != nil {
		t.Fatal(err)
	}
	tab := browser.Start(t).Open()
	tab.Look(360, 740, "light")
	tab.Visit(w.URL + "/blank")
	tab.Eval(`fetch("/as/admin", {method: "POST", body: new URLSearchParams()}).then(() => true)`)
	tab.Visit(w.URL + at)
	tab.Eval(fmt.Sprintf(camera, list))
	tab.Click("Mở camera")
	tab.Wait(`document.body.innerText.includes("3 bản ghi mới")`)
	tab.Shoot("taken")
}
