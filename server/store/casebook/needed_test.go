package casebook_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
)

// What is known of whom an open case needs is kept until it ends.
func TestNeeded(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		index, _ := w.holder(an)
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, result(met(1, 10), met(2, 10)))
		w.must(err)
		_, err = w.AddCalls(ctx, "lan", c.ID, run.Refs()[:1])
		w.must(err)
		_, err = w.SaveRun(ctx, "lan", c.ID, result(met(2, 10), met(3, 10)))
		w.must(err)
		_, err = w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 2, Of: run.Ref(2), Found: trace.Found{Contacts: []trace.Contact{met(4, 10)}}})
		w.must(err)
		needed := func() []qrgate.Person {
			t.Helper()
			var all []qrgate.Person
			w.must(w.Needed(ctx, func(p qrgate.Person) { all = append(all, p) }))
			slices.Sort(all)
			return slices.Compact(all)
		}
		want := []qrgate.Person{1, 2, 3, 4, index}
		if d := cmp.Diff(want, needed()); d != "" {
			t.Errorf("Needed (-want +got):\n%s", d)
		}
		w.must(w.SetState(ctx, "lan", c.ID, w.get("lan", c.ID).Version, casebook.RuledOut))
		if d := cmp.Diff(want, needed()); d != "" {
			t.Errorf("Needed of a case that was ruled out and may not be after all (-want +got):\n%s", d)
		}
		w.pass(casebook.Grace)
		if all := needed(); all != nil {
			t.Errorf("Needed after the end = %v", all)
		}
	})
}
