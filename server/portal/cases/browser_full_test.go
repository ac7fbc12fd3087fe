//go:build full

package cases_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/wire"
)

// A walk is one officer's way through a case, in a real browser without script, by
// the words on the pages alone.
type walk struct {
	*browser.Tab
	t     *testing.T
	w     *world
	name  string
	shots int
}

// see checks that the page says something, that nothing of it is cut off, and
// leaves a picture.
func (k *walk) see(name, says string) {
	k.t.Helper()
	said := fmt.Sprint(k.Eval("document.body.innerText"))
	if !strings.Contains(strings.ToLower(said), strings.ToLower(says)) || strings.Contains(said, "⟦") {
		k.t.Fatalf("%s does not say %q but:\n%.3000s", name, says, said)
	}
	if over := k.Eval("document.documentElement.scrollWidth - document.documentElement.clientWidth"); over != 0.0 {
		k.t.Errorf("%s scrolls sideways by %v", name, over)
	}
	if at := fmt.Sprint(k.Eval("location.href")); strings.Contains(at, "0905") || strings.Contains(at, "0460") || strings.Contains(at, "An") {
		k.t.Errorf("the address %s names somebody", at)
	}
	k.shots++
	k.ShootAll(fmt.Sprintf("cases-%s-%02d-%s", k.name, k.shots, name))
}

func (k *walk) signIn(who string) {
	k.t.Helper()
	k.Script(true)
	k.Visit(k.w.url + "/")
	k.Eval(`document.cookie = "lang=vi; path=/"`)
	k.Eval(fmt.Sprintf(`fetch("/as/%s", {method: "POST"}).then(r => r.status)`, who))
	k.Script(false)
}

func TestWalkOfACase(t *testing.T) {
	b := browser.Start(t)
	for _, size := range []struct {
		name          string
		width, height int
	}{{"phone", 360, 740}, {"desk", 1280, 900}} {
		t.Run(size.name, func(t *testing.T) {
			w := newWorld(t)
			k := &walk{Tab: b.For(t).Private(), t: t, w: w, name: size.name}
			k.Look(size.width, size.height, "light")
			k.all()
		})
	}
	said := slices.DeleteFunc(b.Complaints(), func(s string) bool { return strings.Contains(s, "favicon.ico") || strings.Contains(s, "422") })
	if len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
}

func (k *walk) all() {
	k.signIn("lan")
	k.Visit(k.w.url + "/ca-benh")
	k.see("list-empty", "Chưa có ca nào")
	k.Press("+ Mở ca mới")
	k.see("new", "Mục đích truy vết")
	k.Press("Mở ca")
	k.see("new-wrong", "Xin xem lại")
	k.Fill("Mục đích truy vết", "Ca nghi ngờ, trạm y tế phường báo qua điện thoại")
	k.Fill("Từ ngày", "2026-11-15")
	k.Fill("Tôi mở ca này", "1")
	k.Press("Mở ca")
	k.see("opened", "Đã mở ca CB-2026-000001")
	k.Fill("Tên và năm sinh", "1")
	k.Fill("Họ và tên", "Nguyễn Văn An")
	k.Fill("Năm sinh", "1948")
	k.Press("Tìm")
	k.see("found", "Nguyễn Văn An")
	k.Press("Chọn")
	k.see("chosen", "Xin duyệt")
	k.Press("Xin duyệt")
	k.see("asked", "Đang chờ người thứ hai duyệt")
	home := fmt.Sprint(k.Eval("location.href"))

	k.signIn("duc")
	k.Visit(k.w.url + "/ca-benh")
	k.see("waiting", "Xin xem và duyệt")
	k.Press("CB-2026-000001")
	k.see("decide", "Duyệt ca này")
	k.Press("Duyệt")
	k.see("decided", "Đã duyệt")

	k.signIn("lan")
	k.Visit(home)
	k.Press("Lịch trình")
	k.see("stays", "Bến xe phía Bắc")
	k.Press("Tính lượt này")
	k.see("restored", "vẫn tính")
	k.Press("Truy vết")
	k.see("contacts", "Trần Thị Bình")
	k.Press("Trần Thị Bình")
	k.see("contact", "0914 222 333")
	k.Fill("Đã liên lạc", "1")
	k.Fill("Bằng cách", "điện thoại")
	k.Fill("Ghi chú", "Khỏe, sẽ theo dõi nhiệt độ.")
	k.Press("Lưu")
	k.see("called", "sẽ theo dõi nhiệt độ")
	k.Press("Gọi điện")
	k.see("calls", "Lê Thị Chi")

	// A gate delivers late.
	k.w.now.Add(time.Hour.Milliseconds())
	at := time.Date(2026, 11, 20, 8, 30, 0, 0, qrgate.Zone)
	k.w.people["muon"] = k.w.visitor("+84988000111", "Võ Thị Muộn")
	k.w.checkin("muon", "cho-cua-a", wire.In, at, 0)
	k.w.checkin("muon", "cho-cua-a", wire.Out, at.Add(time.Hour), 0)
	k.Visit(home)
	k.Press("Truy vết lại")
	k.see("changes", "Võ Thị Muộn")

	k.Press("Xuất tệp")
	k.see("export", "Xuất danh sách")
	k.Fill("gọi điện, thăm hỏi", "1")
	k.Fill("Tôi sẽ giữ tệp an toàn", "1")
	k.Click("Tải tệp về")
	k.exported()
}

