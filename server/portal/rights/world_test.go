package rights_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	pages "github.com/qrgate/qrgate/server/portal/rights"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

var (
	phuXuan  = qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}
	thuanHoa = qrgate.Scope{Kind: qrgate.InArea, ID: "19789@2025-07-01"}
	signer   = proof.Signer{ID: 1, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
)

// accounts are those who sign in, by their ids.
var accounts = map[string]qrgate.Grant{
	"lan":  {Role: qrgate.Protection, Scope: qrgate.All},
	"tra":  {Role: qrgate.Auditor, Scope: qrgate.All},
	"hoa":  {Role: qrgate.Clerk, Scope: phuXuan},
	"thu":  {Role: qrgate.Clerk, Scope: thuanHoa},
	"an":   {Role: qrgate.HealthOfficer, Scope: qrgate.All},
	"minh": {Role: qrgate.Administrator, Scope: qrgate.All},
	"bao":  {Role: qrgate.Reporter, Scope: qrgate.All},
}

// A world is a portal with these pages.
type world struct {
	t      testing.TB
	s      *store.Store
	v      *vault.Vault
	reg    *register.Register
	events *events.Events
	rights *rights.Rights
	keeper *retention.Keeper
	sealer *retention.Sealer
	url    string
	dir    string
	now    atomic.Int64
	off    atomic.Int64  // by how much the server's clock is ahead, in milliseconds
	needed atomic.Uint64 // a person
	log    journal
	people map[string]*http.Client
}

// A journal is the server's log.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), people: map[string]*http.Client{}}
	w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	var err error
	w.s, err = store.Open(t.Context(), found(t), store.Options{Now: w.time})
	w.must(err)
	t.Cleanup(func() { w.s.Close() })
	keys, master := vault.Dir(t.TempDir()), vault.NewMaster()
	w.must(vault.Init(keys, master))
	w.v, err = vault.Open(keys, master, vault.Options{Now: w.time})
	w.must(err)
	w.reg, w.rights = register.New(w.s, w.time), rights.New(w.s, w.time)
	w.events = events.New(w.s, w.v, w.time)
	book := casebook.New(w.s, w.v, w.time)
	w.keeper = retention.New(retention.Parts{
		Store: w.s, Rights: w.rights, Register: w.reg, Vault: w.v, Sign: signer, Log: log,
		Selves: book.Selves, Part: book.Part, Events: w.events,
		Needed: func(_ context.Context, fn func(qrgate.Person)) error { fn(qrgate.Person(w.needed.Load())); return nil },
		Looks: func(context.Context, qrgate.Person) ([]retention.Look, error) {
			return []retention.Look{{At: w.time(), By: "an", Action: "see person", Case: "CB-2026-000001"}}, nil
		},
	}, retention.Options{
		Now: w.time, Passed: func() time.Duration { return time.Duration(w.now.Load()) * time.Millisecond }, Backups: filepath.Join(w.dir, "backups"), Copies: []string{"replica-2"}, Controller: "Sở Y tế thành phố Huế",
		Erased: filepath.Join(w.dir, "erased"),
	})
	w.must(w.keeper.Start(t.Context()))
	w.sealer = &retention.Sealer{Store: w.s, Rights: w.rights, Sign: signer, Keys: signer.Keys(), Log: log}
	requests, err := w.rights.Requests(make([]byte, 32))
	w.must(err)
	f := page.New(page.Options{Register: w.reg, Log: log, Now: w.time, HelpLine: "19001075", Controller: "Sở Y tế thành phố Huế", Base: "http://127.0.0.1"})
	routes := append(pages.New(f, pages.Options{
		Register: w.reg, Rights: w.rights, Requests: requests, Keeper: w.keeper, Sealer: w.sealer, Log: log,
		Glasses: func(context.Context, string) (int, error) { return 2, nil },
	}).Routes(),
		page.Route{Pattern: "GET /{$}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, _ *http.Request, v *page.View) error {
			_, err := io.WriteString(rw, v.Notice())
			return err
		}},
		page.Route{Pattern: "GET /blank", Allow: page.Anybody(), Handler: func(http.ResponseWriter, *http.Request, *page.View) error { return nil }},
		page.Route{Pattern: "POST /as/{account}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, r *http.Request, v *page.View) error {
			if err := v.SignIn(r, r.PathValue("account"), r.FormValue("second") != "no", false); err != nil {
				return err
			}
			return v.Go(rw, "/", "")
		}})
	server := httptest.NewServer(f.Handler(routes))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.people[""] = browser()
	for id, g := range accounts {
		w.exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)", id, id, "Cán bộ "+id)
		w.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, ?, ?, '', 0)", id, string(g.Role), g.Scope.String())
		w.people[id] = browser()
		if code, _, _ := w.post(id, "/as/"+id, nil); code != 303 {
			t.Fatalf("sign in as %s = %d", id, code)
		}
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load() + w.off.Load()) }

// pass lets days pass, after which everybody signs in again.
func (w *world) pass(days int) {
	w.t.Helper()
	w.now.Add(int64(days) * 24 * 3600 * 1000)
	for id := range accounts {
		w.people[id] = browser()
		w.post(id, "/as/"+id, nil)
	}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.must(w.s.Write(w.t.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err }))
}

