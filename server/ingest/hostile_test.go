package ingest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// count returns what a query counts about a kiosk.
func (w *world) count(query, kiosk string) (n int) {
	w.t.Helper()
	db := w.database()
	defer db.Close()
	if err := db.QueryRow(query, kiosk).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// sendNew sends what a kiosk has written since the given record and returns the
// receipt of it.
func (w *world) sendNew(k *kiosk, since uint64) *wire.Receipt {
	w.t.Helper()
	w.send(k, k.batch(since+1, k.last()))
	return k.receiptThrough(k.last())
}

func TestEpochsWithoutEnd(t *testing.T) { each(t, testEpochsWithoutEnd) }

// Whoever has a kiosk's key names epochs without end: that many are not kept, what
// names them is a dead letter with a receipt, and all else counts as before.
func testEpochsWithoutEnd(t *testing.T, w *world) {
	k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
	s := w.serve()
	w.deliver(k)
	w.deliver(other)
	for round := range 3 {
		since := k.last()
		for i := range wire.MaxBatchRecords {
			origin := wire.NewEpoch()
			h := k.header(wire.KindCheckin)
			if i%2 == 1 {
				before := wire.NewEpoch()
				h = k.header(wire.KindOpened)
				h.Opened = &wire.Opened{By: wire.OpenedFork, Previous: &before}
			}
			h.Seq = 1
			r := wire.NewRecord(h, wire.Sealed{})
			r.Origin = &origin
			k.append(r)
		}
		r := w.sendNew(k, since)
		if round > 0 && (len(r.Rejects) == 0 || r.Rejects[0].Reason != wire.ReasonRecord) {
			t.Errorf("round %d: rejects %v, want each record", round, r.Rejects)
		}
		other.card(uint32(round + 1))
		w.sendNew(other, other.last()-1)
	}
	const epochs = "SELECT COUNT(*) FROM epochs e JOIN kiosks k ON k.no = e.kiosk_no WHERE k.id = $1"
	if n := w.count(epochs, k.id); n != 256 {
		t.Errorf("%d epochs are kept, want 256", n)
	}
	before := len(w.rows(k.id))
	k.card(1)
	if r := w.sendNew(k, k.last()-1); len(r.Rejects) != 0 || len(w.rows(k.id)) != before+1 {
		t.Errorf("a check-in of its own: rejects %v, %d rows, want %d", r.Rejects, len(w.rows(k.id)), before+1)
	}

	// A kiosk may need one more all the same, but not one after the other.
	w.clock.advance(59 * time.Minute)
	k.open(wire.Opened{By: wire.OpenedNew})
	refused := s.Stats().Refused
	k.anchor()
	w.send(k, k.batch(1, 2))
	w.until("refusal", func() bool { return s.Stats().Refused == refused+1 })
	w.clock.advance(time.Minute)
	w.deliver(k)
	w.deliver(other)
	if st := s.Stats(); st.Failed > 0 {
		t.Errorf("Stats() = %+v", st)
	}
}

func TestAnchorsWithoutEnd(t *testing.T) { each(t, testAnchorsWithoutEnd) }

// Anchors without end are all receipted, and as many are kept as say something, by a
// server that begins anew too.
func testAnchorsWithoutEnd(t *testing.T, w *world) {
	k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
	s := w.serve()
	k.card(1)
	w.deliver(k)
	w.deliver(other)
	for round := range 4 {
		if round == 2 {
			s.stop()
			w.store = w.openStore()
			s = w.serve()
		}
		since := k.last()
		for range wire.MaxBatchRecords {
			w.clock.advance(time.Second)
			k.anchor()
		}
		if r := w.sendNew(k, since); len(r.Rejects) > 0 {
			t.Errorf("rejects %v", r.Rejects)
		}
		other.card(uint32(round + 1))
		w.sendNew(other, other.last()-1)
	}
	if n := w.count("SELECT COUNT(*) FROM anchors a JOIN kiosks k ON k.no = a.kiosk_no WHERE k.id = $1", k.id); n != 256 {
		t.Errorf("%d anchors are kept, want 256", n)
	}
	w.clock.advance(time.Minute)
	truth := w.now().UnixMilli()
	k.card(2)
	w.clock.advance(time.Hour)
	w.sendNew(k, k.last()-1)
	rows := w.rows(k.id)
	if c := rows[len(rows)-1]; len(rows) != 2 || c.Earliest > truth || c.Latest < truth || c.Latest-c.Earliest > 100 {
		t.Errorf("%d rows, the last [%d, %d], want it within 100 ms about %d", len(rows), c.Earliest, c.Latest, truth)
	}
	if st := s.Stats(); st.Failed+st.Rejected > 0 {
		t.Errorf("Stats() = %+v", st)
	}
}

func TestBootsWithoutEnd(t *testing.T) { each(t, testBootsWithoutEnd) }

// Boots without end, in whichever epoch, are not kept: what is of one too many is a dead
// letter with a receipt, for a server that begins anew too, and all else counts as before.
func testBootsWithoutEnd(t *testing.T, w *world) {
	const most = 1 << 16
	k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
	other.anchor()
	err := w.store.Intake(t.Context(), []string{k.id}, func(in *store.Intake) error {
		for n := range most - 200 {
			if n%2 == 0 {
				k.reboot()
			}
			e, err := in.Book(k.id).Epoch([]wire.Epoch{k.epoch, {1}}[n%2])
			if err != nil {
				return err
			}
			in.Seen(e, when.Span{Boot: k.boot, First: uint64(2 + n), Last: uint64(2 + n), Arrived: w.now().UnixMilli()})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := w.serve()
	w.deliver(other)
	k.reboot()
	k.card(1)
	known := k.boot
	w.deliver(k)
	for round := range 3 {
		if round == 1 {
			s.stop()
			w.store = w.openStore()
			s = w.serve()
		}
		since := k.last()
		for range wire.MaxBatchRecords - 1 {
			k.reboot()
			k.anchor()
		}
		k.boot = known
		k.card(uint32(round + 2))
		r := w.sendNew(k, since)
		// The round before had room for 197: the first record's boot, and that of its first
		// check-in, were the others.
		want := []int{wire.MaxBatchRecords - 1 - 198, wire.MaxBatchRecords - 1, wire.MaxBatchRecords - 1}[round]
		if len(r.Rejects) != min(want, wire.MaxReceiptRejects) || r.Rejects[0].Reason != wire.ReasonRecord {
			t.Errorf("round %d: %d rejects, want %d", round, len(r.Rejects), want)
		}
		other.card(uint32(round + 1))
		w.sendNew(other, other.last()-1)
	}
	if n := w.count("SELECT COUNT(*) FROM boots b JOIN epochs e ON e.no = b.epoch_no JOIN kiosks k ON k.no = e.kiosk_no WHERE k.id = $1", k.id); n != most {
		t.Errorf("%d boots are kept, want %d", n, most)
	}
	if mine, others := len(w.rows(k.id)), len(w.rows(other.id)); mine != 4 || others != 3 {
		t.Errorf("%d and %d check-ins, want 4 and 3", mine, others)
	}
	if st := s.Stats(); st.Failed > 0 {
		t.Errorf("Stats() = %+v", st)
	}
}

func TestGatesWithoutEnd(t *testing.T) { each(t, testGatesWithoutEnd) }

// Nor are gates without end.
func testGatesWithoutEnd(t *testing.T, w *world) {
	const most = 1 << 12
	k := w.kiosk("kiosk-00001")
	s := w.serve()
	w.deliver(k)
	for round := range most/wire.MaxBatchRecords + 2 {
		if round == 7 {
			s.stop()
			w.store = w.openStore()
			s = w.serve()
		}
		since := k.last()
		for i := range wire.MaxBatchRecords {
			h := k.header(wire.KindCheckin)
			h.Gate = fmt.Sprintf("G%d-%d", round, i)
			k.append(wire.NewRecord(h, wire.Sealed{}))
		}
		r := w.sendNew(k, since)
		if full := round*wire.MaxBatchRecords >= most; full != (len(r.Rejects) > 0) {
			t.Errorf("round %d: %d rejects", round, len(r.Rejects))
		}
	}
	if n := w.count("SELECT COUNT(*) FROM gates g JOIN kiosks k ON k.no = g.kiosk_no WHERE k.id = $1", k.id); n != most {
		t.Errorf("%d gates are kept, want %d", n, most)
	}
	h := k.header(wire.KindCheckin)
	h.Gate = "G0-0"
	k.append(wire.NewRecord(h, wire.Sealed{}))
	if r := w.sendNew(k, k.last()-1); len(r.Rejects) > 0 {
		t.Errorf("a check-in at a gate that is known: rejects %v", r.Rejects)
	}
	if n := len(w.rows(k.id)); n != most+1 {
		t.Errorf("%d check-ins, want %d", n, most+1)
	}
	if st := s.Stats(); st.Failed > 0 {
		t.Errorf("Stats() = %+v", st)
	}
}

func TestBootsOfYears(t *testing.T) { each(t, testBootsOfYears) }

// A kiosk whose power fails several times a day for years, which has a card changed now
// and then and is without a link at times, is never refused anything, and each of its
// check-ins is dated as well as that of a new one.
func testBootsOfYears(t *testing.T, w *world) {
	const boots = 3000
	k := w.kiosk("kiosk-00001")
	s := w.serve()
	w.deliver(k)
	truth := map[[2]any]int64{} // by epoch and number
	sent := k.last()
	for n := range boots {
		if n%1000 == 999 {
			w.sendNew(k, sent)
			before := k.epoch
			k.open(wire.Opened{By: wire.OpenedNew, Previous: &before})
			sent = 0
		}
		w.clock.advance(5 * time.Minute)
		k.reboot()
		if n%10 != 5 { // else the link is down
			w.clock.advance(time.Second)
			k.anchor()
		}
		w.clock.advance(time.Minute)
		seq := k.card(1)
		truth[[2]any{k.epoch, seq}] = w.now().UnixMilli()
		if k.last()-sent > 200 {
			w.sendNew(k, sent)
			sent = k.last()
		}
	}
	w.sendNew(k, sent)
	for more := true; more; {
		var err error
		if more, err = w.store.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rows := w.rows(k.id)
	if len(rows) != boots {
		t.Fatalf("%d check-ins, want %d", len(rows), boots)
	}
	for _, c := range rows {
		at, ok := truth[[2]any{c.Epoch, c.Seq}]
		if !ok || at < c.Earliest || at > c.Latest || c.Latest-c.Earliest > (11*time.Minute).Milliseconds() {
			t.Fatalf("check-in %d of %s is of [%d, %d], want it about %d", c.Seq, c.Epoch, c.Earliest, c.Latest, at)
		}
	}
	if st := s.Stats(); st.Rejected+st.Failed+st.Refused > 0 {
		t.Errorf("Stats() = %+v", st)
	}
}

// While one kiosk sends its batches again and again, another's gets through.
func TestBatchesInALoop(t *testing.T) {
	w := newWorld(t, sqlite)
	slow, keys, release := held(w)
	k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
	k.cards(3)
	other.cards(3)
	s := w.serveWith(w.parts(), ingest.Options{Workers: 1, Queue: 64, Group: 1})
	defer release()
	w.hold(slow, keys)
	for range 200 {
		w.send(k, k.batch(1, k.last()))
	}
	for seq := uint64(1); seq <= other.last(); seq++ { // as many as a kiosk has under way
		w.send(other, other.batch(seq, seq))
	}
	if s.Stats().Dropped == 0 {
		t.Error("there was room for all")
	}
	release()
	other.receiptThrough(other.last())
	k.receiptThrough(k.last())
	if n := len(w.rows(other.id)); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

// While one kiosk beats without end, another's beat is answered; and what a kiosk does
// not wait for any more is not answered.
func TestBeatsInALoop(t *testing.T) {
	w := newWorld(t, sqlite)
	k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
	answers, others := w.line.mailbox(t, wire.Topic(k.id, wire.DownBeat)), w.line.mailbox(t, wire.Topic(other.id, wire.DownBeat))
	reached, gate := make(chan struct{}, 1), make(chan struct{})
	p := w.parts()
	p.Beats = []func(string, *wire.Beat, *wire.BeatAnswer){func(string, *wire.Beat, *wire.BeatAnswer) {
		select {
		case reached <- struct{}{}:
		default:
		}
		<-gate
	}}
	s := w.serveWith(p, ingest.Options{Queue: 64})
	w.beat(k, k.beat(0))
	<-reached
	var last *wire.Beat
	for range 200 {
		last = k.beat(0)
		w.beat(k, last)
	}
	mine := other.beat(0)
	w.beat(other, mine)
	close(gate)
	if a, err := wire.OpenBeatAnswer(others.next(), other.id, receiptKeys); err != nil || a.Nonce != mine.Nonce {
		t.Fatalf("answer %+v to %+v, %v", a, mine, err)
	}
	answers.next()
	if a, err := wire.OpenBeatAnswer(answers.next(), k.id, receiptKeys); err != nil || a.Nonce != last.Nonce {
		t.Errorf("answer %+v, %v, want one to the last beat", a, err)
	}

	// One after the other they are answered for a while, and then as often as an honest
	// kiosk could ask.
	asked := 0
	for dropped := s.Stats().Dropped; s.Stats().Dropped == dropped && asked < 200; asked++ {
		before := s.Stats()
		w.beat(k, k.beat(0))
		w.until("beat", func() bool { st := s.Stats(); return st.Beats+st.Dropped > before.Beats+before.Dropped })
	}
	if asked < 20 || asked > 40 {
		t.Errorf("beat %d in a row was not answered", asked)
	}
	w.ask(other, others, 0)
	w.clock.advance(2 * time.Second)
	for answers.poll() != nil {
	}
	w.ask(k, answers, 0)
}

// What is refused again and again is a line of the log a minute.
func TestRefusalsInALoop(t *testing.T) {
	w := newWorld(t, sqlite)
	k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
	s := w.serve()
	send := func(k *kiosk) {
		before := s.Stats().Refused
		w.publish(wire.Topic(k.id, wire.UpBatch), []byte("nothing"))
		w.until("refusal", func() bool { return s.Stats().Refused == before+1 })
	}
	for range 20 {
		send(k)
	}
	send(other)
	w.clock.advance(time.Minute)
	send(k)
	log := w.log.String()
	if n := strings.Count(log, "batch refused"); n != 3 {
		t.Errorf("%d lines of log, want two of one kiosk and one of the other", n)
	}
	if want := fmt.Sprintf(`"more_before":%d`, 19); !strings.Contains(log, want) {
		t.Errorf("no line says that there were 19 more:\n%s", log)
	}
}
