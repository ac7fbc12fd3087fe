package config_test

import (
	"bytes"
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/portal/config"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	kept "github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	gate1 = "gate-0001" // a way in at the place
	gate2 = "gate-0002" // a way out there
	gate3 = "gate-0003" // of others
	gate4 = "gate-0004" // nobody has said where
)

// A world is a portal with four kiosks.
type world struct {
	*pagetest.World
	*kept.Configs
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	pagetest.NewOver(t, "http://127.0.0.1", func(of *pagetest.World, f *page.Frame) []page.Route {
		w.World, w.Configs = of, kept.New(of.Store, time.Now)
		return config.New(f, of.Reg, w.Configs).Routes()
	})
	for id, p := range map[string]*qrgate.Place{gate1: w.Place, gate2: w.Place, gate3: w.Other, gate4: w.Place} {
		w.must(w.Store.AddKiosk(t.Context(), qrgate.Kiosk{ID: id, Place: p.Name, PlaceNo: p.No, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: time.Now()}))
	}
	for id, s := range map[string]configs.Settings{
		gate1: {"door.gate": "A1", "door.direction": "in"}, gate2: {"door.gate": "A2", "door.direction": "out"}, gate3: {"door.gate": "K1", "door.direction": "in"},
	} {
		w.save(configs.Kiosk(id), 0, s)
	}
	w.save(configs.Everywhere, 0, configs.Settings{"door.help_line": "19001075", "sound.volume": "80"})
	w.refresh()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) save(id configs.LayerID, base int, s configs.Settings) {
	w.t.Helper()
	_, err := w.Save(context.Background(), kept.Change{Layer: id, Base: base, Settings: s, Why: "lần đầu", By: "admin"})
	w.must(err)
}

func (w *world) refresh() {
	w.t.Helper()
	_, err := w.Refresh(context.Background())
	w.must(err)
}

// tells has a kiosk tell of its configuration.
func (w *world) tells(kiosk string, c *wire.ConfigBeat) {
	w.t.Helper()
	w.must(w.Store.SavePresences(context.Background(), []store.Presence{{
		Kiosk: kiosk, Beat: &wire.Beat{V: 1, Config: c}, Contact: time.Now(), Online: &wire.Online{V: 1, Up: true, Session: 1}, Changed: time.Now(),
	}}))
}

func (w *world) stamp(v uint64) wire.Stamp {
	w.t.Helper()
	g, err := w.Generation(context.Background())
	w.must(err)
	return wire.Stamp{Generation: g, Version: v}
}

// newest returns what a layer says now.
func (w *world) newest(id configs.LayerID) kept.Version {
	w.t.Helper()
	v, err := w.Version(context.Background(), id, 0)
	w.must(err)
	return v
}

func (w *world) page(who, path string, want ...string) string {
	w.t.Helper()
	code, body, _ := w.Get(who, path)
	w.shows(code, 200, body, path, want...)
	return body
}

func (w *world) shows(code, wantCode int, body, what string, want ...string) {
	w.t.Helper()
	if code != wantCode {
		w.t.Errorf("%s = %d, want %d", what, code, wantCode)
	}
	for _, s := range want {
		if !strings.Contains(body, s) {
			w.t.Errorf("%s: no %q on the page", what, s)
		}
	}
}

func (w *world) post(who, path string, want int, pairs ...string) string {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	code, body, _ := w.Post(who, path, form)
	if code != want {
		w.t.Errorf("POST %s %v = %d, want %d", path, pairs, code, want)
	}
	return body
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// confirm sends what a page asks to confirm.
func (w *world) confirm(who, path, body string) {
	w.t.Helper()
	pairs := []string{"step", "save", "config_why", "vì khách hỏi"}
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		if m[1] != "ve" {
			pairs = append(pairs, m[1], m[2])
		}
	}
	w.post(who, path, 303, pairs...)
}

const everywhere = "/thiet-bi/cau-hinh/lop/tat-ca"

