package release_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/portal/release"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/configs"
	kept "github.com/qrgate/qrgate/server/store/releases"
	signed "github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

const at = "/thiet-bi/phien-ban"

// A world is a portal with a repository and kiosks.
type world struct {
	*pagetest.World
	t      *testing.T
	kept   *kept.Releases
	groups *configs.Configs
	served string
}

var online = func() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("online"))
	return releases.OnlineKey(seed[:])
}()

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, served: filepath.Join(t.TempDir(), "served")}
	w.World = pagetest.NewOver(t, "http://127.0.0.1", func(p *pagetest.World, f *page.Frame) []page.Route {
		w.kept, w.groups = kept.New(p.Store, time.Now), configs.New(p.Store, time.Now)
		return release.New(f, release.Options{Site: releases.NewSite(w.served, online, time.Now), Kept: w.kept, Groups: w.groups.Groups, Log: slog.New(slog.DiscardHandler)}).Routes()
	})
	return w
}

// publish lets keepers sign versions, and serves them.
func (w *world) publish(versions ...string) {
	w.t.Helper()
	dir, keys := filepath.Join(w.t.TempDir(), "signing"), w.t.TempDir()
	var places []string
	for n := range releases.Keepers {
		places = append(places, filepath.Join(keys, fmt.Sprint(n+1)))
	}
	err := releases.Init(dir, online.Public().(ed25519.PublicKey), places, time.Now())
	for _, v := range versions {
		program := filepath.Join(keys, "program")
		b := make([]byte, 64)
		copy(b, "\x7fELF")
		b[4], b[5], b[6], b[16], b[18], b[20], b[52] = 2, 1, 1, 2, 183, 1, 64
		if err == nil {
			err = os.WriteFile(program, append(b, v...), 0o755)
		}
		var r *releases.Repository
		if err == nil {
			r, err = releases.Open(dir, time.Now())
		}
		if err == nil {
			err = r.Add(v, "arm64", program, "Sửa lỗi máy quét")
		}
		for n := range releases.Threshold {
			if err == nil {
				_, err = r.Sign(filepath.Join(places[n], fmt.Sprintf("release-keeper-%d.pem", n+1)))
			}
		}
	}
	var all []releases.Release
	if err == nil {
		all, err = releases.Publish(dir, w.served, online.Public().(ed25519.PublicKey), time.Now())
	}
	if err == nil {
		err = w.kept.Publish(w.t.Context(), "", all)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// kiosk adds a kiosk that has told something.
func (w *world) kiosk(id string, change func(k *releases.Kiosk)) {
	w.t.Helper()
	err := w.Store.AddKiosk(w.t.Context(), qrgate.Kiosk{ID: id, Place: "Chợ Đông Ba", Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: time.Now()})
	k := releases.Kiosk{ID: id, Running: "1.3.0", Launcher: "1.0.0", Arch: "arm64", Since: time.Now(), Contact: time.Now()}
	change(&k)
	if err == nil {
		err = w.kept.Save(w.t.Context(), []releases.Kiosk{k})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) state() releases.Rollout {
	w.t.Helper()
	all, err := w.kept.Rollouts(w.t.Context())
	if err != nil || len(all) == 0 {
		w.t.Fatalf("no roll-out: %v", err)
	}
	return all[0]
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestAReleaseIsRolledOut(t *testing.T) {
	w := newWorld(t)
	if status, body, _ := w.Get("admin", at); status != 200 || !strings.Contains(body, "qrgate-server release --help") {
		t.Errorf("without releases: %d", status)
	}
	w.publish("1.4.0", "1.5.0")
	w.kiosk("gate-0001", func(k *releases.Kiosk) { k.Running = "1.5.0" })
	w.kiosk("gate-0002", func(k *releases.Kiosk) {
		k.Stage, k.Version, k.Reason = wire.UpdateReturned, "1.5.0", signed.Crashed
	})
	w.kiosk("gate-0003", func(k *releases.Kiosk) { k.Stage, k.Version, k.Loaded = wire.UpdateLoading, "1.5.0", 40 })
	w.kiosk("gate-0004", func(k *releases.Kiosk) { k.Launcher = "" })
	w.kiosk("gate-0005", func(k *releases.Kiosk) { k.Stage, k.Version, k.Reason = wire.UpdateRefused, "1.5.0", "<script>" })
	if status, body, _ := w.Get("admin", at+"/dua?ban=1.5.0"); status != 200 || !strings.Contains(body, "3 thiết bị có thể nhận bản này") {
		t.Errorf("the form: %d", status)
	}
	status, _, head := w.Post("admin", at+"/dua", form("ban", "1.5.0", "nhip", "nhanh", "cho", "12", "loi", "7", "ngay", "1"))
	if status != 303 || head.Get("Location") != at {
		t.Fatalf("begin = %d to %q", status, head.Get("Location"))
	}
	r := w.state()
	if r.Version != "1.5.0" || len(r.Stages) != 1 || r.Hold != 12*time.Hour || r.Errors != 7 || !r.AtOnce || r.MadeBy != "admin" {
		t.Errorf("roll-out = %+v", r)
	}
	_, body, _ := w.Get("admin", at)
	for _, want := range []string{"1 trên 4 thiết bị", "Đã quay về bản cũ", "Chạy lên là tắt", "40 %", "Không tự cập nhật được", "Lý do khác", "Mỗi đợt ít nhất 12 giờ", "7 % thiết bị", "Không chờ giờ vắng", "đang đưa đi"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(body, "<script>") || strings.Contains(body, "⟦") {
		t.Error("the page shows what a kiosk made up, or lacks a text")
	}
	if _, body, _ := w.Get("admin", at+"?xem=returned"); !strings.Contains(body, "gate-0002") || strings.Contains(body, "gate-0003") {
		t.Error("the filter does not filter")
	}
	order := regexp.MustCompile(`<code>gate-000\d`).FindAllString(body, -1)
	if fmt.Sprint(order) != "[<code>gate-0002 <code>gate-0005 <code>gate-0003 <code>gate-0001 <code>gate-0004]" {
		t.Errorf("kiosks stand in the order %v, want what is wrong first", order)
	}
}

// group makes a group of kiosks.
func (w *world) group(name string, kiosks ...string) (id int64) {
	w.t.Helper()
	id, err := w.groups.AddGroup(w.t.Context(), name, "admin")
	for _, k := range kiosks {
		if err == nil {
			err = w.groups.Join(w.t.Context(), id, []string{k}, "admin")
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func TestARolloutForAGroup(t *testing.T) {
	w := newWorld(t)
	w.publish("1.4.0")
	for n := range 4 {
		w.kiosk(fmt.Sprintf("gate-%04d", n), func(*releases.Kiosk) {})
	}
	if _, body, _ := w.Get("admin", at+"/dua?ban=1.4.0"); strings.Contains(body, "Tất cả thiết bị") {
		t.Error("the form asks for a group where there is none")
	}
	id := w.group("Bệnh viện <b>", "gate-0001", "gate-0002")
	if _, body, _ := w.Get("admin", at+"/dua?ban=1.4.0"); !strings.Contains(body, "Nhóm Bệnh viện &lt;b&gt;, 2 thiết bị") {
		t.Error("the form does not offer the group")
	}
	begin := func(group string) int {
		status, _, _ := w.Post("admin", at+"/dua", form("ban", "1.4.0", "nhom", group, "nhip", "nhanh", "cho", "1", "loi", "5"))
		return status
	}
	for _, bad := range []string{"99", "x", "\x00", "-1", strings.Repeat("9", 50)} {
		if status := begin(bad); status != 422 {
			t.Errorf("group %.10q: %d, want 422", bad, status)
		}
	}
	if status := begin(fmt.Sprint(id)); status != 303 {
		t.Fatalf("begin = %d", status)
	}
	if r := w.state(); r.Group != id {
		t.Errorf("the roll-out is for group %d, want %d", r.Group, id)
	}
	_, body, _ := w.Get("admin", at)
	for _, want := range []string{"Chỉ cho nhóm Bệnh viện &lt;b&gt;.", "0 trên 2 thiết bị", "Nhóm khác 2"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestARolloutIsChanged(t *testing.T) {
	w := newWorld(t)
	w.publish("1.4.0")
	w.Post("admin", at+"/dua", form("ban", "1.4.0", "nhip", "can-than", "cho", "24", "loi", "5"))
	do := func(what string) (int, string) {
		t.Helper()
		r := w.state()
		status, _, _ := w.Post("admin", at+"/dot", form("dot", fmt.Sprint(r.No), "lan", fmt.Sprint(r.Edition), "viec", what))
		_, body, _ := w.Get("admin", at)
		return status, body
	}
	for _, tt := range []struct {
		what  string
		state releases.State
		stage int
		says  string
	}{
		{"dot-sau", releases.Running, 1, "đã sang đợt sau"}, {"tam-dung", releases.Paused, 1, "Đã tạm dừng"}, {"tiep-tuc", releases.Running, 1, "được đưa đi tiếp"},
		{"dung-han", releases.Stopped, 1, "Đã dừng hẳn"},
	} {
		status, body := do(tt.what)
		if r := w.state(); status != 303 || r.State != tt.state || r.Stage != tt.stage || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %d, %s, stage %d", tt.what, status, r.State, r.Stage)
		}
	}
	if status, _ := do("tiep-tuc"); status != 400 {
		t.Errorf("what was stopped for good goes on: %d", status)
	}
	r := w.state()
	if status, _, _ := w.Post("admin", at+"/dot", form("dot", fmt.Sprint(r.No), "lan", fmt.Sprint(r.Edition-1), "viec", "dung-han")); status != 409 {
		t.Errorf("who saw an older page: %d, want 409", status)
	}
}

func TestWrongInput(t *testing.T) {
	w := newWorld(t)
	w.publish("1.4.0")
	good := form("ban", "1.4.0", "nhip", "nhanh", "cho", "1", "loi", "5")
	with := func(key, value string) url.Values {
		v, _ := url.ParseQuery(good.Encode())
		v.Set(key, value)
		return v
	}
	for name, tt := range map[string]struct {
		form url.Values
		want int
	}{
		"no such version": {with("ban", "9.9.9"), 404}, "a path": {with("ban", "../1"), 404}, "no pace": {with("nhip", ""), 422}, "another pace": {with("nhip", "x"), 422},
		"hours": {with("cho", "-1"), 422}, "more hours": {with("cho", "100000"), 422}, "share": {with("loi", "0"), 422}, "letters": {with("loi", "năm"), 422},
		"NUL": {with("loi", "\x00"), 422}, "no UTF-8": {with("nhip", "\xff"), 422},
	} {
		if status, body, _ := w.Post("admin", at+"/dua", tt.form); status != tt.want || strings.Contains(body, "⟦") {
			t.Errorf("%s: %d, want %d", name, status, tt.want)
		}
	}
	for _, pilots := range []string{"Gate", "gate-0001 ../../x", strings.Repeat("gate-0001 ", 600), "\x00", "<script>"} {
		if status, body, _ := w.Post("admin", at+"/dua", with("truoc", pilots)); status != 422 || strings.Contains(body, "<script>x") || strings.Contains(body, "⟦") {
			t.Errorf("pilots %.20q: %d, want 422", pilots, status)
		}
	}
	if status, _, _ := w.Post("admin", at+"/dua", with("truoc", "gate-0002\r\ngate-0001, gate-0002")); status != 303 {
		t.Errorf("two pilots: %d", status)
	}
	if r := w.state(); fmt.Sprint(r.Pilots, r.Stages) != "[gate-0001 gate-0002] [0 100]" {
		t.Errorf("the roll-out has the pilots and stages %v %v", r.Pilots, r.Stages)
	}
	if _, body, _ := w.Get("admin", at); !strings.Contains(body, "Chạy thử</li>") {
		t.Error("the page does not show the pilots' stage")
	}
	for name, f := range map[string]url.Values{
		"nothing": {}, "no number": form("dot", "x", "lan", "1", "viec", "dung-han"), "huge": form("dot", strings.Repeat("9", 50), "lan", "1"),
	} {
		if status, _, _ := w.Post("admin", at+"/dot", f); status != 400 {
			t.Errorf("%s: %d, want 400", name, status)
		}
	}
	if status, _, _ := w.Post("admin", at+"/dot", form("dot", "77", "lan", "1", "viec", "dung-han")); status != 404 {
		t.Errorf("no such roll-out: %d", status)
	}
	for _, q := range []string{"?xem=%00", "?xem=%ff", "?trang=-1", "?trang=99999999999999999999", "?trang=1000000", "?xem=" + strings.Repeat("a", 2000)} {
		if status, _, _ := w.Get("admin", at+q); status != 200 {
			t.Errorf("%.20q: %d", q, status)
		}
	}
}

func TestOnlyOperatorsMayLook(t *testing.T) {
	w := newWorld(t)
	w.publish("1.4.0")
	for who, want := range map[string]int{"": 303, "owner": 403, "guard": 403, "trade": 403, "reporter": 403, "admin": 200} {
		if status, _, _ := w.Get(who, at); status != want {
			t.Errorf("%q gets %d, want %d", who, status, want)
		}
	}
	if status, _, _ := w.Post("owner", at+"/dua", form("ban", "1.4.0", "nhip", "nhanh", "cho", "1", "loi", "5")); status != 403 {
		t.Errorf("an owner begins a roll-out: %d", status)
	}
}

func TestTheRepositoryIsThereForAnybody(t *testing.T) {
	w := newWorld(t)
	if status, _, _ := w.Get("", "/cap-nhat/timestamp.json"); status != 404 {
		t.Errorf("before anything was published: %d", status)
	}
	w.publish("1.4.0")
	for path, want := range map[string]int{
		"timestamp.json": 200, "1.root.json": 200, "2.targets.json": 200, "nothing": 404, "": 404, "targets/": 404, "..%2fmaster.key": 404, "%00": 400,
		"targets%2f..%2f1.root.json": 404,
	} {
		if status, body, head := w.Get("", "/cap-nhat/"+path); status != want || status == 200 && (!strings.HasPrefix(body, "{") || head.Get("Set-Cookie") != "") {
			t.Errorf("%q = %d, want %d", path, status, want)
		}
	}
}
