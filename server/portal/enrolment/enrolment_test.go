package enrolment_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/enrol/desk"
	"github.com/qrgate/qrgate/server/portal/enrolment"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	store "github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// A world is a portal with the pages of enrolment.
type world struct {
	*pagetest.World
	t    *testing.T
	rows *store.Enrolments
	cut  []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, master, now := filepath.Join(t.TempDir(), "keys"), vault.NewMaster(), time.Now()
	if err := enrol.Init(dir, master, filepath.Join(t.TempDir(), "root.key"), now); err != nil {
		t.Fatal(err)
	}
	keys, err := enrol.Load(dir, master)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := keys.CA()
	if err != nil {
		t.Fatal(err)
	}
	seals, err := keys.Seals()
	if err != nil {
		t.Fatal(err)
	}
	opener, err := seal.NewOpener(seals)
	if err != nil {
		t.Fatal(err)
	}
	id, key, err := keys.Signer(wire.ForReceipt, now)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	w.World = pagetest.NewOver(t, "http://127.0.0.1", func(p *pagetest.World, f *page.Frame) []page.Route {
		w.rows = store.New(p.Store, time.Now)
		d := desk.New(desk.Parts{
			Enrolments: w.rows, Kiosks: p.Store, Keys: keys, CA: ca, Opener: opener, Sign: wire.Signer{ID: id, Key: key}, Tokens: make([]byte, 32),
			Portal: "http://127.0.0.1:1", Broker: "tls://127.0.0.1:2", BrokerName: "localhost",
		}, desk.Options{})
		return enrolment.New(f, enrolment.Options{
			Register: p.Reg, Enrolments: w.rows, Desk: d, Log: slog.New(slog.DiscardHandler),
			Cut: func(kiosks ...string) { w.cut = append(w.cut, kiosks...) },
		}).Routes()
	})
	return w
}

// make makes a code and returns the path of its page.
func (w *world) make(who string, change ...string) string {
	w.t.Helper()
	f := url.Values{"enrol_place": {"1"}, "enrol_gate": {"A1"}, "enrol_direction": {"vao"}, "enrol_lane": {"2"}}
	for i := 0; i < len(change); i += 2 {
		f.Set(change[i], change[i+1])
	}
	status, body, header := w.Post(who, "/thiet-bi/them", f)
	if status != http.StatusSeeOther {
		w.t.Fatalf("POST /thiet-bi/them as %s = %d: %s", who, status, body)
	}
	return header.Get("Location")
}

var (
	codeText  = regexp.MustCompile(`<code>(QGE1[^<]*)</code>`)
	shown     = regexp.MustCompile(`enrol-words"[^>]*>([^<]*)<`)
	otherPage = regexp.MustCompile(`/thiet-bi/(k1-[a-z0-9-]*)/danh-tinh`)
)

// A kiosk is a new one that has read a code.
type kiosk struct {
	w      *world
	code   pairing.Code
	server *pairing.Server
	key    ed25519.PrivateKey
}

func (w *world) machine(method, path string, body []byte) (int, []byte) {
	w.t.Helper()
	r := httptest.NewRequest(method, w.URL+path, bytes.NewReader(body))
	r.RequestURI = ""
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, b
}

func (w *world) kiosk(page string) *kiosk {
	w.t.Helper()
	found := codeText.FindStringSubmatch(page)
	if found == nil {
		w.t.Fatalf("no code on the page:\n%s", page)
	}
	code, err := pairing.Parse(found[1])
	if err != nil {
		w.t.Fatal(err)
	}
	_, hello := w.machine("GET", wire.HelloPath, nil)
	server, err := code.Hello(hello)
	if err != nil {
		w.t.Fatal(err)
	}
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	return &kiosk{w, code, server, key}
}

func (k *kiosk) public() ed25519.PublicKey { return k.key.Public().(ed25519.PublicKey) }

