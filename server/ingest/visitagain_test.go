package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/wire"
)

// another returns a server beside those of w, with connections of its own.
func (w *world) another(o ingest.Options) *server {
	w.t.Helper()
	p := w.parts()
	p.Store, p.Vault = w.openStore(), w.openVault(w.dir)
	return w.serveWith(p, o)
}

// sameAnswer compares what was answered the second time.
func sameAnswer(t testing.TB, first, again ingest.Receipt) {
	t.Helper()
	if diff := cmp.Diff(first, again, cmpopts.IgnoreFields(ingest.Receipt{}, "Again")); diff != "" {
		t.Errorf("the answers (-first +again):\n%s", diff)
	}
}

// A visit under the same key has one effect and one answer, however late it comes
// again and whichever server it comes to.
func TestVisitAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		first := s.visit(visitOf(1, 1))
		w.clock.advance(time.Minute)
		again := s.visit(visitOf(1, 1))
		sameAnswer(t, first, again)
		if first.Again || !again.Again {
			t.Errorf("Again is %v, then %v, want false, true", first.Again, again.Again)
		}
		s.stop()
		w.clock.advance(20 * 24 * time.Hour)
		late := w.another(ingest.Options{})
		sameAnswer(t, first, late.visit(visitOf(1, 1)))
		sameAnswer(t, first, w.another(ingest.Options{Server: "server-2"}).visit(visitOf(1, 1)))
		if n := len(w.rows(phones)); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}

		// A key belongs to one client and to one visit.
		other := visitOf(1, 2)
		other.Client = "hue-s"
		if late.visit(other).Again {
			t.Error("the key of another client was answered before")
		}
		for name, change := range map[string]func(*ingest.Visit){
			"another place":     func(v *ingest.Visit) { v.Place.No++ },
			"another direction": func(v *ingest.Visit) { v.Direction = wire.Out },
			"more people":       func(v *ingest.Visit) { v.Unnamed++ },
		} {
			v := visitOf(1, 1)
			change(&v)
			if _, err := late.Visit(t.Context(), v); !errors.Is(err, qrgate.ErrConflict) {
				t.Errorf("%s under the same key: Visit() = %v, want %v", name, err, qrgate.ErrConflict)
			}
		}
		if n := len(w.rows(phones)); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
	})
}

// The same visits come to two servers at once, several times each.
func TestVisitAgainAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, name := range []string{"server", "server-2"} { // one ledger for both, or one each
			servers := []*server{w.another(ingest.Options{}), w.another(ingest.Options{Server: name})}
			const visits, times = 40, 6
			before := w.counts()
			var mu sync.Mutex
			answers := map[int][]ingest.Receipt{}
			var tasks errgroup.Group
			for i := range visits * times {
				n := i / times
				tasks.Go(func() error {
					v := visitOf(n, n%7)
					v.Client = name
					r, err := servers[i%2].Visit(t.Context(), v)
					mu.Lock()
					defer mu.Unlock()
					answers[n] = append(answers[n], r)
					return err
				})
			}
			if err := tasks.Wait(); err != nil {
				t.Fatal(err)
			}
			for n, all := range answers {
				fresh := 0
				for _, r := range all {
					sameAnswer(t, all[0], r)
					if !r.Again {
						fresh++
					}
				}
				if fresh != 1 || len(all) != times {
					t.Errorf("visit %d has %d answers, %d of them first, want %d and 1", n, len(all), fresh, times)
				}
			}
			if c := w.counts(); c.In-before.In != visits {
				t.Errorf("%s: counted %d, want %d", name, c.In-before.In, visits)
			}
			for _, s := range servers {
				s.stop()
			}
		}
		persons := map[qrgate.Person]bool{}
		rows := 0
		for _, id := range []string{phones, "phones@server-2"} {
			for _, r := range w.rows(id) {
				rows++
				persons[w.person(r)] = true
			}
		}
		if rows != 80 || len(persons) != 7 {
			t.Errorf("%d rows of %d persons, want 80 of 7", rows, len(persons))
		}
		ledgers, err := w.store.Ledgers(t.Context(), w.now())
		if err != nil {
			t.Fatal(err)
		}
		held := uint64(0)
		for _, l := range ledgers {
			held += l.Through
			if l.Through != l.Newest || l.Gap() || l.Forked {
				t.Errorf("a ledger of phones is %+v", l)
			}
		}
		if held != 80 {
			t.Errorf("ledgers hold %d, want 80", held)
		}
	})
}

