package card_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/portal/card"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/scanner"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

const phuXuan, thuanHoa = "19753@2025-07-01", "19789@2025-07-01"

// signing is the key of cards.
var signing = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// sealing is the server's key that desks seal to.
var sealing = func() *ecdh.PrivateKey {
	key, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		panic(err)
	}
	return key
}()

// A world is a portal with these pages, and clerks who have signed in.
type world struct {
	t     testing.TB
	dir   string // of the database
	reg   *register.Register
	list  *void.List
	vault *vault.Vault
	keys  pass.Keys
	url   string
	now   atomic.Int64

	quotas *card.Quotas
	log    bytes.Buffer

	ids    map[string]string // of accounts, by name
	clinic string            // an organisation
}

// The clerks: hoa of the commune Phú Xuân, thu of Thuận Hóa, minh of a clinic, and
// tinh of the whole province; lan is one of both communes.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), ids: map[string]string{}}
	w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
	now := func() time.Time { return time.UnixMilli(w.now.Load()) }
	s, err := store.Open(t.Context(), blank.At(t, filepath.Join(w.dir, "qrgate.db")), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.reg, w.list = register.New(s, now), void.New(s, now)
	keys, master := vault.Dir(t.TempDir()), vault.NewMaster()
	if err := vault.Init(keys, master); err != nil {
		t.Fatal(err)
	}
	if w.vault, err = vault.Open(keys, master, vault.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	key := signing
	w.keys = pass.Keys{3: {Public: key.Public().(ed25519.PublicKey)}}
	opener, err := seal.NewOpener(map[uint32][]byte{1: sealing.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	f := page.New(page.Options{Register: w.reg, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: now, HelpLine: "19001075", Controller: "Sở Y tế", Base: "http://127.0.0.1"})
	cards := card.New(f, w.reg, card.Options{
		Vault: w.vault, Sign: w.sign(s, key, now), Quotas: w.quotas, Keys: w.keys, Wrap: master.Derive("card uploads"),
		Scanners: scanner.New(scanner.Options{Opener: opener, Portal: "https://qr.example.vn"}),
		HelpLine: "19001075", Controller: "Sở Y tế", RetentionDays: 21, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	routes := append(cards.Routes(),
		page.Route{Pattern: "GET /{$}", Allow: page.Anybody(), Handler: func(w http.ResponseWriter, _ *http.Request, v *page.View) error {
			_, err := io.WriteString(w, v.Notice())
			return err
		}},
		page.Route{Pattern: "GET /blank", Allow: page.Anybody(), Handler: func(http.ResponseWriter, *http.Request, *page.View) error { return nil }},
		page.Route{Pattern: "POST /as/{account}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, r *http.Request, v *page.View) error {
			if err := v.SignIn(r, w.ids[r.PathValue("account")], true, false); err != nil {
				return err
			}
			return v.Go(rw, "/", "")
		}})
	server := httptest.NewServer(f.Handler(routes))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.account("stranger")
	w.account("owner")
	o := register.Organisation{Name: "Phòng khám Minh Tâm", Sector: "health", Phone: "+84905123456"}
	if err := w.reg.AddOrganisation(t.Context(), w.ids["owner"], &o); err != nil {
		t.Fatal(err)
	}
	w.clinic = o.ID
	id, err := area.ParseID(phuXuan)
	if err != nil {
		t.Fatal(err)
	}
	unit, _ := area.Lookup(id)
	for name, scopes := range map[string][]qrgate.Scope{
		"hoa": {{Kind: qrgate.InArea, ID: phuXuan}}, "thu": {{Kind: qrgate.InArea, ID: thuanHoa}}, "minh": {{Kind: qrgate.InOrganisation, ID: w.clinic}},
		"tinh": {{Kind: qrgate.InArea, ID: unit.Within.String()}}, "lan": {{Kind: qrgate.InArea, ID: phuXuan}, {Kind: qrgate.InArea, ID: thuanHoa}},
	} {
		var grants []qrgate.Grant
		for _, s := range scopes {
			grants = append(grants, qrgate.Grant{Role: qrgate.Clerk, Scope: s})
		}
		w.account(name, grants...)
	}
	return w
}

func (w *world) account(name string, grants ...qrgate.Grant) {
	w.t.Helper()
	a := register.Account{Name: name, Display: "Display of " + name}
	if err := w.reg.AddAccount(w.t.Context(), "", &a, grants...); err != nil {
		w.t.Fatal(err)
	}
	w.ids[name] = a.ID
}

// A client is somebody's browser. It follows where it is sent.
type client struct {
	w   *world
	job string // address of the last page of a job that it was sent to
	http.Client
}

// as returns a browser in which an account has signed in; nobody for "".
// limits are those of the world's signer.
var limits = map[wire.Purpose]issuing.Limits{wire.ForCard: {Batch: 2000, Day: 3000}, wire.ForEvent: {Batch: 10, Day: 10}}

// sign runs a signer and returns what asks it.
func (w *world) sign(s *store.Store, key ed25519.PrivateKey, now func() time.Time) issue.Sign {
	kept := issuing.New(s, now)
	w.quotas = &card.Quotas{Kept: kept, Limits: limits}
	office, err := issue.NewOffice(kept, now)
	if err != nil {
		w.t.Fatal(err)
	}
	signer := &issue.Signer{
		Kept: kept, Key: func(wire.Purpose) (uint32, ed25519.PrivateKey, error) { return 3, key, nil }, Limits: limits, Nudge: office.Nudge(),
		Now: now, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- signer.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	return office.Sign
}

func (w *world) as(name string) *client {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &client{w, "", http.Client{Jar: jar}}
	if name != "" {
		if status, _ := c.post("/as/"+name, nil); status != http.StatusOK {
			w.t.Fatalf("sign in as %s: %d", name, status)
		}
	}
	return c
}

func (c *client) get(path string) (status int, body string) {
	c.w.t.Helper()
	return c.do(http.MethodGet, path, "", nil)
}

func (c *client) post(path string, form url.Values) (status int, body string) {
	c.w.t.Helper()
	return c.do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// upload sends a form with a file.
func (c *client) upload(path string, form url.Values, field, name string, file []byte) (status int, body string) {
	c.w.t.Helper()
	var out bytes.Buffer
	m := multipart.NewWriter(&out)
	for key, values := range form {
		for _, value := range values {
			if err := m.WriteField(key, value); err != nil {
				c.w.t.Fatal(err)
			}
		}
	}
	part, err := m.CreateFormFile(field, name)
	if err == nil {
		_, err = part.Write(file)
	}
	if err == nil {
		err = m.Close()
	}
	if err != nil {
		c.w.t.Fatal(err)
	}
	return c.do(http.MethodPost, path, m.FormDataContentType(), &out)
}

func (c *client) do(method, path, kind string, body io.Reader) (status int, answer string) {
	c.w.t.Helper()
	r, err := http.NewRequestWithContext(c.w.t.Context(), method, c.w.url+path, body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	resp, err := c.Do(r)
	if err != nil {
		c.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if at := resp.Request.URL.Path; jobPath.MatchString(at) {
		c.job = jobPath.FindString(at)
	}
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && strings.Contains(string(page), "⟦") {
		c.w.t.Errorf("%s %s lacks a text: %s", method, path, page)
	}
	return resp.StatusCode, string(page)
}

// want fails the test unless an answer has this status and holds all of these.
func (w *world) want(what string, status int, body string, wantStatus int, holds ...string) {
	w.t.Helper()
	if status != wantStatus {
		w.t.Errorf("%s = %d, want %d:\n%.3000s", what, status, wantStatus, body)
		return
	}
	for _, h := range holds {
		if !strings.Contains(body, h) {
			w.t.Errorf("%s lacks %q:\n%.6000s", what, h, body)
		}
	}
}

// text returns the text of a card as it is printed.
func (w *world) text(number uint32, issue uint8) string {
	w.t.Helper()
	today := pass.DayOf(time.UnixMilli(w.now.Load()))
	text, err := pass.Sign(pass.OwnCard{Kind: pass.Card, Key: 3, Number: number, Issue: issue, First: today, Last: today + 364}, signing)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func offices() []qrgate.Scope { return []qrgate.Scope{{Kind: qrgate.InArea, ID: phuXuan}} }

// void returns the cards that kiosks are told to be void.
func (w *world) void() *pass.Revocations {
	w.t.Helper()
	c, err := w.list.Since(w.t.Context(), wire.Stamp{})
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := c.Revocations()
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}
