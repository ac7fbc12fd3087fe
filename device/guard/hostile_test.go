package guard_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/guard"
	"github.com/qrgate/qrgate/sync/wire"
)

// Nothing is seen or done by whoever has not both the telephone and the PIN.
func TestStrangers(t *testing.T) {
	w := newWorld(t, "")
	w.scan(7)
	guard, stranger := w.paired(), w.phone()
	if code, page := stranger.get("/"); code != http.StatusForbidden || !strings.Contains(page, "chưa được ghép") || strings.Contains(page, "Thẻ cá nhân") {
		t.Errorf("a stranger sees, with %d:\n%s", code, page)
	}
	if code, _ := stranger.get("/song"); code != http.StatusForbidden {
		t.Errorf("a stranger follows: %d", code)
	}
	before := len(w.headers())
	for _, path := range []string{"/nhap", "/bo", "/dem", "/thu", "/vuong-mac", "/diem-danh", "/ra", "/bo-ghep"} {
		if _, page := stranger.get(path); strings.Contains(page, `name="token"`) || strings.Contains(page, "Thẻ cá nhân") {
			t.Errorf("a stranger sees %s", path)
		}
		stranger.post(path, url.Values{"none": {"1"}, "people": {"5"}, "token": {""}})
		// A form of the guard's phone that the page did not make.
		for _, token := range []string{"", "AAAA", strings.Repeat("A", 26)} {
			if code, _ := guard.post(path, url.Values{"none": {"1"}, "people": {"5"}, "seq": {"2"}, "category": {"other"}, "text": {"x"}, "token": {token}}); path != "/diem-danh" && code != http.StatusForbidden {
				t.Errorf("a forged form to %s: %d", path, code)
			}
		}
	}
	if code, _ := stranger.post("/vao", url.Values{"pin": {goodPIN}}); code != http.StatusForbidden {
		t.Errorf("the PIN without the telephone: %d", code)
	}
	if after := len(w.headers()); after != before {
		t.Errorf("%d records came of it", after-before)
	}
}

// A telephone that is stuck does not fill the ledger, and the roll is shown all the same.
func TestTooMuchAtOnce(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	before := len(w.headers())
	for range 80 {
		if code, _ := p.get("/diem-danh"); code != http.StatusOK {
			t.Fatalf("the roll: %d", code)
		}
	}
	if after := len(w.headers()); after-before > 60 {
		t.Errorf("%d records of 80 looks", after-before)
	}
	if code, page := p.send("/nhap", "none", "1", "people", "1"); code != http.StatusTooManyRequests || !strings.Contains(page, "Xin đợi một phút") {
		t.Errorf("one more: %d\n%s", code, page)
	}
}

// Whoever opens connections without end from one telephone keeps no guard out.
func TestOneStrangerTakesNotAllPlaces(t *testing.T) {
	w := newWorld(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	g, err := guard.Open(guard.Options{Dir: filepath.Join(t.TempDir(), "g"), Kiosk: kioskID, Listen: addr, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	g.Use(w.guard.Station)
	g.Serve(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	defer func() { cancel(); <-done }()
	greeted := func(from string) error {
		d := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}}
		c, err := d.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err
	}
	for end := time.Now().Add(30 * time.Second); greeted("127.0.0.2") != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the page is not there")
		}
	}
	for range 100 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := greeted("127.0.0.2"); err != nil {
		t.Errorf("a guard is kept out: %v", err)
	}
}

