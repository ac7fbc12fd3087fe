package office_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/office"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
)

// A world is the pages over a real store, whose clock the test moves.
type world struct {
	*register.Register
	t   *testing.T
	s   *store.Store
	web *httptest.Server
	now atomic.Int64 // Unix milliseconds
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{Now: w.time})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.s, w.Register = s, register.New(s, w.time)
	w.web = httptest.NewServer(nil)
	t.Cleanup(w.web.Close)
	f := page.New(page.Options{
		Register: w.Register, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: w.time,
		Base: w.web.URL, HelpLine: "19001075", Controller: "Sở Y tế",
	})
	o := office.New(f, w.Register)
	routes := append(o.Routes(), page.Route{Pattern: "POST /test/{account}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, r *http.Request, v *page.View) error {
		if err := v.SignIn(r, r.PathValue("account"), r.FormValue("second") == "1", false); err != nil {
			return err
		}
		return v.Go(rw, "/", "")
	}})
	w.web.Config.Handler = f.Handler(routes)
	return w
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) pass(d time.Duration) { w.now.Add(d.Milliseconds()) }

// person adds an account with these roles and returns its id.
func (w *world) person(name string, grants ...qrgate.Grant) string {
	w.t.Helper()
	a := register.Account{Name: name, Display: "Tên của " + name, Password: "hash"}
	if err := w.AddAccount(w.t.Context(), "", &a, grants...); err != nil {
		w.t.Fatal(err)
	}
	return a.ID
}

func all(r qrgate.Role) qrgate.Grant { return qrgate.Grant{Role: r, Scope: qrgate.All} }

func in(r qrgate.Role, kind qrgate.ScopeKind, id string) qrgate.Grant {
	return qrgate.Grant{Role: r, Scope: qrgate.Scope{Kind: kind, ID: id}}
}

// shop adds a place in Phú Xuân.
func (w *world) shop(organisation, name, sector string) *qrgate.Place {
	w.t.Helper()
	p := &qrgate.Place{Organisation: organisation, Name: name, Sector: sector, Kind: "shop", Area: phuXuan, AreaNow: phuXuan, Doors: 1}
	if err := w.AddPlace(w.t.Context(), "", p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

const phuXuan = "19753@2025-07-01"

// organisation adds one that an account owns.
func (w *world) organisation(owner, name string) string {
	w.t.Helper()
	o := register.Organisation{Name: name, Sector: "trade"}
	if err := w.AddOrganisation(w.t.Context(), owner, &o); err != nil {
		w.t.Fatal(err)
	}
	return o.ID
}

// A visitor is a browser.
type visitor struct {
	w *world
	c *http.Client
}

// stranger returns a browser in which nobody has signed in.
func (w *world) stranger() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &visitor{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as returns a browser in which an account has signed in with a second factor.
func (w *world) as(account string) *visitor {
	w.t.Helper()
	b := w.stranger()
	if p := b.post("/test/"+account, "second", "1"); p.status != http.StatusSeeOther {
		w.t.Fatalf("signing in as %s = %d", account, p.status)
	}
	return b
}

// An answer is what came back.
type answer struct {
	status int
	to     string // where it sends the browser
	header http.Header
	body   string
}

func (b *visitor) get(path string) answer {
	b.w.t.Helper()
	return b.do(http.MethodGet, path, nil)
}

// post sends a form of names and values.
func (b *visitor) post(path string, pairs ...string) answer {
	b.w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

func (b *visitor) do(method, path string, form url.Values) answer {
	t := b.w.t
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, b.w.web.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header.Get("Location"), res.Header, string(text)}
	if strings.Contains(a.body, "⟦") || a.status == http.StatusInternalServerError {
		t.Errorf("%s %.80s = %d %s", method, path, a.status, a.body)
	}
	return a
}

// follow gets the page that an answer sends the browser to.
func (b *visitor) follow(a answer) answer {
	b.w.t.Helper()
	if a.status != http.StatusSeeOther {
		b.w.t.Fatalf("answer = %d %s, want 303", a.status, a.body)
	}
	return b.get(a.to)
}

// want fails unless an answer has a status and holds texts; "!" before a text
// means that it must not.
func (a answer) want(t *testing.T, what string, status int, holds ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s = %d to %q, want %d\n%.1500s", what, a.status, a.to, status, a.body)
	}
	for _, h := range holds {
		if not, ok := strings.CutPrefix(h, "!"); ok == strings.Contains(a.body, strings.TrimPrefix(h, "!")) {
			t.Errorf("%s: %q is on the page: %v\n%s", what, not, ok, mainOf(a.body))
		}
	}
}

var mainPart = regexp.MustCompile(`(?s)<main.*</main>`)

func mainOf(body string) string { return mainPart.FindString(body) }

// hidden returns the value of a hidden field.
func (a answer) hidden(t *testing.T, name string) string {
	t.Helper()
	m := regexp.MustCompile(fmt.Sprintf(`name="%s" value="([^"]*)"`, name)).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no field %s on\n%s", name, mainOf(a.body))
	}
	return m[1]
}