func (k *kiosk) ask() *wire.EnrolAnswer {
	k.w.t.Helper()
	var nonce [16]byte
	rand.Read(nonce[:])
	request, err := k.server.Ask(k.code, k.key, wire.EnrolRequest{Nonce: nonce, Release: "1.0", Model: "Raspberry Pi 4"}, time.Now())
	if err != nil {
		k.w.t.Fatal(err)
	}
	status, b := k.w.machine("POST", wire.EnrolPath, request)
	if status != http.StatusOK {
		k.w.t.Fatalf("POST %s = %d: %s", wire.EnrolPath, status, b)
	}
	a, err := wire.OpenEnrolAnswer(b, nonce, k.public(), k.server.List.Signer(wire.ForReceipt))
	if err != nil {
		k.w.t.Fatal(err)
	}
	return a
}

// renew asks whether a kiosk is still one.
func (k *kiosk) renew(id string, cert []byte, wiped bool) (int, *wire.RenewAnswer) {
	k.w.t.Helper()
	r := wire.RenewRequest{V: 1, Kiosk: id, Nonce: [16]byte{7}, Certificate: cert, Wiped: wiped}
	status, b := k.w.machine("POST", wire.RenewPath, wire.Seal(wire.ForRenew, 0, k.key, r))
	if status != http.StatusOK {
		return status, nil
	}
	a, err := wire.OpenRenewAnswer(b, id, r.Nonce, k.server.List.Signer(wire.ForReceipt))
	if err != nil {
		k.w.t.Fatal(err)
	}
	return status, a
}

// enrol walks the whole way and returns the kiosk's id and certificate.
func (w *world) enrol(change ...string) (*kiosk, *wire.EnrolAnswer) {
	w.t.Helper()
	at := w.make("admin", change...)
	_, body, _ := w.Get("admin", at)
	k := w.kiosk(body)
	k.ask()
	words := pairing.Words(k.code, k.public())
	if status, body, _ := w.Post("admin", at+"/xac-nhan", url.Values{"words": {words}}); status != http.StatusSeeOther {
		w.t.Fatalf("confirm = %d: %s", status, body)
	}
	a := k.ask()
	if a.State != wire.EnrolGranted {
		w.t.Fatalf("after it was confirmed the answer is %+v", a)
	}
	return k, a
}

func TestEnrol(t *testing.T) {
	w := newWorld(t)
	at := w.make("owner")
	status, body, _ := w.Get("owner", at)
	if status != 200 || !strings.Contains(body, "data:image/png") || !strings.Contains(body, "Chợ Đông Ba") {
		t.Fatalf("GET %s = %d: %s", at, status, body)
	}
	k := w.kiosk(body)
	if a := k.ask(); a.State != wire.EnrolWait || a.Kiosk != "" || a.Certificate != nil || a.Place != "" {
		t.Fatalf("before anybody has agreed the answer is %+v", a)
	}
	if _, b, _ := w.Get("owner", at+"/trang-thai"); !strings.Contains(b, `"asked"`) {
		t.Errorf("the page's script is told %s", b)
	}
	_, body, _ = w.Get("owner", at)
	words := shown.FindStringSubmatch(body)
	if words == nil || words[1] != pairing.Words(k.code, k.public()) || strings.Contains(body, "QGE1") || !strings.Contains(body, "Raspberry Pi 4") {
		t.Fatalf("words on the page = %q, want %q; page:\n%s", words, pairing.Words(k.code, k.public()), body)
	}
	if status, body, _ := w.Post("owner", at+"/xac-nhan", url.Values{"words": {"a b c d"}}); status != http.StatusConflict || !strings.Contains(body, words[1]) {
		t.Errorf("agreeing to other words = %d", status)
	}
	if status, _, _ := w.Post("owner", at+"/xac-nhan", url.Values{"words": {words[1]}}); status != http.StatusSeeOther {
		t.Fatalf("agreeing = %d", status)
	}
	a := k.ask()
	if a.State != wire.EnrolGranted || a.Place != "Chợ Đông Ba" || a.Gate != "A1" || a.Lane != 2 || a.Direction != wire.In || a.Broker != "tls://127.0.0.1:2" || a.BrokerName != "localhost" || len(a.Certificate) == 0 {
		t.Fatalf("answer = %+v", a)
	}
	_, body, _ = w.Get("owner", at)
	if !strings.Contains(body, "Thiết bị đã sẵn sàng") || otherPage.FindString(body) == "" {
		t.Errorf("page of a kiosk that has its certificate:\n%s", body)
	}
	status, body, _ = w.Get("owner", "/thiet-bi/"+a.Kiosk+"/danh-tinh")
	if status != 200 || !strings.Contains(body, "được phép kết nối") {
		t.Errorf("identity = %d: %s", status, body)
	}
}

