package ingest_test

import (
	"crypto/ed25519"
	"database/sql"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
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

// A difficulty reaches whoever answers for the kiosk's place, and nobody else.
func TestDifficultyIsRoutedByThePlace(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, q := range []string{
			"INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)",
			`INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, person, phones, email, capacity, hours, doors, version, poster, created, changed)
				VALUES (5, 'o', 'Chợ Đông Ba', 'cho dong ba', 'trade', 'market', '19753@2021-07-01', '19753@2025-07-01', '', '', '[]', '', 0, '[]', 1, 1, 1, 0, 0)`,
		} {
			if err := w.store.Write(t.Context(), func(t store.Tx) error { _, err := t.Exec(q); return err }); err != nil {
				t.Fatal(err)
			}
		}
		k := w.stranger("kiosk-0001")
		err := w.store.AddKiosk(t.Context(), qrgate.Kiosk{
			ID: k.id, Place: "Chợ Đông Ba", PlaceNo: 5, Public: k.key.Public().(ed25519.PublicKey), State: qrgate.KioskActive, Added: w.now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.serve()
		k.difficulty(wire.Encode(wire.Difficulty{Category: "card", Text: "Thẻ không đọc được"}))
		w.deliver(k)
		reg := register.New(w.store, w.now)
		for _, tt := range []struct {
			within register.Within
			want   int
		}{
			{register.Within{Areas: []string{"19753@2025-07-01"}}, 1}, {register.Within{Sectors: []string{"trade"}}, 1}, {register.Within{Organisations: []string{"o"}}, 1},
			{register.Within{Sectors: []string{"health"}}, 0}, {register.Within{}, 0},
		} {
			all, n, err := reg.Difficulties(t.Context(), register.DifficultyQuery{Within: tt.within, Size: 10})
			if err != nil || n != tt.want {
				t.Errorf("within %+v: %d, %v, want %d", tt.within, n, err, tt.want)
			}
			if n == 1 && (all[0].Place != 5 || all[0].PlaceName != "Chợ Đông Ba" || !all[0].At.Equal(w.now())) {
				t.Errorf("the difficulty is %d, %q, %s", all[0].Place, all[0].PlaceName, all[0].At)
			}
		}
	})
}
