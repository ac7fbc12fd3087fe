package rooms_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/rooms"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

// A world is a place, number 5, with two kiosks whose server has one clock.
type world struct {
	*rooms.Rooms
	t   *testing.T
	s   *store.Store
	now time.Time
}

func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{t: t, now: time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone)}
			now := func() time.Time { return w.now }
			s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			w.s, w.Rooms = s, rooms.New(s, now)
			for _, id := range []string{"gate-0001", "gate-0002"} {
				if err := s.AddKiosk(t.Context(), qrgate.Kiosk{ID: id, Place: "Nhà thi đấu", PlaceNo: 5, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: w.now}); err != nil {
					t.Fatal(err)
				}
			}
			test(t, w)
		})
	}
}

const connected = time.Minute

// beat tells what a gate has counted, and takes what it is granted.
func (w *world) beat(kiosk string, c *quota.Tally, limit uint64) quota.Grant {
	w.t.Helper()
	told := []wire.CountBeat{{Period: c.Period, Count: c.Count}, {Scope: wire.Scope{Event: 9}, Count: quota.Count{In: 3}}}
	grants, err := w.Exchange(w.t.Context(), kiosk, 5, told, func(s wire.Scope) uint64 {
		if s.Event == 0 {
			return limit
		}
		return 0
	}, connected)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(grants) != 1 || grants[0].Scope != (wire.Scope{}) || grants[0].Period != c.Period {
		w.t.Fatalf("granted %+v, want one grant of the place", grants)
	}
	g := grants[0].Grant
	c.Count = c.Merge(quota.Tally{Period: c.Period, Count: quota.Count{Granted: g.Granted}}).Count
	c.Return(g.Return)
	return g
}

func enter(c *quota.Tally) (n int) {
	for c.Enter() {
		n++
	}
	return n
}

func TestTwoGatesShareAPlace(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		a, b := quota.Tally{Period: 1}, quota.Tally{Period: 1}
		w.beat("gate-0001", &a, 10)
		if n := enter(&a); n != 10 {
			t.Errorf("the only gate that was heard of let in %d, want 10", n)
		}
		if w.beat("gate-0002", &b, 10); enter(&b) != 0 {
			t.Error("the other let somebody in where the first has used all rights")
		}
		for range 4 {
			a.Leave()
		}
		w.beat("gate-0001", &a, 10)
		w.beat("gate-0001", &a, 10) // what was given back
		g := w.beat("gate-0002", &b, 10)
		if n := enter(&b); n == 0 || a.Inside()+b.Inside() > 10 {
			t.Errorf("after four have left the other let in %d; %d are inside", n, a.Inside()+b.Inside())
		}
		if g.Inside != 6 || g.Cut {
			t.Errorf("told of the others: %+v, want 6 inside", g)
		}
		w.beat("gate-0002", &b, 10)
		got, err := w.Inside(t.Context(), 5, wire.Scope{}, 1, connected)
		want := rooms.Count{Inside: a.Inside() + b.Inside(), In: 10 + int64(b.In), Told: w.now}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Inside: %v\n%s", err, diff)
		}

		// One is cut off: what it may have let in is bounded, and on the next day it goes
		// on with the rights that it has.
		w.now = w.now.Add(2 * connected)
		if g := w.beat("gate-0002", &b, 10); !g.Cut {
			t.Errorf("nobody is told that the other gate is cut off: %+v", g)
		}
		a, b = a.Roll(2), b.Roll(2)
		w.beat("gate-0002", &b, 10)
		if n := enter(&a) + enter(&b); n > 10 {
			t.Errorf("on the next day %d came in, one gate being cut off, want at most 10", n)
		}
	})
}

// A gate that was moved holds no right where it stood.
func TestMoved(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		a, b := quota.Tally{Period: 1}, quota.Tally{Period: 1}
		w.beat("gate-0001", &a, 10)
		if err := w.s.MoveKiosk(t.Context(), "gate-0001", store.Where{Name: "Nơi khác", No: 6}); err != nil {
			t.Fatal(err)
		}
		w.beat("gate-0002", &b, 10)
		if n := enter(&b); n != 10 {
			t.Errorf("the gate that is left let in %d, want 10", n)
		}
		grants, err := w.Exchange(t.Context(), "gate-0001", 5, []wire.CountBeat{{Period: 1, Count: a.Count}}, func(wire.Scope) uint64 { return 10 }, connected)
		if err != nil || len(grants) != 0 {
			t.Errorf("the gate that was moved is granted %+v, %v", grants, err)
		}
	})
}