// exported waits until the server has written down that a file left.
func (k *walk) exported() {
	k.t.Helper()
	for range 200 {
		if rows := k.w.audit("export contacts"); len(rows) == 1 && strings.HasPrefix(rows[0].Note, "calls as xlsx, run 2, ") {
			return
		}
		k.Wait("document.readyState === 'complete'")
		select {
		case <-k.t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	k.t.Errorf("no file left: %v", k.w.audit("export contacts"))
}

// Pictures of what the walk does not pass.
func TestLooksOfCases(t *testing.T) {
	w := newWorld(t)
	lan, both := w.as("lan"), w.as("both")
	at := lan.traced()
	glass := both.open("suspected")
	body := both.want(200, both.post(glass+"/tim", map[string][]string{"cases.by": {"cccd"}, "cases.find": {"046048001234"}}))
	body = both.want(200, both.post(glass+"/nguoi", map[string][]string{"version": {w.found(body, ver)}, "nguoi": {w.found(body, refs)}}))
	both.want(200, both.post(glass+"/khan-cap", map[string][]string{"version": {w.found(body, ver)}, "cases.glass": {"Người bệnh nặng, cần tìm ngay"}, "cases.glass.sure": {"1"}}))
	place := lan.open("measles")
	body = lan.want(200, lan.get(place+"/noi?ten=dong+ba"), "Chợ Đông Ba")
	lan.want(200, lan.post(place+"/noi", map[string][]string{"version": {w.found(body, ver)}, "noi": {fmt.Sprint(w.market.No)}}))

	b := browser.Start(t)
	tab := b.Open()
	for who, paths := range map[string]map[string]string{
		"lan":  {"list": "/ca-benh", "place-find": place + "/noi?ten=cho", "place": place + "/lich-trinh", "letters": at + "/goi?xem=to_call", "case": at},
		"both": {"glass": glass},
		"mai":  {"glasses": "/ca-benh-khan-cap"},
	} {
		tab.Visit(w.url + "/")
		tab.Eval(`document.cookie = "lang=vi; path=/"`)
		tab.Eval(fmt.Sprintf(`fetch("/as/%s", {method: "POST"}).then(r => r.status)`, who))
		for name, path := range paths {
			for _, width := range []int{360, 768, 1280} {
				tab.Look(width, 900, "light")
				tab.Visit(w.url + path)
				if wide := tab.Eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide != 0.0 {
					t.Errorf("%s at %d is %v wider than the screen", path, width, wide)
				}
				tab.ShootAll(fmt.Sprintf("cases-%s-%d", name, width))
			}
		}
	}
	tab.Look(1280, 900, "dark")
	tab.Eval(`fetch("/as/lan", {method: "POST"}).then(r => r.status)`)
	tab.Visit(w.url + at + "/lich-trinh")
	tab.ShootAll("cases-stays-dark")
}
