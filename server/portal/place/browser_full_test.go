//go:build full

package place_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// In a real browser: the commune by typing and by the map, with keys and mouse;
// and pictures of every page for people to look at.
func TestInBrowser(t *testing.T) {
	w := newWorld(t)
	w.account("hoa", qrgate.Grant{Role: qrgate.Guard, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: w.market}})
	w.account("officer", qrgate.Grant{Role: qrgate.SectorOfficer, Scope: qrgate.Scope{Kind: qrgate.InSector, ID: "trade"}})
	for _, name := range []string{"Chợ Đông Ba", "Chợ An Cựu", "Siêu thị Hương Giang, cơ sở hai", "Cửa hàng Lan"} {
		w.place(w.market, name)
	}
	gone := w.place(w.market, "Quầy cũ")
	if err := w.reg.DeletePlace(t.Context(), "", gone.No, 1); err != nil {
		t.Fatal(err)
	}
	b := browser.Start(t)
	tab := b.Open()
	sign := func(name string) {
		tab.Visit(w.url + "/")
		tab.Eval(`document.cookie = "lang=vi; path=/"`)
		tab.Eval(fmt.Sprintf(`fetch("/as/%s", {method: "POST"}).then(r => r.status)`, name))
	}
	sign("lan")

	tab.Look(1280, 1700, "light")
	tab.Visit(w.url + "/dia-diem/moi")
	tab.Wait(`document.querySelector("#map svg .pin") !== null`)
	tab.Eval(`(() => { const i = document.getElementById("f-place.commune"); i.focus(); i.value = "thuan loc"; i.dispatchEvent(new Event("input")); })()`)
	tab.Wait(`document.querySelectorAll(".suggest li").length > 0`)
	tab.Shoot("form-suggest-1280")
	key := func(name string) {
		tab.Eval(fmt.Sprintf(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: %q, bubbles: true, cancelable: true}))`, name))
	}
	key("ArrowDown")
	key("Enter")
	tab.Wait(`document.querySelector("[name='place.area']").value.startsWith("19753@")`)
	tab.Eval(`(() => { const s = document.querySelector("#map svg"), r = s.getBoundingClientRect();
		s.dispatchEvent(new MouseEvent("click", {clientX: r.x + r.width / 2, clientY: r.y + r.height / 2, bubbles: true})); })()`)
	tab.Wait(`document.getElementById("f-place.lat").value.startsWith("16.4") && document.querySelector("#map svg .pin").getAttribute("visibility") === "visible"`)
	tab.Eval(`(() => { const k = document.getElementById("f-place.kind"); k.value = "clinic"; k.dispatchEvent(new Event("change")); })()`)
	tab.Wait(`document.getElementById("f-place.sector").value === "health"`)
	for id, value := range map[string]string{"name": "Phòng khám Lan", "person": "Lan", "phone1": "0905 123 456"} {
		tab.Eval(fmt.Sprintf(`document.getElementById("f-place.%s").value = %q`, id, value))
	}
	tab.Shoot("form-filled-1280")
	tab.Eval(`document.querySelector("form.place").requestSubmit(document.querySelector("form.place > .actions button"))`)
	tab.Wait(`location.pathname.endsWith("/in")`)
	if p := w.all()[4]; p.Name != "Phòng khám Lan" || p.Area != "19753@2025-01-01" || p.At == nil || p.Sector != "health" {
		t.Errorf("stored %+v", p)
	}

	token := w.invite(t)
	tab.Eval(fmt.Sprintf(`location.href = "/loi-moi#%s"`, token)) // which it takes out of the address at once
	tab.Wait(`document.body.innerText.includes("Ban quản lý chợ Đông Ba") && location.hash === ""`)

	shoot := func(who string, script bool, scheme string) {
		tab.Script(script)
		for _, width := range []int{360, 768, 1280} {
			tab.Look(width, 1500+max(0, 1280-width)*2, scheme)
			for name, path := range map[string]string{
				"list": "/dia-diem", "deleted": "/dia-diem?trang_thai=deleted", "edit": "/dia-diem/1", "new": "/dia-diem/moi", "delete": "/dia-diem/1/xoa",
				"gone": fmt.Sprintf("/dia-diem/%d", gone.No), "import": "/dia-diem/nhap", "organisation": "/to-chuc", "new-organisation": "/to-chuc/moi", "invitation": "/loi-moi",
			} {
				tab.Visit(w.url + path)
				if wide := tab.Eval("document.documentElement.scrollWidth"); wide != float64(width) {
					t.Errorf("%s for %s is %v wide in a window of %d", path, who, wide, width)
				}
				tab.Shoot(fmt.Sprintf("%s-%s-%v-%s-%d", who, name, script, scheme, width))
			}
		}
		tab.Script(true)
	}
	shoot("lan", true, "light")
	shoot("lan", false, "light")
	tab.Look(1280, 1500, "dark")
	tab.Visit(w.url + "/dia-diem")
	tab.Shoot("list-dark")
	tab.Visit(w.url + "/dia-diem/moi")
	tab.Shoot("new-dark")
	_, page := w.as("lan").importing("x.csv", []byte(header+"Chợ Mới,Chợ,Phường Phú Xuân,Minh,0905 123 456,\nChợ Cũ,,thuan loc,Minh,905123456,\nSai,x,y,,1,\n"))
	for _, width := range []int{360, 1280} {
		tab.Look(width, 1500, "light")
		tab.Visit(w.url + report.FindString(page))
		tab.Shoot(fmt.Sprintf("report-%d", width))
	}
	sign("officer")
	tab.Visit(w.url + "/dia-diem")
	tab.Shoot("officer-list")
	tab.Eval(`for (const d of document.querySelectorAll("details")) d.open = true`)
	tab.Look(360, 1500, "light")
	tab.Shoot("officer-list-360")
	sign("hoa")
	tab.Visit(w.url + "/dia-diem/1")
	tab.Shoot("guard-360")
	for _, said := range b.Complaints() {
		if !strings.Contains(said, "404") { // pages of other packages
			t.Errorf("the console: %s", said)
		}
	}
}

// invite returns the code of an invitation to the market.
func (w *world) invite(t *testing.T) string {
	t.Helper()
	_, body := w.as("lan").post("/to-chuc", url.Values{"ma": {w.market}, "do": {"invite"}, "org.role": {"staff"}})
	found := link.FindStringSubmatch(body)
	if found == nil {
		t.Fatal("no link")
	}
	return found[2]
}
