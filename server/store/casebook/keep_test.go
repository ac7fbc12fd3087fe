package casebook_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/when"
)

// Check-ins come late to a case of two weeks ago, whose first days are past their
// retention: whom it found there it still has, and only what came is different.
func TestRunKeepsWhatTheRetentionTook(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		c := w.approved()
		today := qrgate.DayOf(w.time())
		on := func(day qrgate.Day, who qrgate.Person, n uint64) trace.Stay {
			at := day.Start().Add(9 * time.Hour).UnixMilli()
			hour := int64(3_600_000)
			return trace.Stay{
				Person: who, At: qrgate.Spot{No: 1}, In: when.Interval{Earliest: at, Latest: at}, Out: when.Interval{Earliest: at + hour, Latest: at + hour},
				Entry: trace.ID{Seq: n}, Exit: trace.ID{Seq: n + 1},
			}
		}
		with := func(who qrgate.Person, shared ...trace.Shared) trace.Contact {
			c := trace.Contact{Person: who, Shared: shared, Sureness: trace.Certain}
			for _, s := range shared {
				c.Least, c.Most = c.Least+s.Least, c.Most+s.Most
			}
			return c
		}
		near := func(of int, s trace.Stay) trace.Shared {
			return trace.Shared{Of: of, Stay: s, Sureness: trace.Certain, Least: 600_000, Most: 700_000, Within: when.Interval{Earliest: s.In.Earliest, Latest: s.Out.Latest}}
		}
		const index, old, both, fresh, never = 1, 2, 3, 4, 5
		first, second := on(today-10, index, 10), on(today-2, index, 20)
		for _, day := range []qrgate.Day{today - 10, today - 2, today} {
			_, err := w.v.Subject(day, index)
			w.must(err)
		}
		save := func(r casebook.Result) *casebook.Run {
			r.Ring, r.Found.Unnamed = 1, make([]int, len(r.Stays))
			run, err := w.SaveRun(ctx, "lan", c.ID, &r)
			w.must(err)
			return run
		}
		save(casebook.Result{Stays: []trace.Stay{first, second}, Found: trace.Found{Contacts: []trace.Contact{
			with(old, near(0, on(today-10, old, 30))),
			with(both, near(0, on(today-10, both, 40)), near(1, on(today-2, both, 50))),
			with(never, near(1, on(today-2, never, 60))),
		}}})
		w.must(w.v.Shred(today - 10))
		// One of whom nothing is left at a day that is still there was none after all.
		run := save(casebook.Result{Stays: []trace.Stay{second}, Found: trace.Found{Contacts: []trace.Contact{
			with(both, near(0, on(today-2, both, 50))), with(fresh, near(0, on(today-2, fresh, 70))),
		}}})
		want := casebook.Difference{Since: 1, New: []qrgate.Person{fresh}, Gone: []qrgate.Person{never}}
		if d := cmp.Diff(want, run.Difference, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("after the first day's key is gone (-want +got):\n%s", d)
		}
		i := slices.IndexFunc(run.Found.Contacts, func(c trace.Contact) bool { return c.Person == old })
		if i < 0 || run.Stays[run.Found.Contacts[i].Shared[0].Of].Entry != first.Entry || len(run.Found.Unnamed) != len(run.Stays) {
			t.Fatalf("who was met on the first day: %d of %+v", i, run.Found.Contacts)
		}
		if d := save(casebook.Result{Stays: []trace.Stay{second}, Found: run.Found}).Difference; len(d.Gone)+len(d.New) > 0 {
			t.Errorf("once more: %+v", d)
		}
		// An officer asks about less.
		w.must(w.SetWindow(ctx, "lan", c.ID, w.get("lan", c.ID).Version, w.time().AddDate(0, 0, -5), w.time()))
		w.must(w.Ask(ctx, "lan", c.ID, w.get("lan", c.ID).Version))
		w.must(w.Decide(ctx, "duc", c.ID, w.get("lan", c.ID).Version, true))
		run = save(casebook.Result{Stays: []trace.Stay{second}, Found: trace.Found{Contacts: []trace.Contact{with(fresh, near(0, on(today-2, fresh, 70)))}}})
		if len(run.Stays) != 1 || len(run.Found.Contacts) != 1 {
			t.Errorf("of a window that begins later there are %d stays and %d contacts, want one each", len(run.Stays), len(run.Found.Contacts))
		}
	})
}
