package cases_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/cases"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Two communes, one of which is where most of the tests happen.
var (
	phuXuan = qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}
	duongNo = qrgate.Scope{Kind: qrgate.InArea, ID: "19774@2025-07-01"}
)

// A world is a portal with these pages over a real store and vault, with check-ins
// at four places, officers, and a clock that the test moves.
type world struct {
	t     *testing.T
	s     *store.Store
	reg   *register.Register
	cards *register.Cards
	v     *vault.Vault
	book  *casebook.Book
	url   string
	log   *journal
	post  *post
	pages *cases.Pages
	now   atomic.Int64
	seq   uint64
	key   ed25519.PrivateKey

	market, bus, clinic, far *qrgate.Place
	people                   map[string]qrgate.Person
	card                     uint32 // An's
}

// A journal is what the server logs.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// A post is where letters arrive, unless it is full.
type post struct {
	mu   sync.Mutex
	sent []mail.Message
	full bool
}

func (p *post) Send(m mail.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full {
		return mail.ErrFull
	}
	p.sent = append(p.sent, m)
	return nil
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) must(err error) {
	if err == nil {
		return
	}
	if w.t == nil {
		panic(err)
	}
	w.t.Helper()
	w.t.Fatal(err)
}

func (w *world) ctx() context.Context {
	if w.t == nil {
		return context.Background()
	}
	return w.t.Context()
}

// Accounts: lan and minh are health officers of one commune, hoa of another, tinh of
// everywhere; duc and xa approve; both does both; mai protects data. The others may
// never see a person.
var accounts = map[string][]qrgate.Grant{
	"lan":  {{Role: qrgate.HealthOfficer, Scope: phuXuan}},
	"minh": {{Role: qrgate.HealthOfficer, Scope: phuXuan}},
	"hoa":  {{Role: qrgate.HealthOfficer, Scope: duongNo}},
	"tinh": {{Role: qrgate.HealthOfficer, Scope: qrgate.All}},
	"duc":  {{Role: qrgate.Approver, Scope: phuXuan}},
	"xa":   {{Role: qrgate.Approver, Scope: duongNo}},
	"both": {{Role: qrgate.HealthOfficer, Scope: phuXuan}, {Role: qrgate.Approver, Scope: phuXuan}},
	"mai":  {{Role: qrgate.Protection, Scope: qrgate.All}},
	"vien": {{Role: qrgate.Administrator, Scope: qrgate.All}},
	"khoa": {{Role: qrgate.Operator, Scope: qrgate.All}},
	"bao":  {{Role: qrgate.Reporter, Scope: qrgate.All}},
	"tra":  {{Role: qrgate.Auditor, Scope: qrgate.All}},
	"thu":  {{Role: qrgate.Clerk, Scope: phuXuan}},
	"dan":  nil,
}

// A founding is a database in which all is settled, with the keys that open it: to
// make it anew for each test takes longer than most of them.
type founding struct {
	db     []byte
	keys   string // a directory
	master vault.Master
	world  *world
}

var founded = sync.OnceValue(func() *founding {
	f := &founding{keys: filepath.Join(scratch, "keys"), master: vault.NewMaster(), world: &world{people: map[string]qrgate.Person{}}}
	w := f.world
	w.now.Store(time.Date(2026, 11, 26, 7, 0, 0, 0, qrgate.Zone).UnixMilli())
	w.must(vault.Init(vault.Dir(f.keys), f.master))
	path := filepath.Join(scratch, "qrgate.db")
	w.over(path, vault.Dir(f.keys), f.master)
	for id, grants := range accounts {
		w.exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)", id, id, "Cán bộ "+id)
		for _, g := range grants {
			w.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, ?, ?, '', 0)", id, string(g.Role), g.Scope.String())
		}
	}
	w.settle()
	w.must(w.s.Close())
	var err error
	f.db, err = os.ReadFile(path)
	w.must(err)
	return f
})

// over opens the store and the vault.
func (w *world) over(path string, keys vault.Dir, master vault.Master) {
	var err error
	w.s, err = store.Open(context.Background(), "sqlite:"+path, store.Options{Now: w.time})
	w.must(err)
	w.v, err = vault.Open(keys, master, vault.Options{Now: w.time})
	w.must(err)
	w.reg = register.New(w.s, w.time)
	w.cards = w.reg.Cards(w.v)
	w.book = casebook.New(w.s, w.v, w.time)
}

