package ingest_test

import (
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

func daysAgo(n int) time.Time { return noon.AddDate(0, 0, -n) }

// onDay records a card so many days ago, with an anchor, and returns to today.
func (k *kiosk) onDay(w *world, ago int, card uint32) uint64 {
	w.clock.set(daysAgo(ago))
	defer w.clock.set(noon)
	k.anchor()
	return k.card(card)
}

// What comes after the end of its retention is receipted, counted and dropped:
// neither a row nor an identity is kept.
func TestLate(t *testing.T) { each(t, testLate) }

func testLate(t *testing.T, w *world) {
	w.clock.set(daysAgo(30))
	k := w.kiosk("kiosk-00001")
	seqs := map[int]uint64{}
	for _, ago := range []int{25, 22, 21, 20} {
		seqs[ago] = k.onDay(w, ago, uint32(100+ago))
	}
	s := w.serve()
	r := w.deliver(k)
	if len(r.Rejects) > 0 {
		t.Errorf("rejects %v, want none: late check-ins are no dead letters", r.Rejects)
	}
	rows := w.rows(k.id)
	if len(rows) != 2 || rows[0].Seq != seqs[21] || rows[1].Seq != seqs[20] {
		t.Fatalf("rows %+v, want those of day 21 and 20", rows)
	}
	for i, ago := range []int{21, 20} {
		if want := qrgate.DayOf(daysAgo(ago)); rows[i].Day != want {
			t.Errorf("day %s, want %s", rows[i].Day, want)
		}
		w.person(rows[i])
	}
	identities := 0
	w.query(func(*sql.Rows) error { identities++; return nil }, "SELECT identity FROM identities")
	if identities != 2 {
		t.Errorf("%d identities, want 2", identities)
	}

	// They come again, and nothing is counted twice.
	w.deliver(k)
	if got := s.Stats(); got.Late != 2 || got.Checkins != 2 || got.Repeated != k.last() {
		t.Errorf("Stats() = %+v, want 2 late, 2 check-ins, %d repeated", got, k.last())
	}
	kiosks, err := w.store.Kiosks(t.Context())
	if err != nil || kiosks[0].Late != 2 || kiosks[0].Checkins != 2 {
		t.Errorf("Kiosks() = %+v, %v, want 2 late, 2 check-ins", kiosks, err)
	}
}

// A shorter retention is kept too.
func TestLateByItsOwnRetention(t *testing.T) {
	w := newWorld(t, sqlite)
	w.clock.set(daysAgo(9))
	k := w.kiosk("kiosk-00001")
	for _, ago := range []int{8, 7, 6} {
		k.onDay(w, ago, 1)
	}
	s := w.serveWith(w.parts(), ingest.Options{Retention: 7 * 24 * time.Hour})
	w.deliver(k)
	if got := s.Stats(); got.Late != 1 || got.Checkins != 2 {
		t.Errorf("Stats() = %+v, want 1 late, 2 check-ins", got)
	}
}

// By a clock that is not believed nothing is dropped: what it takes for too late stays
// unanswered, and is dropped or taken in when the clock is known.
func TestClockThatIsNotBelieved(t *testing.T) {
	w := newWorld(t, sqlite)
	w.clock.set(daysAgo(9))
	k := w.kiosk("kiosk-00001")
	for _, ago := range []int{8, 6} {
		k.onDay(w, ago, 1)
	}
	var believed atomic.Bool
	s := w.serveWith(w.parts(), ingest.Options{Retention: 7 * 24 * time.Hour, Doubt: func() error {
		if believed.Load() {
			return nil
		}
		return errors.New("not believed")
	}})
	late := visitOf(1, 1)
	late.Said, late.Sent = daysAgo(8), noon
	for _, b := range k.batches(64) {
		w.send(k, b)
	}
	if _, err := s.Visit(t.Context(), late); !errors.Is(err, ingest.ErrBusy) {
		t.Errorf("Visit() = %v, want ErrBusy", err)
	}
	for s.Stats().Failed == 0 && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if got := s.Stats(); got.Late != 0 || got.Receipts != 0 {
		t.Errorf("Stats() = %+v, want nothing dropped and nothing answered", got)
	}
	believed.Store(true)
	w.deliver(k)
	if got := s.Stats(); got.Late != 1 || got.Checkins != 1 {
		t.Errorf("Stats() = %+v, want 1 late, 1 check-in", got)
	}
}

// A day whose key is destroyed takes nothing more in.
func TestShreddedDay(t *testing.T) {
	w := newWorld(t, sqlite)
	w.clock.set(daysAgo(3))
	k := w.kiosk("kiosk-00001")
	k.onDay(w, 2, 1)
	k.onDay(w, 1, 1)
	if err := w.vault.Shred(qrgate.DayOf(daysAgo(2))); err != nil {
		t.Fatal(err)
	}
	s := w.serve()
	w.deliver(k)
	rows := w.rows(k.id)
	if got := s.Stats(); got.Late != 1 || got.Checkins != 1 || got.Failed > 0 || len(rows) != 1 || rows[0].Day != qrgate.DayOf(daysAgo(1)) {
		t.Errorf("%d rows, Stats() = %+v, want the one of yesterday and 1 late", len(rows), got)
	}
}

// A stay of nine nights is one person's, though each day has its own key.
func TestNineNights(t *testing.T) {
	w := newWorld(t, sqlite)
	w.clock.set(daysAgo(10))
	k := w.kiosk("kiosk-00001")
	k.onDay(w, 9, 7)
	k.onDay(w, 0, 7)
	w.serve()
	w.deliver(k)
	rows := w.rows(k.id)
	if len(rows) != 2 || rows[1].Day-rows[0].Day != 9 || rows[0].Subject == rows[1].Subject || w.person(rows[0]) != w.person(rows[1]) {
		t.Errorf("rows %+v, want one person under two subjects nine days apart", rows)
	}
}

// A boot that never met the server lies between its neighbours. Its day is that
// of the latest moment at which it can have been.
func TestBootWithoutAnchorOverTwoMidnights(t *testing.T) {
	for _, tt := range []struct {
		name        string
		before      int // days ago, of the boot before
		after       int
		rows, drops int
	}{
		{"this week", 4, 2, 3, 0},
		{"over the end of retention", 23, 21, 2, 1},
		{"past retention", 25, 23, 0, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, sqlite)
			w.clock.set(daysAgo(tt.before))
			k := w.kiosk("kiosk-00001")
			k.anchor()
			k.card(1)
			w.clock.advance(time.Hour)
			k.reboot()
			w.clock.advance(time.Minute)
			between := k.card(2) // its clock may have said anything
			w.clock.set(daysAgo(tt.after))
			k.reboot()
			k.anchor()
			k.card(3)
			w.clock.set(noon)
			s := w.serve()
			w.deliver(k)
			rows := w.rows(k.id)
			if got := s.Stats(); len(rows) != tt.rows || got.Late != uint64(tt.drops) {
				t.Fatalf("%d rows, Stats() = %+v, want %d rows, %d late", len(rows), got, tt.rows, tt.drops)
			}
			for _, c := range rows {
				if c.Seq != between {
					continue
				}
				low, high := daysAgo(tt.before).UnixMilli(), daysAgo(tt.after).UnixMilli()
				if c.Earliest < low-60_000 || c.Latest > high+60_000 || c.Latest-c.Earliest < 2*86_400_000-2*3_600_000 || c.Day != qrgate.DayOf(daysAgo(tt.after)) {
					t.Errorf("between %s and %s on %s, want the two days from %s to %s", time.UnixMilli(c.Earliest), time.UnixMilli(c.Latest),
						c.Day, daysAgo(tt.before), daysAgo(tt.after))
				}
			}
		})
	}
}

