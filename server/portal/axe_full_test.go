//go:build full

package portal_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/pass"

	chromium "github.com/qrgate/qrgate/sync/e2e/browser"
)

// enter makes a tab somebody's; nobody's for "".
func (c *town) enter(tab *chromium.Tab, who, lang string) {
	c.t.Helper()
	tab.Call(tab.Session, "Network.clearBrowserCookies", chromium.Args{}, nil)
	at, err := url.Parse(c.url)
	c.must(err)
	cookies := []*http.Cookie{{Name: "lang", Value: lang}}
	if who != "" {
		cookies = append(cookies, c.as(who, true).Jar.Cookies(at)...)
	}
	for _, cookie := range cookies {
		tab.Call(tab.Session, "Network.setCookie", chromium.Args{"name": cookie.Name, "value": cookie.Value, "url": c.url}, nil)
	}
}

// A look is a page as somebody sees it.
type look struct{ who, path string }

// looks returns every page that is a document, as the first who may see it; those
// that are another for each role, as each.
func (c *town) looks() (all []look) {
	seen := map[string]bool{}
	for _, who := range []string{"", "member", "owner 0", "guard 0", "area_officer 0", "administrator", "reporter", "auditor", "operator", "clerk 0", "inspector 0"} {
		role, _, _ := strings.Cut(who, " ")
		b := c.as(who, true)
		paths := append(c.pages(role), "/nothing", "/dia-diem/"+fmt.Sprint(c.clinic.place.No), "/p/"+pass.PosterCode(c.market.gone.No, 1), "/dia-diem?q=x", "/dia-diem?trang_thai=deleted", "/vuong-mac/danh-sach?tinh_trang=closed")
		for _, path := range paths {
			key := path
			if path == "/" || strings.HasPrefix(path, "/dia-diem/1") || path == "/to-chuc" || path == "/dia-diem" {
				key = who + path
			}
			if seen[key] {
				continue
			}
			a := b.ask(http.MethodGet, path, nil)
			if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") && a.status != http.StatusSeeOther {
				seen[key] = true
				all = append(all, look{who, path})
			}
		}
	}
	return all
}

// A finding is what axe-core says of a page.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// Nothing serious is in the way of people who hear a page or see it badly, on any
// page, in either language, in light and dark, on a phone and on a screen, of which a
// run on any day takes each page once and a soak all; and no page has to be pushed
// sideways on the smallest phone. Pages whose packages have axe-core look at them
// themselves are for a soak too.
func TestSoakEveryPageByAxe(t *testing.T) {
	axe, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	c := newTown(t)
	all := c.looks()
	if len(all) < 50 {
		t.Errorf("only %d pages: %v", len(all), all)
	}
	soak := os.Getenv("QRGATE_SCALE") == "soak"
	if !soak {
		all = slices.DeleteFunc(all, func(l look) bool {
			first, _, _ := strings.Cut(strings.TrimPrefix(l.path, "/"), "/")
			return slices.Contains([]string{"thiet-bi", "su-kien", "di-chuyen", "tien-do", "bao-cao", "kiem-tra"}, first)
		})
	}
	tab := chromium.Start(t).Open()
	told := map[string]bool{}
	runs := 0
	for _, lang := range []string{"vi", "en"} {
		who := "nobody yet"
		for n, l := range all {
			if !soak && (n%2 == 0) != (lang == "vi") {
				continue
			}
			if l.who != who {
				who = l.who
				c.enter(tab, who, lang)
			}
			tab.Look(360, 800, "light")
			tab.Visit(c.url + l.path)
			tab.Eval(string(axe) + ";0")
			for i, width := range []int{360, 1280} {
				if (i == 0) != (lang == "vi") && !soak {
					continue
				}
				scheme := "light"
				if lang == "en" {
					scheme = "dark"
				}
				tab.Look(width, 800, scheme)
				runs++
				text := tab.Eval(`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations.filter((v) => v.impact == "serious" || v.impact == "critical")))`).(string)
				var found []finding
				if err := json.Unmarshal([]byte(text), &found); err != nil {
					t.Fatal(err)
				}
				for _, f := range found {
					for _, n := range f.Nodes {
						if key := f.ID + n.HTML; !told[key] {
							told[key] = true
							t.Errorf("%s as %q, %s, %d px, %s: %s %s: %s\n\t%.300s\n\t%.400s", l.path, l.who, lang, width, scheme, f.Impact, f.ID, f.Help, n.HTML, n.FailureSummary)
						}
					}
				}
			}
			tab.Look(320, 640, "light")
			if wide := tab.Eval("document.documentElement.scrollWidth").(float64); wide > 320 {
				t.Errorf("%s as %q in %s is %v px wide at 320: %v", l.path, l.who, lang, wide, tab.Eval(`[...document.querySelectorAll("main *, header *, footer *")].filter((e) => e.getBoundingClientRect().right > 321 && getComputedStyle(e).position != "absolute").slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(" | ")`))
			}
		}
	}
	t.Logf("%d pages, %d runs of axe-core", len(all), runs)
	// A page that is wrong is found to be.
	tab.Visit(c.url + "/nothing")
	tab.Eval(string(axe) + `;document.querySelector("main").innerHTML = "<input><img src=x>"`)
	if n := tab.Eval(`axe.run(document).then((r) => r.violations.filter((v) => v.impact == "critical").length)`).(float64); n < 2 {
		t.Errorf("axe-core finds %v faults in a page that has two", n)
	}
}

