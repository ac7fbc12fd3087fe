package account_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/account"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
)

// A letterbox is a mail server's place: it keeps what is sent.
type letterbox struct {
	mu      sync.Mutex
	letters []mail.Message
}

func (b *letterbox) Send(m mail.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters = append(b.letters, m)
	return nil
}

// take returns the letters that came since the last call.
func (b *letterbox) take() []mail.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.letters
	b.letters = nil
	return all
}

// A world is a portal of these pages, whose clock the test moves.
type world struct {
	t      *testing.T
	reg    *register.Register
	hasher *signin.Hasher
	box    letterbox
	server *httptest.Server
	ahead  atomic.Int64 // of the machine's clock
}

func (w *world) time() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) pass(d time.Duration) { w.ahead.Add(int64(d)) }

func newWorld(t *testing.T, change ...func(*world, *account.Options)) *world {
	t.Helper()
	w := &world{t: t, hasher: signin.NewHasher(signin.HashOptions{Params: signin.Params{Time: 1, MemoryKiB: 64, Threads: 1}})}
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{Now: w.time})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.reg = register.New(s, w.time)
	var handler atomic.Value
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.Load().(http.Handler).ServeHTTP(rw, r) }))
	t.Cleanup(w.server.Close)
	f := page.New(page.Options{Register: w.reg, Log: slog.New(slog.DiscardHandler), Now: w.time, Base: w.server.URL, HelpLine: "19001075"})
	o := account.Options{Register: w.reg, Key: vault.NewMaster().Derive, Hasher: w.hasher, Mail: &w.box, Floor: time.Millisecond}
	for _, fn := range change {
		fn(w, &o)
	}
	d, err := account.New(f, o)
	if err != nil {
		t.Fatal(err)
	}
	said := func(rw http.ResponseWriter, _ *http.Request, _ *page.View) error {
		_, err := io.WriteString(rw, "secret of the office")
		return err
	}
	handler.Store(f.Handler(append(d.Routes(),
		page.Route{Pattern: "GET /office", Allow: page.Only(qrgate.Reporter), Handler: said},
	)))
	return w
}

const goodPassword = "con trâu là đầu cơ nghiệp"