// A code that was filmed and used before the kiosk read it, or after.
func TestFilmedCode(t *testing.T) {
	w := newWorld(t)
	at := w.make("admin")
	_, body, _ := w.Get("admin", at)
	k, thief := w.kiosk(body), w.kiosk(body)
	if a := thief.ask(); a.State != wire.EnrolWait {
		t.Fatalf("answer = %+v", a)
	}
	if a := k.ask(); a.State != wire.EnrolRefused {
		t.Errorf("the second key is told %+v", a)
	}
	if _, body, _ = w.Get("admin", at); !strings.Contains(body, "Hai thiết bị dùng một mã") || strings.Contains(body, "xac-nhan") {
		t.Errorf("page of a code that two have used:\n%s", body)
	}
	if a := thief.ask(); a.State != wire.EnrolRefused {
		t.Errorf("the first key is told %+v", a)
	}
}

func TestWrongTokensAreCounted(t *testing.T) {
	w := newWorld(t)
	_, body, _ := w.Get("admin", w.make("admin"))
	k := w.kiosk(body)
	right := k.code
	refused := 0
	for n := range 20 {
		k.code.Token = [16]byte{byte(n)}
		request, err := k.server.Ask(k.code, k.key, wire.EnrolRequest{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := w.machine("POST", wire.EnrolPath, request); status == http.StatusTooManyRequests {
			refused++
		} else if status != 200 {
			t.Fatalf("wrong token = %d", status)
		}
	}
	if refused != 10 {
		t.Errorf("%d of 20 wrong tokens found no ear, want 10", refused)
	}
	if got, err := w.rows.Waiting(t.Context()); err != nil || len(got) != 1 || got[0].State != store.Offered {
		t.Errorf("after wrong tokens the right one is %+v, %v", got, err)
	}
	_ = right
	for _, b := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte{0xff}, 1000), make([]byte, wire.MaxEnrol+1)} {
		if status, _ := w.machine("POST", wire.RenewPath, b); status != 400 && status != 429 && status != 413 {
			t.Errorf("POST of %d bytes = %d", len(b), status)
		}
	}
}

func TestRefuseAndCancel(t *testing.T) {
	w := newWorld(t)
	at := w.make("admin")
	_, body, _ := w.Get("admin", at)
	k := w.kiosk(body)
	k.ask()
	if status, _, _ := w.Post("admin", at+"/tu-choi", url.Values{}); status != http.StatusSeeOther {
		t.Fatalf("refuse = %d", status)
	}
	if a := k.ask(); a.State != wire.EnrolRefused {
		t.Errorf("answer = %+v", a)
	}
	if _, body, _ := w.Get("admin", at); !strings.Contains(body, "Đã từ chối") {
		t.Errorf("page:\n%s", body)
	}
	if status, _, _ := w.Post("admin", at+"/xac-nhan", url.Values{"words": {pairing.Words(k.code, k.public())}}); status != http.StatusConflict {
		t.Errorf("agreeing after refusing = %d", status)
	}
}