// scratch is a directory of all tests together.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "cases"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	f := founded()
	w := &world{
		t: t, people: maps.Clone(f.world.people), log: &journal{}, post: &post{}, seq: f.world.seq, card: f.world.card,
		market: f.world.market, bus: f.world.bus, clinic: f.world.clinic, far: f.world.far,
	}
	w.now.Store(f.world.now.Load())
	dir := t.TempDir()
	w.must(os.WriteFile(filepath.Join(dir, "qrgate.db"), f.db, 0o600))
	w.must(os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(f.keys)))
	w.over(filepath.Join(dir, "qrgate.db"), vault.Dir(filepath.Join(dir, "keys")), f.master)
	t.Cleanup(func() { w.s.Close() })
	w.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	log := slog.New(slog.NewTextHandler(w.log, nil))
	frame := page.New(page.Options{Register: w.reg, Log: log, Now: w.time, HelpLine: "19001075", Controller: "Sở Y tế thành phố Huế", Base: "http://127.0.0.1"})
	w.pages = cases.New(frame, cases.Options{
		Store: w.s, Register: w.reg, Vault: w.v, Book: w.book, Keys: pass.Keys{3: {Public: w.key.Public().(ed25519.PublicKey)}},
		Mail: w.post, Text: cases.MailGateway{Mail: w.post, Address: "{phone}@sms.example.vn"},
		HelpLine: "19001075", Office: "Trung tâm Kiểm soát bệnh tật thành phố Huế", Return: "CDC Huế, 10-12 Nguyễn Văn Cừ, Huế", Log: log,
	})
	routes := append(w.pages.Routes(),
		page.Route{Pattern: "GET /{$}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, _ *http.Request, v *page.View) error {
			_, err := io.WriteString(rw, v.Notice())
			return err
		}},
		page.Route{Pattern: "POST /as/{account}", Allow: page.Anybody(), Handler: func(rw http.ResponseWriter, r *http.Request, v *page.View) error {
			if err := v.SignIn(r, r.PathValue("account"), r.FormValue("second") != "no", false); err != nil {
				return err
			}
			return v.Go(rw, "/", "")
		}})
	server := httptest.NewServer(frame.Handler(routes))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) exec(query string, args ...any) {
	w.must(w.s.Write(w.ctx(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err }))
}

