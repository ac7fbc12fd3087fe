package trace_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/trace/province"
	"github.com/qrgate/qrgate/server/vault"
)

// An engine makes empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

// A world is a store and a vault that hold a province.
type world struct {
	*store.Store
	*vault.Vault
	dsn    string
	venues map[qrgate.Spot]trace.Venue
}

func (w *world) Venues(_ context.Context, spots []qrgate.Spot) (map[qrgate.Spot]trace.Venue, error) {
	return venuesOf(w.venues, spots), nil
}

func (w *world) tracer() *trace.Tracer { return trace.New(w.Store, w.Vault, w) }

func newWorld(t testing.TB, e engine, now time.Time) *world {
	t.Helper()
	return openWorld(t, e, store.Options{Now: func() time.Time { return now }})
}

func openWorld(t testing.TB, e engine, o store.Options) *world {
	t.Helper()
	w := &world{dsn: e.dsn(t)}
	var err error
	if w.Store, err = store.Open(context.Background(), w.dsn, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Store.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	keys, master := vault.Dir(t.TempDir()), vault.NewMaster()
	if err := vault.Init(keys, master); err != nil {
		t.Fatal(err)
	}
	if w.Vault, err = vault.Open(keys, master, vault.Options{Now: o.Now}); err != nil {
		t.Fatal(err)
	}
	return w
}

// fill takes a province in.
func (w *world) fill(t testing.TB, p *province.Province, settled bool) *province.Filler {
	t.Helper()
	w.venues = venues(p)
	f := &province.Filler{Province: p, Store: w.Store, Vault: w.Vault, Settled: settled}
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for d := 0; d < p.Days() || f.Rest(); d++ {
		if err := f.Day(t.Context(), d); err != nil {
			t.Fatalf("day %d: %v", d, err)
		}
	}
	return f
}

// TestTenMillion traces people of a province that is in a real store under a real
// vault: 10 million check-ins with QRGATE_SCALE=soak. Clocks are wrong, kiosks are
// cut off, boots never met the server.
func TestTenMillion(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			const days = daysInStore
			p := province.New(province.Options{
				Seed: 7, People: province.PeopleFor(scale(t, inStore, 10_000_000), days), Days: days, First: first, Registered: true,
			})
			w := newWorld(t, e, (first + days).Start())
			began := time.Now()
			f := w.fill(t, p, false)
			t.Logf("filled in %v", time.Since(began))
			people := append(ill(p, 7, tracedInStore), inPatients(p, tracedInStore)...)
			contacts, certain := checkTruth(t, p, w.tracer(), people)
			t.Logf("%d check-ins of %d people at %d places; traced %d people: %d contacts, %d certain", f.Rows, p.People(), len(p.Places()), len(people), contacts, certain)
			if f.Late > 0 || contacts < 100 || certain < 30 {
				t.Errorf("%d late; %d contacts, %d certain, which is too few to tell", f.Late, contacts, certain)
			}
			for _, who := range people[:1+tracedInStore/2] {
				w.checkWindows(t, p, who)
			}
		})
	}
}

// TestSettled finds the same in a store that knew all anchors before the first check-in as
// in one that dated its check-ins again whenever one came.
func TestSettled(t *testing.T) {
	const days = 8
	p := province.New(province.Options{Seed: 7, People: province.PeopleFor(4000, days), Days: days, First: first, Registered: true})
	var found [2]trace.Found
	for i, settled := range []bool{false, true} {
		w := newWorld(t, sqlite, (first + days).Start())
		w.fill(t, p, settled)
		found[i], _ = traceOf(t, w.tracer(), p, p.Outbreaks()[0].Index, profile("covid19"))
	}
	if d := trace.Compare(found[0].Contacts, found[1].Contacts); !d.Empty() || len(found[0].Contacts) < 10 {
		t.Errorf("of %d contacts, settled at once: %d more, %d fewer, others: %+v", len(found[0].Contacts), len(d.Added), len(d.Removed), d.Changed)
	}
}

// checkWindows compares what is found of a person with what is found when all
// check-ins of those places are looked at.
func (w *world) checkWindows(t *testing.T, p *province.Province, who qrgate.Person) {
	t.Helper()
	found, stays := traceOf(t, w.tracer(), p, who, profile("covid19"))
	m := newMemory()
	for _, s := range stays {
		if len(m.at[s.At]) > 0 {
			continue
		}
		err := w.CheckinsAt(t.Context(), s.At, 0, math.MaxInt64, func(c *qrgate.Checkin) error {
			m.at[s.At] = append(m.at[s.At], *c)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := trace.New(&everything{memory: m, told: map[qrgate.Spot]bool{}}, w.Vault, w).Contacts(t.Context(), stays, profile("covid19"), trace.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if d := trace.Compare(all.Contacts, found.Contacts); !d.Empty() {
		t.Errorf("contacts of %d, all read and windows read: %d more, %d fewer, %d others: %.3000s", who, len(d.Added), len(d.Removed), len(d.Changed), fmt.Sprintf("%+v", d))
	}
}

// An everything is rows of which each place is read whole, once, whatever is asked.
type everything struct {
	*memory
	mu   sync.Mutex
	told map[qrgate.Spot]bool
}

func (e *everything) CheckinsAt(ctx context.Context, at qrgate.Spot, _, _ int64, fn func(*qrgate.Checkin) error) error {
	e.mu.Lock()
	told := e.told[at]
	e.told[at] = true
	e.mu.Unlock()
	if told {
		return nil
	}
	return e.memory.CheckinsAt(ctx, at, math.MinInt64, math.MaxInt64, fn)
}
