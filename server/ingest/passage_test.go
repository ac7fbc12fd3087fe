package ingest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/store/coverage"
	"github.com/qrgate/qrgate/sync/wire"
)

// passed records how many passed the door in the time until now.
func (k *kiosk) passed(p wire.Passage) uint64 {
	h := k.header(wire.KindPassage)
	h.Gate, h.Lane, h.Direction, h.Passage = "A1", 1, wire.In, &p
	return k.append(wire.NewRecord(h, wire.Sealed{}))
}

// Who passed is counted once, in the hour in which it was, however often, how late and
// under however many epochs it is told.
func TestPassagesInTheLedger(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		k := w.kiosk("kiosk-0001")
		w.serve()
		k.anchor()
		k.passed(wire.Passage{Took: 30 * 60_000, People: 40, Scans: 30}) // until 12:00
		w.clock.advance(time.Hour)
		k.passed(wire.Passage{Took: 60 * 60_000, People: 100, Against: 3, Scans: 80})
		w.clock.advance(20 * time.Minute)
		k.passed(wire.Passage{Took: 20 * 60_000, People: 10, Scans: 10})
		k.passed(wire.Passage{People: 5, Scans: 5}) // another start in the same hour
		w.clock.advance(49 * time.Hour)
		w.deliver(k)
		w.deliver(k)
		old := k.ledger
		k.open(wire.Opened{By: wire.OpenedFork, Previous: &old.epoch, Last: old.last(), Carried: old.last()})
		for _, raw := range old.records[1:] {
			k.carry(old.epoch, raw)
		}
		if r := w.deliver(k); len(r.Rejects) > 0 {
			t.Errorf("rejected %+v", r.Rejects)
		}
		lane := coverage.Lane{Gate: "A1", No: 1, Direction: wire.In}
		want := []coverage.Hour{
			{At: noon.Add(time.Hour), Lane: lane, Sum: coverage.Sum{People: 15, Scans: 15}},
			{At: noon, Lane: lane, Sum: coverage.Sum{People: 100, Against: 3, Scans: 80}},
			{At: noon.Add(-time.Hour), Lane: lane, Sum: coverage.Sum{People: 40, Scans: 30}},
		}
		c := coverage.New(w.store)
		got, err := c.OfKiosk(t.Context(), k.id, noon.Add(-24*time.Hour), noon.Add(24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("the hours of the kiosk (-want +got):\n%s", diff)
		}
		if err := c.Prune(t.Context(), noon.Add(coverage.Kept-time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got, err = c.OfKiosk(t.Context(), k.id, noon.Add(-24*time.Hour), noon.Add(24*time.Hour)); err != nil || len(got) != 2 {
			t.Errorf("after the oldest was dropped: %+v, %v", got, err)
		}
	})
}

// What cannot be is set aside, and holds nothing up.
func TestUnsoundPassageIsSetAside(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		k := w.kiosk("kiosk-0001")
		w.serve()
		seq := k.passed(wire.Passage{People: 1 << 31})
		k.passed(wire.Passage{People: 4})
		r := w.deliver(k)
		if diff := cmp.Diff([]wire.Reject{{Seq: seq, Reason: wire.ReasonRecord}}, r.Rejects); diff != "" {
			t.Errorf("rejects (-want +got):\n%s", diff)
		}
	})
}
