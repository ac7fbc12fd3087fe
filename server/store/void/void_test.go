package void_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

// today is when every test happens.
var today = time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone)

func now() time.Time { return today }

// A world is a database with cards.
type world struct {
	t testing.TB
	e engine
	s *store.Store
	*void.List
}

func open(t testing.TB, e engine) *world {
	s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &world{t, e, s, void.New(s, now)}
}

func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, open(t, e)) })
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(fn func(store.Tx) error) {
	w.t.Helper()
	w.must(w.s.Write(w.t.Context(), fn))
}

// cards adds test cards 1 to n, which have no holder, until a day.
func (w *world) cards(n int, last time.Time) {
	w.t.Helper()
	w.write(func(t store.Tx) error {
		if _, err := t.Exec("INSERT INTO card_batches (id, office, kind, cards, made_by, made) VALUES ('b', 'province', 6, ?, 'clerk', 1)", n); err != nil {
			return err
		}
		for no := 1; no <= n; no++ {
			day := int64(pass.DayOf(last))
			_, err := t.Exec("INSERT INTO cards (number, batch, office, kind, people, issue, first, last, longest, made, reason) VALUES (?, 'b', 'province', 6, 0, 1, 1, ?, ?, 1, '')", no, day, day)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) revoke(no uint32) {
	w.t.Helper()
	w.must(w.change(no, "revoked = 1"))
}

func (w *world) change(no uint32, set string) error {
	return w.s.Write(w.t.Context(), func(t store.Tx) error {
		if _, err := t.Exec("UPDATE cards SET "+set+" WHERE number = ?", int64(no)); err != nil {
			return err
		}
		return void.Add(t, no)
	})
}

func (w *world) since(after wire.Stamp) void.Change {
	w.t.Helper()
	c, err := w.Since(w.t.Context(), after)
	w.must(err)
	return c
}

func line(no uint32, through uint8, version uint64) void.Card {
	return void.Card{Revocation: pass.Revocation{Number: no, Through: through}, Version: version}
}

// What a kiosk is told is what changed after the version that it holds.
func TestVersionsRise(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.cards(10, today)
		g, err := w.s.Generation(t.Context())
		w.must(err)
		want := func(after uint64, version uint64, whole bool, cards ...void.Card) {
			t.Helper()
			c := w.since(wire.Stamp{Generation: g, Version: after})
			if diff := cmp.Diff(void.Change{Stamp: wire.Stamp{Generation: g, Version: version}, Base: 1, Whole: whole, Cards: cards}, c); diff != "" {
				t.Errorf("Since(%d) (-want +got):\n%s", after, diff)
			}
		}
		want(0, 1, true)
		want(1, 1, false)
		w.revoke(7)
		w.must(w.change(3, "issue = issue + 1"))
		want(0, 3, true, line(3, 1, 3), line(7, pass.AllIssues, 2))
		want(2, 3, false, line(3, 1, 3))
		w.must(w.change(3, "issue = issue + 1"))
		w.revoke(3)
		want(1, 5, false, line(3, pass.AllIssues, 5), line(7, pass.AllIssues, 2))
		want(5, 5, false)

		c := w.since(wire.Stamp{Generation: g - 1, Version: 5})
		if !c.Whole || len(c.Cards) != 2 {
			t.Errorf("of another generation: %+v, want the whole list", c)
		}
		r, err := c.Revocations()
		if err != nil || r.Len() != 2 || !r.Contains(3, 9) || r.Contains(4, 1) {
			t.Errorf("Revocations() = %v, %v", r, err)
		}
	})
}

// A change that is undone adds nothing.
func TestUndoneChange(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.cards(1, today)
		undone := fmt.Errorf("undone")
		err := w.s.Write(t.Context(), func(t store.Tx) error {
			if err := void.Add(t, 1); err != nil {
				return err
			}
			return undone
		})
		if c := w.since(wire.Stamp{}); err == nil || c.Stamp.Version != 1 || len(c.Cards) != 0 {
			t.Errorf("after %v: %+v", err, c)
		}
	})
}

