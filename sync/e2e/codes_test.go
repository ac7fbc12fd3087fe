package e2e_test

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"image/png"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/phone"
	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// A gate without a network or a stick shows its check-ins as codes on its screen to
// whoever holds a maintenance card; they are taken in at the portal, twice and out of
// order, and stored once. The receipt goes back before the kiosk's camera.
func TestCheckinsAreCarriedAsCodesOnAScreen(t *testing.T) {
	t.Parallel()
	screen, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	frames := t.TempDir() // what its camera sees
	p, _ := atOneDoor(t, "truong-an-gate-2", "Trạm y tế Trường An", fmt.Sprintf("[screen]\nlisten = %q\n[[camera]]\nkind = \"files\"\npath = %q\nrate = 5\n", screen, frames))
	p.proxy.Down.Store(true)
	k := p.kiosk
	k.start()
	const scans = 12
	for _, card := range strings.Fields(p.command("card", "-number", "1", "-count", fmt.Sprint(scans))) {
		k.show(card)
	}
	setUp := func() (*http.Response, error) { return http.Get("http://" + screen + "/setup.png") }
	if r, err := setUp(); err != nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("the screen shows codes to everybody: %v, %v", r, err)
	}
	o := &operator{signIn(t, p.stage, "van-hanh", "-role", "operator", "-scope", "all"), p, ""}
	o.confirm("/thiet-bi/nhan-tay")
	k.scan(o.card("maintenance", k.ID, false), "ordered")

	var codes []string
	p.until("the screen shows codes", func() bool {
		r, err := setUp()
		if err != nil {
			return false
		}
		defer r.Body.Close()
		if r.Header.Get("Content-Type") != "image/gif" {
			return false
		}
		for _, img := range pictures(t, r) {
			codes = append(codes, readCode(t, img))
		}
		return true
	})
	t.Logf("%d codes", len(codes))
	if r, err := o.PostForm(o.base+"/thiet-bi/nhan-tay/ma", url.Values{"carry.codes": {strings.Join(codes[1:], "\n")}}); err != nil || r.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("codes of which one is missing: %v, %v", r.Status, err)
	}
	codes = append(codes[1:], codes[0], codes[1])
	for _, want := range []string{fmt.Sprintf("%d bản ghi mới", scans+1), "không có gì mới"} {
		if page := o.post("/thiet-bi/nhan-tay/ma", url.Values{"carry.codes": {strings.Join(codes, "\n")}}); !strings.Contains(page, want) && want == "không có gì mới" || !strings.Contains(page, k.ID) {
			t.Errorf("the page does not say %q:\n%.3000s", want, page)
		}
	}
	if rows := p.rows(k); len(rows) != scans {
		t.Errorf("%d rows, want %d", len(rows), scans)
	}

	r, err := o.Get(o.base + "/thiet-bi/nhan-tay/bien-nhan/ma?may=" + k.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	for i, img := range pictures(t, r) {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(frames, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.until("the kiosk has the receipt", func() bool { r, err := setUp(); return err == nil && r.StatusCode == http.StatusNotFound })
	k.stop()
	if out, err := k.Command(t.Context(), "ledger"); err != nil || !strings.Contains(out, "received") || strings.Contains(out, " 0 received") {
		t.Errorf("the kiosk's ledger: %v: %s", err, out)
	}
}

// pictures returns what a moving picture shows.
func pictures(t *testing.T, r *http.Response) (all []image.Image) {
	t.Helper()
	film, err := gif.DecodeAll(r.Body)
	if err != nil {
		t.Fatalf("%s: %v", r.Status, err)
	}
	for _, img := range film.Image {
		all = append(all, img)
	}
	return all
}

func readCode(t *testing.T, img image.Image) string {
	t.Helper()
	text, err := phone.Read(img)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
