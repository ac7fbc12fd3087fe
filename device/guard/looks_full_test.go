//go:build full

package guard_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/words"
)

// A guard's telephone, an old tablet and a desk: every page is as wide as the window, in
// both schemes and languages, follows the door, and axe-core finds nothing serious.
func TestLooks(t *testing.T) {
	axe, err := os.ReadFile("../../server/portal/testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "")
	w.synced()
	w.guard.Link(true)
	w.guard.Link(false)
	w.health = []scan.Health{{Source: "USB 1", Present: true, Scans: 412}, {Source: "USB 2"}}
	for n := range uint32(4) {
		w.scan(n + 7)
	}
	w.show("QG1NOCARD")
	tab := browser.Start(t).Open()
	tab.Call(tab.Session, "Security.setIgnoreCertificateErrors", browser.Args{"ignore": true}, nil)
	look := func(name string) {
		t.Helper()
		for _, size := range []struct {
			width, height int
			scheme        string
		}{{360, 740, "light"}, {768, 1000, "dark"}, {1280, 900, "light"}} {
			tab.Look(size.width, size.height, size.scheme)
			if wide := tab.Eval("document.documentElement.scrollWidth"); wide.(float64) > float64(size.width) {
				t.Errorf("%s at %d px is %v px wide", name, size.width, wide)
			}
			small := tab.Eval(`Array.from(document.querySelectorAll("button, main input:not([type=hidden]):not([type=radio]), main li > a, summary")).filter(function (e) { return e.checkVisibility() && e.getBoundingClientRect().height < 43.5; }).map(function (e) { return e.outerHTML.slice(0, 80); }).join("\n")`)
			if small != "" {
				t.Errorf("%s at %d px is too small to touch: %s", name, size.width, small)
			}
			tab.Eval(string(axe) + ";0")
			found := tab.Eval(`axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.filter((v) => v.impact == "serious" || v.impact == "critical")
				.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | ")).join("\n"))`)
			if found != "" {
				t.Errorf("%s at %d px, %s: %s", name, size.width, size.scheme, found)
			}
			tab.ShootAll(fmt.Sprintf("%s-%d", name, size.width))
		}
	}
	visit := func(path string) { tab.Visit(w.srv.URL + path) }
	visit("/")
	look("alone")
	path, _ := w.offer()
	visit(path)
	look("pair")
	tab.Fill("Số PIN", goodPIN)
	tab.Fill("Gõ lại", goodPIN)
	tab.Press("Ghép điện thoại này")
	look("door")
	w.scan(99)
	tab.Wait(`document.querySelectorAll("ol.last li").length === 6`)
	for _, name := range []string{"nhap", "bo", "dem", "vuong-mac", "diem-danh"} {
		visit("/" + name)
		look(name)
	}
	visit("/nhap")
	tab.Fill("Mã 8 ký tự", "AAAA2222")
	tab.Press("Ghi nhận")
	look("nhap-sai")
	visit("/thu")
	tab.Press("Kiểm tra ngay")
	look("thu")
	visit("/diem-danh")
	tab.Press("English")
	look("roll-en")
	visit("/")
	look("door-en")
	tab.Press("Lock the page")
	look("pin")
	if c := strings.Join(tab.Complaints(), "\n"); strings.Contains(c, "Content Security Policy") || strings.Contains(c, "TypeError") {
		t.Errorf("the browser complains: %s", c)
	}
}

// Without script everything works by forms.
func TestWithoutScript(t *testing.T) {
	w := newWorld(t, "")
	tab := browser.Start(t).Open()
	tab.Call(tab.Session, "Security.setIgnoreCertificateErrors", browser.Args{"ignore": true}, nil)
	tab.Script(false)
	tab.Look(360, 740, "light")
	path, _ := w.offer()
	tab.Visit(w.srv.URL + path)
	tab.Fill("Số PIN", goodPIN)
	tab.Fill("Gõ lại", goodPIN)
	tab.Press("Ghép điện thoại này")
	if tab.Eval(`document.querySelector("noscript meta[http-equiv=refresh]") !== null || document.querySelector("meta[http-equiv=refresh]") !== null`) != true {
		t.Error("nothing loads the page again")
	}
	tab.Press("Nhập tay")
	tab.Press("Đếm một người")
	if said := tab.Eval(`document.querySelector("main").textContent`); !strings.Contains(said.(string), "Đã ghi:") {
		t.Errorf("the page says %.300s", said)
	}
}

// The code that pairs a telephone stands on the kiosk's screen beside what visitors read,
// with the certificate's ends, and is read from there.
func TestCodeOnTheScreen(t *testing.T) {
	w := newWorld(t, "")
	offer, _ := w.guard.Offer()
	s := screen.New(screen.Options{
		Place: "Chợ Đông Ba", Gate: "A1", HelpLine: "19001075", SetUp: func() string { return offer.URL }, Ask: offer.Say,
	}, slog.New(slog.DiscardHandler))
	s.Show(kiosk.Answer{State: words.Ready})
	srv := httptest.NewServer(s.Handler(nil))
	defer srv.Close()
	tab := browser.Start(t).Open()
	for _, size := range [][2]int{{800, 480}, {600, 1024}} {
		tab.Look(size[0], size[1], "light")
		tab.Visit(srv.URL + "/")
		tab.Wait(`document.getElementById("setup-vi").textContent.includes("Bảo vệ") && document.getElementById("setup-code").naturalWidth > 0`)
		if over := tab.Eval(`(() => { const a = document.getElementById("setup").getBoundingClientRect(); return a.left < 0 || a.top < 0 || a.right > innerWidth || a.bottom > innerHeight; })()`); over != false {
			t.Errorf("at %v the code hangs over the edge", size)
		}
		tab.Shoot(fmt.Sprintf("screen-%dx%d", size[0], size[1]))
	}
	tab.Visit("about:blank") // its stream ends
}
