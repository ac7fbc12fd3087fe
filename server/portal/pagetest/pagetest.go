// Package pagetest is a portal for tests of one slice of its pages. Only tests
// import it.
//
//	w := pagetest.New(t, "http://127.0.0.1", func(f *page.Frame, reg *register.Register) []page.Route {
//		return intro.New(f, reg, log).Routes()
//	})
//	status, body, header := w.Get("owner", "/dia-diem/1/gioi-thieu")
package pagetest

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
)

// A World is a portal with the pages that are tested, an organisation with a place
// and one that belongs to others, and people who have signed in.
type World struct {
	T      testing.TB
	Store  *store.Store
	Reg    *register.Register
	URL    string
	Served http.Handler            // what URL serves
	People map[string]*http.Client // by the names of Roles, and "" who is nobody
	Place  *qrgate.Place
	Other  *qrgate.Place // of others
	Roles  map[string]qrgate.Grant
}

// New returns a world whose portal, at base, has the routes that make returns, on
// SQLite. It ends with the test.
func New(t testing.TB, base string, make func(*page.Frame, *register.Register) []page.Route) *World {
	t.Helper()
	return NewOver(t, base, func(w *World, f *page.Frame) []page.Route { return make(f, w.Reg) })
}

// NewOver is New for pages that need more of the world than its register: when make
// is called it has its store and its places.
func NewOver(t testing.TB, base string, make func(*World, *page.Frame) []page.Route) *World {
	t.Helper()
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &World{T: t, Store: s, Reg: register.New(s, time.Now), People: map[string]*http.Client{}}
	mine, others := w.organisation(s, "mine"), w.organisation(s, "others")
	w.Place = &qrgate.Place{
		Organisation: mine, Name: "Chợ Đông Ba", Sector: "trade", Kind: "market", Area: "19753@2025-07-01", AreaNow: "19753@2025-07-01",
		Street: "2 Trần Hưng Đạo", At: &qrgate.Point{Lat: 16.4716, Lon: 107.588},
		Hours: []qrgate.Hours{{Days: 0b0111110, Open: 360, Close: 1140}, {Days: 0b1000001, Open: 360, Close: 360}},
	}
	w.Other = &qrgate.Place{Organisation: others, Name: "Khách sạn Sông Hương", Sector: "tourism", Kind: "hotel", Area: "19753@2025-07-01", AreaNow: "19753@2025-07-01"}
	for _, p := range []*qrgate.Place{w.Place, w.Other} {
		if err := w.Reg.AddPlace(t.Context(), "", p); err != nil {
			t.Fatal(err)
		}
	}
	f := page.New(page.Options{Register: w.Reg, Log: slog.New(slog.DiscardHandler), HelpLine: "19001075", Controller: "Sở Y tế thành phố Huế", Base: base})
	routes := make(w, f)
	w.Roles = map[string]qrgate.Grant{
		"owner":    {Role: qrgate.Owner, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: mine}},
		"guard":    {Role: qrgate.Guard, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: mine}},
		"foreign":  {Role: qrgate.Owner, Scope: qrgate.Scope{Kind: qrgate.InOrganisation, ID: others}},
		"trade":    {Role: qrgate.SectorOfficer, Scope: qrgate.Scope{Kind: qrgate.InSector, ID: "trade"}},
		"tourism":  {Role: qrgate.SectorOfficer, Scope: qrgate.Scope{Kind: qrgate.InSector, ID: "tourism"}},
		"commune":  {Role: qrgate.AreaOfficer, Scope: qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}},
		"reporter": {Role: qrgate.Reporter, Scope: qrgate.All},
		"admin":    {Role: qrgate.Administrator, Scope: qrgate.All},
		"health":   {Role: qrgate.HealthOfficer, Scope: qrgate.All},
	}
	for name, g := range w.Roles {
		w.account(s, name, g)
		name := name
		routes = append(routes, page.Route{Pattern: "POST /as/" + name, Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, r *http.Request, v *page.View) error {
			if err := v.SignIn(r, name, true, false); err != nil {
				return err
			}
			return v.Go(rw, "/blank", "")
		}})
	}
	routes = append(routes, page.Route{Pattern: "GET /blank", Allow: page.Anybody(), Handler: func(http.ResponseWriter, *http.Request, *page.View) error { return nil }})
	w.Served = f.Handler(routes)
	server := httptest.NewServer(w.Served)
	t.Cleanup(server.Close)
	w.URL = server.URL
	w.People[""] = w.browser()
	for name := range w.Roles {
		w.People[name] = w.browser()
		if code, _, _ := w.Post(name, "/as/"+name, url.Values{}); code != 303 {
			t.Fatalf("sign in as %s = %d", name, code)
		}
	}
	return w
}

// organisation and account write rows as the register's functions do, which are
// not what is tested here.
func (w *World) organisation(s *store.Store, name string) string {
	w.exec(s, "INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, ?, ?, 'trade', '', '', 0)", name, name, name)
	return name
}

func (w *World) account(s *store.Store, name string, g qrgate.Grant) {
	w.exec(s, "INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)", name, name, name)
	w.exec(s, "INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, ?, ?, '', 0)", name, string(g.Role), g.Scope.String())
}

func (w *World) exec(s *store.Store, query string, args ...any) {
	w.T.Helper()
	err := s.Write(context.Background(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err })
	if err != nil {
		w.T.Fatal(err)
	}
}

func (w *World) browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Get asks for a page as somebody, and returns the answer's status, body and
// header. Whoever asks, a page has all of its texts and the server no fault.
func (w *World) Get(who, path string) (int, string, http.Header) {
	w.T.Helper()
	return w.Do(who, httptest.NewRequest("GET", w.URL+path, nil))
}

// Post is Get for a form.
func (w *World) Post(who, path string, form url.Values) (int, string, http.Header) {
	w.T.Helper()
	r := httptest.NewRequest("POST", w.URL+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.Do(who, r)
}

// PNG returns a picture as a file, as somebody uploads it.
func PNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Upload sends a form with a file.
func (w *World) Upload(who, path, field string, file []byte, form map[string]string) (int, string, http.Header) {
	w.T.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for k, v := range form {
		m.WriteField(k, v)
	}
	part, err := m.CreateFormFile(field, "ảnh.jpg")
	if err != nil {
		w.T.Fatal(err)
	}
	part.Write(file)
	m.Close()
	r := httptest.NewRequest("POST", w.URL+path, &body)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return w.Do(who, r)
}

// Do is Get for any request.
func (w *World) Do(who string, r *http.Request) (int, string, http.Header) {
	w.T.Helper()
	r.RequestURI = ""
	resp, err := w.People[who].Do(r)
	if err != nil {
		w.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	if i := bytes.Index(body, []byte("⟦")); i >= 0 {
		w.T.Errorf("%s %s: a text is missing: %.60s", r.Method, r.URL.Path, body[i:])
	}
	if resp.StatusCode >= 500 && resp.StatusCode != 503 {
		w.T.Errorf("%s %s as %s = %d", r.Method, r.URL, who, resp.StatusCode)
	}
	return resp.StatusCode, string(body), resp.Header
}
