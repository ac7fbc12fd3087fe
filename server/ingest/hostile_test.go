package ingest_test

import (
	"testing"
	"time"

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