// Other sites, names that were pointed at the kiosk, and forms from elsewhere get nothing.
func TestOtherSites(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	ask := func(change func(*http.Request)) (int, string) {
		r, err := http.NewRequest(http.MethodPost, w.srv.URL+"/tieng", strings.NewReader("lang=en"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(r)
		return p.do(r)
	}
	for what, change := range map[string]func(*http.Request){
		"cross-site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"origin":     func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
	} {
		if code, _ := ask(change); code != http.StatusForbidden {
			t.Errorf("%s: %d", what, code)
		}
	}
	if code, _ := ask(func(r *http.Request) { r.Host = "evil.example:8443" }); code != http.StatusMisdirectedRequest {
		t.Errorf("another name: %d", code)
	}
	r, _ := http.NewRequest(http.MethodGet, w.srv.URL+"/", nil)
	resp, err := p.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	csp := resp.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", resp.Header)
	}
	for _, c := range p.Jar.Cookies(mustURL(t, w.srv.URL)) {
		if !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %s", c.Name)
		}
	}
	for ve, want := range map[string]string{"//evil.example/": "/", "https://evil.example": "/", "/\\evil": "/", "/diem-danh": "/diem-danh", "/bo-ghep": "/", "": "/", "/ghep?t=1&h=2": "/ghep?t=1&h=2"} {
		p.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		r, _ := http.NewRequest(http.MethodPost, w.srv.URL+"/tieng", strings.NewReader(url.Values{"lang": {"vi"}, "ve": {ve}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := p.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("back to %q leads to %q, want %q", ve, got, want)
		}
	}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What no person types is answered with a page and a 4xx, and the door goes on.
func TestHostileForms(t *testing.T) {
	w := newWorld(t, "")
	p := w.paired()
	_, page := p.get("/vuong-mac")
	token := tokenIn.FindStringSubmatch(page)[1]
	for _, path := range []string{"/nhap", "/bo", "/dem", "/vuong-mac", "/vao", "/ghep", "/tieng"} {
		for _, bad := range []string{"\xff\xfe", "a\x00b", strings.Repeat("a", 1<<20), "\r\nSet-Cookie: a=b", "<script>alert(1)</script>", "-1", "%zz"} {
			form := url.Values{"token": {token}}
			for _, name := range []string{"code", "seq", "people", "category", "text", "contact", "pin", "pin2", "t", "h", "lang", "ve"} {
				form.Set(name, bad)
			}
			code, page := p.post(path, form)
			if path == "/tieng" && code == http.StatusOK {
				continue // back on the page
			}
			if code < 400 || code >= 500 {
				t.Errorf("%s with %.20q: %d", path, bad, code)
			}
			if strings.Contains(page, "<script>alert") {
				t.Errorf("%s says back what was typed", path)
			}
		}
	}
	for _, path := range []string{"/khong-co", "/ghep", "/ghep?t=a&h=b", "/ghep?t=%ff&h=%00", "/a/../phones.json", "/a/none.js"} {
		if code, _ := p.get(path); code < 400 || code >= 500 {
			t.Errorf("%s: %d", path, code)
		}
	}
	if a := w.scan(7); a.State != "admitted" {
		t.Errorf("the door answers %q", a.State)
	}
}

// A pairing code works once, for the kiosk whose certificate it names, and not for a PIN
// that a stranger tries first.
func TestPairing(t *testing.T) {
	w := newWorld(t, "")
	p := w.phone()
	path, form := w.offer()
	for range 2 { // to look, or a browser that looks ahead, uses nothing up
		if code, page := p.get(path); code != http.StatusOK || !strings.Contains(page, "SHA-256") {
			t.Fatalf("the code leads to %d:\n%s", code, page)
		}
	}
	for _, bad := range []string{"", "12345", "123456", "654321", "000000", "1234567890123", "28091x", "２８０９１４"} {
		form.Set("pin", bad)
		form.Set("pin2", bad)
		if code, _ := p.post("/ghep", form); code != http.StatusUnprocessableEntity {
			t.Errorf("PIN %q: %d", bad, code)
		}
	}
	form.Set("pin", goodPIN)
	if code, _ := p.post("/ghep", form); code != http.StatusUnprocessableEntity {
		t.Errorf("two PINs: %d", code)
	}
	form.Set("pin2", goodPIN)
	if code, _ := p.get(strings.Replace(path, "h=", "h=AB", 1)); code != http.StatusConflict {
		t.Errorf("another certificate's code: %d", code)
	}
	old := form
	_, form = w.offer() // the newest alone is good
	if code, _ := p.post("/ghep", old); code != http.StatusGone {
		t.Errorf("an older code: %d", code)
	}
	if code, _ := p.post("/ghep", form); code != http.StatusOK {
		t.Errorf("a good code: %d", code)
	}
	if code, _ := w.phone().post("/ghep", form); code != http.StatusGone {
		t.Errorf("a code that was used: %d", code)
	}
	for _, name := range []string{"page.pem", "phones.json"} {
		info, err := os.Stat(filepath.Join(w.dir, "guard", name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		if b, _ := os.ReadFile(filepath.Join(w.dir, "guard", name)); strings.Contains(string(b), goodPIN) {
			t.Errorf("%s holds the PIN", name)
		}
	}
	p.send("/bo-ghep")
	if _, page := p.get("/"); !strings.Contains(page, "chưa được ghép") {
		t.Errorf("a phone that was unpaired sees:\n%s", page)
	}
}

// Wrong PINs close the page to the telephone, also after a restart, and to no other one.
func TestLockOut(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir)
	p, other := w.paired(), w.paired()
	p.send("/ra")
	other.send("/ra")
	enter := func(p *phone, pin string) int { code, _ := p.post("/vao", url.Values{"pin": {pin}}); return code }
	for i := range 4 {
		if code := enter(p, "000001"); code != http.StatusForbidden {
			t.Fatalf("wrong PIN %d: %d", i+1, code)
		}
	}
	if code := enter(p, goodPIN); code != http.StatusOK {
		t.Fatalf("the right PIN after four wrong ones: %d", code)
	}
	p.send("/ra")
	for range 5 {
		enter(p, "000001")
	}
	if code := enter(p, goodPIN); code != http.StatusTooManyRequests {
		t.Errorf("the right PIN after five wrong ones: %d", code)
	}
	if code := enter(other, goodPIN); code != http.StatusOK {
		t.Errorf("another telephone: %d", code)
	}
	found := false
	for _, h := range w.headers() {
		found = found || h.Kind == wire.KindOrder && h.Order.Kind == wire.OrderGuard && h.Order.State == wire.OrderRefused && h.Reason == wire.ReasonTries
	}
	if !found {
		t.Error("the ledger does not say that a telephone was locked out")
	}
	cookies := p.Jar.Cookies(mustURL(t, w.srv.URL))
	w.stop()
	w = newWorld(t, dir)
	again := w.phone()
	again.Jar.SetCookies(mustURL(t, w.srv.URL), secured(cookies))
	if code := enter(again, goodPIN); code != http.StatusTooManyRequests {
		t.Errorf("the right PIN after a restart: %d", code)
	}
	if err := os.WriteFile(filepath.Join(dir, "guard", "phones.json"), []byte(`[null]`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w = newWorld(t, dir) // begins anew
	if code, _ := w.phone().get("/"); code != http.StatusForbidden {
		t.Errorf("after the file was damaged: %d", code)
	}
}

// secured returns cookies as a jar takes them.
func secured(all []*http.Cookie) []*http.Cookie {
	for _, c := range all {
		c.Secure, c.Path = true, "/"
	}
	return all
}
