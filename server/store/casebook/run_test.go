package casebook_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

func result(contacts ...trace.Contact) *casebook.Result {
	return &casebook.Result{Ring: 1, Found: trace.Found{Contacts: contacts}}
}

// A run that is read again is what was kept, to the last field.
func TestRunIsKeptWhole(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.holder(an)
		c := w.approved()
		stay := trace.Stay{
			Person: 9, At: qrgate.Spot{Name: "Chợ Đông Ba"}, In: when.Interval{Earliest: 1, Latest: 2}, Out: when.Interval{Earliest: 3, Latest: 4}, Inferred: true,
			Entry: trace.ID{Epoch: wire.Epoch{1, 2}, Seq: 1 << 60, Digest: wire.Digest{7}}, Kiosk: "k", Gate: "g", Left: "h", Lane: 2,
			Source: trace.FromPhone, Pass: pass.Phone, Level: qrgate.Stated, Presence: wire.Claimed, Verdict: wire.Admitted, With: 5, Received: 8, Doubts: []trace.Doubt{trace.Burst},
		}
		want := &casebook.Result{
			Ring: 1, Stays: []trace.Stay{stay}, Completeness: []byte(`{"gates":3}`),
			Found: trace.Found{Unnamed: []int{3}, Unopened: 2, Contacts: []trace.Contact{{
				Person: 1<<64 - 1, Sureness: trace.Possible, Least: -1, Most: 1 << 40,
				Shared: []trace.Shared{{Of: 1, Stay: stay, Sureness: trace.Certain, Least: 1, Most: 2, Within: when.Interval{Earliest: 1, Latest: 2}, SameGate: true}},
			}}},
		}
		_, err := w.SaveRun(t.Context(), "lan", c.ID, want)
		w.must(err)
		got, err := w.Run(t.Context(), "lan", c.ID, 0)
		w.must(err)
		if d := cmp.Diff(*want, got.Result, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("Run (-want +got):\n%s", d)
		}
		_, err = w.Run(t.Context(), "lan", c.ID, 2)
		w.refuses("a run that was not", err, qrgate.ErrNotFound)
		_, err = w.SaveRun(t.Context(), "lan", c.ID, &casebook.Result{Ring: 3})
		w.refuses("a third ring", err, qrgate.ErrInvalid)
		_, err = w.SaveRun(t.Context(), "lan", c.ID, &casebook.Result{Ring: 2})
		w.refuses("a second ring of nobody", err, qrgate.ErrInvalid)
	})
}

func TestDifference(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		c := w.approved()
		save := func(r *casebook.Result) casebook.Difference {
			w.pass(time.Hour)
			run, err := w.SaveRun(ctx, "lan", c.ID, r)
			w.must(err)
			again, err := w.Run(ctx, "lan", c.ID, run.No)
			w.must(err)
			if d := cmp.Diff(run.Difference, again.Difference, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("the difference that was kept (-want +got):\n%s", d)
			}
			return run.Difference
		}
		check := func(what string, got, want casebook.Difference) {
			t.Helper()
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
		}
		moved := met(3, 10)
		moved.Shared[0].Of, moved.Shared[0].Stay.Received = 4, 99 // another stay was found before it
		longer, elsewhere := met(4, 10), met(5, 10)
		longer.Most += 60_000
		elsewhere.Shared[0].Stay.Entry.Seq = 8
		check("first run", save(result(met(1, 10), met(2, 10), met(3, 10), met(4, 10), met(5, 10))), casebook.Difference{})
		second := result(met(2, 10), moved, longer, elsewhere, met(6, 10))
		check("second run", save(second), casebook.Difference{Since: 1, New: []qrgate.Person{6}, Gone: []qrgate.Person{1}, Changed: []qrgate.Person{4, 5}})
		check("the same again", save(second), casebook.Difference{Since: 2})

		ring := result(met(8, 10))
		run, err := w.Run(ctx, "lan", c.ID, 0)
		w.must(err)
		ring.Ring, ring.Of = 2, run.Ref(6)
		check("second ring", save(ring), casebook.Difference{})
		other := result(met(9, 10))
		other.Ring, other.Of = 2, run.Ref(2)
		check("second ring of somebody else", save(other), casebook.Difference{})
		check("second ring again", save(&casebook.Result{Ring: 2, Of: run.Ref(6)}), casebook.Difference{Since: 4, Gone: []qrgate.Person{8}})
		check("first ring after second ones", save(result(met(2, 10))), casebook.Difference{Since: 3, Gone: []qrgate.Person{3, 4, 5, 6}})
		heads, err := w.Runs(ctx, "lan", c.ID)
		if len(heads) != 7 || heads[0].No != 7 || heads[1].Ring != 2 || heads[1].Of != run.Ref(6) || err != nil {
			t.Errorf("Runs = %+v, %v", heads, err)
		}
		if got := w.get("lan", c.ID).Runs; got != 7 {
			t.Errorf("the case has %d runs, want 7", got)
		}
	})
}