// settle builds the places and lets people come.
func (w *world) settle() {
	w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)")
	place := func(name, kind, area, street string, lat, lon float64) *qrgate.Place {
		p := &qrgate.Place{Organisation: "o", Name: name, Sector: "trade", Kind: kind, Area: area, AreaNow: area, Street: street, At: &qrgate.Point{Lat: lat, Lon: lon},
			Hours: []qrgate.Hours{{Days: qrgate.EveryDay, Open: 5 * 60, Close: 21 * 60}}}
		w.must(w.reg.AddPlace(w.ctx(), "", p))
		return p
	}
	w.market = place("Chợ Đông Ba", "market", phuXuan.ID, "2 Trần Hưng Đạo", 16.4716, 107.588)
	w.bus = place("Bến xe phía Bắc", "bus_station", phuXuan.ID, "132 Lý Thái Tổ", 16.4880, 107.5650)
	w.clinic = place("Phòng khám Minh Tâm", "clinic", phuXuan.ID, "5 Ngô Quyền", 16.4590, 107.5870)
	w.far = place("Chợ A Lưới", "market", "20101@2025-07-01", "Hồ Chí Minh", 16.2700, 107.2300)
	for i, k := range []struct {
		id string
		at *qrgate.Place
	}{{"cho-cua-a", w.market}, {"cho-cua-b", w.market}, {"ben-xe-bac", w.bus}, {"phong-kham", w.clinic}, {"cho-a-luoi", w.far}} {
		w.must(w.s.AddKiosk(w.ctx(), qrgate.Kiosk{ID: k.id, Place: k.at.Name, PlaceNo: k.at.No, Public: bytes.Repeat([]byte{byte(i + 1)}, 32), State: qrgate.KioskActive, Added: w.time().AddDate(0, 0, -60)}))
	}
	hold := func(name string, d register.Details) {
		d.Area = phuXuan.ID
		h := &register.CardHolder{Office: phuXuan, Details: d}
		w.must(w.cards.AddHolders(w.ctx(), "thu", []*register.CardHolder{h}))
		today := pass.DayOf(w.time())
		_, err := w.cards.Issue(w.ctx(), "thu", register.Order{Office: phuXuan, Kind: pass.Card, First: today, Last: today + 365}, h.ID)
		w.must(err)
		of, err := w.cards.CardsOf(w.ctx(), h.ID)
		w.must(err)
		who, err := w.cards.PersonOf(w.ctx(), pass.Card, fmt.Sprint(of[0].Number))
		w.must(err)
		w.people[name] = who
		if name == "an" {
			w.card = of[0].Number
		}
	}
	hold("an", register.Details{Name: "Nguyễn Văn An", Born: 1948, Sex: "m", Phone: "+84905123456", Street: "12 Lê Lợi", Identity: "046048001234", Insurance: "4612345678"})
	hold("binh", register.Details{Name: "Trần Thị Bình", Born: 1961, Sex: "f", Phone: "+84914222333", Street: "7 Nguyễn Trãi", Identity: "046161002222"})
	hold("bong", register.Details{Name: "Trần Văn Bông", Born: 1990, Sex: "m", Phone: "+84914222333", Street: "7 Nguyễn Trãi", Identity: "046090003333"})
	hold("chi", register.Details{Name: "Lê Thị Chi", Born: 1939, Sex: "f", Street: "kiệt 45 Chi Lăng", Identity: "046139004444"})
	hold("em", register.Details{Name: "Hồ Gia Em", Born: 2019, Sex: "f", Guardian: "Hồ Văn Cha", GuardianPhone: "+84905777888", Street: "3 Đinh Tiên Hoàng", Identity: "046319005555"})
	hold("xau", register.Details{Name: `=HYPERLINK("http://x.example","Xem")`, Born: 1980, Street: "@SUM(1)", Identity: "046080006666"})
	w.people["dung"] = w.visitor("+84936000111", "Phạm Dũng")

	day := func(back, hour, minute int) time.Time {
		return time.Date(2026, 11, 26-back, hour, minute, 0, 0, qrgate.Zone)
	}
	// An at the market, the bus station, the clinic, and for a moment far away.
	w.stay("an", "cho-cua-a", day(6, 8, 5), day(6, 9, 30))
	w.stay("an", "ben-xe-bac", day(4, 6, 40), day(4, 7, 20))
	w.checkin("an", "phong-kham", wire.In, day(2, 14, 2), 3*time.Minute)
	w.checkin("an", "cho-a-luoi", wire.In, day(4, 7, 25), 0)
	// Who was near.
	w.stay("binh", "cho-cua-a", day(6, 8, 0), day(6, 9, 0))
	w.stay("bong", "cho-cua-b", day(6, 8, 10), day(6, 9, 40))
	w.stay("chi", "cho-cua-a", day(6, 9, 5), day(6, 10, 0))
	w.stay("em", "ben-xe-bac", day(4, 6, 30), day(4, 7, 10))
	w.stay("xau", "phong-kham", day(2, 13, 50), day(2, 15, 30))
	w.stay("dung", "cho-cua-b", day(6, 9, 0), day(6, 9, 45))
	for i := range 30 {
		who := fmt.Sprintf("khach%d", i)
		w.people[who] = w.visitor(fmt.Sprintf("+8493700%04d", i), fmt.Sprintf("Khách Thứ %d", i))
		w.stay(who, "cho-cua-b", day(6, 6+i%5, i), day(6, 8+i%4, 30+i%20))
	}
	// Two hours later all but one gate have been heard of again.
	w.now.Add((2 * time.Hour).Milliseconds())
	for _, kiosk := range []string{"cho-cua-b", "ben-xe-bac", "phong-kham", "cho-a-luoi"} {
		w.checkin("chi", kiosk, wire.In, day(12, 10, 0), 0)
	}
}

