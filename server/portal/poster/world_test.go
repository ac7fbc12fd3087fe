package poster_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/poster"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

// A world is a portal with these pages, an organisation "org" with a place and
// one that belongs to others.
type world struct {
	t   *testing.T
	reg *register.Register

	url    string
	people map[string]*http.Client
	place  *qrgate.Place
	other  *qrgate.Place
	roles  map[string]qrgate.Grant
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "qrgate.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{t: t, reg: register.New(s, time.Now), people: map[string]*http.Client{}}
	mine, others := w.organisation(s, "mine"), w.organisation(s, "others")
	w.place = &qrgate.Place{
		Organisation: mine, Name: "Chợ Đông Ba", Sector: "trade", Kind: "market", Area: "19753@2025-07-01", AreaNow: "19753@2025-07-01",
		Street: "2 Trần Hưng Đạo", At: &qrgate.Point{Lat: 16.4716, Lon: 107.588},
		Hours: []qrgate.Hours{{Days: 0b0111110, Open: 360, Close: 1140}, {Days: 0b1000001, Open: 360, Close: 360}},
	}
	w.other = &qrgate.Place{Organisation: others, Name: "Khách sạn Sông Hương", Sector: "tourism", Kind: "hotel", Area: "19753@2025-07-01", AreaNow: "19753@2025-07-01"}
	for _, p := range []*qrgate.Place{w.place, w.other} {
		if err := w.reg.AddPlace(t.Context(), "", p); err != nil {
			t.Fatal(err)
		}
	}
	f := page.New(page.Options{Register: w.reg, Log: slog.New(slog.DiscardHandler), HelpLine: "19001075", Controller: "Sở Y tế thành phố Huế", Base: "http://127.0.0.1:8080"})
	pages := poster.New(f, w.reg, poster.Options{RetentionDays: 21})
	routes := pages.Routes()
	w.roles = map[string]qrgate.Grant{
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
	for name, g := range w.roles {
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
	server := httptest.NewServer(f.Handler(routes))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.people[""] = w.browser()
	for name := range w.roles {
		w.people[name] = w.browser()
		if code, _, _ := w.post(name, "/as/"+name, url.Values{}); code != 303 {
			t.Fatalf("sign in as %s = %d", name, code)
		}
	}
	return w
}

// organisation and account write rows as the register's functions do, which are
// not what is tested here.
func (w *world) organisation(s *store.Store, name string) string {
	w.exec(s, "INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, ?, ?, 'trade', '', '', 0)", name, name, name)
	return name
}

func (w *world) account(s *store.Store, name string, g qrgate.Grant) {
	w.exec(s, "INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)", name, name, name)
	w.exec(s, "INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, ?, ?, '', 0)", name, string(g.Role), g.Scope.String())
}

func (w *world) exec(s *store.Store, query string, args ...any) {
	w.t.Helper()
	err := s.Write(context.Background(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (w *world) get(who, path string) (int, string, http.Header) {
	w.t.Helper()
	return w.do(who, httptest.NewRequest("GET", w.url+path, nil))
}

func (w *world) post(who, path string, form url.Values) (int, string, http.Header) {
	w.t.Helper()
	r := httptest.NewRequest("POST", w.url+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.do(who, r)
}

// upload sends a form with a file.
func (w *world) upload(who, path, field string, file []byte, form map[string]string) (int, string, http.Header) {
	w.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for k, v := range form {
		m.WriteField(k, v)
	}
	part, err := m.CreateFormFile(field, "ảnh.jpg")
	if err != nil {
		w.t.Fatal(err)
	}
	part.Write(file)
	m.Close()
	r := httptest.NewRequest("POST", w.url+path, &body)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return w.do(who, r)
}

func (w *world) do(who string, r *http.Request) (int, string, http.Header) {
	w.t.Helper()
	r.RequestURI = ""
	resp, err := w.people[who].Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if i := bytes.Index(body, []byte("⟦")); i >= 0 {
		w.t.Errorf("%s %s: a text is missing: %.60s", r.Method, r.URL.Path, body[i:])
	}
	if resp.StatusCode >= 500 && resp.StatusCode != 503 {
		w.t.Errorf("%s %s as %s = %d", r.Method, r.URL, who, resp.StatusCode)
	}
	return resp.StatusCode, string(body), resp.Header
}

func (w *world) posters() []register.Poster {
	w.t.Helper()
	all, err := w.reg.Posters(w.t.Context(), w.place.No)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) templates() []register.Template {
	w.t.Helper()
	all, err := w.reg.Templates(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}
