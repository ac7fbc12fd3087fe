package retention_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", found}

// A world is a server's database, keys and folders, and a clock that the test
// moves.
type world struct {
	*retention.Keeper
	t      testing.TB
	dsn    string
	dir    string // of everything but the database
	master vault.Master
	s      *store.Store
	rights *rights.Rights
	reg    *register.Register
	book   *casebook.Book
	events *events.Events
	v      *vault.Vault
	log    bytes.Buffer
	logMu  sync.Mutex
	now    atomic.Int64 // what the clock says, Unix milliseconds
	passed atomic.Int64 // what the machine counts, in milliseconds
	seq    uint64
	needed []qrgate.Person
}

var signer = proof.Signer{ID: 1, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}

// begin is when a world begins: the days are counted from it.
var begin = time.Date(2026, 11, 1, 9, 0, 0, 0, qrgate.Zone)

// dayOf returns the n-th day of the world, from 1.
func dayOf(n int) qrgate.Day { return qrgate.DayOf(begin) + qrgate.Day(n-1) }

func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := newWorld(t, e.dsn(t))
			test(t, w)
		})
	}
}

func newWorld(t testing.TB, dsn string) *world {
	t.Helper()
	w := &world{t: t, dsn: dsn, dir: t.TempDir(), master: vault.NewMaster()}
	w.now.Store(begin.UnixMilli())
	if err := vault.Init(vault.Dir(filepath.Join(w.dir, "days")), w.master); err != nil {
		t.Fatal(err)
	}
	w.open()
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// open opens the database, new or after it was put in place of another.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.s, err = store.Open(w.t.Context(), w.dsn, store.Options{Now: w.time}); err != nil {
		w.t.Fatal(err)
	}
	s := w.s
	w.t.Cleanup(func() { s.Close() })
	w.rights, w.reg = rights.New(w.s, w.time), register.New(w.s, w.time)
	if w.v, err = vault.Open(vault.Dir(filepath.Join(w.dir, "days")), w.master, vault.Options{Now: w.time}); err != nil {
		w.t.Fatal(err)
	}
	w.book, w.events = casebook.New(w.s, w.v, w.time), events.New(w.s, w.v, w.time)
	w.Keeper = w.keeper(retention.Options{})
}

// keeper returns another server's keeper.
func (w *world) keeper(o retention.Options) *retention.Keeper {
	o.Now, o.Backups, o.Logs, o.Erased = w.time, filepath.Join(w.dir, "backups"), filepath.Join(w.dir, "logs"), filepath.Join(w.dir, "erased")
	o.Controller, o.Clock = "Sở Y tế thành phố Huế", filepath.Join(w.dir, "clock")
	o.Passed = func() time.Duration { return time.Duration(w.passed.Load()) * time.Millisecond }
	return retention.New(retention.Parts{
		Store: w.s, Rights: w.rights, Register: w.reg, Vault: w.v, Sign: signer, Log: slog.New(slog.NewTextHandler(w, nil)),
		Selves: w.book.Selves, Part: w.book.Part, Events: w.events,
		Needed: func(_ context.Context, fn func(qrgate.Person)) error {
			for _, p := range w.needed {
				fn(p)
			}
			return nil
		},
		Looks: func(context.Context, qrgate.Person) ([]retention.Look, error) {
			return []retention.Look{{At: w.time(), By: "officer-1", Action: "see person", Case: "CB-2026-000001"}}, nil
		},
	}, o)
}

// started returns the keeper of a server that has started.
func (w *world) started(o retention.Options) *retention.Keeper {
	w.t.Helper()
	k := w.keeper(o)
	if err := k.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return k
}

