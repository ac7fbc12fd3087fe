package casebook_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
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
