package casebook_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
)

// Whoever said what a case asks about, and has another role since, does not approve it.
func TestNobodyApprovesWhatTheyWorkedOn(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.open("lan")
		w.must(w.SetPlace(ctx, "minh", c.ID, 1, qrgate.Spot{No: 3}))
		w.must(w.Ask(ctx, "minh", c.ID, 2))
		w.must(w.reg.TakeRole(ctx, "vien", "minh", qrgate.Grant{Role: qrgate.HealthOfficer, Scope: phuXuan}))
		w.must(w.reg.GiveRole(ctx, "vien", "minh", qrgate.Grant{Role: qrgate.Approver, Scope: phuXuan}))
		w.refuses("Decide", w.Decide(ctx, "minh", c.ID, 3, true), casebook.ErrOwn)
		// Who has decided of it before has not worked on it.
		w.must(w.Decide(ctx, "duc", c.ID, 3, false))
		w.must(w.Ask(ctx, "lan", c.ID, 4))
		w.must(w.Decide(ctx, "duc", c.ID, 5, true))
	})
}

// A refusal ends what an officer saw without waiting for it.
func TestRefusalMendsTheGlass(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.open("lan")
		w.must(w.SetPlace(ctx, "lan", c.ID, 1, qrgate.Spot{No: 3}))
		w.must(w.Ask(ctx, "lan", c.ID, 2))
		w.must(w.BreakGlass(ctx, "lan", c.ID, 3, why))
		_, err := w.Task(ctx, "lan", c.ID)
		w.must(err)
		w.must(w.Decide(ctx, "duc", c.ID, 4, false))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task after the refusal", err, casebook.ErrApproval)
	})
}