func TestRevokeWipeReinstate(t *testing.T) {
	w := newWorld(t)
	k, a := w.enrol()
	at := "/thiet-bi/" + a.Kiosk + "/danh-tinh"
	if _, r := k.renew(a.Kiosk, a.Certificate, false); r == nil || r.State != wire.RenewGranted || len(r.Certificate) == 0 {
		t.Fatalf("renew = %+v", r)
	}
	if status, _ := k.renew("k1-a1-nobody", a.Certificate, false); status != 404 {
		t.Errorf("renew of an unknown kiosk = %d", status)
	}
	if status, _ := k.renew(a.Kiosk, []byte("x"), false); status != 400 {
		t.Errorf("renew without a certificate = %d", status)
	}
	other := *k
	_, other.key, _ = ed25519.GenerateKey(rand.Reader)
	if status, _ := other.renew(a.Kiosk, a.Certificate, false); status != 400 {
		t.Errorf("renew with another key = %d", status)
	}
	if status, _, _ := w.Post("admin", at+"/thu-hoi", url.Values{}); status != 303 || !slices.Equal(w.cut, []string{a.Kiosk}) {
		t.Fatalf("revoke = %d, cut %q", status, w.cut)
	}
	if _, r := k.renew(a.Kiosk, a.Certificate, false); r == nil || r.State != wire.RenewRevoked || r.Wipe || r.Certificate != nil {
		t.Errorf("renew of a revoked one = %+v", r)
	}
	if status, _, _ := w.Post("admin", at+"/khoi-phuc", url.Values{}); status != 303 {
		t.Errorf("reinstate = %d", status)
	}
	if _, r := k.renew(a.Kiosk, a.Certificate, false); r == nil || r.State != wire.RenewGranted {
		t.Errorf("renew of a reinstated one = %+v", r)
	}
	w.Post("admin", at+"/thu-hoi", url.Values{"enrol_wipe": {"1"}})
	for _, wiped := range []bool{false, true} {
		if _, r := k.renew(a.Kiosk, a.Certificate, wiped); r == nil || !r.Wipe {
			t.Errorf("renew of one to be wiped = %+v", r)
		}
	}
	if _, body, _ := w.Get("admin", at); !strings.Contains(body, "thiết bị đã xóa lúc") {
		t.Errorf("page of a wiped one:\n%s", body)
	}
	if status, _, _ := w.Post("admin", at+"/khoi-phuc", url.Values{}); status != 409 {
		t.Errorf("reinstate a wiped one = %d", status)
	}
}

func TestReplaceKeepsHistory(t *testing.T) {
	w := newWorld(t)
	_, old := w.enrol()
	_, now := w.enrol("enrol_replaces", old.Kiosk)
	if !slices.Equal(w.cut, []string{old.Kiosk}) {
		t.Errorf("cut %q, want %s", w.cut, old.Kiosk)
	}
	_, body, _ := w.Get("commune", "/thiet-bi/"+now.Kiosk+"/danh-tinh")
	if !strings.Contains(body, old.Kiosk) || !strings.Contains(body, "Các thiết bị ở cổng này") {
		t.Errorf("page of the new one:\n%s", body)
	}
	if k, err := w.Store.Kiosk(t.Context(), old.Kiosk); err != nil || k.State != qrgate.KioskRevoked {
		t.Errorf("the old one is %+v, %v", k, err)
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/them", url.Values{"enrol_place": {"1"}, "enrol_gate": {"A1"}, "enrol_direction": {"vao"}, "enrol_replaces": {"k9-x-nobody"}}); status != 422 {
		t.Errorf("replace an unknown one = %d", status)
	}
}

func TestRevokeMany(t *testing.T) {
	w := newWorld(t)
	_, a := w.enrol()
	_, b := w.enrol("enrol_gate", "B2", "enrol_direction", "ra")
	if _, body, _ := w.Get("admin", "/thiet-bi/them/thu-hoi"); !strings.Contains(body, a.Kiosk) || !strings.Contains(body, b.Kiosk) {
		t.Errorf("page:\n%s", body)
	}
	for name, f := range map[string]url.Values{
		"none": {"enrol_sure": {"1"}}, "not sure": {"enrol_kiosk": {a.Kiosk}},
	} {
		if status, _, _ := w.Post("admin", "/thiet-bi/them/thu-hoi", f); status != 422 {
			t.Errorf("%s = %d", name, status)
		}
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/them/thu-hoi", url.Values{"enrol_sure": {"1"}, "enrol_kiosk": {a.Kiosk, "\x00"}}); status != 404 {
		t.Errorf("an unknown one among them = %d", status)
	}
	if status, _, _ := w.Post("admin", "/thiet-bi/them/thu-hoi", url.Values{"enrol_sure": {"1"}, "enrol_kiosk": {a.Kiosk, b.Kiosk}}); status != 303 || len(w.cut) != 2 {
		t.Errorf("two = %d, cut %q", status, w.cut)
	}
}

