package e2e_test

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/pass"
)

// A guard pairs a telephone, and without a network lets somebody in by hand, takes a
// mistake back and reports a difficulty; when the line is back the server knows of each.
func TestGuardAtTheDoor(t *testing.T) {
	t.Parallel()
	addr, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	screen, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := atOneDoor(t, "cho-dong-ba-1", "Chợ Đông Ba", fmt.Sprintf("[guard]\non = true\nlisten = %q\n[screen]\nlisten = %q\n", addr, screen))
	p.kiosk.start()
	boss := signIn(t, p.stage, "tam", "-role", "administrator", "-scope", "all")
	boss.confirm("/vuong-mac/danh-sach")

	// A command card has the screen show a code for another telephone, three minutes long.
	card := (&operator{boss, p, "/thiet-bi/" + p.kiosk.ID + "/lenh"}).card("pair", p.kiosk.ID, true)
	p.kiosk.scan(card, "ordered")
	if said := codeOn(t, "http://"+screen+"/setup.png"); !strings.HasPrefix(said, "https://"+addr+"/ghep?") {
		t.Errorf("the screen shows %q", said)
	}

	g := newGuardPhone(t)
	printed, err := p.kiosk.Command(t.Context(), "guard", "pair")
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(regexp.MustCompile(`https://\S+`).FindString(printed))
	if err != nil || at.Host != addr {
		t.Fatalf("the kiosk prints %q, %v", printed, err)
	}
	g.base = "https://" + at.Host
	if page := g.ask(http.MethodGet, at.RequestURI(), nil); !strings.Contains(page, "SHA-256") || !strings.EqualFold(g.fingerprint, at.Query().Get("h")) {
		t.Fatalf("the code leads to a page with the certificate %s:\n%s", g.fingerprint, page)
	}
	const pin = "280914"
	g.ask(http.MethodPost, "/ghep", url.Values{"t": {at.Query().Get("t")}, "h": {at.Query().Get("h")}, "pin": {pin}, "pin2": {pin}})
	g.send("/ra")
	g.ask(http.MethodPost, "/vao", url.Values{"pin": {"000001"}})
	if page := g.ask(http.MethodPost, "/vao", url.Values{"pin": {pin}}); !strings.Contains(page, "Đang ở trong") {
		t.Fatalf("the PIN leads to:\n%s", page)
	}

	p.proxy.Down.Store(true)
	p.proxy.Cut()
	visitor := p.command("card", "-number", "7")
	p.kiosk.show(visitor)
	if page := g.send("/nhap", "code", pass.TypedCode(9)); !strings.Contains(page, "Đã ghi") {
		t.Errorf("a typed code:\n%s", page)
	}
	seq := regexp.MustCompile(`name="seq" value="(\d+)"`).FindStringSubmatch(g.ask(http.MethodGet, "/bo", nil))
	if seq == nil {
		t.Fatal("there is nothing to take back")
	}
	if page := g.send("/bo", "seq", seq[1]); !strings.Contains(page, "Đã bỏ lượt cuối") {
		t.Errorf("undo:\n%s", page)
	}
	g.send("/dem", "people", "12")
	g.send("/vuong-mac", "category", "scanner", "text", "Máy đọc chậm từ sáng", "contact", "0905 000 111")
	if page := g.send("/thu"); !strings.Contains(page, "Ổ đĩa") {
		t.Errorf("a self-test:\n%s", page)
	}
	p.until("the guard sees that the network is gone", func() bool {
		page := g.ask(http.MethodGet, "/", nil)
		return strings.Contains(page, "Mất mạng từ") && strings.Contains(page, "lượt chưa gửi")
	})
	if page := g.ask(http.MethodGet, "/diem-danh", nil); !strings.Contains(page, pass.TypedCode(7)[4:]) || strings.Contains(page, pass.TypedCode(9)[4:]) || !strings.Contains(page, "<dd>12</dd>") {
		t.Errorf("the roll:\n%s", page)
	}

	// What is kept was kept through a power cut.
	p.kiosk.kill()
	p.kiosk.start()
	if page := g.ask(http.MethodGet, "/", nil); !strings.Contains(page, "Mời gõ số PIN") {
		t.Errorf("after a restart the telephone sees:\n%s", page)
	}
	p.proxy.Down.Store(false)
	p.until("the difficulty is in the portal", func() bool {
		page := boss.get("/vuong-mac/danh-sach")
		return strings.Contains(page, "Máy đọc chậm từ sáng")
	})
	acts := boss.get("/thiet-bi/" + p.kiosk.ID + "/lenh")
	for _, said := range []string{"Điện thoại bảo vệ", "Bảo vệ nhập tay", "Bỏ lượt quét cuối", "Bảo vệ sửa số người bên trong", "Tự kiểm tra", "Bảo vệ xem danh sách"} {
		if !strings.Contains(acts, said) {
			t.Errorf("the kiosk's page in the portal lacks %q", said)
		}
	}
	if rows := p.command("checkins", p.kiosk.ID); strings.Count(rows, `"seq"`) != 2 || !strings.Contains(rows, `"typed"`) {
		t.Errorf("check-ins: %s", rows)
	}
}

// A guardPhone is a browser that has been told to trust the kiosk's certificate.
type guardPhone struct {
	*http.Client
	t           *testing.T
	base        string
	fingerprint string
}

func newGuardPhone(t *testing.T) *guardPhone {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &guardPhone{t: t}
	g.Client = &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // a person compares what is noted here
		VerifyConnection: func(s tls.ConnectionState) error {
			g.fingerprint = fmt.Sprintf("%x", sha256.Sum256(s.PeerCertificates[0].Raw))
			return nil
		},
	}}}
	t.Cleanup(g.CloseIdleConnections)
	return g
}

func (g *guardPhone) ask(method, path string, form url.Values) string {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := g.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(b)
}

// send posts a form as its page does.
func (g *guardPhone) send(path string, pairs ...string) string {
	g.t.Helper()
	m := regexp.MustCompile(`name="token" value="([A-Z0-9]+)"`).FindStringSubmatch(g.ask(http.MethodGet, "/vuong-mac", nil))
	if m == nil {
		g.t.Fatal("the telephone is not on the page")
	}
	form := url.Values{"token": {m[1]}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return g.ask(http.MethodPost, path, form)
}

// codeOn reads the QR code that a picture shows.
func codeOn(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	img, err := png.Decode(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return readCode(t, img)
}
