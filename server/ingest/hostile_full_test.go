//go:build full

package ingest_test

import (
	"testing"

	"github.com/qrgate/qrgate/sync/wire"
)

// A kiosk that carries records over from epochs without end does not hold up the
// others: what is too much becomes dead letters.
func TestTooManyEpochs(t *testing.T) {
	w := newWorld(t, sqlite)
	k, other := w.kiosk("kiosk-00001"), w.kiosk("kiosk-00002")
	s := w.serve()
	w.deliver(k)
	sent := k.last()
	for s.Stats().Rejected == 0 && k.last() < 70_000 {
		for range wire.MaxBatchRecords {
			h := k.header(wire.KindCheckin)
			h.Seq = 1
			r := wire.NewRecord(h, wire.Sealed{})
			origin := wire.NewEpoch()
			r.Origin = &origin
			k.append(r)
		}
		w.send(k, k.batch(sent+1, k.last()))
		sent = k.last()
		if r := k.receiptThrough(sent); len(r.Rejects) > 0 && r.Rejects[0].Reason != wire.ReasonRecord {
			t.Errorf("rejects %v", r.Rejects[0])
		}
	}
	if st := s.Stats(); st.Rejected == 0 || st.Checkins+st.Rejected != sent-1 || st.Failed > 0 {
		t.Errorf("after %d records: %+v, want some of them rejected", sent, st)
	}
	h, before := k.header(wire.KindOpened), wire.NewEpoch()
	h.Opened = &wire.Opened{By: wire.OpenedFork, Previous: &before}
	k.append(wire.NewRecord(h, wire.Sealed{}))
	w.send(k, k.batch(k.last(), k.last()))
	k.receiptThrough(k.last())
	// A new epoch of its own cannot begin either, and is not answered.
	k.open(wire.Opened{By: wire.OpenedNew})
	w.send(k, k.batch(1, 1))
	w.until("refusal", func() bool { return s.Stats().Refused == 1 })
	other.card(1)
	w.deliver(other)
}
