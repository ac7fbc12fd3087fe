package casebook_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
)

// What was approved is who is traced: that somebody is the traced person too is said
// before a second officer, or anybody could be traced as them.
func TestMergingTheIndexIsApproved(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		lan, _ := w.holder(register.Details{Name: "Hồ Thị Lành", Born: 1944, Identity: "046044000001"})
		kin, _ := w.holder(register.Details{Name: "Hồ Thị Lan", Born: 1984, Identity: "046084000001"})
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1})
		w.must(err)
		w.must(w.Merge(ctx, "lan", c.ID, c.Version+1, run.Ref(lan), run.Ref(kin), false))
		_, err = w.Task(ctx, "lan", c.ID)
		w.must(err) // it is none of who is traced
		w.must(w.Merge(ctx, "lan", c.ID, c.Version+2, run.Ref(lan), c.Index, false))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task of somebody else too", err, casebook.ErrApproval)
		w.must(w.Ask(ctx, "lan", c.ID, c.Version+3))
		w.must(w.Decide(ctx, "duc", c.ID, c.Version+4, true))
		if task, err := w.Task(ctx, "lan", c.ID); err != nil || len(task.Persons) != 3 {
			t.Errorf("Task = %+v, %v, want all three", task, err)
		}
	})
}

// What another case says of the traced person waits in a case that was approved: nobody
// approved there that somebody else is traced. Its officers are told, and it is approved
// again, not by who said it.
func TestMergingElsewhereWaits(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		who, _ := w.holder(an)
		kin, _ := w.holder(register.Details{Name: "Nguyễn Văn Ân", Born: 1948, Phone: "+84905123457", Identity: "046048001235"})
		w.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES ('minh', 'approver', ?, '', 0)", phuXuan.String())
		c := w.approved()
		task := func() []qrgate.Person {
			t.Helper()
			task, err := w.Task(ctx, "lan", c.ID)
			w.must(err)
			return task.Persons
		}
		run, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(kin, 20)}}})
		w.must(err)
		if more, err := w.Widening(ctx, "lan", c.ID); err != nil || more != nil {
			t.Errorf("before anybody said anything Widening = %v, %v", more, err)
		}
		w.refuses("Widen by nobody", w.Widen(ctx, "lan", c.ID, w.get("lan", c.ID).Version), qrgate.ErrConflict)

		elsewhere, err := w.Open(ctx, "minh", casebook.Opening{State: casebook.Confirmed, Profile: "cholera", Purpose: why})
		w.must(err)
		var refs []casebook.Ref
		for _, identity := range []string{an.Identity, "046048001235"} {
			found, err := w.Find(ctx, "minh", elsewhere.ID, casebook.Lookup{Kind: pass.CCCD, Number: identity})
			w.must(err)
			refs = append(refs, found[0].Ref)
		}
		w.must(w.Merge(ctx, "minh", elsewhere.ID, elsewhere.Version, refs[0], refs[1], true))

		// The case goes on as it was approved.
		if got := task(); !cmp.Equal(got, []qrgate.Person{who}) {
			t.Errorf("traced are %v, want %v alone", got, who)
		}
		again, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(kin, 20)}}})
		if err != nil || !again.Difference.Empty() {
			t.Errorf("the run differs by %+v, %v", again.Difference, err)
		}
		more, err := w.Widening(ctx, "lan", c.ID)
		if err != nil || len(more) != 1 || more[0].Name != "Nguyễn Văn Ân" || more[0].Ref != run.Ref(kin) {
			t.Errorf("Widening = %+v, %v", more, err)
		}
		notices, err := w.Notices(ctx, "lan", true, 10)
		if err != nil || !slices.ContainsFunc(notices, func(n casebook.Notice) bool { return n.Kind == casebook.Wider && n.Case == c.ID }) {
			t.Errorf("lan is told %+v, %v", notices, err)
		}
		if rows := w.audit(register.AuditQuery{Action: "merge elsewhere"}); !cmp.Equal(rows, []entry{{"minh", "merge elsewhere", "case " + c.ID, "waits"}}) {
			t.Errorf("written down is %v", rows)
		}
		needed := map[qrgate.Person]bool{}
		w.must(w.Needed(ctx, func(p qrgate.Person) { needed[p] = true }))
		if !needed[kin] {
			t.Error("nobody keeps who waits")
		}

		_, err = w.Widening(ctx, "hoa", c.ID)
		w.refuses("Widening of another commune's case", err, qrgate.ErrNotFound)
		w.must(w.Widen(ctx, "lan", c.ID, w.get("lan", c.ID).Version))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task before it is approved again", err, casebook.ErrApproval)
		w.must(w.Ask(ctx, "lan", c.ID, w.get("lan", c.ID).Version))
		w.refuses("Decide by who said it", w.Decide(ctx, "minh", c.ID, w.get("lan", c.ID).Version, true), casebook.ErrOwn)
		w.must(w.Decide(ctx, "duc", c.ID, w.get("lan", c.ID).Version, true))
		want := []qrgate.Person{min(who, kin), max(who, kin)}
		if got := task(); !cmp.Equal(got, want) {
			t.Errorf("traced are %v, want both, %v", got, want)
		}
		if more, err := w.Widening(ctx, "lan", c.ID); err != nil || more != nil {
			t.Errorf("after it was approved Widening = %v, %v", more, err)
		}
		// Who is parted again is not traced any more, and needs nobody's yes.
		w.must(w.Unmerge(ctx, "minh", elsewhere.ID, w.get("minh", elsewhere.ID).Version, refs[0], refs[1]))
		if got := task(); !cmp.Equal(got, []qrgate.Person{who}) {
			t.Errorf("traced are %v, want %v alone", got, who)
		}
	})
}

