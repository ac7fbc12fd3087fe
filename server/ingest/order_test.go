package ingest_test

import (
	"database/sql"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// ordered records how an order was judged at the door.
func (k *kiosk) ordered(use wire.OrderUse, reason wire.Reason) uint64 {
	h := k.header(wire.KindOrder)
	h.Order, h.Reason = &use, reason
	return k.append(wire.NewRecord(h, wire.Sealed{}))
}

// What a kiosk did without a network is kept and audited once, however often and under
// however many epochs it is told; and who was taken back at the door was not there.
func TestOrdersInTheLedger(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		k := w.kiosk("kiosk-0001")
		w.serve()
		id := wire.OrderID{7}
		k.card(1)
		mistake := k.card(2)
		k.ordered(wire.OrderUse{Kind: wire.OrderUndo, State: wire.OrderDone, Card: 12, Undone: mistake}, wire.NoReason)
		k.ordered(wire.OrderUse{State: wire.OrderRefused}, wire.ReasonSignature)
		k.ordered(wire.OrderUse{Kind: wire.OrderTally, State: wire.OrderRefused, Card: 13}, wire.ReasonRepeated)
		k.ordered(wire.OrderUse{Kind: wire.OrderLog, State: wire.OrderDone, ID: &id}, wire.NoReason)
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
		var audits []string
		w.query(func(r *sql.Rows) error {
			var action, object, note string
			err := r.Scan(&action, &object, &note)
			audits = append(audits, action+": "+object+": "+note)
			return err
		}, "SELECT action, object, note FROM audit WHERE action LIKE '%order%' OR action LIKE '%command%' ORDER BY action, note")
		want := []string{
			"command card done: kiosk-0001: undo, card 12", "command card refused: kiosk-0001: tally, card 13, repeated",
			"order done: kiosk-0001: log, 07000000000000000000000000000000", "order refused: kiosk-0001: unreadable, signature",
		}
		if diff := cmp.Diff(want, audits); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		n := 0
		w.query(func(r *sql.Rows) error { return r.Scan(&n) }, "SELECT COUNT(*) FROM order_uses")
		if n != len(want) {
			t.Errorf("%d uses are kept, want %d", n, len(want))
		}
		var there []uint64
		err := w.store.CheckinsAt(t.Context(), qrgate.Spot{Name: "Bệnh viện Trung ương Huế"}, 0, math.MaxInt64, func(c *qrgate.Checkin) error {
			there = append(there, c.Seq)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]uint64{mistake - 1}, there); diff != "" {
			t.Errorf("a trace finds (-want +got):\n%s", diff)
		}
		if rows := w.rows(k.id); len(rows) != 2 {
			t.Errorf("%d check-ins are kept, want both", len(rows))
		}
	})
}

// A server of before orders sets such records aside, and asks for none of them again:
// so does this one with what comes after it.
func TestRecordOfALaterRelease(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		k := w.kiosk("kiosk-0001")
		w.serve()
		h := k.header(99)
		seq := k.append(wire.NewRecord(h, wire.Sealed{}))
		k.card(1)
		r := w.deliver(k)
		if diff := cmp.Diff([]wire.Reject{{Seq: seq, Reason: wire.ReasonVersion}}, r.Rejects); diff != "" {
			t.Errorf("rejects (-want +got):\n%s", diff)
		}
	})
}
