package casebook_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "qrgate.db")
	if err := os.WriteFile(path, founded(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}}

// founded returns the file of a database with officers and nothing else: to make
// all tables anew for each test takes longer than most of them.
var founded = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "casebook")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "qrgate.db")
	s, err := store.Open(context.Background(), "sqlite:"+path, store.Options{})
	if err == nil {
		err = errors.Join(found(s), s.Close())
	}
	if err != nil {
		panic(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return b
})

// Two communes next to each other, and what holds both.
var (
	phuXuan  = qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}
	duongNo  = qrgate.Scope{Kind: qrgate.InArea, ID: "19774@2025-07-01"}
	province = qrgate.Scope{Kind: qrgate.InArea, ID: "46@2025-01-01"}
)

// A world is a casebook with officers, whose clock the test moves.
type world struct {
	*casebook.Book
	t     testing.TB
	dsn   string
	s     *store.Store
	reg   *register.Register
	cards *register.Cards
	v     *vault.Vault
	now   atomic.Int64 // Unix milliseconds
}

func newWorld(t testing.TB, dsn string) *world {
	t.Helper()
	w := &world{t: t, dsn: dsn}
	w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
	s, err := store.Open(context.Background(), dsn, store.Options{Now: w.time})
	w.must(err)
	t.Cleanup(func() { s.Close() })
	keys, master := vault.Dir(t.TempDir()), vault.NewMaster()
	w.must(vault.Init(keys, master))
	w.v, err = vault.Open(keys, master, vault.Options{Now: w.time})
	w.must(err)
	w.s, w.reg = s, register.New(s, w.time)
	w.cards = w.reg.Cards(w.v)
	w.Book = casebook.New(s, w.v, w.time)
	known := false
	w.must(s.Read(context.Background(), func(*sql.Rows) error { known = true; return nil }, "SELECT 1 FROM grants LIMIT 1"))
	if !known {
		w.must(found(s))
	}
	return w
}

// found adds the health officers lan and minh of one commune, hoa of another, tinh of
// everywhere, an approver of each commune, duc and xa, the data-protection officer
// mai, and vien, who administers.
func found(s *store.Store) error {
	reg := register.New(s, time.Now)
	for _, o := range []struct {
		id    string
		role  qrgate.Role
		scope qrgate.Scope
	}{
		{"lan", qrgate.HealthOfficer, phuXuan}, {"minh", qrgate.HealthOfficer, phuXuan}, {"hoa", qrgate.HealthOfficer, duongNo}, {"tinh", qrgate.HealthOfficer, qrgate.All},
		{"duc", qrgate.Approver, phuXuan}, {"xa", qrgate.Approver, duongNo}, {"mai", qrgate.Protection, qrgate.All}, {"vien", qrgate.Administrator, qrgate.All},
	} {
		err := addAccount(s, o.id)
		if err == nil {
			err = reg.GiveRole(context.Background(), "", o.id, qrgate.Grant{Role: o.role, Scope: o.scope})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addAccount adds somebody whose id and name are the same.
func addAccount(s *store.Store, id string) error {
	return s.Write(context.Background(), func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)", id, id, id)
		return err
	})
}

// onEach runs a test on every engine.
func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, newWorld(t, e.dsn(t))) })
	}
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) pass(d time.Duration) { w.now.Add(d.Milliseconds()) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// refuses fails unless err is of a kind.
func (w *world) refuses(what string, err, kind error) {
	w.t.Helper()
	if !errors.Is(err, kind) {
		w.t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.must(w.s.Write(context.Background(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err }))
}

const why = "Ca nghi ngờ, trạm y tế báo qua điện thoại"

// open opens a case of a disease for which somebody must approve.
func (w *world) open(by string) *casebook.Case {
	w.t.Helper()
	c, err := w.Open(context.Background(), by, casebook.Opening{State: casebook.Suspected, Profile: "suspected", Purpose: why})
	w.must(err)
	return c
}

func (w *world) get(by, id string) *casebook.Case {
	w.t.Helper()
	c, err := w.Case(context.Background(), by, id)
	w.must(err)
	return c
}

// approved is a case of lan's that duc has approved, about An.
func (w *world) approved() *casebook.Case {
	w.t.Helper()
	ctx := context.Background()
	c := w.open("lan")
	found, err := w.Find(ctx, "lan", c.ID, casebook.Lookup{Kind: pass.CCCD, Number: an.Identity})
	w.must(err)
	if len(found) != 1 {
		w.t.Fatalf("Find found %d, want An", len(found))
	}
	w.must(w.SetIndex(ctx, "lan", c.ID, c.Version, found[0].Ref))
	w.must(w.Ask(ctx, "lan", c.ID, c.Version+1))
	w.must(w.Decide(ctx, "duc", c.ID, c.Version+2, true))
	return w.get("lan", c.ID)
}

var an = register.Details{
	Name: "Nguyễn Văn An", Born: 1948, Sex: "m", Phone: "+84905123456", Area: phuXuan.ID, Street: "12 Lê Lợi", Identity: "046048001234", Insurance: "4612345678",
}

// holder registers somebody, and returns who they are and the number of their card.
func (w *world) holder(d register.Details) (qrgate.Person, uint32) {
	w.t.Helper()
	ctx := context.Background()
	h := &register.CardHolder{Office: phuXuan, Details: d}
	w.must(w.cards.AddHolders(ctx, "clerk", []*register.CardHolder{h}))
	today := pass.DayOf(w.time())
	_, err := w.cards.Issue(ctx, "clerk", register.Order{Office: phuXuan, Kind: pass.Card, First: today, Last: today + 365}, h.ID)
	w.must(err)
	cards, err := w.cards.CardsOf(ctx, h.ID)
	w.must(err)
	p, err := w.cards.PersonOf(ctx, pass.CCCD, d.Identity)
	w.must(err)
	return p, cards[0].Number
}

// visitor lets somebody check in by telephone, as an ingest does.
func (w *world) visitor(s wire.Subject) qrgate.Person {
	w.t.Helper()
	var who qrgate.Person
	w.must(w.s.Intake(context.Background(), nil, func(t *store.Intake) (err error) {
		isNew := false
		if who, isNew, err = t.Person(w.v.Identity(s.Kind, s.Number), vault.NewPerson); err != nil || !isNew {
			return err
		}
		wrapped := w.v.NewPersonKey(who)
		sealed, err := w.v.SealDetail(who, wrapped, "pass", wire.Encode(s))
		if err != nil {
			return err
		}
		return t.Detail(who, wrapped, sealed)
	}))
	return who
}

// An entry is an audit row without its time.
type entry struct{ Actor, Action, Object, Note string }

// audit returns what was written down since the first n rows, the oldest first.
func (w *world) audit(q register.AuditQuery) []entry {
	w.t.Helper()
	var all []entry
	w.must(w.reg.Audit(context.Background(), q, 0, 10_000, func(a register.AuditRow) error {
		all = append(all, entry{a.Actor, a.Action, a.Object, a.Note})
		return nil
	}))
	slices.Reverse(all)
	return all
}

// sizes returns the numbers that a query gives.
func (w *world) sizes(query string) (all []int) {
	w.t.Helper()
	w.must(w.s.Read(context.Background(), func(rows *sql.Rows) error {
		n := 0
		err := rows.Scan(&n)
		all = append(all, n)
		return err
	}, query))
	return all
}
