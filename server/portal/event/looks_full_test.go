//go:build full

package event_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	at := w.open(w.tomorrow())
	var guests []*events.Guest
	for i, name := range []string{"Nguyễn Thị Lan", "Trần Văn Huy", "Công Tằng Tôn Nữ Thị Ngọc Hạnh Dung", "Lê Văn Tám"} {
		guests = append(guests, &events.Guest{Category: uint8(1 + i%2*3), Details: events.Details{Name: name, From: "Báo Huế và Đài Phát thanh Truyền hình", Phone: "+84905123456", Email: "khach.moi.dai.lam@toasoan.example.vn"}})
	}
	if err := w.events.Invite(t.Context(), "owner", 1, guests); err != nil {
		t.Fatal(err)
	}
	e, err := w.events.Event(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.tell(guests[0], "A1", wire.In, e.Starts)
	w.tell(guests[1], "A1", wire.In, e.Starts.Add(time.Minute))
	w.tell(guests[1], "A2", wire.In, e.Starts.Add(5*time.Minute))
	_, list, _ := w.Get("owner", at+"/khach")
	_, link, _ := strings.Cut(list, "qrgate.example")
	link, _, _ = strings.Cut(link, `"`)
	w.Looks(t, nil, []pagetest.Look{
		{"list", "owner", "/su-kien"}, {"list-officer", "commune", "/su-kien"}, {"new", "owner", "/su-kien/moi"}, {"event", "owner", at}, {"event-guard", "guard", at},
		{"guests", "owner", at + "/khach"}, {"cancel", "owner", at + "/huy"}, {"pass", "guard", link},
	}...)
	if status, _, _ := w.Post("owner", fmt.Sprintf("%s/huy", at), map[string][]string{"version": {"1"}}); status != 303 {
		t.Fatal(status)
	}
	w.Looks(t, nil, pagetest.Look{"event-off", "owner", at}, pagetest.Look{"pass-off", "owner", link})
}

// The page keeps itself up to date: the capacity stays beside who is inside, and what is
// wrong with check-ins that arrive while somebody looks is said in words.
func TestFiguresComeByThemselves(t *testing.T) {
	w := newWorld(t)
	at := w.open(w.tomorrow())
	e, lan := w.invited()
	tab := browser.Start(t).Open()
	tab.Visit(w.URL + "/blank")
	tab.Eval("fetch('/as/owner', {method: 'POST', body: new URLSearchParams()}).then(() => true)")
	tab.Visit(w.URL + at)
	tab.Eval("window.first = true")
	w.tell(lan, "A1", wire.In, e.Starts)
	tab.Wait("window.first && document.querySelector('.all td:last-child').textContent === '1 / 500'")
	damaged := w.told[0]
	damaged.Subject = qrgate.Subject{1}
	w.told = append(w.told, damaged)
	tab.Wait("!window.first && document.body.innerText.includes('1 lượt quét không mở được')")
	for _, width := range []int{360, 768} {
		tab.Look(width, 900, "light")
		tab.ShootAll(fmt.Sprintf("unopened-%d", width))
	}
}
