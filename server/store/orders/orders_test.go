package orders_test

import (
	"bytes"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/orders"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

// A world is two kiosks and a server with one clock.
type world struct {
	*orders.Orders
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
			w.s, w.Orders = s, orders.At(s, now)
			for _, id := range []string{"gate-0001", "gate-0002"} {
				if err := s.AddKiosk(t.Context(), qrgate.Kiosk{ID: id, Place: "Nhà thi đấu", PlaceNo: 5, Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: w.now}); err != nil {
					t.Fatal(err)
				}
			}
			test(t, w)
		})
	}
}

func (w *world) give(kind wire.OrderKind) *orders.Order {
	w.t.Helper()
	o, err := w.Give(w.t.Context(), "tam", orders.New{Kiosk: "gate-0001", Kind: kind, Life: time.Hour})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) result(kiosk string, r wire.Result) {
	w.t.Helper()
	if err := w.Result(w.t.Context(), kiosk, &r); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) one(id wire.OrderID) *orders.Order {
	w.t.Helper()
	o, err := w.Order(w.t.Context(), "gate-0001", id)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) audits() (all []string) {
	w.t.Helper()
	err := w.s.Read(w.t.Context(), func(r *sql.Rows) error {
		var action, actor string
		err := r.Scan(&action, &actor)
		all = append(all, actor+" "+action)
		return err
	}, "SELECT action, actor FROM audit WHERE action <> 'add kiosk' ORDER BY at, action")
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestOrderFromGivingToItsEnd(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o := w.give(wire.OrderSelfTest)
		if _, err := w.Give(t.Context(), "tam", orders.New{Kiosk: "gate-0001", Kind: wire.OrderSelfTest, Life: time.Hour}); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("a second one while the first is open: %v, want ErrConflict", err)
		}
		open, err := w.Open(t.Context())
		if err != nil || len(open) != 1 || open[0].ID != o.ID || open[0].Kiosk != "gate-0001" {
			t.Errorf("open = %+v, %v", open, err)
		}
		checks := []wire.Check{{Name: "disk", OK: true, Detail: "ok"}}
		w.result("gate-0002", wire.Result{Order: o.ID, Kind: o.Kind, State: wire.OrderFailed}) // which has nothing to say here
		w.result("gate-0001", wire.Result{Order: o.ID, Kind: wire.OrderLog, State: wire.OrderFailed})
		w.result("gate-0001", wire.Result{Order: wire.OrderID{9}, Kind: o.Kind, State: wire.OrderFailed})
		w.result("gate-0001", wire.Result{Order: o.ID, Kind: o.Kind, State: wire.OrderDone, Detail: "all well", Checks: checks})
		w.result("gate-0001", wire.Result{Order: o.ID, Kind: o.Kind, State: wire.OrderFailed}) // the first word counts
		got := w.one(o.ID)
		if got.State != wire.OrderDone || got.Detail != "all well" || got.Ended.IsZero() || !cmp.Equal(got.Checks, checks) || got.By != "tam" {
			t.Errorf("order = %+v", got)
		}
		if open, err := w.Open(t.Context()); err != nil || len(open) != 0 {
			t.Errorf("open = %+v, %v", open, err)
		}
		if _, err := w.Order(t.Context(), "gate-0002", o.ID); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("as another kiosk's: %v", err)
		}
		if diff := cmp.Diff([]string{"tam give order"}, w.audits()); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

func TestOrdersThatCannotBeGiven(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		if err := w.s.RevokeKiosk(t.Context(), "gate-0002"); err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			n   orders.New
			err error
		}{
			"to nobody":  {orders.New{Kiosk: "gate-0009", Kind: wire.OrderLog, Life: time.Hour}, qrgate.ErrNotFound},
			"to revoked": {orders.New{Kiosk: "gate-0002", Kind: wire.OrderLog, Life: time.Hour}, qrgate.ErrNotFound},
			"for ever":   {orders.New{Kiosk: "gate-0001", Kind: wire.OrderLog, Life: wire.MaxOrderLife + 1}, qrgate.ErrInvalid},
			"no time":    {orders.New{Kiosk: "gate-0001", Kind: wire.OrderLog}, qrgate.ErrInvalid},
			"no people":  {orders.New{Kiosk: "gate-0001", Kind: wire.OrderTally, Life: time.Hour}, qrgate.ErrInvalid},
		} {
			if _, err := w.Give(t.Context(), "tam", tt.n); !errors.Is(err, tt.err) {
				t.Errorf("%s: %v, want %v", name, err, tt.err)
			}
		}
	})
}

func TestOrderOfWhichNothingComes(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o := w.give(wire.OrderLog)
		w.now = o.Expires.Add(time.Minute)
		if err := w.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.one(o.ID); got.State != 0 {
			t.Errorf("before the last word could have come it is %s", got.State)
		}
		w.now = o.Expires.Add(3 * time.Minute)
		if err := w.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.one(o.ID); got.State != wire.OrderExpired || got.Ended.IsZero() {
			t.Errorf("order = %+v, want expired", got)
		}
		// It was followed in time, and the line was down since.
		w.result("gate-0001", wire.Result{Order: o.ID, Kind: o.Kind, State: wire.OrderDone})
		if got := w.one(o.ID); got.State != wire.OrderDone {
			t.Errorf("after the kiosk's own word it is %s", got.State)
		}
	})
}