// However gates beat at once, no more is granted than the limit.
func TestAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const limit, gates = 57, 8
		for i := 3; i <= gates; i++ {
			if err := w.s.AddKiosk(t.Context(), qrgate.Kiosk{ID: fmt.Sprintf("gate-%04d", i), Place: "Nhà thi đấu", PlaceNo: 5, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: w.now}); err != nil {
				t.Fatal(err)
			}
		}
		tallies := make([]quota.Tally, gates)
		beat := func(i int) {
			c := &tallies[i]
			grants, err := w.Exchange(context.Background(), fmt.Sprintf("gate-%04d", i+1), 5, []wire.CountBeat{{Count: c.Count}}, func(wire.Scope) uint64 { return limit }, connected)
			if err != nil || len(grants) != 1 {
				t.Errorf("exchange: %+v, %v", grants, err)
				return
			}
			c.Granted = max(c.Granted, grants[0].Grant.Granted)
			c.Return(grants[0].Grant.Return)
			c.Enter()
		}
		inside := func() (inside int64) {
			held := uint64(0)
			for _, c := range tallies {
				inside, held = inside+c.Inside(), held+c.Granted-c.Returned
			}
			if inside > limit || held > limit {
				t.Errorf("%d are inside and %d rights are held, the limit is %d", inside, held, limit)
			}
			return inside
		}
		var all sync.WaitGroup
		for i := range tallies {
			all.Go(func() {
				for range 10 {
					beat(i)
				}
			})
		}
		all.Wait()
		inside()
		// A gate that was quick holds what others lack until it beats again.
		for range 10 {
			for i := range tallies {
				beat(i)
			}
		}
		if n := inside(); n < limit-gates {
			t.Errorf("only %d came in, the limit is %d", n, limit)
		}
	})
}

// What was counted of an event goes when the event is long over, and nothing else.
func TestDropEvents(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		a := quota.Tally{Period: 1}
		w.beat("gate-0001", &a, 10)
		err := w.s.Write(ctx, func(t store.Tx) error {
			for _, query := range []string{
				"INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)",
				`INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, person, phones, email, capacity, hours, doors, version, poster, created, changed)
					VALUES (5, 'o', 'p', 'p', 'trade', 'hall', 'a', 'a', '', '', '[]', '', 0, '[]', 1, 1, 0, 0, 0)`,
				`INSERT INTO events (no, organisation, place, name, about, starts, ends, early, capacity, open, reentry, version, bundle, last_pass, made_by, made, changed)
					VALUES (9, 'o', 5, 'e', '', 1, 1000, 0, 0, 0, 0, 1, 1, 0, '', 0, 0)`,
			} {
				if _, err := t.Exec(query); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Exchange(ctx, "gate-0001", 5, []wire.CountBeat{{Scope: wire.Scope{Event: 9}, Count: quota.Count{In: 3}}}, func(wire.Scope) uint64 { return 10 }, connected); err != nil {
			t.Fatal(err)
		}
		inside := func(s wire.Scope, period int64) int64 {
			c, err := w.Inside(ctx, 5, s, period, connected)
			if err != nil {
				t.Fatal(err)
			}
			return c.In
		}
		enter(&a)
		w.beat("gate-0001", &a, 10)
		for _, before := range []time.Time{time.UnixMilli(1000), time.UnixMilli(1001)} {
			if err := w.DropEvents(ctx, before); err != nil {
				t.Fatal(err)
			}
			want := int64(3)
			if before.UnixMilli() > 1000 {
				want = 0
			}
			if event, place := inside(wire.Scope{Event: 9}, 0), inside(wire.Scope{}, 1); event != want || place != 10 {
				t.Errorf("counts of events that ended before %d are dropped: %d of the event and %d of the place are left, want %d and 10", before.UnixMilli(), event, place, want)
			}
		}
	})
}
