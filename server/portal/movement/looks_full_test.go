//go:build full

package movement_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// Every page fits phones, tablets and desks, in both schemes and languages, and the
// browser complains of nothing, nor does axe-core of anything serious. Its pictures
// are among the test's artifacts.
func TestLooks(t *testing.T) {
	axe, err := os.ReadFile("../testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	tab := browser.Start(t).Open()
	tab.Call(tab.Session, "Network.enable", browser.Args{}, nil)
	place := fmt.Sprintf("/di-chuyen/dia-diem/%d", w.Place.No)
	for _, page := range []struct{ name, who, path string }{
		{"empty", "reporter", "/di-chuyen"},
		{"overview", "reporter", "/di-chuyen"}, {"whole", "reporter", "/di-chuyen?ban_do=ca"}, {"hour", "trade", "/di-chuyen?gio=25"}, {"area", "commune", "/di-chuyen"},
		{"flows", "health", "/di-chuyen/luong"}, {"places", "reporter", "/di-chuyen/dia-diem"},
		{"place", "owner", place}, {"place-hidden", "owner", place + "?ngay=" + (w.last - 4).String()},
	} {
		if page.name == "overview" {
			w.fill()
			w.exec("UPDATE places SET capacity = 350 WHERE no = ?", int64(w.Place.No))
		}
		tab.Look(1280, 900, "light")
		tab.Visit(w.URL + "/blank")
		tab.Eval(fmt.Sprintf("fetch(%q, {method: 'POST', body: new URLSearchParams()}).then(() => true)", "/as/"+page.who))
		for _, size := range []struct {
			width, height int
			scheme, lang  string
		}{{360, 740, "light", "vi"}, {768, 1000, "dark", "vi"}, {1280, 900, "light", "en"}} {
			tab.Call(tab.Session, "Network.setExtraHTTPHeaders", browser.Args{"headers": browser.Args{"Accept-Language": size.lang}}, nil)
			tab.Look(size.width, size.height, size.scheme)
			tab.Visit(w.URL + page.path)
			if wide := tab.Eval("document.documentElement.scrollWidth"); wide.(float64) > float64(size.width) {
				t.Errorf("%s at %d px is %v px wide", page.name, size.width, wide)
			}
			small := tab.Eval(`[...document.querySelectorAll("main button, main .button, main input:not([type=hidden],[type=radio]), main select, main li > a, main th > a")]
				.filter(e => e.getBoundingClientRect().height < 43.5).map(e => e.outerHTML.slice(0, 80)).join("\n")`)
			if small != "" {
				t.Errorf("%s at %d px is too small to touch: %s", page.name, size.width, small)
			}
			tab.Eval(string(axe) + ";0")
			found := tab.Eval(`axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.filter((v) => v.impact == "serious" || v.impact == "critical")
				.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | ")).join("\n"))`)
			if found != "" {
				t.Errorf("%s at %d px, %s: %s", page.name, size.width, size.scheme, found)
			}
			tab.ShootAll(fmt.Sprintf("%s-%d-%s", page.name, size.width, size.scheme))
		}
	}
	// The blank page on which people sign in names no icon.
	c := slices.DeleteFunc(tab.Complaints(), func(c string) bool { return strings.Contains(c, "/favicon.ico") })
	if len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}