// press presses a key.
func press(tab *chromium.Tab, key, code string, number int, text string) {
	for _, kind := range []string{"keyDown", "keyUp"} {
		p := chromium.Args{"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number}
		if kind == "keyDown" && text != "" {
			p["text"] = text
		}
		tab.Call(tab.Session, "Input.dispatchKeyEvent", p, nil)
	}
}

// calm ends what moves: a page that scrolls slowly is where it will be at once.
func calm(tab *chromium.Tab) {
	tab.Call(tab.Session, "Emulation.setEmulatedMedia", chromium.Args{"features": []chromium.Args{{"name": "prefers-reduced-motion", "value": "reduce"}}}, nil)
}

// The keys alone reach all that can be used, one after the other and out again, and
// show where they are.
func TestKeyboardReachesEverything(t *testing.T) {
	c := newTown(t)
	tab := chromium.Start(t).Open()
	const usable = `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")].filter((e) => {
		return e.getClientRects().length > 0 && e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.tabIndex >= 0 && !(e.type == "radio" && !e.checked && e.form && e.form.elements[e.name] instanceof RadioNodeList && e.form.elements[e.name] !== e);
	})`
	for _, l := range []look{
		{"", "/dang-nhap"}, {"", "/dang-ky"}, {"", "/p/" + pass.PosterCode(c.market.place.No, 1)}, {"owner 0", "/dia-diem/moi"}, {"owner 0", fmt.Sprint("/dia-diem/", c.market.place.No)},
		{"owner 0", "/dia-diem"}, {"owner 0", fmt.Sprint("/dia-diem/", c.market.place.No, "/in")}, {"owner 0", "/to-chuc"}, {"area_officer 0", "/vuong-mac/" + c.market.difficulty}, {"administrator", "/nguoi-dung"},
	} {
		for _, width := range []int{360, 1280} {
			c.enter(tab, l.who, "vi")
			tab.Look(width, 800, "light")
			tab.Visit(c.url + l.path)
			calm(tab)
			// A field that has the focus at once is where the keys begin.
			tab.Eval(`document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex"); getSelection().removeAllRanges(); scrollTo(0, 0)`)
			count := int(tab.Eval(`window.usable = ` + usable + `; usable.length`).(float64))
			var reached []int
			left := false
			for range 2*count + 40 {
				press(tab, "Tab", "Tab", 9, "")
				at := tab.Eval(`(() => {
					const e = document.activeElement;
					if (e === document.body || e === null) return "out";
					const s = getComputedStyle(e), r = e.getBoundingClientRect();
					const shown = s.outlineStyle != "none" && parseFloat(s.outlineWidth) > 0 || s.boxShadow != "none"
						|| e.type == "time" && !e.matches(":focus"); // the button in it, which the browser itself draws
					const inside = r.bottom > 0 && r.top < innerHeight;
					return usable.indexOf(e) + " " + (shown ? "" : "unseen ") + (inside ? "" : "outside ") + e.outerHTML.slice(0, 160);
				})()`).(string)
				if at == "out" {
					left = true
					break
				}
				number, what, _ := strings.Cut(at, " ")
				n := -1
				fmt.Sscan(number, &n)
				if strings.HasPrefix(what, "unseen") || strings.Contains(what[:min(len(what), 16)], "outside") {
					t.Errorf("%s at %d px: the focus is not to be seen: %s", l.path, width, what)
				}
				if len(reached) > 0 && n == reached[len(reached)-1] {
					continue // a time has several parts
				}
				if n >= 0 && slices.Contains(reached, n) {
					left = n == reached[0] // it has come round
					break
				}
				if n >= 0 {
					reached = append(reached, n)
				}
			}
			if !left {
				t.Errorf("%s at %d px: the keys do not get out of the page", l.path, width)
			}
			if !slices.IsSorted(reached) {
				t.Errorf("%s at %d px: the keys go in the order %v, not that of the page", l.path, width, reached)
			}
			for n := range count {
				if !slices.Contains(reached, n) {
					t.Errorf("%s at %d px: the keys do not reach %v", l.path, width, tab.Eval(fmt.Sprintf("usable[%d].outerHTML.slice(0, 200)", n)))
				}
			}
		}
	}
}

// Somebody without a mouse signs in, and does not lose with Escape what was typed.
func TestKeyboardAlone(t *testing.T) {
	c := newTown(t)
	tab := chromium.Start(t).Open()
	c.enter(tab, "", "vi")
	tab.Look(1280, 800, "light")
	tab.Visit(c.url + "/dang-nhap")
	text := func(s string) { tab.Call(tab.Session, "Input.insertText", chromium.Args{"text": s}, nil) }
	to := func(selector string) {
		for range 60 {
			if tab.Eval(fmt.Sprintf("document.activeElement.matches(%q)", selector)) == true {
				return
			}
			press(tab, "Tab", "Tab", 9, "")
		}
		t.Fatalf("the keys do not reach %s", selector)
	}
	to("[name=account_name]")
	text("owner.0")
	press(tab, "Escape", "Escape", 27, "")
	to("[name=account_password]")
	text(password)
	press(tab, "Enter", "Enter", 13, "\r")
	tab.Wait("location.pathname == '/' && document.readyState == 'complete'")
	tab.Visit(c.url + "/dia-diem/moi")
	to("[name='place.name']")
	text("Nhà bằng phím")
	press(tab, "Escape", "Escape", 27, "")
	to("[name='place.commune']")
	text("phu xuan")
	press(tab, "Escape", "Escape", 27, "")
	if got := tab.Eval("document.querySelector('[name=\"place.name\"]').value + '|' + document.querySelector('[name=\"place.commune\"]').value + '|' + location.pathname"); got != "Nhà bằng phím|phu xuan|/dia-diem/moi" {
		t.Errorf("after Escape the form is %v", got)
	}
	press(tab, "Enter", "Enter", 13, "\r")
	tab.Wait("document.querySelector('.wrongs') !== null")
	if got := tab.Eval("document.querySelector('[name=\"place.name\"]').value"); got != "Nhà bằng phím" {
		t.Errorf("after a form that was not complete the name is %v", got)
	}
	c.enter(tab, "", "vi")
	tab.Visit(c.url + "/p/" + pass.PosterCode(c.market.place.No, 1))
	to("[name=phone]")
	text("0905123456")
	to("[name=name]")
	text("Lan")
	press(tab, "Enter", "Enter", 13, "\r")
	tab.Wait("location.pathname.endsWith('/xong')")
	c.desk.mu.Lock()
	defer c.desk.mu.Unlock()
	if len(c.desk.visits) != 1 {
		t.Errorf("%d visits were taken, want the one", len(c.desk.visits))
	}
}
