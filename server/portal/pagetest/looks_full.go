//go:build full

package pagetest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// A Look is a page that is looked at as somebody: its name, who looks, its path.
type Look [3]string

// Looks reports what is wrong with how pages look: each fits phones, tablets and desks,
// in both schemes and languages; nothing is too small to touch and no date is broken in
// two; the browser complains of nothing, nor does axe-core of anything serious. Pictures are left among the test's
// artifacts. before, if it is not nil, is called before each page.
func (w *World) Looks(t *testing.T, before func(Look), pages ...Look) {
	t.Helper()
	axe, err := os.ReadFile("../testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	tab := browser.Start(t).Open()
	tab.Call(tab.Session, "Network.enable", browser.Args{}, nil)
	for _, page := range pages {
		name, who, path := page[0], page[1], page[2]
		if before != nil {
			before(page)
		}
		tab.Look(1280, 900, "light")
		tab.Visit(w.URL + "/blank")
		if who != "" {
			tab.Eval(fmt.Sprintf("fetch(%q, {method: 'POST', body: new URLSearchParams()}).then(() => true)", "/as/"+who))
		}
		for _, size := range []struct {
			width, height int
			scheme, lang  string
		}{{360, 740, "light", "vi"}, {768, 1000, "dark", "vi"}, {1280, 900, "light", "en"}} {
			tab.Call(tab.Session, "Network.setExtraHTTPHeaders", browser.Args{"headers": browser.Args{"Accept-Language": size.lang}}, nil)
			tab.Look(size.width, size.height, size.scheme)
			tab.Visit(w.URL + path)
			if wide := tab.Eval("document.documentElement.scrollWidth"); wide.(float64) > float64(size.width) {
				t.Errorf("%s at %d px is %v px wide", name, size.width, wide)
			}
			small := tab.Eval(`[...document.querySelectorAll("main button, main .button, main input:not([type=hidden],[type=radio],[type=checkbox]), main select, main li > a, main th > a")]
				.filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 43.5).map(e => e.outerHTML.slice(0, 80)).join("\n")`)
			if small != "" {
				t.Errorf("%s at %d px is too small to touch: %s", name, size.width, small)
			}
			broken := tab.Eval(`[...document.querySelectorAll("main *")].flatMap((e) => [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE)).flatMap((n) => [...n.data.matchAll(/\d\d\/\d\d\/\d{4}/g)].filter((m) => {
				const date = document.createRange();
				date.setStart(n, m.index);
				date.setEnd(n, m.index + m[0].length);
				return new Set([...date.getClientRects()].map((b) => Math.round(b.top))).size > 1;
			}).map((m) => m[0] + " in " + n.parentElement.outerHTML.slice(0, 80))).slice(0, 5).join("\n")`)
			if broken != "" {
				t.Errorf("%s at %d px breaks a date in two: %s", name, size.width, broken)
			}
			tab.Eval(string(axe) + ";0")
			found := tab.Eval(`axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.filter((v) => v.impact == "serious" || v.impact == "critical")
				.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | ")).join("\n"))`)
			if found != "" {
				t.Errorf("%s at %d px, %s: %s", name, size.width, size.scheme, found)
			}
			tab.ShootAll(fmt.Sprintf("%s-%d-%s", name, size.width, size.scheme))
		}
	}
	// The blank page on which people sign in names no icon.
	c := slices.DeleteFunc(tab.Complaints(), func(c string) bool { return strings.Contains(c, "/favicon.ico") })
	if len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}
