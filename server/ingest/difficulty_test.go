package ingest_test

import (
	"database/sql"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/sync/wire"
)

// difficulty records what a guard reports.
func (k *kiosk) difficulty(plain []byte) uint64 {
	return k.append(k.seal(k.header(wire.KindDifficulty), plain))
}

// A difficulty that a guard reports is kept once, however often and under however many
// epochs it comes, and audited without what it says; what is none is set aside.
func TestDifficultiesInTheLedger(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		k := w.kiosk("kiosk-0001")
		w.serve()
		good := wire.Difficulty{Category: "scanner", Text: "Máy đọc chậm.\nTừ sáng.", Contact: "0905 111 222"}
		k.difficulty(wire.Encode(good))
		bad := []uint64{
			k.difficulty(wire.Encode(wire.Difficulty{Category: "scanner", Text: "a\x00b"})),
			k.difficulty([]byte{0xff}),
			k.append(wire.NewRecord(k.header(wire.KindDifficulty), wire.Sealed{})),
		}
		k.ordered(wire.OrderUse{Kind: wire.OrderCount, State: wire.OrderDone, Count: -3, Guard: true}, wire.NoReason)
		var rejected []uint64
		for _, r := range w.deliver(k).Rejects {
			rejected = append(rejected, r.Seq)
		}
		if diff := cmp.Diff(bad, rejected); diff != "" {
			t.Errorf("rejects (-want +got):\n%s", diff)
		}
		w.deliver(k)
		old := k.ledger
		k.open(wire.Opened{By: wire.OpenedFork, Previous: &old.epoch, Last: old.last(), Carried: old.last()})
		for _, raw := range old.records[1:] {
			k.carry(old.epoch, raw)
		}
		w.deliver(k)
		var kept []string
		w.query(func(r *sql.Rows) error {
			var page, category, text, contact, state string
			err := r.Scan(&page, &category, &text, &contact, &state)
			kept = append(kept, page+"|"+category+"|"+text+"|"+contact+"|"+state)
			return err
		}, "SELECT page, category, text, contact, state FROM difficulties")
		if diff := cmp.Diff([]string{"kiosk-0001|scanner|" + good.Text + "|" + good.Contact + "|open"}, kept); diff != "" {
			t.Errorf("difficulties (-want +got):\n%s", diff)
		}
		var audits []string
		w.query(func(r *sql.Rows) error {
			var action, note string
			err := r.Scan(&action, &note)
			audits = append(audits, action+": "+note)
			return err
		}, "SELECT action, note FROM audit WHERE action LIKE '%difficulty%' OR action LIKE 'guard%' ORDER BY action")
		if diff := cmp.Diff([]string{"guard done: count, -3 people", "report difficulty: scanner, kiosk-0001"}, audits); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}