func TestAChangeIsSeenBeforeItIsSaved(t *testing.T) {
	w := newWorld(t)
	w.page("admin", everywhere, "Mọi kiosk", "19001075", "lần đầu", "Có hiệu lực ở 4 kiosk")
	body := w.post("admin", everywhere, 200, "base", "1", "door.help_line", "0234 3822 999", "sound.volume", "80", "config_why", "đổi số")
	w.shows(200, 200, body, "the difference", "<del><bdi>19001075</bdi></del>", "<ins><bdi>0234 3822 999</bdi></ins>", `value="đổi số"`)
	if strings.Contains(body, "Độ to") {
		t.Error("the difference shows what does not change")
	}
	if w.newest(configs.Everywhere).No != 1 {
		t.Fatal("saved without having been confirmed")
	}
	w.confirm("admin", everywhere, body)
	v := w.newest(configs.Everywhere)
	if v.No != 2 || v.Settings["door.help_line"] != "0234 3822 999" || v.Settings["sound.volume"] != "80" || v.By != "admin" || v.Why != "vì khách hỏi" {
		t.Errorf("saved %+v", v)
	}
	w.page("admin", everywhere, "vì khách hỏi", "lần đầu", "Trở lại bản này", "Đã lưu")

	// And back.
	body = w.page("admin", everywhere+"?ban=1", "<ins><bdi>19001075</bdi></ins>", "Trở lại bản 1")
	w.confirm("admin", everywhere, body)
	if v := w.newest(configs.Everywhere); v.No != 3 || v.Settings["door.help_line"] != "19001075" {
		t.Errorf("returned to %+v", v)
	}
	if code, _, _ := w.Get("admin", everywhere+"?ban=77"); code != 404 {
		t.Errorf("a version that never was = %d", code)
	}
}

func TestWhatIsTypedStays(t *testing.T) {
	w := newWorld(t)
	body := w.post("admin", everywhere, 422, "base", "1", "door.help_line", "115", "sound.volume", "101", "sound.quiet", "đêm", "config_why", "")
	w.shows(422, 422, body, "what is wrong", `value="115"`, `value="101"`, `value="đêm"`, "Xin ghi một số từ 0 đến 100.", "Xin viết như 22:00-06:00.", "Xin điền chỗ này.")

	// Somebody else was faster.
	w.save(configs.Everywhere, 1, configs.Settings{"door.help_line": "113"})
	body = w.post("admin", everywhere, 409, "base", "1", "door.help_line", "115", "config_why", "x", "step", "save")
	w.shows(409, 409, body, "late", "admin đã lưu bản 2", `value="115"`, `name="base" value="2"`)
	if w.newest(configs.Everywhere).Settings["door.help_line"] != "113" {
		t.Error("what somebody else has saved is overwritten")
	}
	w.post("admin", everywhere, 200, "base", "2", "door.help_line", "115", "config_why", "x")
	body = w.post("admin", everywhere, 200, "base", "2", "door.help_line", "115", "config_why", "x", "step", "edit")
	w.shows(200, 200, body, "edit again", `value="115"`, `value="x"`)
	body = w.post("admin", everywhere, 422, "base", "2", "door.help_line", "113", "config_why", "x")
	w.shows(422, 422, body, "no change", "Chưa có gì thay đổi.")
}

func TestKiosksThatCouldNotRunWithItAreNamed(t *testing.T) {
	w := newWorld(t)
	body := w.post("admin", everywhere, 422, "base", "1", "door.on_fault", "refuse", "config_why", "chặt hơn", "step", "save")
	w.shows(422, 422, body, "a way out", gate2, "Lối ra không được giữ người lại", `value="refuse" selected`)
	if strings.Contains(body, "<code>"+gate1) || w.newest(configs.Everywhere).No != 1 {
		t.Error("a kiosk that could is blamed, or it was saved")
	}
	// One kiosk of which too little is said is not saved by half.
	body = w.post("admin", "/thiet-bi/"+gate4+"/cau-hinh", 422, "base", "0", "door.gate", "A4", "config_why", "mới")
	w.shows(422, 422, body, "no direction", "Chưa nói cửa này là lối vào hay lối ra.", `value="A4"`)
	body = w.post("admin", "/thiet-bi/"+gate4+"/cau-hinh", 200, "base", "0", "door.gate", "A4", "door.direction", "in", "door.accept", "card", "door.accept", "cccd", "config_why", "mới")
	w.confirm("admin", "/thiet-bi/"+gate4+"/cau-hinh", body)
	w.refresh()
	d, err := w.Document(t.Context(), gate4, 0)
	if err != nil || d.Body.Door.Gate != "A4" || len(d.Body.Door.Accept) != 2 || d.Body.Door.HelpLine != "19001075" || d.Body.Door.Place != w.Place.Name {
		t.Errorf("document %+v, %v", d.Body, err)
	}
}