func TestClonePage(t *testing.T) {
	w := newWorld(t)
	_, a := w.enrol()
	if err := w.rows.SawClone(t.Context(), a.Kiosk); err != nil {
		t.Fatal(err)
	}
	at := "/thiet-bi/" + a.Kiosk + "/danh-tinh"
	if _, body, _ := w.Get("owner", at); !strings.Contains(body, "Hai máy đang dùng chung") || strings.Contains(body, "da-xem") {
		t.Errorf("page as its owner:\n%s", body)
	}
	for _, want := range []int{303, 409} {
		if status, _, _ := w.Post("admin", at+"/da-xem", url.Values{}); status != want {
			t.Errorf("settle = %d, want %d", status, want)
		}
	}
}

func TestWhoMayWhat(t *testing.T) {
	w := newWorld(t)
	_, a := w.enrol()
	code, id := w.make("admin"), "/thiet-bi/"+a.Kiosk+"/danh-tinh"
	form := url.Values{"enrol_place": {"1"}, "enrol_gate": {"A1"}, "enrol_direction": {"vao"}}
	for _, tt := range []struct {
		method, path string
		want         map[string]int
	}{
		{"GET", "/thiet-bi/them", map[string]int{"": 303, "owner": 200, "guard": 403, "trade": 403, "health": 403, "admin": 200}},
		{"GET", "/thiet-bi/them?dia_diem=1", map[string]int{"owner": 200, "foreign": 404, "admin": 200}},
		{"POST", "/thiet-bi/them", map[string]int{"foreign": 404, "guard": 403, "reporter": 403}},
		{"GET", code, map[string]int{"owner": 200, "foreign": 404, "guard": 403}},
		{"GET", code + "/trang-thai", map[string]int{"foreign": 404}},
		{"POST", code + "/xac-nhan", map[string]int{"foreign": 404, "commune": 403}},
		{"GET", "/thiet-bi/them/ma/nobody", map[string]int{"admin": 404}},
		{"GET", id, map[string]int{"owner": 200, "foreign": 404, "trade": 200, "tourism": 404, "commune": 200, "reporter": 403, "health": 403, "guard": 403}},
		{"GET", "/thiet-bi/UPPER/danh-tinh", map[string]int{"admin": 404}},
		{"GET", "/thiet-bi/k1-nobody-here/danh-tinh", map[string]int{"admin": 404}},
		{"POST", id + "/thu-hoi", map[string]int{"foreign": 404, "commune": 403, "trade": 403}},
		{"POST", id + "/khoi-phuc", map[string]int{"owner": 403}},
		{"POST", id + "/da-xem", map[string]int{"owner": 403}},
		{"GET", "/thiet-bi/them/thu-hoi", map[string]int{"owner": 403, "admin": 200}},
		{"POST", "/thiet-bi/them/thu-hoi", map[string]int{"owner": 403}},
	} {
		for who, want := range tt.want {
			var status int
			if tt.method == "GET" {
				status, _, _ = w.Get(who, tt.path)
			} else {
				status, _, _ = w.Post(who, tt.path, form)
			}
			if status != want {
				t.Errorf("%s %s as %q = %d, want %d", tt.method, tt.path, who, status, want)
			}
		}
	}
}

func TestFormSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	for name, f := range map[string]url.Values{
		"no gate": {"enrol_place": {"1"}, "enrol_direction": {"vao"}}, "no direction": {"enrol_place": {"1"}, "enrol_gate": {"A1"}},
		"long gate": {"enrol_place": {"1"}, "enrol_gate": {"Cổng phía đông"}, "enrol_direction": {"vao"}}, "letters": {"enrol_place": {"1"}, "enrol_gate": {"A\x00"}, "enrol_direction": {"ra"}},
		"lane": {"enrol_place": {"1"}, "enrol_gate": {"A1"}, "enrol_direction": {"vao"}, "enrol_lane": {"400"}},
		"big":  {"enrol_place": {"1"}, "enrol_gate": {strings.Repeat("x", 20_000)}, "enrol_direction": {"vao"}},
	} {
		if status, body, _ := w.Post("admin", "/thiet-bi/them", f); status != 422 || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%s = %d", name, status)
		}
	}
	for _, place := range []string{"", "0", "99", "x", "-1", "99999999999"} {
		if status, _, _ := w.Post("admin", "/thiet-bi/them", url.Values{"enrol_place": {place}, "enrol_gate": {"A"}, "enrol_direction": {"vao"}}); status != 404 {
			t.Errorf("place %q = %d", place, status)
		}
	}
}