// Saying in the case itself what waits there has it approved again, too.
func TestMergingWhatWaits(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		who, _ := w.holder(an)
		kin, _ := w.holder(register.Details{Name: "Nguyễn Văn Ân", Born: 1948, Identity: "046048001235"})
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(kin, 20)}}})
		w.must(err)
		w.exec("INSERT INTO merges (person, same_as, made_by, made) VALUES (?, ?, 'minh', 0)", int64(min(who, kin)), int64(max(who, kin)))
		if merges, err := w.Merges(ctx, "lan", c.ID); err != nil || len(merges) != 0 {
			t.Errorf("Merges = %v, %v, want none while it waits", merges, err)
		}
		w.must(w.Merge(ctx, "lan", c.ID, w.get("lan", c.ID).Version, c.Index, run.Ref(kin), true))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task before it is approved again", err, casebook.ErrApproval)
	})
}

// Whoever's data it is may say that they are not whom somebody merged them with.
func TestPart(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, p := range [][2]int64{{1, 2}, {2, 3}, {3, 4}, {8, 9}} {
			w.exec("INSERT INTO merges (person, same_as, made_by, made) VALUES (?, ?, 'minh', 0)", p[0], p[1])
		}
		selves := func(p qrgate.Person, want ...qrgate.Person) {
			t.Helper()
			if got, err := w.Selves(ctx, p); err != nil || !cmp.Equal(got, want) {
				t.Errorf("Selves(%d) = %v, %v, want %v", p, got, err, want)
			}
		}
		selves(1, 1, 2, 3, 4)
		selves(7, 7)
		w.must(w.Part(ctx, "mai", "request r", 2))
		selves(1, 1)
		selves(2, 2)
		selves(3, 3, 4)
		selves(8, 8, 9)
		w.refuses("Part of who is one with nobody", w.Part(ctx, "mai", "request r", 2), qrgate.ErrNotFound)
		for p, want := range map[qrgate.Person]int{1: 1, 2: 1, 3: 1, 4: 1, 8: 0} {
			looks, err := w.Looks(ctx, p)
			looks = slices.DeleteFunc(looks, func(l casebook.Look) bool { return l.By != "mai" || l.Action != "unmerge person" || l.Case != "" })
			if own := len(looks); err != nil || own != want {
				t.Errorf("%d is told of %d, %v, want %d", p, own, err, want)
			}
		}
		if rows := w.audit(register.AuditQuery{Action: "unmerge persons"}); !cmp.Equal(rows, []entry{{"mai", "unmerge persons", "request r", ""}}) {
			t.Errorf("written down is %v", rows)
		}
	})
}

// A run that began before an officer chose stays, or let a check-in count, is none of
// what the case says by now: it is not kept, and what is traced anew is.
func TestRunUnderOldRules(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		c := w.approved()
		version := func() int { return w.get("lan", c.ID).Version }
		a, b := trace.ID{Seq: 1}, trace.ID{Seq: 2}
		for _, change := range []struct {
			name string
			do   func() error
		}{
			{"Choose", func() error { return w.Choose(ctx, "lan", c.ID, version(), []trace.ID{a}, b) }},
			{"Choose all", func() error { return w.Choose(ctx, "lan", c.ID, version(), nil) }},
			{"Restore", func() error { return w.Restore(ctx, "lan", c.ID, version(), true, b) }},
			{"doubt after all", func() error { return w.Restore(ctx, "lan", c.ID, version(), false, b) }},
		} {
			task, err := w.Task(ctx, "lan", c.ID)
			w.must(err)
			w.must(change.do())
			runs := w.get("lan", c.ID).Runs
			_, err = w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Task: task})
			w.refuses("SaveRun of before "+change.name, err, casebook.ErrOutdated)
			if got := w.get("lan", c.ID).Runs; got != runs {
				t.Errorf("%s: %d runs are kept, want %d", change.name, got, runs)
			}
			task, err = w.Task(ctx, "lan", c.ID)
			w.must(err)
			// What does not say whom or what to trace does not matter.
			w.must(w.Extend(ctx, "lan", c.ID, version(), w.time().Add(40*24*time.Hour)))
			if _, err = w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Task: task}); err != nil {
				t.Errorf("SaveRun after %s = %v", change.name, err)
			}
		}
		task, err := w.Task(ctx, "lan", c.ID)
		w.must(err)
		w.must(w.SetProfile(ctx, "lan", c.ID, version(), "measles"))
		_, err = w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Task: task})
		if !errors.Is(err, casebook.ErrApproval) && !errors.Is(err, casebook.ErrOutdated) {
			t.Errorf("SaveRun under another disease = %v", err)
		}
	})
}
