package screen_test

import (
	"image/png"
	"net/http"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/e2e/phone"
)

// While somebody maintains the kiosk the page has a code for their telephone, and at no
// other time.
func TestCodeForTelephones(t *testing.T) {
	const address = "https://qrgate.hue.gov.vn/thiet-bi/gio?so=0102030405060708"
	text := ""
	s := screen.New(screen.Options{SetUp: func() string { return text }}, quietLog)
	srv := serve(t, s, newDoor())
	if !strings.Contains(get(t, srv.URL), `id="setup" hidden`) {
		t.Error("the page has no room for the code, or shows it at once")
	}
	if resp, err := http.Get(srv.URL + "/setup.png"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("while nothing is set up: %v, %v", resp, err)
	}
	text = address
	img, err := png.Decode(strings.NewReader(get(t, srv.URL+"/setup.png")))
	if err != nil {
		t.Fatal(err)
	}
	if read, err := phone.Read(img); err != nil || read != address {
		t.Errorf("the code says %q, %v", read, err)
	}
}
