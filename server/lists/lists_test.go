package lists_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/lists"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

var (
	signKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	signer  = wire.Signer{ID: 7, Key: signKey}
)

func findKey(uint32) ed25519.PublicKey { return signKey.Public().(ed25519.PublicKey) }

// A world is a database with cards and the list of those that are void.
type world struct {
	t    testing.TB
	s    *store.Store
	list *void.List
	now  time.Time
	*lists.Lists

	number uint32 // of the last card that spread made
}

func newWorld(t testing.TB, cards int) *world {
	w := &world{t: t, now: time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone)}
	now := func() time.Time { return w.now }
	var err error
	if w.s, err = store.Open(t.Context(), blank.SQLite(t), store.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.s.Close() })
	w.list = void.New(w.s, now)
	w.Lists = lists.New(w.list, signer, lists.Options{Now: now})
	w.write(func(t store.Tx) error {
		if _, err := t.Exec("INSERT INTO card_batches (id, office, kind, cards, made_by, made) VALUES ('b', 'province', 6, ?, 'clerk', 1)", cards); err != nil {
			return err
		}
		last := int64(pass.DayOf(w.now)) + 365
		for no := 1; no <= cards; no++ {
			if _, err := t.Exec("INSERT INTO cards (number, batch, office, kind, people, issue, first, last, longest, made, reason) VALUES (?, 'b', 'province', 6, 0, 1, 1, ?, ?, 1, '')", no, last, last); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

func (w *world) write(fn func(store.Tx) error) {
	w.t.Helper()
	if err := w.s.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// change makes cards void one after the other.
func (w *world) change(set string, numbers ...uint32) {
	w.t.Helper()
	for _, no := range numbers {
		w.write(func(t store.Tx) error {
			if _, err := t.Exec("UPDATE cards SET "+set+" WHERE number = ?", int64(no)); err != nil {
				return err
			}
			return void.Add(t, no)
		})
	}
}

func (w *world) refresh() {
	w.t.Helper()
	if err := w.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// A taker is the least that a kiosk does with parts.
type taker struct {
	beat wire.ListBeat
	list *pass.Revocations
	part map[int][]byte
}

// take takes one message and returns its head.
func (k *taker) take(t testing.TB, data []byte) wire.ListHead {
	t.Helper()
	p, err := wire.OpenListPart(data, findKey)
	if err != nil {
		t.Fatal(err)
	}
	if p.Head.From == 0 {
		if k.beat.Getting != p.Head.Stamp {
			k.beat.Getting, k.beat.Have, k.part = p.Head.Stamp, nil, map[int][]byte{}
		}
		if k.beat.Has(p.Part) {
			t.Errorf("part %d of %v comes again", p.Part, p.Head.Stamp)
		}
		k.beat.Add(p.Part)
		if k.part[p.Part] = p.Data; len(k.part) < p.Head.Parts {
			return p.Head
		}
		p.Data = nil
		for i := range p.Head.Parts {
			p.Data = append(p.Data, k.part[i]...)
		}
		k.list, k.beat.Getting, k.beat.Have = new(pass.Revocations), wire.Stamp{}, nil
	} else if p.Head.From != k.beat.Stamp.Version {
		t.Errorf("a change of version %d for a kiosk with %d", p.Head.From, k.beat.Stamp.Version)
	}
	news, err := pass.DecodeRevocations(p.Data)
	if err != nil {
		t.Fatal(err)
	}
	if k.list, err = k.list.With(news); err != nil {
		t.Fatal(err)
	}
	if k.list.Digest() != p.Head.Digest {
		t.Errorf("list %v has another digest than %+v", k.list.Len(), p.Head)
	}
	k.beat.Stamp = p.Head.Stamp
	return p.Head
}

// follow asks until the kiosk holds the newest list, and returns the heads of all
// that came.
func (k *taker) follow(t testing.TB, l *lists.Lists) (heads []wire.ListHead) {
	t.Helper()
	for range 100 {
		newest, parts := l.Answer(k.beat)
		if len(parts) == 0 {
			if k.beat.Stamp != newest {
				t.Errorf("nothing more for %v, newest is %v", k.beat, newest)
			}
			return heads
		}
		if len(parts) > lists.PartsAtOnce {
			t.Errorf("%d parts at once", len(parts))
		}
		for _, p := range parts {
			heads = append(heads, k.take(t, p))
		}
	}
	t.Fatal("the list never ends")
	return nil
}

func TestKioskFollowsTheList(t *testing.T) {
	w := newWorld(t, 50)
	var early taker
	if newest, parts := w.Answer(early.beat); newest != (wire.Stamp{}) || parts != nil {
		t.Errorf("before the database was read: %v, %d parts", newest, len(parts))
	}
	w.refresh()
	if heads := early.follow(t, w.Lists); len(heads) != 1 || early.list.Len() != 0 || early.beat.Stamp.Version != 1 {
		t.Errorf("an empty list: %+v", heads)
	}
	w.change("revoked = 1", 7)
	w.change("issue = issue + 1", 3)
	w.refresh()
	heads := early.follow(t, w.Lists)
	if len(heads) != 1 || heads[0].From != 1 || !early.list.Contains(7, 200) || !early.list.Contains(3, 1) || early.list.Contains(3, 2) {
		t.Errorf("a change: %+v", heads)
	}
	w.change("issue = issue + 1", 3)
	w.change("revoked = 1", 50, 1)
	w.refresh()
	for range 2 { // a second kiosk gets the same bytes
		k := early
		if heads := k.follow(t, w.Lists); len(heads) != 1 || heads[0].From != 3 || k.list.Len() != 4 || !k.list.Contains(3, 2) {
			t.Errorf("another change: %+v", heads)
		}
	}
	var late taker
	if heads := late.follow(t, w.Lists); len(heads) != 1 || heads[0].From != 0 || late.list.Len() != 4 {
		t.Errorf("whole: %+v", heads)
	}
	if stamp, n := w.Newest(); stamp != late.beat.Stamp || n != 4 {
		t.Errorf("Newest() = %v, %d", stamp, n)
	}
}

// While the clock is not believed no card leaves the list: it may be years ahead.
func TestClockNotBelieved(t *testing.T) {
	w := newWorld(t, 3)
	w.change("revoked = 1", 1)
	var doubt error
	l := lists.New(w.list, signer, lists.Options{Doubt: func() error { return doubt }})
	w.now = w.now.AddDate(4, 0, 0)
	for _, c := range []struct {
		doubt error
		cards int
	}{{errors.New("years ahead"), 1}, {nil, 0}} {
		doubt = c.doubt
		if err := l.Drop(t.Context()); !errors.Is(err, doubt) {
			t.Errorf("Drop() = %v, want %v", err, doubt)
		}
		if err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, n := l.Newest(); n != c.cards {
			t.Errorf("with %v: %d cards, want %d", doubt, n, c.cards)
		}
	}
}

// What a kiosk says that nobody can hold is answered like anything else.
func TestStrangeBeats(t *testing.T) {
	w := newWorld(t, 5)
	w.change("revoked = 1", 1, 2)
	w.refresh()
	newest, _ := w.Newest()
	for _, tt := range []struct {
		name string
		beat wire.ListBeat
		want int
	}{
		{"ahead", wire.ListBeat{Stamp: wire.Stamp{Generation: newest.Generation, Version: newest.Version + 1}}, 0},
		{"later generation", wire.ListBeat{Stamp: wire.Stamp{Generation: newest.Generation + 1}}, 0},
		{"generation before", wire.ListBeat{Stamp: wire.Stamp{Generation: newest.Generation - 1, Version: 1 << 60}}, 1},
		{"has all and did not take it", wire.ListBeat{Getting: newest, Have: []byte{255, 255}}, 0},
		{"parts of another", wire.ListBeat{Getting: wire.Stamp{Generation: 1, Version: 1}, Have: []byte{255}}, 1},
	} {
		if got, parts := w.Answer(tt.beat); got != newest || len(parts) != tt.want {
			t.Errorf("%s: %v, %d parts, want %d", tt.name, got, len(parts), tt.want)
		}
	}
}

// A long list comes in parts, of which those that were lost come again.
func TestLostParts(t *testing.T) {
	w := newWorld(t, 0)
	w.many(4000)
	w.refresh()
	var k taker
	sent := 0
	for newest, parts := w.Answer(k.beat); len(parts) > 0; newest, parts = w.Answer(k.beat) {
		for _, p := range parts {
			if sent++; sent%2 == 0 { // the others are lost
				k.take(t, p)
			}
		}
		if newest == k.beat.Stamp && k.list.Len() != 4000 {
			t.Errorf("%d cards", k.list.Len())
		}
	}
	if sent < 4 {
		t.Errorf("%d messages, of which half were lost", sent)
	}

	// So much at once that a change would not fit: the whole list.
	old := k
	w.many(1600)
	w.refresh()
	if heads := old.follow(t, w.Lists); heads[0].From != 0 || old.list.Len() != 5600 {
		t.Errorf("after many changes: %+v", heads)
	}
}

// Whoever has begun a long list can finish it: what is new meanwhile comes after it.
func TestLongListWhileCardsBecomeVoid(t *testing.T) {
	w := newWorld(t, 1)
	w.many(6000)
	w.refresh()
	var k taker
	first, parts := w.Answer(k.beat)
	if len(parts) != lists.PartsAtOnce {
		t.Fatalf("%d parts", len(parts))
	}
	for _, p := range parts {
		k.take(t, p)
	}
	w.change("revoked = 1", 1)
	w.refresh()
	heads := k.follow(t, w.Lists)
	if len(heads) < 2 || heads[0].Stamp != first || heads[len(heads)-1].From != first.Version || k.list.Len() != 6001 {
		t.Errorf("%d cards by %+v", k.list.Len(), heads)
	}
	w.now = w.now.Add(11 * time.Minute)
	k = taker{}
	if heads := k.follow(t, w.Lists); heads[0].Stamp == first || k.list.Len() != 6001 {
		t.Errorf("after ten minutes: %d cards by %+v", k.list.Len(), heads)
	}
}

// many makes n cards void of which each takes 31 bytes of the list: whoever has
// replaced a card so often has no other.
func (w *world) many(n int) { w.spread(n, 250) }

// spread makes n more cards void, about one in ten of all numbers, in one version:
// their issues through the given one, or if that is 1 two of three as a whole.
func (w *world) spread(n int, through int) {
	w.t.Helper()
	const rows = 1000 // to a statement
	last := int64(pass.DayOf(w.now)) + 365
	random := rand.New(rand.NewPCG(uint64(n), 4))
	w.write(func(t store.Tx) error {
		if err := void.Add(t, 0); err != nil {
			return err
		}
		for ; n > 0; n -= rows {
			var values []string
			var args []any
			for range min(n, rows) {
				w.number += 1 + random.Uint32N(19)
				values, args = append(values, "(?, 'b', 'province', 1, 0, ?, 1, ?, ?, 1, ?, '', (SELECT version FROM lists))"), append(args, w.number, 1, last, last, 1)
				if through > 1 || w.number%3 == 0 {
					args[len(args)-4], args[len(args)-1] = through+1, nil
				}
			}
			_, err := t.Exec("INSERT INTO cards (number, batch, office, kind, people, issue, first, last, longest, made, revoked, reason, voided) VALUES "+strings.Join(values, ", "), args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkFiveHundredKiosks is what one more void card among 100,000 costs the
// server until all kiosks have what they ask for.
func BenchmarkFiveHundredKiosks(b *testing.B) {
	for _, bb := range []struct {
		name string
		held func(newest wire.Stamp) wire.ListBeat
	}{
		{"change", func(s wire.Stamp) wire.ListBeat { return wire.ListBeat{Stamp: s} }},
		{"whole", func(wire.Stamp) wire.ListBeat { return wire.ListBeat{} }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := newWorld(b, 0)
			w.spread(100_000, 1)
			w.refresh()
			sent := 0
			for b.Loop() {
				held, _ := w.Newest()
				w.now = w.now.Add(wholeAnew)
				b.StopTimer()
				w.change("revoked = 2", w.number)
				b.StartTimer()
				w.refresh()
				for range 500 {
					_, parts := w.Answer(bb.held(held))
					for _, p := range parts {
						sent += len(p)
					}
				}
			}
			b.ReportMetric(float64(sent)/float64(b.N)/500, "bytes/kiosk")
		})
	}
}

// wholeAnew is long enough for a whole list to be made anew.
const wholeAnew = 11 * time.Minute

// One that cannot be asked gets the whole list: while a long one is handed out that is of
// a version not long before, with what is new after it.
func TestWhole(t *testing.T) {
	w := newWorld(t, 100)
	if newest, parts := w.Whole(); newest != (wire.Stamp{}) || parts != nil {
		t.Errorf("Whole() before the database was read = %v, %d parts", newest, len(parts))
	}
	const many = 6000
	w.number = 100
	w.many(many)
	w.refresh()
	first, _ := w.Newest()
	for no := range uint32(3) {
		newest, parts := w.Whole()
		var k taker
		var heads []wire.ListHead
		for _, p := range parts {
			heads = append(heads, k.take(t, p))
		}
		if k.beat.Stamp != newest || k.list == nil || k.list.Len() != many+int(no) {
			t.Errorf("Whole() leads to %v, want %v with %d cards", k.beat.Stamp, newest, many+no)
		}
		if last := heads[len(heads)-1]; heads[0].Stamp != first || no > 0 && last.From != first.Version {
			t.Errorf("after %d changes Whole() is of %v to %v, want one of %v and what is new", no, heads[0], last, first)
		}
		w.change("revoked = 1", no+1)
		w.refresh()
	}
}