func TestHowFarAKioskIs(t *testing.T) {
	w := newWorld(t)
	path := "/thiet-bi/" + gate1 + "/cau-hinh"
	w.page("admin", path, "Kiosk chưa báo", "bản 1", "theo “Mọi kiosk”", "theo đăng ký địa điểm", "chưa lần nào")
	w.tells(gate1, &wire.ConfigBeat{Wanted: w.stamp(1), Running: w.stamp(1)})
	w.page("admin", path, "Đang chạy bản mới nhất")
	w.save(configs.Kiosk(gate1), 1, configs.Settings{"door.gate": "A1", "door.direction": "in", "server.url": "tls://nowhere:8883"})
	w.page("admin", path, "Chờ kiosk nhận")
	w.refresh()
	w.page("admin", path, "Chờ kiosk nhận", "Khác gì so với bản đang chạy", "tls://nowhere:8883")
	w.tells(gate1, &wire.ConfigBeat{Wanted: w.stamp(2), Running: w.stamp(1)})
	w.page("admin", path, "Đang thử đường nối mới")
	w.tells(gate1, &wire.ConfigBeat{Wanted: w.stamp(2), Running: w.stamp(1), Refused: w.stamp(2), Fault: wire.ConfigNoAnswer, Detail: "nobody answered at <b>"})
	w.page("admin", path, "Kiosk từ chối", "không máy chủ nào trả lời", "nobody answered at &lt;b&gt;", "Gửi lại")
	w.page("admin", "/thiet-bi/cau-hinh", "Kiosk từ chối (1)", "không máy chủ nào trả lời", gate4, "Chưa có cấu hình")
	if body := w.page("admin", "/thiet-bi/cau-hinh?trang-thai=refused", gate1); strings.Contains(body, gate2) {
		t.Error("the filter shows others")
	}
	w.post("admin", path+"/gui-lai", 303)
	w.refresh()
	if d, err := w.Document(t.Context(), gate1, 0); err != nil || d.Version != 3 {
		t.Errorf("sent again: version %d, %v", d.Version, err)
	}
	w.post("admin", "/thiet-bi/"+gate4+"/cau-hinh/gui-lai", 404)
	w.page("admin", "/thiet-bi/"+gate4+"/cau-hinh", "Kiosk chạy theo tệp của nó", "Thiếu tên cửa.")
}