// account adds an account whose password is goodPassword.
func (w *world) account(name string, grants ...qrgate.Grant) *register.Account {
	w.t.Helper()
	hash, err := w.hasher.Hash(w.t.Context(), goodPassword)
	if err != nil {
		w.t.Fatal(err)
	}
	a := &register.Account{Name: name, Display: "Display of " + name, Password: hash}
	if err := w.reg.AddAccount(w.t.Context(), "", a, grants...); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// confirmed gives an account an address that works.
func (w *world) confirmed(a *register.Account, email string) {
	w.t.Helper()
	_, sum := signin.NewToken()
	if err := w.reg.AddSecret(w.t.Context(), "", a.ID, register.ForConfirm, email, sum[:], w.time().Add(time.Hour)); err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := w.reg.Confirm(w.t.Context(), sum[:]); err != nil {
		w.t.Fatal(err)
	}
	w.box.take()
}

// A visitor has a browser, which keeps cookies and follows nothing by itself.
type visitor struct {
	*world
	client *http.Client
}

func (w *world) browser() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &visitor{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// An answer is what a browser got.
type answer struct {
	status int
	to     string // where it is sent on
	body   string
	header http.Header
}

func (b *visitor) do(r *http.Request) answer {
	b.t.Helper()
	r.Header.Set("Accept-Language", "vi")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	text := html.UnescapeString(string(body))
	if strings.Contains(text, "⟦") {
		b.t.Errorf("%s %s says nothing for a key: %s", r.Method, r.URL.Path, regexp.MustCompile("⟦.*?⟧").FindString(text))
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
		b.t.Errorf("%s %s = %d", r.Method, r.URL, resp.StatusCode)
	}
	return answer{resp.StatusCode, strings.TrimPrefix(resp.Header.Get("Location"), b.server.URL), text, resp.Header}
}

func (b *visitor) get(path string) answer {
	b.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = b.server.URL + path
	}
	r, err := http.NewRequestWithContext(b.t.Context(), "GET", path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

// post sends a form of names and values in turn.
func (b *visitor) post(path string, pairs ...string) answer {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequestWithContext(b.t.Context(), "POST", b.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

func (b *visitor) signIn(name, password string, more ...string) answer {
	b.t.Helper()
	return b.post("/dang-nhap", append([]string{"account_name", name, "account_password", password}, more...)...)
}

// in is signIn that must lead on.
func (b *visitor) in(name string) *visitor {
	b.t.Helper()
	b.wants(b.signIn(name, goodPassword), 303, "")
	return b
}

// wants checks an answer's status and that its page holds a text, or that it
// sends on to it.
func (b *visitor) wants(a answer, status int, holds string) answer {
	b.t.Helper()
	if a.status != status || !strings.Contains(a.body, holds) && a.to != holds {
		b.t.Errorf("answer %d to %q, want %d with %q: %.3000s", a.status, a.to, status, holds, main(a.body))
	}
	return a
}

// main is what a page says without the shell.
func main(body string) string {
	_, rest, _ := strings.Cut(body, "<main")
	rest, _, _ = strings.Cut(rest, "</main>")
	return regexp.MustCompile(`\s+`).ReplaceAllString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(rest, " "), " ")
}

// find returns the first group of a pattern in a page.
func (b *visitor) find(body, pattern string) string {
	b.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(body)
	if m == nil {
		b.t.Fatalf("no %s in %.3000s", pattern, main(body))
	}
	return m[1]
}

// linkIn returns the path of the link in a letter.
func (w *world) linkIn(m mail.Message) string {
	w.t.Helper()
	link := regexp.MustCompile(regexp.QuoteMeta(w.server.URL) + `(/\S+)`).FindStringSubmatch(m.Text)
	if link == nil {
		w.t.Fatalf("no link in %q", m.Text)
	}
	return link[1]
}

// totp is what an authenticator app shows for a secret in text.
func (w *world) totp(secret string) string {
	w.t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(secret, " ", ""))
	if err != nil {
		w.t.Fatal(err)
	}
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(w.time().Unix()/30))
	mac := hmac.New(sha1.New, key)
	mac.Write(step[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

// secondOn makes a second factor for whoever is signed in, and returns its secret
// and the recovery codes.
func (b *visitor) secondOn() (secret string, recovery []string) {
	b.t.Helper()
	secret = b.find(b.wants(b.get("/dang-nhap/xac-thuc"), 200, "sáu số").body, `class="secret">([^<]+)<`)
	picture := b.get("/dang-nhap/xac-thuc/ma.png")
	if picture.status != 200 || !bytes.HasPrefix([]byte(picture.body), []byte("\x89PNG")) {
		b.t.Errorf("the code to scan = %d %.20q", picture.status, picture.body)
	}
	a := b.wants(b.post("/dang-nhap/xac-thuc", "account_code", b.totp(secret)), 200, "Mã khôi phục")
	for _, m := range regexp.MustCompile(`<li><code>([^<]+)</code>`).FindAllStringSubmatch(a.body, -1) {
		recovery = append(recovery, m[1])
	}
	if len(recovery) != signin.RecoveryCodes {
		b.t.Fatalf("%d recovery codes", len(recovery))
	}
	return secret, recovery
}

// cookie returns the browser's session.
func (b *visitor) cookie() string {
	for _, c := range b.client.Jar.Cookies(b.url()) {
		if strings.HasSuffix(c.Name, "qrgate") {
			return c.Value
		}
	}
	return ""
}

func (b *visitor) setCookie(value string) {
	b.client.Jar.SetCookies(b.url(), []*http.Cookie{{Name: "qrgate", Value: value}})
}

func (b *visitor) url() *url.URL {
	u, err := url.Parse(b.server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}
