package ingest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A door is a kiosk with the outbox and the sender of the real program.
type door struct {
	w      *world
	k      *kiosk // its name, keys and clock
	path   string
	queue  *outbox.Queue
	sender *deliver.Sender
	stop   func()
	cards  []uint32 // that were shown
}

func newDoor(w *world, id string) *door {
	d := &door{w: w, k: w.kiosk(id), path: filepath.Join(w.t.TempDir(), "outbox")}
	d.start()
	return d
}

func (d *door) start() {
	t := d.w.t
	t.Helper()
	q, err := outbox.Open(t.Context(), d.path, outbox.Options{NoSync: true, Now: func() when.Reading { return d.k.header(wire.KindOpened).Reading() }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d.queue = q
	d.sender = deliver.NewSender(d.k.id, d.k.key, q, d.w.line, receiptKeys, deliver.SenderOptions{})
	done := make(chan error, 1)
	go func() { done <- d.sender.Run(ctx) }()
	d.sender.Connected(true)
	d.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Sender.Run() = %v", err)
		}
		if err := q.Close(); err != nil {
			t.Errorf("Queue.Close() = %v", err)
		}
	}
}

// show shows n cards that nobody has shown before.
func (d *door) show(n int) {
	d.w.t.Helper()
	for range n {
		card := uint32(len(d.cards) + 1)
		d.cards = append(d.cards, card)
		_, err := d.queue.Put(func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			h := d.k.header(wire.KindCheckin)
			h.Seq = seq
			subject := wire.Encode(wire.Subject{Kind: pass.Card, Card: card, Issue: 1})
			box, c, err := d.k.sealer.Seal(d.w.now(), wire.AdditionalData(d.k.id, epoch, wire.Encode(h)), subject)
			return wire.NewRecord(h, box), c, err
		})
		if err != nil {
			d.w.t.Fatal(err)
		}
	}
}

// drain waits until all has its receipt.
func (d *door) drain() {
	d.w.t.Helper()
	for began := time.Now(); d.queue.Stats().Unsent > 0; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > 6*time.Hour {
			d.w.t.Fatalf("after 6 h: outbox %+v, sender %+v", d.queue.Stats(), d.sender.Stats())
		}
	}
}

// check compares what the server has with what was shown.
func (d *door) check() []qrgate.Checkin {
	t := d.w.t
	t.Helper()
	rows := d.w.rows(d.k.id)
	who := map[qrgate.Person]int{}
	for _, c := range rows {
		who[d.w.person(c)]++
	}
	for p, n := range who {
		if n != 1 {
			t.Errorf("person %d has %d rows, want 1", p, n)
		}
	}
	if len(who) != len(d.cards) || len(rows) != len(d.cards) {
		t.Errorf("%d cards were shown, there are %d rows of %d persons", len(d.cards), len(rows), len(who))
	}
	return rows
}

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The kiosk's disk is copied at 100, goes on to 200, the copy is put back and 50
// more are scanned: 250 rows, and both histories are kept.
func TestDiskPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sqlite)
		s := w.serve()
		d := newDoor(w, "kiosk-00001")
		d.show(100)
		d.drain()
		first := d.queue.Stats().Epoch
		d.stop()
		copied := d.path + ".copy"
		copyFile(t, copied, d.path)
		d.start()
		d.show(100)
		d.drain()
		d.stop()
		copyFile(t, d.path, copied)
		d.start()
		d.show(50)
		d.drain()

		d.check()
		st := d.queue.Stats()
		if st.Epoch == first || st.By != wire.OpenedFork || d.sender.Stats().Forks != 1 {
			t.Errorf("outbox %+v, sender %+v; want one new epoch by fork", st, d.sender.Stats())
		}
		if n := s.Stats().Forks; n == 0 {
			t.Error("no receipt said fork")
		}
		if got := s.Stats().Checkins; got != 250 {
			t.Errorf("%d check-ins counted, want 250", got)
		}
		ledgers, err := w.store.Ledgers(t.Context(), w.now())
		if err != nil || len(ledgers) != 2 {
			t.Fatalf("Ledgers() = %+v, %v, want two epochs", ledgers, err)
		}
		if l := ledgers[0]; l.Epoch != first || !l.Ended || !l.Final || !l.Forked || l.Gap() || l.Opened != wire.OpenedNew {
			t.Errorf("first epoch %+v, want it forked, ended and complete", l)
		}
		if l := ledgers[1]; l.Epoch != st.Epoch || l.Ended || l.Forked || l.Gap() || l.Opened != wire.OpenedFork {
			t.Errorf("second epoch %+v, want it open and complete", l)
		}
		d.stop()
		s.stop()
	})
}

// The same with a line that loses, repeats and shuffles, and with scans between.
func TestDiskPutBackOnABadLine(t *testing.T) {
	for seed := range uint64(3 * scale(t)) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sqlite)
				s := w.serve()
				r := newRand(seed)
				w.line.storm(weather{rand: newRand(seed + 1), lose: 0.3, repeat: 0.3, shuffle: 5})
				d := newDoor(w, "kiosk-00001")
				copied := d.path + ".copy"
				for range 3 {
					d.show(1 + r.IntN(150))
					time.Sleep(time.Duration(r.Int64N(int64(time.Minute))))
					d.stop()
					copyFile(t, copied, d.path)
					d.start()
					d.show(1 + r.IntN(150))
					d.drain() // what the disk alone had would be lost
					d.stop()
					copyFile(t, d.path, copied)
					d.start()
					d.show(1 + r.IntN(100))
					time.Sleep(time.Duration(r.Int64N(int64(2 * time.Minute))))
				}
				w.line.calm()
				d.drain()
				d.check()
				gaps, err := w.store.Gaps(t.Context(), w.now())
				if err != nil || len(gaps) > 0 {
					t.Errorf("Gaps() = %+v, %v, want none", gaps, err)
				}
				if got := s.Stats(); got.Checkins != uint64(len(d.cards)) || got.Failed > 0 {
					t.Errorf("Stats() = %+v, want %d check-ins", got, len(d.cards))
				}
				d.stop()
				s.stop()
			})
		})
	}
}

