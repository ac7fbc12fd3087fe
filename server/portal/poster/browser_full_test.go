//go:build full

package poster_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// Every page fits its window, and what the browser complains of is nothing.
func TestPages(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		p := *w.Place
		p.Name = fmt.Sprintf("Chợ Đông Ba, quầy số %d", i+1)
		if err := w.Reg.AddPlace(t.Context(), "", &p); err != nil {
			t.Fatal(err)
		}
	}
	tab := browser.Start(t).Open()
	tab.Visit(w.URL + "/blank")
	tab.Eval("document.cookie = 'lang=vi; path=/'")
	shoot := func(who string, paths map[string]string) {
		tab.Eval("fetch('/as/" + who + "', {method: 'POST'}).then(() => 1)")
		for name, path := range paths {
			for _, width := range []int{360, 768, 1280} {
				scheme := "light"
				if width == 768 {
					scheme = "dark"
				}
				tab.Look(width, 800, scheme)
				tab.Visit(w.URL + path)
				if tab.Eval("document.documentElement.scrollWidth > innerWidth") == true {
					t.Errorf("%s is wider than %d", path, width)
				}
				height := int(tab.Eval("Math.min(document.documentElement.scrollHeight, 6000)").(float64))
				tab.Look(width, height, scheme)
				tab.Wait("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
				tab.Shoot(fmt.Sprintf("poster-%s-%d-%s", name, width, scheme))
			}
		}
	}
	shoot("owner", map[string]string{"first": w.own()})
	w.Post("owner", w.own(), url.Values{"version": {"0"}})
	w.Get("owner", w.own()+"/a4.pdf")
	shoot("owner", map[string]string{"current": w.own(), "stickers": w.own() + "?loai=stickers", "stand": w.own() + "?loai=stand"})
	w.Place.Name = "Chợ Đông Ba (cổng mới)"
	w.save(w.Place)
	if err := w.Reg.AddTemplate(t.Context(), "admin", &register.Template{Heading: []register.Bilingual{{VI: "SỞ Y TẾ", EN: "DEPARTMENT OF HEALTH"}}, Must: true, Note: "Cơ quan chủ trì đã đổi tên"}); err != nil {
		t.Fatal(err)
	}
	shoot("owner", map[string]string{"again": w.own(), "many": "/dia-diem/in"})
	shoot("admin", map[string]string{"template": "/mau-ap-phich", "reprints": "/mau-ap-phich/in-lai"})
	w.Post("owner", w.own(), url.Values{"version": {"1"}})
	shoot("owner", map[string]string{"second": w.own()})
	for _, c := range tab.Complaints() {
		if !strings.Contains(c, "favicon.ico") { // of the blank page
			t.Error("console: ", c)
		}
	}
}