// Many clerks at once: every version that was read led to all that came before it.
func TestManyAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const cards = 40
		w.cards(cards, today)
		var clerks sync.WaitGroup
		for first := range uint32(4) {
			clerks.Go(func() {
				for no := first + 1; no <= cards; no += 4 {
					if err := w.change(no, "revoked = 1"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		held, at := map[uint32]bool{}, wire.Stamp{}
		for len(held) < cards {
			c := w.since(at)
			for _, v := range c.Cards {
				if held[v.Number] && !c.Whole {
					t.Errorf("card %d came twice", v.Number)
				}
				held[v.Number] = true
			}
			if at = c.Stamp; int(at.Version) != len(held)+1 {
				t.Fatalf("version %d with %d cards", at.Version, len(held))
			}
			if t.Failed() {
				break
			}
		}
		clerks.Wait()
	})
}

// Cards that ended long ago leave the list, and then a change is not enough.
func TestOldCardsLeave(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.cards(4, today.AddDate(0, 0, -61))
		w.must(w.change(2, "longest = longest + 1"))
		w.revoke(1)
		before := w.since(wire.Stamp{}).Stamp
		for range 2 { // the second time there is nothing to do
			w.must(w.Drop(t.Context()))
			c := w.since(before)
			if !c.Whole || c.Base != before.Version+1 || c.Stamp.Version != c.Base || len(c.Cards) != 1 || c.Cards[0].Number != 2 {
				t.Errorf("after Drop: %+v, want card 2 alone", c)
			}
		}
		w.revoke(3) // it is too old for the list
		if c := w.since(wire.Stamp{}); len(c.Cards) != 1 {
			t.Errorf("%+v, want card 2 alone", c)
		}
	})
}

// A server whose clock was years ahead has taken every card out of the list. Those
// that are still valid come back, also the ones that were revoked since.
func TestCardsThatAWrongClockTookOut(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.cards(4, today.AddDate(1, 0, 0))
		w.must(w.change(4, "longest = 1"))
		w.revoke(1)
		w.must(void.New(w.s, func() time.Time { return today.AddDate(4, 0, 0) }).Drop(t.Context()))
		w.revoke(2)
		before := w.since(wire.Stamp{}).Stamp
		for range 2 { // the second time there is nothing to do
			w.must(w.Drop(t.Context()))
			c := w.since(before)
			if !c.Whole || c.Stamp.Version != before.Version+1 || c.Base != c.Stamp.Version || len(c.Cards) != 2 || c.Cards[0].Number != 1 || c.Cards[1].Number != 2 {
				t.Errorf("after Drop: %+v, want cards 1 and 2", c)
			}
		}
	})
}

// A restored database is of another generation, whose list kiosks add to the one
// they hold until somebody has looked.
func TestConfirmAfterRestore(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.cards(3, today)
		w.revoke(1)
		w.must(w.Confirm(t.Context(), "operator"))
		old := w.since(wire.Stamp{})
		if !old.Alone {
			t.Errorf("%+v is not confirmed", old)
		}
		path := filepath.Join(t.TempDir(), "backup")
		f, err := os.Create(path)
		w.must(err)
		w.must(w.s.Backup(t.Context(), f))
		w.must(f.Close())
		f, err = os.Open(path)
		w.must(err)
		defer f.Close()
		other := open(t, w.e)
		_, err = other.s.Restore(t.Context(), f)
		w.must(err)
		c := other.since(old.Stamp)
		if c.Alone || !c.Whole || !c.Stamp.Newer(old.Stamp) || len(c.Cards) != 1 {
			t.Errorf("after a restore: %+v, before %+v", c, old)
		}
		w.must(other.Confirm(t.Context(), ""))
		if again := other.since(c.Stamp); !again.Alone || again.Whole || !again.Stamp.Newer(c.Stamp) {
			t.Errorf("after Confirm: %+v", again)
		}
	})
}
