package casebook_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
)

// kinds returns what an account was told, the latest first.
func (w *world) kinds(account string) []casebook.Kind {
	w.t.Helper()
	all, err := w.Notices(w.t.Context(), account, true, 100)
	w.must(err)
	var kinds []casebook.Kind
	for _, n := range all {
		kinds = append(kinds, n.Kind)
	}
	return kinds
}

func TestApproval(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		c := w.open("lan")
		w.refuses("Ask for nobody", w.Ask(ctx, "lan", c.ID, 1), qrgate.ErrInvalid)
		w.refuses("Decide unasked", w.Decide(ctx, "duc", c.ID, 1, true), casebook.ErrChanged)
		found, err := w.Find(ctx, "lan", c.ID, casebook.Lookup{Kind: pass.Phone, Number: an.Phone})
		w.must(err)
		w.must(w.SetIndex(ctx, "lan", c.ID, 1, found[0].Ref))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task before approval", err, casebook.ErrApproval)
		if cards, err := w.Cards(ctx, "lan", c.ID, found[0].Ref); err != nil || cards[0].Name != an.Name {
			t.Errorf("the card of the index before approval: %+v, %v", cards, err)
		}
		_, err = w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1})
		w.refuses("SaveRun before approval", err, casebook.ErrApproval)

		w.must(w.Ask(ctx, "lan", c.ID, 2))
		w.refuses("Ask twice", w.Ask(ctx, "lan", c.ID, 3), casebook.ErrChanged)
		w.refuses("Decide of a stale version", w.Decide(ctx, "duc", c.ID, 2, true), casebook.ErrChanged)
		waiting, err := w.Waiting(ctx, "duc")
		w.must(err)
		if len(waiting) != 1 || waiting[0].ID != c.ID || waiting[0].Purpose != why || waiting[0].Open {
			t.Errorf("Waiting = %+v", waiting)
		}
		if waiting, err = w.Waiting(ctx, "xa"); len(waiting) > 0 || err != nil {
			t.Errorf("Waiting elsewhere = %+v, %v", waiting, err)
		}
		if d := cmp.Diff([]casebook.Kind{casebook.ToApprove}, w.kinds("duc")); d != "" {
			t.Errorf("the approver is told (-want +got):\n%s", d)
		}
		w.must(w.Decide(ctx, "duc", c.ID, 3, false))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task of a refused case", err, casebook.ErrApproval)
		w.refuses("glass of a refused case", w.BreakGlass(ctx, "lan", c.ID, 4, why), casebook.ErrApproval)
		w.must(w.SetWindow(ctx, "lan", c.ID, 4, c.From.Add(time.Hour), c.To))
		w.refuses("glass of a refused case with another window", w.BreakGlass(ctx, "lan", c.ID, 5, why), casebook.ErrApproval)
		w.must(w.Ask(ctx, "lan", c.ID, 5))
		w.must(w.Decide(ctx, "duc", c.ID, 6, true))
		if d := cmp.Diff([]casebook.Kind{casebook.Decided, casebook.Decided}, w.kinds("lan")); d != "" {
			t.Errorf("who asked is told (-want +got):\n%s", d)
		}
		_, err = w.Task(ctx, "minh", c.ID)
		w.must(err)

		// What was approved is what is traced.
		w.must(w.SetWindow(ctx, "lan", c.ID, 7, c.From.AddDate(0, 0, -1), c.To))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task of a wider window", err, casebook.ErrApproval)
		w.must(w.Ask(ctx, "lan", c.ID, 8))
		w.must(w.Decide(ctx, "duc", c.ID, 9, true))
		w.must(w.SetPlace(ctx, "lan", c.ID, 10, qrgate.Spot{No: 3}))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task of another index", err, casebook.ErrApproval)
	})
}

// Nobody approves a case that they opened, although roles that must be apart were
// given to one account behind the register's back.
func TestNobodyApprovesTheirOwn(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, role := range []qrgate.Role{qrgate.Approver, qrgate.Protection} {
			w.exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES ('lan', ?, 'all', '', 0)", string(role))
		}
		c := w.open("lan")
		w.must(w.SetPlace(ctx, "lan", c.ID, 1, qrgate.Spot{No: 3}))
		w.must(w.Ask(ctx, "lan", c.ID, 2))
		w.refuses("Decide", w.Decide(ctx, "lan", c.ID, 3, true), casebook.ErrOwn)
		if waiting, err := w.Waiting(ctx, "lan"); len(waiting) > 0 || err != nil {
			t.Errorf("Waiting = %+v, %v", waiting, err)
		}
		w.must(w.BreakGlass(ctx, "lan", c.ID, 3, why))
		glass := w.get("lan", c.ID).Glass
		w.refuses("Review", w.Review(ctx, "lan", glass.ID, true, why), casebook.ErrOwn)
	})
}