// An outbreak at a place finds whoever stayed there.
func TestPlace(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c, err := w.Open(ctx, "lan", casebook.Opening{State: casebook.Confirmed, Profile: "cholera", Purpose: why})
		w.must(err)
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task of nobody", err, qrgate.ErrInvalid)
		w.refuses("two places", w.SetPlace(ctx, "lan", c.ID, 1, qrgate.Spot{No: 1, Name: "x"}), qrgate.ErrInvalid)
		w.refuses("no place", w.SetPlace(ctx, "lan", c.ID, 1, qrgate.Spot{}), qrgate.ErrInvalid)
		at := qrgate.Spot{Name: "Quán cơm"}
		w.must(w.SetPlace(ctx, "lan", c.ID, 1, at))
		task, err := w.Task(ctx, "lan", c.ID)
		if err != nil || task.At != at || task.Persons != nil {
			t.Fatalf("Task = %+v, %v", task, err)
		}
		stay := func(p qrgate.Person, in int64) trace.Stay {
			return trace.Stay{Person: p, At: at, In: when.Interval{Earliest: in, Latest: in}}
		}
		_, err = w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Place: true, Stays: []trace.Stay{stay(5, 1), stay(0, 2), stay(5, 3), stay(6, 1)}})
		w.must(err)
		run, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Place: true, Stays: []trace.Stay{stay(5, 1), stay(7, 3)}})
		w.must(err)
		want := casebook.Difference{Since: 1, New: []qrgate.Person{7}, Gone: []qrgate.Person{6}, Changed: []qrgate.Person{5}}
		if d := cmp.Diff(want, run.Difference); d != "" || len(run.Refs()) != 2 {
			t.Errorf("difference (-want +got):\n%s%v", d, run.Refs())
		}
		// Two cards of one human are one who was there.
		w.must(w.Merge(ctx, "lan", c.ID, w.get("lan", c.ID).Version, run.Ref(5), run.Ref(7), false))
		joined, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Place: true, Stays: []trace.Stay{stay(5, 1), stay(7, 3), stay(0, 4)}})
		if d := cmp.Diff([]casebook.Ref{run.Ref(5)}, joined.Refs()); d != "" || err != nil {
			t.Errorf("who was there after merging (-want +got):\n%s%v", d, err)
		}
		w.refuses("another place", w.SetPlace(ctx, "lan", c.ID, w.get("lan", c.ID).Version, qrgate.Spot{No: 2}), qrgate.ErrConflict)
		w.refuses("a person", w.SetIndex(ctx, "lan", c.ID, w.get("lan", c.ID).Version, run.Ref(5)), qrgate.ErrConflict)
	})
}

func TestRules(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		c := w.approved()
		a, b := trace.ID{Seq: 1}, trace.ID{Seq: 2}
		w.must(w.Restore(ctx, "lan", c.ID, c.Version, true, a))
		w.must(w.Restore(ctx, "lan", c.ID, c.Version+1, true, b))
		w.must(w.Restore(ctx, "lan", c.ID, c.Version+2, false, a))
		w.must(w.Choose(ctx, "lan", c.ID, c.Version+3, []trace.ID{a, b}))
		task, err := w.Task(ctx, "lan", c.ID)
		w.must(err)
		if d := cmp.Diff(map[trace.ID]bool{b: true}, task.Rules.Restored); d != "" {
			t.Errorf("restored (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]trace.ID{a, b}, task.Chosen); d != "" {
			t.Errorf("chosen (-want +got):\n%s", d)
		}
		w.refuses("very many", w.Choose(ctx, "lan", c.ID, c.Version+4, make([]trace.ID, 10_001)), casebook.ErrTooMany)
	})
}

