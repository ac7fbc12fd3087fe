package events_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// scanInto scans a query's one number.
func scanInto(n *int64) func(*sql.Rows) error {
	return func(rows *sql.Rows) error { return rows.Scan(n) }
}

func TestAnEventsLife(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		e := w.add()
		got, err := w.Event(ctx, e.No)
		if err != nil {
			t.Fatal(err)
		}
		want := *e
		want.PlaceName, want.Sector, want.Area = "Nhà thi đấu", "culture", "19753"
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("an event came back otherwise:\n%s", diff)
		}

		stale := *got
		got.Name, got.Categories = "Đêm nhạc Văn Cao", got.Categories[:1]
		w.pass(time.Minute)
		if err := w.Save(ctx, w.lan, got); err != nil {
			t.Fatal(err)
		}
		if err := w.Save(ctx, w.lan, &stale); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Save of an older version = %v, want ErrConflict", err)
		}
		if err := w.Cancel(ctx, w.lan, e.No, stale.Version); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Cancel of an older version = %v, want ErrConflict", err)
		}
		w.pass(time.Minute)
		if err := w.Cancel(ctx, w.lan, e.No, got.Version); err != nil {
			t.Fatal(err)
		}
		after, err := w.Event(ctx, e.No)
		if err != nil || after.Cancelled.IsZero() || after.Name != got.Name {
			t.Errorf("after Cancel: %+v, %v", after, err)
		}
		if err := w.Save(ctx, w.lan, after); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Save of a cancelled event = %v, want ErrConflict", err)
		}
		if err := w.Invite(ctx, w.lan, e.No, []*events.Guest{{Category: 1}}); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Invite to a cancelled event = %v, want ErrConflict", err)
		}
		var actions []string
		err = w.reg.Audit(ctx, register.AuditQuery{Object: fmt.Sprintf("event %d", e.No)}, 0, 10, func(r register.AuditRow) error {
			actions = append(actions, r.Action)
			return nil
		})
		if diff := cmp.Diff([]string{"cancel event", "save event", "add event"}, actions); err != nil || diff != "" {
			t.Errorf("audit rows: %v\n%s", err, diff)
		}
	})
}

func TestEventsThatCannotBe(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		for name, spoil := range map[string]func(*events.Event){
			"no name":          func(e *events.Event) { e.Name = "" },
			"ends first":       func(e *events.Event) { e.Ends = e.Starts },
			"too long":         func(e *events.Event) { e.Ends = e.Starts.Add(events.MaxLength + 1) },
			"doors too early":  func(e *events.Event) { e.Early = events.MaxEarly + 1 },
			"no category":      func(e *events.Event) { e.Categories = nil },
			"twice a category": func(e *events.Event) { e.Categories[1].No = 1 },
			"unknown kind":     func(e *events.Event) { e.Categories[0].Kind = "ghost" },
			"below zero":       func(e *events.Event) { e.Capacity = -1 },
		} {
			e := w.gathering()
			spoil(e)
			if err := w.Add(t.Context(), w.lan, e); !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("%s: Add = %v, want ErrInvalid", name, err)
			}
		}
		e := w.gathering()
		e.Place = w.placeOf("another")
		if err := w.Add(t.Context(), w.lan, e); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("at another's place: Add = %v, want ErrNotFound", err)
		}
		if _, err := w.Event(t.Context(), 999); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Event(999) = %v, want ErrNotFound", err)
		}
	})
}

func (w *world) invite(e *events.Event, names ...string) []*events.Guest {
	w.t.Helper()
	var guests []*events.Guest
	for i, name := range names {
		guests = append(guests, &events.Guest{Category: uint8(1 + i%2), Details: events.Details{Name: name, Phone: "+84905000001", Email: "khach@example.vn"}})
	}
	if err := w.Invite(w.t.Context(), w.lan, e.No, guests); err != nil {
		w.t.Fatal(err)
	}
	return guests
}

// bundleOf returns the passes that a gate takes, and the version under which it does.
func (w *world) bundleOf(e *events.Event) (passes map[uint32]uint8, version uint64) {
	w.t.Helper()
	b, err := w.Bundle(w.t.Context(), e.No)
	if err != nil {
		w.t.Fatal(err)
	}
	passes = map[uint32]uint8{}
	for _, p := range b.Passes {
		passes[p.Number] = p.Issue
	}
	return passes, b.Stamp.Version
}