func TestGlass(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.open("lan")
		w.must(w.SetPlace(ctx, "lan", c.ID, 1, qrgate.Spot{No: 3}))
		w.refuses("no reason", w.BreakGlass(ctx, "minh", c.ID, 2, "vội"), qrgate.ErrInvalid)
		w.refuses("stale", w.BreakGlass(ctx, "minh", c.ID, 1, why), casebook.ErrChanged)
		w.must(w.BreakGlass(ctx, "minh", c.ID, 2, why+" lúc 2 giờ sáng"))
		_, err := w.Task(ctx, "minh", c.ID)
		w.must(err)
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("another officer", err, casebook.ErrApproval)
		if d := cmp.Diff([]casebook.Kind{casebook.GlassBroken}, w.kinds("mai")); d != "" {
			t.Errorf("the data-protection officer is told (-want +got):\n%s", d)
		}
		w.pass(casebook.GlassFor - time.Second)
		run, err := w.SaveRun(ctx, "minh", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(77, 5)}}})
		w.must(err)
		w.pass(time.Second)
		_, err = w.Task(ctx, "minh", c.ID)
		w.refuses("a day later", err, casebook.ErrApproval)
		_, err = w.Cards(ctx, "minh", c.ID, run.Refs()...)
		w.refuses("cards of what was found", err, casebook.ErrApproval)
		_, err = w.Run(ctx, "minh", c.ID, 1)
		w.refuses("what was found", err, casebook.ErrApproval)

		c = w.get("mai", c.ID)
		w.refuses("again, not reviewed", w.BreakGlass(ctx, "minh", c.ID, c.Version, why), casebook.ErrApproval)
		glasses, err := w.Glasses(ctx, "mai", true)
		w.must(err)
		if len(glasses) != 1 || glasses[0].By != "minh" || glasses[0].Reason != why+" lúc 2 giờ sáng" || glasses[0].Number != c.Number {
			t.Fatalf("Glasses = %+v", glasses)
		}
		for _, by := range []string{"minh", "duc", "vien", ""} {
			_, err := w.Glasses(ctx, by, false)
			w.refuses("Glasses for "+by, err, qrgate.ErrForbidden)
			w.refuses("Review by "+by, w.Review(ctx, by, glasses[0].ID, true, why), qrgate.ErrNotFound)
		}
		w.refuses("Review of none", w.Review(ctx, "mai", "none", true, why), qrgate.ErrNotFound)
		w.refuses("no verdict", w.Review(ctx, "mai", glasses[0].ID, true, ""), qrgate.ErrInvalid)
		w.must(w.Review(ctx, "mai", glasses[0].ID, false, "Không có gì gấp như vậy"))
		w.refuses("Review twice", w.Review(ctx, "mai", glasses[0].ID, true, why), casebook.ErrChanged)
		if g := w.get("mai", c.ID).Glass; g.Proper || g.ReviewedBy != "mai" || g.Verdict == "" || g.Reason == "" {
			t.Errorf("a reviewed glass is %+v", g)
		}
		if d := cmp.Diff([]casebook.Kind{casebook.Reviewed}, w.kinds("minh")); d != "" {
			t.Errorf("who broke it is told (-want +got):\n%s", d)
		}
		if glasses, err = w.Glasses(ctx, "mai", true); len(glasses) > 0 || err != nil {
			t.Errorf("Glasses to review = %+v, %v", glasses, err)
		}
		w.must(w.BreakGlass(ctx, "minh", c.ID, c.Version, why))
		if rows := w.audit(register.AuditQuery{Action: "break glass"}); len(rows) != 2 {
			t.Errorf("audit rows: %v", rows)
		}
	})
}

// A role that is taken away is gone at once.
func TestRoleIsTakenAway(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.holder(an)
		c := w.approved()
		w.must(w.reg.TakeRole(t.Context(), "vien", "lan", qrgate.Grant{Role: qrgate.HealthOfficer, Scope: phuXuan}))
		_, err := w.Cards(t.Context(), "lan", c.ID, c.Index)
		w.refuses("Cards", err, qrgate.ErrNotFound)
	})
}
