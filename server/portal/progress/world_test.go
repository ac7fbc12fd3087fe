package progress_test

import (
	"bytes"
	"fmt"
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
	"github.com/qrgate/qrgate/server/portal/progress"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
)

const phuXuan, thuanHoa, vyDa = "19753@2025-07-01", "19789@2025-07-01", "19803@2025-07-01"

// A world is a portal with these pages, places and people who have signed in.
type world struct {
	t    testing.TB
	s    *store.Store
	reg  *register.Register
	kept *rollout.Progress
	url  string
	now  atomic.Int64

	org, otherOrg         string
	market, clinic, hotel *qrgate.Place
	people                map[string]*http.Client
}

// roles are who there is, by name; the owners' scopes are set in newWorld.
func (w *world) roles() map[string][]qrgate.Grant {
	in := func(role qrgate.Role, kind qrgate.ScopeKind, id string) []qrgate.Grant {
		return []qrgate.Grant{{Role: role, Scope: qrgate.Scope{Kind: kind, ID: id}}}
	}
	return map[string][]qrgate.Grant{
		"owner": in(qrgate.Owner, qrgate.InOrganisation, w.org), "foreign": in(qrgate.Owner, qrgate.InOrganisation, w.otherOrg),
		"guard": in(qrgate.Guard, qrgate.InOrganisation, w.org),
		"trade": in(qrgate.SectorOfficer, qrgate.InSector, "trade"), "health": in(qrgate.SectorOfficer, qrgate.InSector, "health"),
		"commune": in(qrgate.AreaOfficer, qrgate.InArea, phuXuan), "inspector": in(qrgate.Inspector, qrgate.InSector, "trade"),
		"reporter": {{Role: qrgate.Reporter, Scope: qrgate.All}}, "admin": {{Role: qrgate.Administrator, Scope: qrgate.All}},
		"tracer": {{Role: qrgate.HealthOfficer, Scope: qrgate.All}},
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, sqlite(t))
}

// sqlite returns the data source name of an empty database.
func sqlite(t testing.TB) string { return blank.SQLite(t) }

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

func newWorldOn(t testing.TB, dsn string) *world {
	t.Helper()
	w := &world{t: t, people: map[string]*http.Client{}}
	w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
	now := func() time.Time { return time.UnixMilli(w.now.Load()) }
	s, err := store.Open(t.Context(), dsn, store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.s, w.reg, w.kept = s, register.New(s, now), rollout.New(s, now)
	w.org, w.otherOrg = "mine", "others"
	for _, id := range []string{w.org, w.otherOrg} {
		w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, ?, ?, 'trade', '', '', 0)", id, id, id)
	}
	w.market = w.place("mine", "Chợ Đông Ba", "trade", "market", phuXuan)
	w.clinic = w.place("others", "Phòng khám Minh Tâm", "health", "clinic", phuXuan)
	w.hotel = w.place("others", "Khách sạn Sông Hương", "tourism", "lodging", thuanHoa)

	f := page.New(page.Options{Register: w.reg, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})), Now: now, HelpLine: "19001075", Base: "http://127.0.0.1"})
	routes := append(progress.New(f, w.reg, w.kept).Routes(),
		page.Route{Pattern: "GET /favicon.ico", Allow: page.Anybody(), Bare: true, Handler: func(http.ResponseWriter, *http.Request, *page.View) error { return nil }},
		page.Route{Pattern: "GET /blank", Allow: page.Anybody(), Handler: func(http.ResponseWriter, *http.Request, *page.View) error { return nil }},
		page.Route{Pattern: "POST /as/{who}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, r *http.Request, v *page.View) error {
			if err := v.SignIn(r, r.PathValue("who"), true, false); err != nil {
				return err
			}
			return v.Go(rw, "/blank", "")
		}})
	server := httptest.NewServer(f.Handler(routes))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.people[""] = w.browser()
	for name, grants := range w.roles() {
		w.exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)", name, name, "Display of "+name)
		for _, g := range grants {
			w.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, ?, ?, '', 0)", name, string(g.Role), g.Scope.String())
		}
		w.people[name] = w.browser()
		if status, _ := w.post(name, "/as/"+name, nil); status != http.StatusSeeOther {
			t.Fatalf("sign in as %s: %d", name, status)
		}
	}
	return w
}

func (w *world) time() time.Time   { return time.UnixMilli(w.now.Load()) }
func (w *world) today() qrgate.Day { return qrgate.DayOf(w.time()) }

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.s.Write(w.t.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) place(org, name, sector, kind, in string) *qrgate.Place {
	w.t.Helper()
	p := &qrgate.Place{
		Organisation: org, Name: name, Sector: sector, Kind: kind, Area: in, AreaNow: in, Street: "2 Trần Hưng Đạo", Doors: 1,
		Person: "Nguyễn Thị Lan", Phones: []string{"+84905123456"},
	}
	if err := w.reg.AddPlace(w.t.Context(), "", p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// tally says that people checked in at a place on a day.
func (w *world) tally(place *qrgate.Place, day qrgate.Day, ins int) {
	w.exec("INSERT INTO kiosks (no, id, place, public, state, added, kind, place_no) VALUES (1, 'kiosk-one', '', ?, 1, 1, 0, 0) ON CONFLICT (no) DO NOTHING", make([]byte, 32))
	w.exec("INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES (?, ?, 1, ?, 0, 1, 1)", int64(place.No), int64(day), ins)
}

func (w *world) browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (w *world) get(who, path string) (int, string) {
	w.t.Helper()
	r := httptest.NewRequest("GET", w.url+path, nil)
	status, body, _ := w.do(who, r)
	return status, body
}

// post sends a form and returns the status and the page, or where it leads.
func (w *world) post(who, path string, form url.Values) (int, string) {
	w.t.Helper()
	r := httptest.NewRequest("POST", w.url+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, head := w.do(who, r)
	if to := head.Get("Location"); to != "" {
		return status, to
	}
	return status, body
}

func (w *world) upload(who, path, field string, file []byte, form map[string]string) (int, string) {
	w.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for k, v := range form {
		m.WriteField(k, v)
	}
	part, err := m.CreateFormFile(field, "danh sách.csv")
	if err != nil {
		w.t.Fatal(err)
	}
	part.Write(file)
	m.Close()
	r := httptest.NewRequest("POST", w.url+path, &body)
	r.Header.Set("Content-Type", m.FormDataContentType())
	status, answer, head := w.do(who, r)
	if to := head.Get("Location"); to != "" {
		return status, to
	}
	return status, answer
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
		w.t.Errorf("%s %s: a text is missing: %.80s", r.Method, r.URL.Path, body[i:])
	}
	if resp.StatusCode >= 500 {
		w.t.Errorf("%s %s as %s = %d", r.Method, r.URL, who, resp.StatusCode)
	}
	return resp.StatusCode, string(body), resp.Header
}

// want fails the test unless an answer has this status and holds all of these, and
// none of what comes after "but not".
func (w *world) want(what string, status int, body string, wantStatus int, holds ...string) {
	w.t.Helper()
	if status != wantStatus {
		w.t.Errorf("%s = %d, want %d:\n%.2000s", what, status, wantStatus, body)
		return
	}
	not := false
	for _, h := range holds {
		if h == butNot {
			not = true
			continue
		}
		if strings.Contains(body, h) == not {
			w.t.Errorf("%s: %q is there: %t\n%.6000s", what, h, not, body)
		}
	}
}

const butNot = "but not"

func path(format string, args ...any) string { return fmt.Sprintf(format, args...) }