func TestGroups(t *testing.T) {
	w := newWorld(t)
	w.post("admin", "/thiet-bi/cau-hinh/nhom", 422, "config_group", "")
	w.post("admin", "/thiet-bi/cau-hinh/nhom", 303, "config_group", "Bệnh viện")
	body := w.post("admin", "/thiet-bi/cau-hinh/nhom", 422, "config_group", "Bệnh viện")
	w.shows(422, 422, body, "taken", "Đã có nhóm tên này.", `value="Bệnh viện"`)
	group := "/thiet-bi/cau-hinh/lop/nhom-1"
	w.page("admin", group, "Nhóm Bệnh viện", "Có hiệu lực ở 0 kiosk")
	w.confirm("admin", group, w.post("admin", group, 200, "base", "0", "door.on_fault", "refuse", "config_why", "x"))
	w.post("admin", "/thiet-bi/"+gate1+"/cau-hinh/nhom", 303, "group", "1")
	w.page("admin", "/thiet-bi/"+gate1+"/cau-hinh", "theo nhóm Bệnh viện", "Không cho vào")
	body = w.post("admin", "/thiet-bi/"+gate2+"/cau-hinh/nhom", 422, "group", "1")
	w.shows(422, 422, body, "a way out in a group that refuses", "Lối ra không được giữ người lại")
	w.post("admin", "/thiet-bi/"+gate1+"/cau-hinh/nhom", 404, "group", "9")
	w.post("admin", "/thiet-bi/"+gate1+"/cau-hinh/nhom", 400, "group", "x")
	w.post("admin", "/thiet-bi/"+gate1+"/cau-hinh/nhom", 303, "group", "0")

	// Many at once: all of them or none, those that are chosen or those that are found.
	const many = "/thiet-bi/cau-hinh/nhom"
	groupOf := func(kiosk string) int64 {
		t.Helper()
		k, err := w.Kiosk(t.Context(), kiosk)
		w.must(err)
		return k.Group
	}
	body = w.post("admin", many, 422, "step", "chosen", "group", "1", "kiosk", gate1, "kiosk", gate2)
	w.shows(422, 422, body, "many of which one is a way out", gate2, "Lối ra không được giữ người lại")
	if groupOf(gate1) != 0 {
		t.Error("one of two was put into a group that the other could not be in")
	}
	w.post("admin", many, 422, "step", "chosen", "group", "1")
	w.post("admin", many, 404, "step", "chosen", "group", "9", "kiosk", gate1)
	w.post("admin", many, 400, "step", "chosen", "group", "x", "kiosk", gate1)
	body = w.post("admin", many, 409, "step", "chosen", "group", "1", "kiosk", gate1, "kiosk", "gate-9999")
	w.shows(409, 409, body, "one of two is not there any more", "không còn hoạt động", `value="`+gate1+`" checked`, `<option value="1" selected>`)
	// What is chosen counts, not what the filter of then finds now.
	w.post("admin", many, 303, "step", "chosen", "group", "1", "kiosk", gate1, "trang-thai", "running", "tim", gate2)
	w.page("admin", "/thiet-bi/cau-hinh?tim="+gate3, `name="found" value="1"`, "Đã xếp 1 kiosk vào nhóm")
	w.post("admin", many, 303, "step", "all", "group", "1", "tim", gate3, "found", "1")
	if groupOf(gate1) != 1 || groupOf(gate3) != 1 || groupOf(gate2) != 0 {
		t.Errorf("in the group are %d, %d, %d", groupOf(gate1), groupOf(gate3), groupOf(gate2))
	}
	body = w.post("admin", many, 409, "step", "all", "group", "0", "found", "3")
	w.shows(409, 409, body, "one has come since", "nay lọc được 4 kiosk", "Xếp cả 4 kiosk", `<option value="0" selected>`)
	if groupOf(gate1) != 1 {
		t.Error("others were moved than somebody saw")
	}
	w.post("admin", many, 303, "step", "all", "group", "0", "found", "4")
	w.page("admin", "/thiet-bi/cau-hinh", "4 kiosk đã đưa ra khỏi nhóm")
	w.post("owner", many, 403, "step", "all", "group", "1")

	const change = "/thiet-bi/cau-hinh/nhom/1"
	w.post("admin", change, 303, "config_group", "Y tế")
	w.page("admin", group, "Nhóm Y tế", "Bỏ nhóm")
	w.post("admin", "/thiet-bi/cau-hinh/nhom", 303, "config_group", "Chợ")
	w.post("admin", change, 422, "config_group", "Chợ")
	w.post("admin", "/thiet-bi/"+gate1+"/cau-hinh/nhom", 303, "group", "1")
	w.post("owner", change, 403, "step", "remove")
	w.post("admin", change, 303, "step", "remove")
	w.post("admin", change, 404, "step", "remove")
	w.post("admin", "/thiet-bi/cau-hinh/nhom/x", 404, "step", "remove")
	w.page("admin", "/thiet-bi/"+gate1+"/cau-hinh", "Cho vào, ghi sổ giấy")
}

