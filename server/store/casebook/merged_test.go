package casebook_test

import (
	"testing"

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