// Records that were carried over come before their originals, after them, and in
// the same group: one row each, under the epoch where they were first written.
func TestCarriedRecords(t *testing.T) { each(t, testCarriedRecords) }

func testCarriedRecords(t *testing.T, w *world) {
	for i, order := range []string{"original first", "carried first", "one group"} {
		t.Run(order, func(t *testing.T) {
			k := w.kiosk(kioskName(i))
			k.cards(20)
			old := k.ledger
			k.open(wire.Opened{By: wire.OpenedMoved, Previous: &old.epoch, Last: old.last(), Carried: 20})
			for _, raw := range old.records[1:] {
				k.carry(old.epoch, raw)
			}
			original, carried := k.batchOf(&old, 1, old.last()), k.batch(1, k.last())
			var s *server
			switch order {
			case "original first", "carried first":
				s = w.serve()
				first, second := original, carried
				if order == "carried first" {
					first, second = carried, original
				}
				w.send(k, first)
				k.receipt()
				w.send(k, second)
				k.receipt()
			case "one group":
				slow, keys, release := held(w)
				s = w.serve()
				w.hold(slow, keys)
				w.send(k, original)
				w.send(k, carried)
				w.send(k, original)
				release()
				k.receipt()
				k.receipt()
				w.until("three batches", func() bool { return s.Stats().Batches == 4 })
				slow.receipt()
			}
			rows := w.rows(k.id)
			if len(rows) != 20 || slices.ContainsFunc(rows, func(c qrgate.Checkin) bool { return c.Epoch != old.epoch }) {
				t.Errorf("%d rows, %+v; want 20 of epoch %s", len(rows), rows, old.epoch)
			}
			own := uint64(20)
			if order == "one group" {
				own++ // the slow kiosk's
			}
			if st := s.Stats(); st.Checkins != own || st.Forks > 0 {
				t.Errorf("Stats() = %+v, want %d check-ins", st, own)
			}
			if gaps, err := w.store.Gaps(t.Context(), w.now()); err != nil || len(gaps) > 0 {
				t.Errorf("Gaps() = %+v, %v, want none", gaps, err)
			}
			s.stop()
		})
	}
}

// An epoch of which nothing ever came under its own name is known by what the
// next one carried over, and misses nothing.
func TestEpochThatCameOnlyAsCarriedOver(t *testing.T) {
	w := newWorld(t, sqlite)
	k := w.kiosk("kiosk-00001")
	k.cards(3)
	a := k.ledger
	k.open(wire.Opened{By: wire.OpenedMoved, Previous: &a.epoch, Last: a.last(), Carried: 2})
	k.carry(a.epoch, a.records[2])
	k.carry(a.epoch, a.records[3])
	k.card(4)
	b := k.ledger
	k.open(wire.Opened{By: wire.OpenedSalvage, Previous: &b.epoch, Last: b.last(), Carried: b.last()})
	for _, raw := range b.records {
		k.carry(b.epoch, raw)
	}
	w.serve()
	w.send(k, k.batchOf(&a, 1, 2))
	k.receipt()
	w.deliver(k)
	if n := len(w.rows(k.id)); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
	ledgers, err := w.store.Ledgers(t.Context(), w.now())
	if err != nil || len(ledgers) != 3 {
		t.Fatalf("Ledgers() = %+v, %v, want three epochs", ledgers, err)
	}
	for _, l := range ledgers {
		if l.Gap() || l.Ended != (l.Epoch != k.epoch) || l.Epoch == b.epoch && l.Opened != wire.OpenedMoved {
			t.Errorf("ledger %+v, want no gap, and all but the last ended", l)
		}
	}
}

// Two kiosks with one key under one epoch: both histories are kept, the second
// as carried over, whatever comes first.
func TestForkedEpochStaysForked(t *testing.T) {
	w := newWorld(t, sqlite)
	k := w.kiosk("kiosk-00001")
	k.cards(10)
	w.serve()
	w.deliver(k)
	twin := *k
	twin.ledger = ledger{epoch: k.epoch, records: slices.Clone(k.records[:6]), chain: slices.Clone(k.chain[:7])}
	twin.cards(10)
	w.send(&twin, twin.batch(7, twin.last()))
	if r := k.receipt(); !r.Fork || r.Through != 11 || r.Hash != k.chain[11] {
		t.Errorf("receipt %+v, want a fork, and the first history's watermark", r)
	}
	k.card(99)
	w.send(k, k.batch(12, 12))
	if r := k.receipt(); !r.Fork || r.Through != 11 {
		t.Errorf("receipt %+v, want a fork", r)
	}
	if n := len(w.rows(k.id)); n != 10 {
		t.Errorf("%d rows, want 10", n)
	}
}
