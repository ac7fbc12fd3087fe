package casebook_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// An old woman has a card without a telephone, and once checked in by one. Whichever of
// the two a run names, she can be called, and both are kept until the case ends.
func TestOneHumanHasOneTelephone(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		card, _ := w.holder(register.Details{Name: "Hồ Thị Lành", Born: 1944, Sex: "f", Identity: "046044000001", Area: phuXuan.ID, Street: "3 Chi Lăng"})
		phone := w.visitor(wire.Subject{Kind: pass.Phone, Number: "+84914555666", Name: "Lành"})
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(card, 20), met(phone, 20)}}})
		w.must(err)
		w.must(w.Merge(ctx, "lan", c.ID, w.get("lan", c.ID).Version, run.Ref(card), run.Ref(phone), true))
		run, err = w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(card, 20)}}})
		w.must(err)
		for _, ref := range []casebook.Ref{run.Ref(card), run.Ref(phone)} {
			cards, err := w.Cards(ctx, "lan", c.ID, ref)
			w.must(err)
			if got := cards[0]; got.Phone != "+84914555666" || got.Street != "3 Chi Lăng" || got.Name == "" || !got.Holder || got.Ref != ref {
				t.Errorf("one of two is shown as %+v", got)
			}
		}
		needed := map[qrgate.Person]bool{}
		w.must(w.Needed(ctx, func(p qrgate.Person) { needed[p] = true }))
		if !needed[card] || !needed[phone] {
			t.Errorf("the case needs card %v, telephone %v, want both", needed[card], needed[phone])
		}
	})
}