func browser() *http.Client {
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

func (w *world) do(who string, r *http.Request) (int, string, http.Header) {
	w.t.Helper()
	r.RequestURI = ""
	resp, err := w.people[who].Do(r)
	w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	w.must(err)
	if i := bytes.Index(body, []byte("⟦")); i >= 0 {
		w.t.Errorf("%s %s: a text is missing: %.60s", r.Method, r.URL.Path, body[i:])
	}
	if resp.StatusCode >= 500 && resp.StatusCode != 503 {
		w.t.Errorf("%s %s as %s = %d\n%s", r.Method, r.URL, who, resp.StatusCode, w.log.String())
	}
	return resp.StatusCode, string(body), resp.Header
}

// holder registers somebody who has checked in today, and returns who it is.
func (w *world) holder(name, phone string) qrgate.Person {
	w.t.Helper()
	ctx := w.t.Context()
	c := register.CardHolder{Office: phuXuan, Details: register.Details{Name: name, Born: 1980, Phone: phone, Identity: "046180" + phone[len(phone)-6:], Area: phuXuan.ID, Street: "12 Lê Lợi", Consent: 1}}
	cards := w.reg.Cards(w.v)
	w.must(cards.AddHolders(ctx, "hoa", []*register.CardHolder{&c}))
	p, err := cards.PersonOf(ctx, pass.Phone, phone)
	w.must(err)
	w.visit(p)
	return p
}

func (w *world) visit(p qrgate.Person) {
	w.t.Helper()
	ctx, now := w.t.Context(), w.time()
	id, err := w.s.Phones(ctx, "server-1")
	w.must(err)
	day := qrgate.DayOf(now)
	subject, err := w.v.Subject(day, p)
	w.must(err)
	seq := uint64(now.UnixMilli()%1e9) + uint64(p)%1000 + 1
	w.must(w.s.Intake(ctx, []string{id}, func(in *store.Intake) error {
		e, err := in.Book(id).Epoch(wire.Epoch{1})
		if err != nil {
			return err
		}
		boot := when.Boot{1}
		head := wire.Header{Seq: seq, Boot: boot, Kind: wire.KindCheckin, Direction: wire.In, Pass: pass.Phone, Verdict: wire.Admitted}
		in.Add(store.Row{
			Under: e, Written: e, Header: head, Digest: wire.NewRecord(head, wire.Sealed{}).Digest(), Day: day, Subject: &subject, Received: now,
			When: when.Interval{Earliest: now.UnixMilli(), Latest: now.UnixMilli()}, Where: store.Where{Name: "Chợ Đông Ba"},
		})
		in.Seen(e, when.Span{Boot: boot, First: seq, Last: seq, Arrived: now.UnixMilli()})
		return nil
	}))
}

// asks are what a clerk fills in.
func asks(kind, numberKind, number string) url.Values {
	return url.Values{
		"rights.kind": {kind}, "rights.name": {"Nguyễn Thị Hoa"}, "rights.contact": {"0905 111 222"}, "rights.relation": {"self"}, "rights.paper": {"cccd"},
		"rights.text": {"Tôi muốn biết\nai có dữ liệu của tôi"}, "rights.number_kind": {numberKind}, "rights.number": {number}, "rights.checked": {"1"},
	}
}

var markOf = regexp.MustCompile(`name="ai" value="([0-9a-f]{32})"`)

// sure is what lan sends to erase who her page of a request shows.
func (w *world) sure(at, version string) url.Values {
	w.t.Helper()
	_, body, _ := w.get("lan", at)
	mark := markOf.FindStringSubmatch(body)
	if mark == nil {
		w.t.Fatalf("the page does not say who is erased: %s", body)
	}
	return url.Values{"version": {version}, "ai": {mark[1]}, "rights.sure": {"1"}}
}

// merge says that two persons are one human.
func (w *world) merge(a, b qrgate.Person) {
	w.t.Helper()
	w.exec("INSERT INTO merges (person, same_as, made_by, made) VALUES (?, ?, 'an', 0)", int64(min(a, b)), int64(max(a, b)))
}

// invite makes somebody the guest of an event.
func (w *world) invite(name, phone string) *events.Guest {
	w.t.Helper()
	ctx := w.t.Context()
	w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, 'o', 'o', 'trade', '', '', 0)", phone)
	p := &qrgate.Place{Organisation: phone, Name: "Nhà hát", Sector: "trade", Kind: "market", Area: phuXuan.ID, AreaNow: phuXuan.ID, Street: "2 Lê Lợi"}
	w.must(w.reg.AddPlace(ctx, "", p))
	starts := w.time().Add(48 * time.Hour)
	e := &events.Event{Organisation: phone, Place: p.No, Name: "Đêm nhạc Trịnh", Starts: starts, Ends: starts.Add(3 * time.Hour), Categories: []events.Category{{No: 1, Kind: events.Public}}}
	w.must(w.events.Add(ctx, "", e))
	g := &events.Guest{Category: 1, Details: events.Details{Name: name, Phone: phone}}
	w.must(w.events.Invite(ctx, "", e.No, []*events.Guest{g}))
	return g
}

var idOf = regexp.MustCompile(`/bao-ve-du-lieu/yeu-cau/([a-z2-7]{26})$`)

// take takes a request as somebody and returns its address.
func (w *world) take(who string, form url.Values) string {
	w.t.Helper()
	code, body, h := w.post(who, "/bao-ve-du-lieu/yeu-cau/moi", form)
	if code != 303 || !idOf.MatchString(h.Get("Location")) {
		w.t.Fatalf("take a request = %d %s\n%.600s", code, h.Get("Location"), body)
	}
	return h.Get("Location")
}

// founded is an empty database, made once: bringing a schema to this version takes
// longer than most tests.
var founded = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "founded-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "qrgate.db")
	s, err := store.Open(context.Background(), "sqlite:"+path, store.Options{})
	if err == nil {
		err = s.Close()
	}
	b, readErr := os.ReadFile(path)
	if err := errors.Join(err, readErr); err != nil {
		panic(err)
	}
	return b
})

// found returns the data source name of a new database.
func found(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qrgate.db")
	if err := os.WriteFile(path, founded(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}