// Who shares the name is offered for merging, with the year of birth or without one,
// and nobody else is seen by that.
func TestAlike(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		index, _ := w.holder(an)
		binh, _ := w.holder(register.Details{Name: "Trần Thị Bình", Born: 1980, Identity: "046080000001"})
		again, _ := w.holder(register.Details{Name: "TRAN THI BINH", Born: 1980, Identity: "046080000002"})
		other, _ := w.holder(register.Details{Name: "Trần Thị Bình", Born: 1999, Identity: "046099000003"})
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, result(met(binh, 30), met(again, 20), met(other, 15), met(300, 10)))
		w.must(err)
		_, err = w.AddCalls(ctx, "lan", c.ID, []casebook.Ref{run.Ref(binh), run.Ref(again), run.Ref(other), run.Ref(300)})
		w.must(err)
		cards, err := w.Alike(ctx, "lan", c.ID, run.Ref(binh))
		w.must(err)
		var got []casebook.Ref
		for _, card := range cards {
			got = append(got, card.Ref)
		}
		if d := cmp.Diff([]casebook.Ref{run.Ref(index), run.Ref(again)}, got); d != "" {
			t.Errorf("alike (-want +got):\n%s", d)
		}
		for p, want := range map[qrgate.Person]int{again: 1, other: 0} {
			looks, err := w.Looks(ctx, p)
			w.must(err)
			n := 0
			for _, l := range looks {
				if l.Action == "see person" {
					n++
				}
			}
			if n != want {
				t.Errorf("person %d was seen %d times, want %d", p, n, want)
			}
		}
		_, err = w.Alike(ctx, "hue", c.ID, run.Ref(binh))
		w.refuses("Alike of another's case", err, qrgate.ErrNotFound)
	})
}

func TestMerge(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		index, _ := w.holder(an)
		again, _ := w.holder(register.Details{Name: "Nguyễn Văn An", Born: 1948, Identity: "046048007777"})
		c := w.approved()
		found := func() []qrgate.Person {
			t.Helper()
			run, err := w.SaveRun(ctx, "lan", c.ID, result(met(again, 30), met(100, 20), met(200, 15), met(300, 10)))
			w.must(err)
			var all []qrgate.Person
			for _, contact := range run.Found.Contacts {
				all = append(all, contact.Person)
			}
			return all
		}
		version := func() int { return w.get("lan", c.ID).Version }
		found()
		run, err := w.Run(ctx, "lan", c.ID, 1)
		w.must(err)
		ref := run.Ref

		w.refuses("with themselves", w.Merge(ctx, "lan", c.ID, version(), ref(100), ref(100), true), qrgate.ErrInvalid)
		w.refuses("Unmerge of two", w.Unmerge(ctx, "lan", c.ID, version(), ref(100), ref(200)), qrgate.ErrNotFound)
		w.must(w.Merge(ctx, "lan", c.ID, version(), ref(index), ref(again), true))
		w.must(w.Ask(ctx, "lan", c.ID, version()))
		w.must(w.Decide(ctx, "duc", c.ID, version(), true))
		w.must(w.Merge(ctx, "lan", c.ID, version(), ref(300), ref(100), false))
		w.must(w.Merge(ctx, "lan", c.ID, version(), ref(200), ref(300), true))
		if d := cmp.Diff([]qrgate.Person{100}, found()); d != "" {
			t.Errorf("contacts after merging (-want +got):\n%s", d)
		}
		run, err = w.Run(ctx, "lan", c.ID, 0)
		w.must(err)
		if got := run.Found.Contacts[0]; got.Least != 20*60_000 || got.Most != 45*60_000 || len(got.Shared) != 3 {
			t.Errorf("three who are one were met %d to %d ms, %d times", got.Least, got.Most, len(got.Shared))
		}
		task, err := w.Task(ctx, "lan", c.ID)
		if d := cmp.Diff([]qrgate.Person{min(index, again), max(index, again)}, task.Persons); d != "" || err != nil {
			t.Errorf("who is traced (-want +got):\n%s%v", d, err)
		}
		merges, err := w.Merges(ctx, "lan", c.ID)
		if len(merges) != 2 || err != nil { // neither 200 nor 300 is on the call list
			t.Errorf("Merges = %+v, %v", merges, err)
		}
		other := w.approved()
		if task, err = w.Task(ctx, "lan", other.ID); len(task.Persons) != 2 || err != nil {
			t.Errorf("another case traces %v, %v", task.Persons, err)
		}
		looks, err := w.Looks(ctx, again)
		if len(looks) == 0 || err != nil {
			t.Errorf("Looks at who is the index too = %v, %v", looks, err)
		}

		w.must(w.Unmerge(ctx, "lan", c.ID, version(), ref(300), ref(200)))
		w.must(w.Unmerge(ctx, "lan", c.ID, version(), ref(again), ref(index)))
		if d := cmp.Diff([]qrgate.Person{again, 100, 200}, found()); d != "" {
			t.Errorf("contacts after undoing (-want +got):\n%s", d)
		}
		if rows := w.audit(register.AuditQuery{Action: "unmerge person"}); len(rows) != 4 {
			t.Errorf("undoing was written down %d times, want of both persons twice", len(rows))
		}
	})
}