// An anchor that comes later narrows what was known. The day stays, because the
// subject is under its key.
func TestAnchorComesLater(t *testing.T) { each(t, testAnchorComesLater) }

func testAnchorComesLater(t *testing.T, w *world) {
	scanned := noon.Add(-13 * time.Hour) // 23:00 of the day before
	w.clock.set(scanned)
	k := w.kiosk("kiosk-00001")
	k.cards(700) // more than are dated again in one transaction
	w.clock.set(noon)
	w.serve()
	w.deliver(k)
	before := w.rows(k.id)
	for _, c := range before {
		if c.Day != qrgate.DayOf(noon) || c.Latest < scanned.Add(12*time.Hour).UnixMilli() {
			t.Fatalf("row %+v, want the day on which it came", c)
		}
	}
	k.anchor()
	w.deliver(k)
	var after []qrgate.Checkin
	w.until("dating", func() bool {
		after = w.rows(k.id)
		for _, c := range after {
			if c.Latest-c.Earliest > 60_000 {
				return false
			}
		}
		return true
	})
	for i, c := range after {
		if at := scanned.UnixMilli(); c.Earliest > at || c.Latest < at {
			t.Fatalf("row %d is between %d and %d, and was at %d", c.Seq, c.Earliest, c.Latest, at)
		}
		c.Earliest, c.Latest = before[i].Earliest, before[i].Latest
		if c != before[i] {
			t.Fatalf("row %+v has changed in more than its bounds", c)
		}
		w.person(c)
	}
}

// A kiosk's clock cannot bring a check-in into the future, or break anything.
func TestAbsurdClocks(t *testing.T) {
	w := newWorld(t, sqlite)
	k := w.kiosk("kiosk-00001")
	for _, wall := range []int64{-1 << 49, -1, 0, 1 << 49} {
		h := k.header(wire.KindCheckin)
		h.Wall, h.Error = wall, 1<<49
		k.append(k.seal(h, wire.Encode(wire.Subject{Kind: h.Pass, Card: 1})))
	}
	for _, server := range []int64{1, 1 << 49} { // a server of a thousand years hence
		k.reboot()
		h := k.header(wire.KindAnchor)
		h.Since = 3_000_000_000_000
		h.Anchor = &wire.Anchor{Server: server, Error: 1 << 49}
		k.append(wire.NewRecord(h, wire.Sealed{}))
		k.card(2)
	}
	s := w.serve()
	w.deliver(k)
	for _, c := range w.rows(k.id) {
		if c.Latest > noon.UnixMilli() || c.Earliest > c.Latest || c.Day > qrgate.DayOf(noon) {
			t.Errorf("row %d is between %d and %d on %s", c.Seq, c.Earliest, c.Latest, c.Day)
		}
	}
	if got := s.Stats(); got.Checkins+got.Late != 6 || got.Failed > 0 || got.Rejected > 0 {
		t.Errorf("Stats() = %+v, want 6 check-ins or late", got)
	}
}