func TestGuests(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		e, other := w.add(), w.add()
		all := w.invite(e, "Nguyễn Thị Lan", "Trần Văn Huy", "Lê Văn Tám")
		w.invite(other, "Hồ Thị Kỷ")
		var got []*events.Guest
		if err := w.Guests(ctx, e.No, func(g *events.Guest) error { got = append(got, g); return nil }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("guests came back otherwise:\n%s", diff)
		}
		// At a door the number of the pass leads to the guest.
		identity := w.v.Identity(pass.Event, fmt.Sprint(all[1].Number))
		var person int64
		err := w.s.Read(ctx, scanInto(&person), "SELECT person FROM identities WHERE identity = ?", identity[:])
		if g, gerr := w.GuestOf(ctx, qrgate.Person(person)); err != nil || gerr != nil || g.Details.Name != "Trần Văn Huy" {
			t.Errorf("who holds pass %d: %+v, %v, %v", all[1].Number, g, err, gerr)
		}

		passes, version := w.bundleOf(e)
		if diff := cmp.Diff(map[uint32]uint8{all[0].Number: 1, all[1].Number: 1, all[2].Number: 1}, passes); diff != "" {
			t.Errorf("passes of the bundle:\n%s", diff)
		}
		if err := w.Replace(ctx, w.lan, all[0]); err != nil {
			t.Fatal(err)
		}
		if err := w.Replace(ctx, w.lan, all[0]); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("Replace of an older issue = %v, want ErrConflict", err)
		}
		if err := w.Withdraw(ctx, w.lan, all[1]); err != nil {
			t.Fatal(err)
		}
		passes, after := w.bundleOf(e)
		if diff := cmp.Diff(map[uint32]uint8{all[0].Number: 2, all[2].Number: 1}, passes); diff != "" || after <= version {
			t.Errorf("passes of the bundle, version %d after %d:\n%s", after, version, diff)
		}
		if err := w.Invite(ctx, w.lan, e.No, []*events.Guest{{Category: 9}}); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("Invite in no category = %v, want ErrInvalid", err)
		}
		saved, err := w.Event(ctx, e.No)
		if err != nil || saved.Guests != 2 {
			t.Fatalf("guests of the event: %+v, %v", saved, err)
		}
		saved.Categories = saved.Categories[1:]
		if err := w.Save(ctx, w.lan, saved); !errors.Is(err, events.ErrCategory) {
			t.Errorf("Save without a category that has guests = %v, want ErrCategory", err)
		}
	})
}

func TestAnEventTakesNoMoreThanABundleHolds(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		e := w.add()
		err := w.Invite(t.Context(), w.lan, e.No, make([]*events.Guest, wire.MaxEventPasses+1))
		if !errors.Is(err, events.ErrGuests) {
			t.Errorf("Invite = %v, want ErrGuests", err)
		}
	})
}

func TestHeld(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		held := func() map[uint32]uint64 {
			all, err := w.Held(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return all[w.place]
		}
		e := w.add()
		if diff := cmp.Diff(map[uint32]uint64{e.No: 1}, held()); diff != "" {
			t.Errorf("held at the place:\n%s", diff)
		}
		w.invite(e, "Lan")
		if diff := cmp.Diff(map[uint32]uint64{e.No: 2}, held()); diff != "" {
			t.Errorf("held after an invitation:\n%s", diff)
		}
		w.pass(40 * time.Hour)
		if n := len(held()); n != 0 {
			t.Errorf("%d events are held after the end", n)
		}
	})
}

// After its time nothing of a guest is left, and no number comes again.
func TestPurge(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		e := w.add()
		g := w.invite(e, "Nguyễn Thị Canary", "Trần Văn Hai")[1]
		nobody := func(qrgate.Person) bool { return false }
		if err := w.Purge(ctx, w.time(), nobody); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Guest(ctx, g.Number); err != nil {
			t.Fatal("purged before its time:", err)
		}
		w.pass(40 * 24 * time.Hour)
		if err := w.Purge(ctx, w.time().Add(-21*24*time.Hour), nobody); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Guest(ctx, g.Number); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Guest after Purge = %v, want ErrNotFound", err)
		}
		for _, table := range []string{"people", "identities", "guests"} {
			var n int64
			if err := w.s.Read(ctx, scanInto(&n), "SELECT COUNT(*) FROM "+table); err != nil || n != 0 {
				t.Errorf("%d rows of %s are left, %v", n, table, err)
			}
		}
		if next := w.invite(w.add(), "Lê Văn Ba")[0]; next.Number <= g.Number {
			t.Errorf("number %d was given again", next.Number)
		}
	})
}

// The database's files tell no guest's name without the vault.
func TestNothingInClear(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		path, ok := strings.CutPrefix(w.dsn, "sqlite:")
		if !ok {
			return // what is in PostgreSQL's files is the same
		}
		w.invite(w.add(), "Nguyễn Thị Canary")
		files, err := filepath.Glob(path + "*")
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(b), "Trịnh")
			for _, canary := range []string{"Canary", "905000001", "khach@example.vn"} {
				if strings.Contains(string(b), canary) {
					t.Errorf("%s holds %q", f, canary)
				}
			}
		}
		if !found {
			t.Errorf("none of %q holds the event's name: the search finds nothing", files)
		}
	})
}
