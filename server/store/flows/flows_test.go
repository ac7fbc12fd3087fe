package flows_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/flows"
	"github.com/qrgate/qrgate/server/store/register"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

var day = qrgate.DayOf(time.Date(2026, 11, 25, 12, 0, 0, 0, qrgate.Zone))

// A world is figures in a store whose clock the test moves.
type world struct {
	*flows.Flows
	t      *testing.T
	s      *store.Store
	engine engine
	now    atomic.Int64 // Unix milliseconds
}

func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{t: t, engine: e}
			w.now.Store((day + 1).Start().Add(3 * time.Hour).UnixMilli())
			s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: w.time})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			w.s, w.Flows = s, flows.New(s, w.time)
			test(t, w)
		})
	}
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if err := w.s.Write(w.t.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err }); err != nil {
		w.t.Fatal(err)
	}
}

// counted returns a day with a few figures and n crowds.
func counted(d qrgate.Day, n int) *movement.Day {
	c := &movement.Day{
		Day: d, Checkins: 500, Unsure: 10,
		Arrivals: []movement.Figure{{To: "19753@2025-07-01", Sector: "trade", Span: 8, People: 30}, {Span: movement.AllDay, People: 12}},
		Moves:    []movement.Figure{{From: "19753@2025-07-01", To: "19774@2025-07-01", Sector: "health", Span: movement.Morning, People: 11}},
	}
	for no := range n {
		crowd := movement.Crowd{Place: uint32(no + 1)}
		crowd.People[40], crowd.People[41] = uint32(10+no), 15
		c.Crowds = append(c.Crowds, crowd)
	}
	return c
}

func (w *world) save(d qrgate.Day, no, crowds int) error {
	return w.Save(w.t.Context(), movement.Run{Day: d, No: no, Upto: 7, Seen: 500, Made: w.time()}, counted(d, crowds))
}

func TestSave(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		if _, _, ok, err := w.Bounds(t.Context()); ok || err != nil {
			t.Errorf("Bounds() of nothing = %v, %v", ok, err)
		}
		for _, err := range []error{w.save(day, 1, 250), w.save(day-1, 1, 0), w.save(day, 2, 3)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.save(day, 2, 9); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Save() of a run that is there = %v, want a conflict", err)
		}
		got, err := w.Days(t.Context(), day-1, day)
		if err != nil {
			t.Fatal(err)
		}
		var want []*movement.Day
		for _, d := range []qrgate.Day{day - 1, day, day} {
			c := counted(d, 0)
			want = append(want, c)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Days() (-want +got)\n%s", diff)
		}
		runs, err := w.Runs(t.Context(), day-1, day)
		if err != nil || runs[day].No != 2 || runs[day-1].No != 1 || runs[day].Seen != 500 || !runs[day].Made.Equal(w.time()) {
			t.Errorf("Runs() = %+v, %v", runs, err)
		}
		if first, last, ok, err := w.Bounds(t.Context()); first != day-1 || last != day || !ok || err != nil {
			t.Errorf("Bounds() = %s, %s, %v, %v", first, last, ok, err)
		}
		// The crowds are the last run's.
		if c, err := w.Crowd(t.Context(), 3, day); err != nil || c.People[40] != 12 || c.People[41] != 15 {
			t.Errorf("Crowd() = %+v, %v", c, err)
		}
		for _, none := range []struct {
			place uint32
			day   qrgate.Day
		}{{4, day}, {1, day - 1}} {
			if c, err := w.Crowd(t.Context(), none.place, none.day); !errors.Is(err, qrgate.ErrNotFound) {
				t.Errorf("Crowd(%v) = %+v, %v, want none", none, c, err)
			}
		}
		if got, err := w.CrowdDays(t.Context(), 3, day-5, day); err != nil || len(got) != 1 || got[day] != 15 {
			t.Errorf("CrowdDays() = %v, %v", got, err)
		}
		if err := w.Forget(t.Context(), day); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Days(t.Context(), day-1, day); err != nil || len(got) != 2 {
			t.Errorf("after Forget() there are %d runs, %v, want 2", len(got), err)
		}
		if err := w.Forget(t.Context(), day+1); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Crowd(t.Context(), 3, day); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("a crowd outlives Forget(): %v", err)
		}
	})
}

