//go:build full

package start_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/device/start"
	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/words"
)

// scale is "soak" where every view is looked at on every screen, else the longest are.
var scale = os.Getenv("QRGATE_SCALE")

// outside lists what of the page lies outside of the window or upon something else.
const outside = `JSON.stringify([...document.querySelectorAll("header p, h1, main p, footer p, li, button, .picture")].filter((e) => {
	const b = e.getBoundingClientRect(), foot = document.querySelector("footer").getBoundingClientRect();
	const main = e.closest("main") && b.bottom > foot.top + 1, above = e.closest("main") && b.top < document.querySelector("header").getBoundingClientRect().bottom - 1;
	return b.left < -1 || b.top < -1 || b.right > innerWidth + 1 || b.bottom > innerHeight + 1 || main || above || e.scrollWidth > e.clientWidth + 2;
}).map((e) => e.tagName + " " + e.textContent.trim().slice(0, 40)))`

func TestEveryViewIsReadOnEveryScreen(t *testing.T) {
	chromium := browser.Start(t)
	page := start.NewPage("1.4.0", start.Begin().Look(start.Situation{}), quiet)
	srv := httptest.NewServer(page.Handler())
	defer srv.Close()
	tab := chromium.Open()
	for _, size := range [][2]int{{800, 480}, {480, 800}, {1280, 800}} {
		tab.Look(size[0], size[1], "light")
		for _, name := range slices.Sorted(maps.Keys(views())) {
			if scale != "soak" && !slices.ContainsFunc([]string{"vi-", "file", "ready-failed", "enrolment-words", "trouble-wifi", "advice-lamps"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
				continue
			}
			v := views()[name]
			page.Show(v)
			tab.Visit(srv.URL + "/")
			tab.Wait(`document.fonts.status === "loaded"`)
			where := fmt.Sprintf("%s-%dx%d", name, size[0], size[1])
			if got := tab.Eval(outside).(string); got != "[]" {
				t.Errorf("%s: outside or upon something else: %s", where, got)
			}
			tab.Shoot(where)
		}
	}
	if c := chromium.Complaints(); len(c) > 0 {
		t.Errorf("the console complains: %q", c)
	}
}

func TestATouchAnswers(t *testing.T) {
	w := start.Walk{Step: guide.LampTest, Lang: words.Vietnamese}
	page := start.NewPage("1.4.0", w.Look(start.Situation{}), quiet)
	srv := httptest.NewServer(page.Handler())
	defer srv.Close()
	tab := browser.Start(t).Open()
	tab.Look(800, 480, "light")
	tab.Visit(srv.URL + "/")
	tab.Click("KHÔNG")
	if a := <-page.Answers(); a != guide.No {
		t.Errorf("touched: %s", a)
	}
	w = w.Next(start.SaidNo, everything)
	page.Show(w.Look(start.Situation{}))
	tab.Wait(fmt.Sprintf(`document.querySelector("h1").textContent === %q`, guide.Of(words.Vietnamese, guide.LampTest.Advice()).Head))
	if strings.Contains(tab.Eval(`document.body.textContent`).(string), "{{") {
		t.Error("a template shows")
	}
}
