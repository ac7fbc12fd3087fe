//go:build full

package account_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/portal/account"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// Everything that people do with an account, in a browser: each page fits its
// window, and the browser has nothing to complain of.
func TestPages(t *testing.T) {
	w := newWorld(t, func(_ *world, o *account.Options) {
		o.Providers = []account.Provider{{Name: "hue", Label: "Hue-S", Issuer: "http://127.0.0.1:1", ClientID: "qrgate"}}
	})
	w.account("canbo.phuxuan", qrgate.Grant{Role: qrgate.AreaOfficer, Scope: qrgate.Scope{Kind: qrgate.InArea, ID: phuXuan}}, qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
	b := browser.Start(t)
	tab := b.Open()
	// look checks the page that is open.
	look := func(name string) {
		t.Helper()
		for _, width := range []int{360, 768, 1280} {
			scheme := "light"
			if width == 768 {
				scheme = "dark"
			}
			tab.Look(width, 800, scheme)
			if tab.Eval("document.documentElement.scrollWidth > innerWidth") == true {
				t.Errorf("%s is wider than %d", name, width)
			}
			tab.Look(width, int(tab.Eval("Math.min(document.documentElement.scrollHeight, 6000)").(float64)), scheme)
			tab.Wait("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
			tab.Shoot(fmt.Sprintf("account-%s-%d-%s", name, width, scheme))
		}
	}
	visit := func(name, path string) {
		t.Helper()
		tab.Visit(w.server.URL + path)
		look(name)
	}
	// fill types into the main form and sends it; the next page is at path.
	fill := func(path string, values ...string) {
		t.Helper()
		for i := 0; i < len(values); i += 2 {
			tab.Eval(fmt.Sprintf("document.querySelector('main [name=%s]').value = %q", values[i], values[i+1]))
		}
		tab.Eval("window.before = true; document.querySelector('main form button').click()")
		tab.Wait(fmt.Sprintf("!window.before && location.pathname == %q && document.readyState == 'complete'", path))
	}
	tab.Visit(w.server.URL + "/dang-nhap")
	tab.Eval("document.cookie = 'lang=vi; path=/'")
	visit("sign-in", "/dang-nhap")
	fill("/dang-nhap", "account_name", "cho.dongba", "account_password", "x")
	look("sign-in-wrong")
	visit("register", "/dang-ky")
	visit("forgot", "/quen-mat-khau")
	tab.Visit(w.server.URL + "/quen-mat-khau")
	fill("/quen-mat-khau", "account_who", "cho.dongba")
	look("forgot-told")
	visit("gone", "/dat-lai-mat-khau?ma=x")
	tab.Visit(w.server.URL + "/dang-nhap")
	fill("/dang-nhap/xac-thuc", "account_name", "canbo.phuxuan", "account_password", goodPassword)
	look("second-new")
	secret := tab.Eval("document.querySelector('.secret').textContent").(string)
	fill("/dang-nhap/xac-thuc", "account_code", w.totp(secret))
	look("recovery")
	visit("mine", "/tai-khoan")
	for _, page := range []string{"mat-khau", "thu", "ma-khoi-phuc", "bo-xac-thuc", "xoa"} {
		visit(page, "/tai-khoan/"+page)
	}
	w.account("cho.dongba")
	visit("once", "/ho-tro/ma-mot-lan")
	fill("/ho-tro/ma-mot-lan", "account_name", "cho.dongba")
	look("once-made")
	for _, said := range b.Complaints() {
		if !strings.Contains(said, "Failed to load resource") { // what is wrong with a form
			t.Errorf("the browser complains: %s", said)
		}
	}
}