// The owner of a place says what harms nobody there, and only there.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	mine, others := "/thiet-bi/cau-hinh/lop/dia-diem-1", "/thiet-bi/cau-hinh/lop/dia-diem-2"
	body := w.page("owner", mine, "Chợ Đông Ba", `name="door.help_line"`, `name="sound.quiet"`)
	if strings.Contains(body, `name="door.direction"`) || strings.Contains(body, `name="server.url"`) {
		t.Error("an owner is offered what is not theirs to say")
	}
	body = w.post("owner", mine, 200, "base", "0", "door.help_line", "0234 3822 999", "door.on_fault", "refuse", "server.url", "tls://mine:8883", "config_why", "số của chợ")
	w.confirm("owner", mine, body)
	v := w.newest(configs.Place(1))
	if len(v.Settings) != 1 || v.Settings["door.help_line"] != "0234 3822 999" {
		t.Errorf("an owner has said %v", v.Settings)
	}
	// What others have said of the place stays.
	w.save(configs.Place(1), 1, configs.Settings{"door.help_line": "115", "door.repeat": "9", "of.later": "x"})
	w.confirm("owner", mine, w.post("owner", mine, 200, "base", "2", "door.help_line", "", "sound.volume", "50", "config_why", "nhỏ hơn"))
	if v := w.newest(configs.Place(1)); len(v.Settings) != 3 || v.Settings["door.repeat"] != "9" || v.Settings["of.later"] != "x" || v.Settings["sound.volume"] != "50" {
		t.Errorf("after an owner's change: %v", v.Settings)
	}
	w.page("owner", "/thiet-bi/"+gate1+"/cau-hinh", "A1", "theo địa điểm")
	for _, tt := range []struct {
		who, path string
		want      int
	}{
		{"owner", "/thiet-bi/cau-hinh", 403}, {"owner", everywhere, 404}, {"owner", others, 404}, {"owner", "/thiet-bi/" + gate3 + "/cau-hinh", 404},
		{"foreign", mine, 404}, {"foreign", "/thiet-bi/" + gate3 + "/cau-hinh", 200}, {"guard", mine, 403}, {"health", mine, 403}, {"", mine, 303},
		{"admin", "/thiet-bi/cau-hinh/lop/nhom-9", 404}, {"admin", "/thiet-bi/cau-hinh/lop/dia-diem-99", 404}, {"admin", "/thiet-bi/cau-hinh/lop/x", 404},
		{"admin", "/thiet-bi/gate-9999/cau-hinh", 404}, {"admin", "/thiet-bi/%ff/cau-hinh", 404}, {"admin", "/thiet-bi/cau-hinh/lop/dia-diem-%00", 400},
	} {
		if code, _, _ := w.Get(tt.who, tt.path); code != tt.want {
			t.Errorf("%s: GET %s = %d, want %d", tt.who, tt.path, code, tt.want)
		}
	}
	w.post("owner", "/thiet-bi/"+gate1+"/cau-hinh", 403, "base", "1", "door.direction", "out", "config_why", "x")
	w.post("foreign", mine, 404, "base", "3", "door.help_line", "1", "config_why", "x")
}

func TestHostileForms(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"\xff", "a\x00b", strings.Repeat("x", 30_000), "a\r\nb", "<script>"} {
		for _, key := range []string{"door.help_line", "sound.volume", "door.accept", "server.url", "sound.quiet", "door.on_fault"} {
			w.post("admin", everywhere, 422, "base", "1", key, value+strings.Repeat("y", 50), "config_why", "x", "step", "save")
		}
		w.post("admin", "/thiet-bi/cau-hinh/nhom", 422, "config_group", value+strings.Repeat("y", 70))
	}
	w.post("admin", everywhere, 409, "base", "x", "config_why", "x")
	w.post("admin", everywhere, 422, "base", "1", "config_why", "\xff\x00", "door.help_line", "1")
	if w.newest(configs.Everywhere).No != 1 {
		t.Error("something was saved")
	}
}

// The audit tells who changed which settings of what.
func TestAudit(t *testing.T) {
	w := newWorld(t)
	w.confirm("admin", everywhere, w.post("admin", everywhere, 200, "base", "1", "door.help_line", "115", "config_why", "x"))
	var rows []register.AuditRow
	w.must(w.Reg.Audit(t.Context(), register.AuditQuery{Object: "all"}, 0, 10, func(a register.AuditRow) error {
		rows = append(rows, a)
		return nil
	}))
	if len(rows) == 0 || rows[0].Action != "change configuration" || rows[0].Note != "door.help_line, sound.volume" {
		t.Errorf("audit %+v", rows)
	}
}