// visitor lets somebody be known as an ingest of a telephone does.
func (w *world) visitor(phone, name string) qrgate.Person {
	var who qrgate.Person
	w.must(w.s.Intake(w.ctx(), nil, func(t *store.Intake) (err error) {
		fresh := false
		if who, fresh, err = t.Person(w.v.Identity(pass.Phone, phone), vault.NewPerson); err != nil || !fresh {
			return err
		}
		wrapped := w.v.NewPersonKey(who)
		sealed, err := w.v.SealDetail(who, wrapped, "pass", wire.Encode(wire.Subject{Kind: pass.Phone, Number: phone, Name: name}))
		if err != nil {
			return err
		}
		return t.Detail(who, wrapped, sealed)
	}))
	return who
}

// named is visitor of whom a paper tells the name alone.
func (w *world) named(name string) qrgate.Person {
	var who qrgate.Person
	w.must(w.s.Intake(w.ctx(), nil, func(t *store.Intake) (err error) {
		fresh := false
		if who, fresh, err = t.Person(w.v.Identity(pass.CCCD, name), vault.NewPerson); err != nil || !fresh {
			return err
		}
		wrapped := w.v.NewPersonKey(who)
		sealed, err := w.v.SealDetail(who, wrapped, "pass", wire.Encode(wire.Subject{Kind: pass.CCCD, Number: "046099000001", Name: name}))
		if err != nil {
			return err
		}
		return t.Detail(who, wrapped, sealed)
	}))
	return who
}

func (w *world) stay(who, kiosk string, in, out time.Time) {
	w.checkin(who, kiosk, wire.In, in, 20*time.Second)
	w.checkin(who, kiosk, wire.Out, out, 20*time.Second)
}

// checkin keeps a check-in whose kiosk is unsure of the time by some error.
func (w *world) checkin(who, kiosk string, d wire.Direction, at time.Time, unsure time.Duration) {
	w.noted(who, kiosk, d, at, unsure, wire.Verified)
}

// noted is checkin of a presence that is known in some way.
func (w *world) noted(who, kiosk string, d wire.Direction, at time.Time, unsure time.Duration, there wire.Presence) {
	w.seq++
	seq, ms := w.seq, at.UnixMilli()
	day := qrgate.DayOfMilli(ms + unsure.Milliseconds())
	subject, err := w.v.Subject(day, w.people[who])
	w.must(err)
	kind, level := pass.Card, qrgate.NoLevel
	if strings.HasPrefix(who, "khach") || who == "dung" {
		kind, level = pass.Phone, qrgate.Stated
	}
	w.must(w.s.Intake(w.ctx(), []string{kiosk}, func(in *store.Intake) error {
		e, err := in.Book(kiosk).Epoch(wire.Epoch{1})
		if err != nil {
			return err
		}
		var digest wire.Digest
		binary.BigEndian.PutUint64(digest[:], seq)
		in.Add(store.Row{
			Under: e, Written: e, Digest: digest, Day: day, Subject: &subject, When: when.Interval{Earliest: ms - unsure.Milliseconds(), Latest: ms + unsure.Milliseconds()},
			Received: w.time(), Level: level,
			Header: wire.Header{
				Seq: seq, Kind: wire.KindCheckin, Boot: when.Boot{byte(seq)}, Since: int64(seq), Wall: ms, Gate: strings.ToUpper(kiosk[len(kiosk)-1:]), Lane: 1, Direction: d,
				Pass: kind, Verdict: wire.Admitted, Presence: there,
			},
		})
		return nil
	}))
}

// A client is somebody's browser. It follows where it is sent.
type client struct {
	w    *world
	who  string
	at   string // the address of the last page
	head http.Header
	http.Client
}

func (w *world) as(name string) *client {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	w.must(err)
	c := &client{w: w, who: name, Client: http.Client{Jar: jar}}
	if name != "" {
		c.want(200, c.post("/as/"+name, nil))
	}
	return c
}

// An answer is a page that came.
type answer struct {
	status int
	body   string
}

func (c *client) get(path string) answer { c.w.t.Helper(); return c.do(http.MethodGet, path, nil) }

func (c *client) post(path string, form url.Values) answer {
	c.w.t.Helper()
	return c.do(http.MethodPost, path, form)
}