func TestTurns(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		other := flows.New(w.s, w.time)
		turn := func(f *flows.Flows, want bool) {
			t.Helper()
			if got, err := f.Turn(t.Context(), w.time().Add(time.Hour)); err != nil || got != want {
				t.Errorf("Turn() = %v, %v, want %v", got, err, want)
			}
		}
		turn(w.Flows, true)
		turn(w.Flows, true) // longer
		turn(other, false)
		if err := other.EndTurn(t.Context()); err != nil { // not its own
			t.Fatal(err)
		}
		turn(other, false)
		w.now.Add(2 * time.Hour.Milliseconds()) // it died
		turn(other, true)
		turn(w.Flows, false)
		if err := other.EndTurn(t.Context()); err != nil {
			t.Fatal(err)
		}
		turn(w.Flows, true)
	})
}

func TestSeen(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.exec("INSERT INTO kiosks (no, id, place, public, state, added, version) VALUES (1, 'gate-0001', '', ?, 1, 0, 0)", make([]byte, 32))
		for place := range 3 {
			w.exec("INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES (?, ?, 1, 20, 5, 0, 0)", place, int64(day))
		}
		w.exec("INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES (9, ?, 1, 1, 0, 0, 0)", int64(day-9))
		got, err := w.Seen(t.Context(), day-3, day)
		if diff := cmp.Diff(map[qrgate.Day]int64{day: 75}, got); err != nil || diff != "" {
			t.Errorf("Seen() = %v (-want +got)\n%s", err, diff)
		}
	})
}

func TestPlacesAndBusiest(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)")
		for i, p := range []struct{ sector, area string }{{"trade", "19753@2025-07-01"}, {"health", "19753@2025-07-01"}, {"trade", "19774@2025-07-01"}} {
			w.exec(`INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, person, phones, email, capacity, hours, doors, version, poster, created, changed)
				VALUES (?, 'o', ?, '', ?, 'market', ?, ?, '', '', '[]', '', 50, '[]', 0, 1, 0, 0, 0)`, i+1, p.sector+" "+p.area, p.sector, p.area, p.area)
		}
		w.exec("UPDATE places SET hours = ?, lat = 16471600, lon = 107588000 WHERE no = 2", `[{"Days":127,"Open":360,"Close":1140}]`)
		places, err := w.Places(t.Context())
		want := movement.Place{
			Area: "19753@2025-07-01", Sector: "health", Kind: "market", Hours: []qrgate.Hours{{Days: qrgate.EveryDay, Open: 360, Close: 1140}},
			At: &qrgate.Point{Lat: 16.4716, Lon: 107.588},
		}
		if diff := cmp.Diff(want, places[2]); err != nil || len(places) != 3 || diff != "" {
			t.Errorf("Places() = %d places, %v (-want +got)\n%s", len(places), err, diff)
		}
		if err := w.save(day, 1, 30); err != nil {
			t.Fatal(err)
		}
		w.exec("UPDATE places SET deleted = 1 WHERE no = 3")
		for _, tt := range []struct {
			name   string
			within register.Within
			want   []uint32
		}{
			{"all", register.Within{All: true}, []uint32{1, 2}}, // both 15: by number
			{"nobody", register.Within{}, nil},
			{"a sector", register.Within{Sectors: []string{"health", "trade"}}, []uint32{1, 2}},
			{"another", register.Within{Sectors: []string{"health"}}, []uint32{2}},
			{"an area", register.Within{Areas: []string{"19774@2025-07-01"}}, nil},
			{"an organisation", register.Within{Organisations: []string{"o"}}, []uint32{1, 2}},
		} {
			all, err := w.Busiest(t.Context(), tt.within, day, 10)
			var got []uint32
			for _, b := range all {
				got = append(got, b.No)
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("Busiest(%s) = %v (-want +got)\n%s", tt.name, err, diff)
			}
		}
	})
}