func TestWhatOrdersBringIsForgotten(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o := w.give(wire.OrderLog)
		part := func(i int, text string) {
			w.result("gate-0001", wire.Result{Order: o.ID, Kind: o.Kind, State: wire.OrderDone, Part: i, Parts: 2, Data: []byte(text)})
		}
		part(1, "second")
		if got, err := w.Data(t.Context(), w.one(o.ID)); err != nil || got != nil {
			t.Errorf("half of it = %q, %v", got, err)
		}
		part(0, "first ")
		part(0, "again ")
		if got, err := w.Data(t.Context(), w.one(o.ID)); err != nil || string(got) != "first second" {
			t.Errorf("data = %q, %v", got, err)
		}
		w.now = w.now.Add(orders.KeepParts + time.Minute)
		if err := w.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Data(t.Context(), w.one(o.ID)); err != nil || got != nil {
			t.Errorf("after an hour = %q, %v", got, err)
		}
		part(0, "late")
		if got, err := w.Data(t.Context(), w.one(o.ID)); err != nil || got != nil {
			t.Errorf("what comes later is kept: %q, %v", got, err)
		}
	})
}

func TestDoorIsPressedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o := w.give(wire.OrderDoor)
		press := func() error { return w.Press(t.Context(), "tam", "gate-0001", o.ID) }
		if err := press(); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("before the kiosk waits: %v", err)
		}
		if err := w.Waits(t.Context(), "gate-0002", o.ID); err != nil || !w.one(o.ID).Waits.IsZero() {
			t.Errorf("another kiosk waits: %v", err)
		}
		if err := w.Waits(t.Context(), "gate-0001", o.ID); err != nil {
			t.Fatal(err)
		}
		since := w.one(o.ID).Waits
		w.now = w.now.Add(2 * time.Second)
		if err := w.Waits(t.Context(), "gate-0001", o.ID); err != nil || !w.one(o.ID).Waits.Equal(since) || since.IsZero() {
			t.Errorf("it waits since %s: %v", since, err)
		}
		if err := press(); err != nil {
			t.Error(err)
		}
		if err := press(); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("a second time: %v", err)
		}
		if diff := cmp.Diff([]string{"tam give order", "tam open door"}, w.audits()); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

func TestCommandCards(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		hour := pass.HourOf(w.now)
		good := orders.Card{Kind: wire.OrderTally, Arg: 3, Single: true, Kiosk: "gate-0001", From: hour, Until: hour + 48, Note: "Ở bàn bảo vệ"}
		first, err := w.Make(t.Context(), "tam", good, 3)
		if err != nil || len(first) != 3 || first[2].Serial != 3 {
			t.Fatalf("made %+v, %v", first, err)
		}
		place := orders.Card{Kind: wire.OrderUndo, Place: 5, From: hour, Until: hour + 1}
		if _, err := w.Make(t.Context(), "tam", place, 1); err != nil {
			t.Fatal(err)
		}
		all, err := w.Cards(t.Context(), 10)
		if err != nil || len(all) != 4 || all[0].Serial != 4 || all[0].Place != 5 || all[0].Kiosk != "" {
			t.Errorf("cards = %+v, %v", all, err)
		}
		some, err := w.CardsFrom(t.Context(), 2, 2)
		if err != nil || len(some) != 2 {
			t.Fatal(err)
		}
		want := good
		want.Serial, want.By, want.Made = 2, "tam", w.now
		if diff := cmp.Diff(want, some[0], cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
			t.Errorf("a card (-want +got):\n%s", diff)
		}
		for name, spoil := range map[string]func(*orders.Card){
			"no kiosk":       func(c *orders.Card) { c.Kiosk = "" },
			"two targets":    func(c *orders.Card) { c.Place = 5 },
			"once anywhere":  func(c *orders.Card) { c.Kiosk, c.Place = "", 5 },
			"ends first":     func(c *orders.Card) { c.Until = c.From },
			"a long note":    func(c *orders.Card) { c.Note = string(make([]byte, 201)) },
			"no letters":     func(c *orders.Card) { c.Note = "\xff" },
			"unknown kiosks": func(c *orders.Card) { c.Kiosk = "gate-0009" },
		} {
			c := good
			spoil(&c)
			if _, err := w.Make(t.Context(), "tam", c, 1); !errors.Is(err, qrgate.ErrInvalid) && !errors.Is(err, qrgate.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestKiosksAndPlaces(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		beat := &wire.Beat{V: 1, Orders: &wire.OrderBeat{Locked: true}}
		if err := w.s.SavePresences(t.Context(), []store.Presence{{Kiosk: "gate-0001", Beat: beat, Contact: w.now}}); err != nil {
			t.Fatal(err)
		}
		k, err := w.Kiosk(t.Context(), "gate-0001")
		if err != nil || k.Place != "Nhà thi đấu" || k.PlaceNo != 5 || !k.Active || !k.Contact.Equal(w.now) || !k.Beat.Orders.Locked {
			t.Errorf("kiosk = %+v, %v", k, err)
		}
		if _, err := w.Kiosk(t.Context(), "gate-0009"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		all, err := w.Kiosks(t.Context())
		if err != nil || len(all) != 2 {
			t.Errorf("kiosks = %+v, %v", all, err)
		}
		places, err := w.Places(t.Context())
		if err != nil || places["gate-0002"] != 5 {
			t.Errorf("places = %v, %v", places, err)
		}
	})
}

func TestOldRowsAreDropped(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o := w.give(wire.OrderLog)
		w.now = w.now.AddDate(2, 0, 0)
		if err := w.Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all, err := w.Of(t.Context(), o.Kiosk, 10); err != nil || len(all) != 0 {
			t.Errorf("orders of two years ago: %v, %v", all, err)
		}
	})
}