// A server dies after the commit and before the answer: whoever asks again is
// told what was committed.
func TestVisitWhoseAnswerIsLost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.serve()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Visit(ctx, visitOf(1, 1)); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("Visit() = %v", err)
		}
		s.stop() // what was taken on is committed
		committed := w.rows(phones)
		if len(committed) != 1 {
			t.Fatalf("%d rows, want 1", len(committed))
		}
		w.clock.advance(time.Hour)
		r := w.another(ingest.Options{}).visit(visitOf(1, 1))
		if !r.Again || r.Received.UnixMilli() != committed[0].Received || r.Latest.UnixMilli() != committed[0].Latest {
			t.Errorf("Visit() = %+v, want what was committed: %+v", r, committed[0])
		}
		if n := len(w.rows(phones)); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestVisitsThatFindNoRoom(t *testing.T) {
	w := newWorld(t, sqlite)
	in, err := ingest.New(w.parts(), ingest.Options{Now: w.now, Visits: 3})
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for n := range 3 { // they wait, although nobody waits for them
		if _, err := in.Visit(gone, visitOf(n, n)); !errors.Is(err, context.Canceled) {
			t.Fatalf("Visit() = %v, want %v", err, context.Canceled)
		}
	}
	if _, err := in.Visit(t.Context(), visitOf(3, 3)); !errors.Is(err, ingest.ErrBusy) {
		t.Errorf("Visit() = %v, want %v", err, ingest.ErrBusy)
	}
	if n := in.Stats().Busy; n != 1 {
		t.Errorf("Stats().Busy = %d, want 1", n)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	w.until("what waited is stored", func() bool { return len(w.rows(phones)) == 3 })
	if _, err := in.Visit(t.Context(), visitOf(3, 3)); err != nil {
		t.Errorf("Visit() when there is room = %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run() = %v", err)
	}
	if _, err := in.Visit(t.Context(), visitOf(4, 4)); !errors.Is(err, ingest.ErrBusy) {
		t.Errorf("Visit() of a server that has ended = %v, want %v", err, ingest.ErrBusy)
	}
}

// A visit that no transaction can take is told so, and stops no other.
func TestOneVisitThatCannotBeStored(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		keys := &keyStore{Dir: w.dir, slow: "none"}
		w.vault = w.openVault(keys)
		s := w.serve()
		yesterday := noon.Add(-24 * time.Hour)
		keys.failFor(qrgate.DayOf(yesterday).String())
		k := w.kiosk("gate-0001")
		k.cards(3)
		var tasks errgroup.Group
		for n := range 20 {
			v := visitOf(n, n)
			if n == 7 {
				v.Said, v.Sent = yesterday, noon
			}
			tasks.Go(func() error {
				_, err := s.Visit(t.Context(), v)
				if (err != nil) != (n == 7) {
					return fmt.Errorf("visit %d: %w", n, err)
				}
				return nil
			})
		}
		w.deliver(k)
		if err := tasks.Wait(); err != nil {
			t.Error(err)
		}
		if n := len(w.rows(phones)); n != 19 {
			t.Errorf("%d rows, want 19", n)
		}
		keys.failFor("")
		v := visitOf(7, 7)
		v.Said, v.Sent = yesterday, noon
		if r := s.visit(v); r.Again {
			t.Error("what failed was answered before")
		}
	})
}

// A day whose key is destroyed takes no more visits.
func TestVisitOfAShreddedDay(t *testing.T) {
	w := newWorld(t, sqlite)
	if err := w.vault.Shred(qrgate.DayOf(noon.Add(-24 * time.Hour))); err != nil {
		t.Fatal(err)
	}
	s := w.serve()
	v := visitOf(1, 1)
	v.Said, v.Sent = noon.Add(-24*time.Hour), noon
	if _, err := s.Visit(t.Context(), v); !errors.Is(err, ingest.ErrTooLate) || errors.Is(err, vault.ErrShredded) {
		t.Errorf("Visit() = %v, want %v", err, ingest.ErrTooLate)
	}
	if n := len(w.rows(phones)); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// What a kiosk of a registered place delivers is counted once, however often it
// comes, and stays with the place when the kiosk moves.
func TestKioskOfARegisteredPlace(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		k := w.kiosk("gate-0001")
		s := w.serve()
		k.cards(10)
		w.deliver(k)
		if c := w.counts(); c != (store.Counts{}) {
			t.Errorf("Counts() before the kiosk stood there = %+v", c)
		}
		if err := w.store.MoveKiosk(t.Context(), k.id, market); err != nil {
			t.Fatal(err)
		}
		from := k.last() + 1
		k.cards(20)
		w.send(k, k.batch(from, from+9))
		w.send(k, k.batch(from+5, k.last()))
		w.send(k, k.batch(from, from+9))
		k.receiptThrough(k.last())
		old := k.ledger
		k.open(wire.Opened{By: wire.OpenedMoved, Previous: &old.epoch, Last: old.last(), Carried: 15})
		for _, raw := range old.records[len(old.records)-15:] {
			k.carry(old.epoch, raw)
		}
		k.card(77)
		w.deliver(k)
		s.visit(visitOf(1, 1))
		if c := w.counts(); c.In != 22 {
			t.Errorf("Counts() = %+v, want 22 in", c)
		}
		at := map[uint32]int{}
		for _, r := range w.rows(k.id) {
			at[r.PlaceNo]++
		}
		if at[0] != 10 || at[market.No] != 21 {
			t.Errorf("check-ins by place are %v, want 10 at none and 21 at the market", at)
		}
		day := qrgate.DayOf(noon)
		got, err := w.store.Tallies(t.Context(), day-1, day, market.No, 1)
		want := []store.Tally{{Place: market.No, Day: day, In: 22}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Tallies() error %v (-want +got):\n%s", err, diff)
		}
	})
}
