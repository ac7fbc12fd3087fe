package casebook_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// Whoever is on a call list can be called until the case ends, although what was
// known of them is erased with their last check-in; and no longer once they were
// forgotten.
func TestContactOutlivesTheirCheckins(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		index, _ := w.holder(an)
		called := w.visitor(wire.Subject{Kind: pass.Phone, Number: "+84914000001", Name: "Phạm Quốc Dũng"})
		met1 := w.visitor(wire.Subject{Kind: pass.Phone, Number: "+84914000002", Name: "Lê Thị Hoà"})
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(called, 20), met(met1, 20)}}})
		w.must(err)
		_, err = w.AddCalls(ctx, "lan", c.ID, []casebook.Ref{run.Ref(called)})
		w.must(err)
		w.must(w.Called(ctx, "lan", c.ID, run.Ref(called), 1, casebook.Attempt{Status: casebook.Reached, Note: "ở nhà"}))
		w.exec("DELETE FROM cards")
		for _, table := range []string{"holders", "details", "people", "identities"} {
			w.exec("DELETE FROM " + table)
		}
		names := func() []string {
			t.Helper()
			cards, err := w.Cards(ctx, "lan", c.ID, c.Index, run.Ref(called), run.Ref(met1))
			w.must(err)
			var all []string
			for _, card := range cards {
				all = append(all, card.Name+card.Phone)
			}
			return all
		}
		if d := cmp.Diff([]string{an.Name + an.Phone, "Phạm Quốc Dũng+84914000001", ""}, names()); d != "" {
			t.Errorf("cards (-want +got):\n%s", d)
		}
		for p, want := range map[qrgate.Person]int{index: 1, called: 1, met1: 0, 4711: 0} {
			ids, err := w.Holding(ctx, p)
			if len(ids) != want || err != nil {
				t.Errorf("Holding = %v, %v, want %d", ids, err, want)
			}
			if n, err := w.Forget(ctx, "mai", p); n != want || err != nil {
				t.Errorf("Forget = %d, %v, want %d", n, err, want)
			}
			if n, err := w.Forget(ctx, "mai", p); n != 0 || err != nil {
				t.Errorf("Forget again = %d, %v", n, err)
			}
		}
		if d := cmp.Diff([]string{"", "", ""}, names()); d != "" {
			t.Errorf("cards of who was forgotten (-want +got):\n%s", d)
		}
		calls, err := w.Calls(ctx, "lan", c.ID)
		if err != nil || len(calls) != 1 || calls[0].Status != casebook.Reached || calls[0].Attempts[0].Note != "" {
			t.Errorf("Calls = %+v, %v", calls, err)
		}
		looks, err := w.Looks(ctx, called)
		if err != nil || looks[len(looks)-1].Case != c.ID {
			t.Errorf("Looks = %+v, %v", looks, err)
		}
	})
}
