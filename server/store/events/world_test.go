package events_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

// A world is events at one place of the organisation "hall", whose owner is lan.
type world struct {
	*events.Events
	t     *testing.T
	dsn   string
	s     *store.Store
	v     *vault.Vault
	reg   *register.Register
	lan   string
	place uint32
	now   atomic.Int64 // Unix milliseconds
}

// onEach runs a test on every engine.
func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{t: t, dsn: e.dsn(t)}
			w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
			s, err := store.Open(t.Context(), w.dsn, store.Options{Now: w.time})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			keys, master := vault.Dir(t.TempDir()), vault.NewMaster()
			if err := vault.Init(keys, master); err != nil {
				t.Fatal(err)
			}
			if w.v, err = vault.Open(keys, master, vault.Options{Now: w.time}); err != nil {
				t.Fatal(err)
			}
			w.s, w.reg, w.Events = s, register.New(s, w.time), events.New(s, w.v, w.time)
			a := &register.Account{Name: "lan", Display: "Lan"}
			if err := w.reg.AddAccount(t.Context(), "", a); err != nil {
				t.Fatal(err)
			}
			w.lan = a.ID
			w.place = w.placeOf("hall")
			test(t, w)
		})
	}
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) pass(d time.Duration) { w.now.Add(d.Milliseconds()) }

// placeOf adds an organisation with one place.
func (w *world) placeOf(organisation string) uint32 {
	w.t.Helper()
	o := &register.Organisation{Name: organisation, Sector: "culture"}
	if err := w.reg.AddOrganisation(w.t.Context(), w.lan, o); err != nil {
		w.t.Fatal(err)
	}
	p := &qrgate.Place{Organisation: o.ID, Name: "Nhà thi đấu", Sector: "culture", Kind: "hall", Area: "19753", AreaNow: "19753", Doors: 2}
	if err := w.reg.AddPlace(w.t.Context(), w.lan, p); err != nil {
		w.t.Fatal(err)
	}
	return p.No
}

// gathering is an event of tomorrow evening, as it is typed.
func (w *world) gathering() *events.Event {
	w.t.Helper()
	p, err := w.reg.Place(w.t.Context(), w.place)
	if err != nil {
		w.t.Fatal(err)
	}
	starts := w.time().Add(32 * time.Hour)
	return &events.Event{
		Organisation: p.Organisation, Place: p.No, Name: "Đêm nhạc Trịnh", About: "Có ghế ngồi", Starts: starts, Ends: starts.Add(3 * time.Hour),
		Early: time.Hour, Capacity: 500, Reentry: true,
		Categories: []events.Category{{No: 1, Kind: events.Delegate, Gates: []string{"A1"}, Quota: 100}, {No: 2, Kind: events.Public, Name: "Vé mời"}},
	}
}

func (w *world) add() *events.Event {
	w.t.Helper()
	e := w.gathering()
	if err := w.Add(w.t.Context(), w.lan, e); err != nil {
		w.t.Fatal(err)
	}
	return e
}
