package rights_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/rights"
)

// Looks are counted by officer and case, and what is no look is not among them.
func TestLooks(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.exec(`INSERT INTO cases (id, year, no, state, profile, scope, opened_by, opened, changed, ends, approval, decided_by, runs, version)
			VALUES ('c', 2026, 7, 'confirmed', 'measles', 'all', 'an', 0, 0, 0, '', '', 0, 1)`)
		did := func(actor, action, note string) {
			t.Helper()
			err := w.s.Write(t.Context(), func(t store.Tx) error { return t.Audit(actor, action, "person x", note) })
			if err != nil {
				t.Fatal(err)
			}
		}
		did("an", "see person", "case c") // long ago
		w.pass(100 * 24 * time.Hour)
		from := w.time()
		did("an", "see person", "case c")
		did("an", "see person", "case c")
		did("lan", "export person", "")
		did("lan", "add holders", "")
		all, err := w.Looks(t.Context(), from.Add(-time.Minute), 10)
		want := []rights.LookCount{
			{Actor: "an", Year: 2026, Case: 7, Action: "see person", N: 2, First: from, Last: from},
			{Actor: "lan", Action: "export person", N: 1, First: from, Last: from},
		}
		if err != nil || !cmp.Equal(all, want) {
			t.Errorf("Looks = %v, %s", err, cmp.Diff(want, all))
		}
	})
}

// The proof of an erasure is found by its request, and by no other.
func TestProofOf(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		file, err := proof.Sign(proof.Erasure, map[string]string{"request": rights.RequestObject("r1")}, signer)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.BeginErasure(t.Context(), 7, 8), w.EndErasure(t.Context(), file, 7)); err != nil {
			t.Fatal(err)
		}
		if got, err := w.ProofOf(t.Context(), "r1"); err != nil || !cmp.Equal(got, file) {
			t.Errorf("ProofOf = %q, %v", got, err)
		}
		if _, err := w.ProofOf(t.Context(), "r"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("ProofOf another = %v", err)
		}
		if back, err := w.Back(t.Context()); err != nil || !cmp.Equal(back, []qrgate.Person{8}) {
			t.Errorf("Back = %v, %v, want who was not erased to the end", back, err)
		}
	})
}