func (c *client) do(method, path string, form url.Values) answer {
	c.w.t.Helper()
	r, err := http.NewRequestWithContext(c.w.t.Context(), method, c.w.url+path, strings.NewReader(form.Encode()))
	c.w.must(err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.Do(r)
	c.w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	c.w.must(err)
	c.at, c.head = resp.Request.URL.RequestURI(), resp.Header
	if i := bytes.Index(body, []byte("⟦")); i >= 0 {
		c.w.t.Errorf("%s %s lacks a text: %.80s", method, path, body[i:])
	}
	if resp.StatusCode >= 500 {
		c.w.t.Errorf("%s %s as %s = %d:\n%.600s\n%s", method, path, c.who, resp.StatusCode, body, c.w.log)
	}
	if strings.HasPrefix(path, "/ca-benh") && resp.StatusCode == 200 && resp.Header.Get("Cache-Control") != "no-store" {
		c.w.t.Errorf("%s %s may be kept: %q", method, path, resp.Header.Get("Cache-Control"))
	}
	return answer{resp.StatusCode, string(body)}
}

// want fails the test unless an answer has a status and holds all of these.
func (c *client) want(status int, a answer, holds ...string) string {
	c.w.t.Helper()
	if a.status != status {
		c.w.t.Fatalf("%s as %s = %d, want %d:\n%.3000s", c.at, c.who, a.status, status, plainText(a.body))
	}
	for _, h := range holds {
		if !strings.Contains(a.body, h) && !strings.Contains(plainText(a.body), h) {
			c.w.t.Errorf("%s as %s lacks %q:\n%.2500s", c.at, c.who, h, plainText(a.body))
		}
	}
	return a.body
}

var (
	tags   = regexp.MustCompile(`<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
	ver    = regexp.MustCompile(`name="version" value="(\d+)"`)
	refs   = regexp.MustCompile(`name="nguoi" value="([a-z2-7]{26})"`)
	met    = regexp.MustCompile(`/tiep-xuc/([a-z2-7]{26})"`)
)

func plainText(body string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(tags.ReplaceAllString(body, " "), " "))
}

// found returns what a pattern finds first.
func (w *world) found(body string, p *regexp.Regexp) string {
	w.t.Helper()
	m := p.FindStringSubmatch(body)
	if m == nil {
		w.t.Fatalf("page lacks %s:\n%.4000s", p, plainText(body))
	}
	return m[1]
}

func opening(profile string, more ...string) url.Values {
	f := url.Values{"cases.state": {"suspected"}, "cases.profile": {profile}, "cases.purpose": {"Ca nghi ngờ, trạm y tế báo qua điện thoại"}, "cases.duty": {"1"}, "cases.from": {"2026-11-15"}}
	for i := 0; i+1 < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return f
}

// open opens a case and returns its path.
func (c *client) open(profile string, more ...string) string {
	c.w.t.Helper()
	c.want(200, c.post("/ca-benh/moi", opening(profile, more...)), "Đã mở ca CB-2026-")
	return c.at
}

// index opens a case about An, whom nobody must approve.
func (c *client) index(profile string) string {
	c.w.t.Helper()
	at := c.open(profile)
	body := c.want(200, c.post(at+"/tim", url.Values{"cases.by": {"cccd"}, "cases.find": {"046 048 001 234"}}), "Nguyễn Văn An")
	c.want(200, c.post(at+"/nguoi", url.Values{"version": {c.w.found(body, ver)}, "nguoi": {c.w.found(body, refs)}}), "Đã chọn người")
	return at
}

// traced is index of a case that was traced.
func (c *client) traced() string {
	c.w.t.Helper()
	at := c.index("measles")
	c.want(200, c.post(at+"/truy-vet", nil), "Đã truy vết")
	return at
}

// foreign sends a form as a page of another site would.
func (c *client) foreign(path string, form url.Values) answer {
	c.w.t.Helper()
	r, err := http.NewRequestWithContext(c.w.t.Context(), http.MethodPost, c.w.url+path, strings.NewReader(form.Encode()))
	c.w.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := c.Do(r)
	c.w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	c.w.must(err)
	return answer{resp.StatusCode, string(body)}
}

// audit returns what was written down of some actions, the oldest first.
func (w *world) audit(actions ...string) []register.AuditRow {
	w.t.Helper()
	var all []register.AuditRow
	w.must(w.reg.Audit(w.t.Context(), register.AuditQuery{}, 0, 100_000, func(a register.AuditRow) error {
		if len(actions) == 0 || slices.Contains(actions, a.Action) {
			all = append(all, a)
		}
		return nil
	}))
	slices.Reverse(all)
	return all
}
