package place_test

import (
	"bytes"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/place"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
)

const phuXuan, thuanHoa = "19753@2025-07-01", "19789@2025-07-01"

// A world is a portal with these pages, and people who have signed in.
type world struct {
	t   *testing.T
	reg *register.Register
	url string
	now atomic.Int64

	ids            map[string]string // of accounts, by name
	market, clinic string            // organisations
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ids: map[string]string{}}
	w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
	now := func() time.Time { return time.UnixMilli(w.now.Load()) }
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.reg = register.New(s, now)
	f := page.New(page.Options{Register: w.reg, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})), Now: now, HelpLine: "19001075", Base: "http://127.0.0.1"})
	routes := append(place.New(f, w.reg).Routes(),
		page.Route{Pattern: "GET /{$}", Allow: page.Anybody(), Handler: func(w http.ResponseWriter, _ *http.Request, v *page.View) error {
			_, err := io.WriteString(w, v.Notice())
			return err
		}},
		page.Route{Pattern: "POST /as/{account}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, r *http.Request, v *page.View) error {
			if err := v.SignIn(r, w.ids[r.PathValue("account")], true, false); err != nil {
				return err
			}
			return v.Go(rw, "/", "")
		}})
	server := httptest.NewServer(f.Handler(routes))
	t.Cleanup(server.Close)
	w.url = server.URL
	for _, id := range []string{"lan", "minh", "stranger"} {
		w.account(id)
	}
	w.market, w.clinic = w.organisation("lan", "Ban quản lý chợ Đông Ba"), w.organisation("minh", "Phòng khám Minh Tâm")
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

func (w *world) organisation(owner, name string) string {
	w.t.Helper()
	o := register.Organisation{Name: name, Sector: "trade", Phone: "+84905123456"}
	if err := w.reg.AddOrganisation(w.t.Context(), w.ids[owner], &o); err != nil {
		w.t.Fatal(err)
	}
	return o.ID
}

func (w *world) place(organisation, name string) *qrgate.Place {
	w.t.Helper()
	p := &qrgate.Place{
		Organisation: organisation, Name: name, Sector: "trade", Kind: "market", Area: phuXuan, AreaNow: phuXuan, Street: "2 Trần Hưng Đạo",
		Person: "Nguyễn Thị Lan", Phones: []string{"+84905123456"}, Email: "lan@example.vn", Doors: 1,
		Hours: []qrgate.Hours{{Days: qrgate.EveryDay, Open: 300, Close: 1140}},
	}
	if err := w.reg.AddPlace(w.t.Context(), "", p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// A client is somebody's browser. It follows where it is sent.
type client struct {
	w *world
	http.Client
}

// as returns a browser in which an account has signed in; nobody for "".
func (w *world) as(name string) *client {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &client{w, http.Client{Jar: jar}}
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
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if strings.Contains(string(page), "⟦") {
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