// Write is the server's log.
func (w *world) Write(b []byte) (int, error) {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.Write(b)
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

// to lets time pass until the morning of the n-th day.
func (w *world) to(n int) {
	at := begin.AddDate(0, 0, n-1).UnixMilli()
	w.passed.Add(at - w.now.Load())
	w.now.Store(at)
}

func (w *world) once() {
	w.t.Helper()
	if err := w.Once(w.t.Context()); err != nil {
		w.t.Fatalf("Once = %v", err)
	}
}

// A human checks in. The words are canaries: they must be found nowhere once the
// human is forgotten.
type human struct {
	name, phone string
	person      qrgate.Person
	subjects    []qrgate.Subject
	identity    [16]byte
}

func humanOf(n int) *human {
	return &human{name: fmt.Sprintf("Tôn Nữ Canary %d", n), phone: fmt.Sprintf("+8490%07d", n)}
}

// comes stores a check-in of each of these by phone today.
func (w *world) comes(all ...*human) {
	w.t.Helper()
	id, err := w.s.Phones(w.t.Context(), "server-1")
	if err != nil {
		w.t.Fatal(err)
	}
	now := w.time()
	day := qrgate.DayOf(now)
	first := w.seq
	err = w.s.Intake(w.t.Context(), []string{id}, func(in *store.Intake) error {
		w.seq = first
		e, err := in.Book(id).Epoch(wire.Epoch{1})
		if err != nil {
			return err
		}
		if first == 0 {
			if err := e.Opened(wire.Opened{By: wire.OpenedNew}, now); err != nil {
				return err
			}
		}
		boot, since := when.Boot{1}, now.Sub(begin).Milliseconds()
		for _, h := range all {
			w.seq++
			h.identity = w.v.Identity(pass.Phone, h.phone)
			p, fresh, err := in.Person(h.identity, vault.NewPerson)
			if err != nil {
				return err
			}
			h.person = p
			if fresh {
				wrapped := w.v.NewPersonKey(p)
				sealed, err := w.v.SealDetail(p, wrapped, "pass", wire.Encode(wire.Subject{Kind: pass.Phone, Number: h.phone, Name: h.name, Address: "Kiệt Canary"}))
				if err != nil {
					return err
				}
				if err := in.Detail(p, wrapped, sealed); err != nil {
					return err
				}
			}
			subject, err := w.v.Subject(day, p)
			if err != nil {
				return err
			}
			h.subjects = append(h.subjects, subject)
			head := wire.Header{Seq: w.seq, Boot: boot, Since: since, Kind: wire.KindCheckin, Direction: wire.In, Pass: pass.Phone, Verdict: wire.Admitted, Wall: now.UnixMilli()}
			in.Add(store.Row{
				Under: e, Written: e, Header: head, Digest: wire.NewRecord(head, wire.Sealed{}).Digest(), Day: day, Subject: &subject,
				When: when.Interval{Earliest: now.UnixMilli(), Latest: now.UnixMilli()}, Received: now, Where: store.Where{Name: "Cửa hàng Canary"},
			})
		}
		in.Seen(e, when.Span{Boot: boot, First: first + 1, Last: w.seq, Start: since, End: since, Arrived: now.UnixMilli(), ArrivedSince: since})
		e.Touch(now)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// whose returns all that somebody is known as.
func (w *world) whose(found ...qrgate.Person) retention.Identities {
	w.t.Helper()
	of, err := w.Identities(w.t.Context(), found...)
	if err != nil {
		w.t.Fatal(err)
	}
	return of
}

// merge says that two persons are one human.
func (w *world) merge(a, b qrgate.Person) {
	w.t.Helper()
	err := w.s.Write(w.t.Context(), func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO merges (person, same_as, made_by, made) VALUES (?, ?, 'officer-1', 0)", int64(min(a, b)), int64(max(a, b)))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// invite makes guests of an event of the day after tomorrow.
func (w *world) invite(guests ...*events.Guest) {
	w.t.Helper()
	ctx := w.t.Context()
	p := &qrgate.Place{Organisation: "o", Name: "Nhà hát", Sector: "trade", Kind: "market", Area: "19753@2025-07-01", AreaNow: "19753@2025-07-01", Street: "2 Lê Lợi"}
	err := w.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)")
		return err
	})
	if err == nil {
		err = w.reg.AddPlace(ctx, "", p)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	starts := w.time().Add(48 * time.Hour)
	e := &events.Event{Organisation: "o", Place: p.No, Name: "Đêm nhạc Trịnh", Starts: starts, Ends: starts.Add(3 * time.Hour), Categories: []events.Category{{No: 1, Kind: events.Public}}}
	if err := w.events.Add(ctx, "organiser-1", e); err != nil {
		w.t.Fatal(err)
	}
	if err := w.events.Invite(ctx, "organiser-1", e.No, guests); err != nil {
		w.t.Fatal(err)
	}
}

// tidy files what has arrived.
func (w *world) tidy() {
	w.t.Helper()
	for more := true; more; {
		var err error
		if more, err = w.s.Tidy(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// backup writes a data backup into the folder and returns its path.
func (w *world) backup(name string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, "backups", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.s.Backup(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
	return path
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
