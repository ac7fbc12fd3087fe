package casebook_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/sync/pass"
)

// restrain lets somebody restrict the use of their data, or object to it, and
// returns the request.
func (w *world) restrain(p qrgate.Person, kind rights.Kind) string {
	w.t.Helper()
	ctx := w.t.Context()
	requests, err := rights.New(w.s, w.time).Requests(bytes.Repeat([]byte{1}, 32))
	w.must(err)
	n := &rights.Request{Kind: kind, Office: qrgate.All, Asker: &rights.Asker{Name: "Bình", Contact: "x", Relation: "self", Checked: "cccd", Person: p}}
	w.must(requests.Add(ctx, "clerk", n))
	w.must(requests.Finish(ctx, "mai", n.ID, n.Version, ""))
	return n.ID
}

// Whose data is restricted is found, counted and not shown, until the case says why.
func TestRestrictedIsKeptAndNotUsed(t *testing.T) {
	for _, kind := range []rights.Kind{rights.Restriction, rights.Objection} {
		onEach(t, func(t *testing.T, w *world) { restricted(t, w, kind) })
	}
}

func restricted(t *testing.T, w *world, kind rights.Kind) {
	ctx := t.Context()
	w.holder(an)
	binh := register.Details{Name: "Lê Bình", Born: 1990, Phone: "+84905000111", Area: phuXuan.ID, Identity: "046090000111"}
	chi := register.Details{Name: "Trần Chi", Born: 1980, Phone: "+84905000222", Area: phuXuan.ID, Identity: "046080000222"}
	p, _ := w.holder(binh)
	other, _ := w.holder(chi)
	c := w.approved()
	request := w.restrain(p, kind)

	found, err := w.Find(ctx, "lan", c.ID, casebook.Lookup{Kind: pass.Phone, Number: binh.Phone})
	w.must(err)
	if len(found) != 1 || !found[0].Withheld || found[0].Name != "" || found[0].Phone != "" || found[0].Restraint != kind {
		t.Errorf("Find shows %+v", found)
	}
	run, err := w.SaveRun(ctx, "lan", c.ID, result(met(p, 30), met(other, 20)))
	w.must(err)
	if len(run.Refs()) != 1 || run.Withheld != 1 {
		t.Errorf("the run shows %d and withholds %d, want 1 and 1", len(run.Refs()), run.Withheld)
	}
	ref := found[0].Ref
	if n, err := w.AddCalls(ctx, "lan", c.ID, append(run.Refs(), ref)); n != 1 || err != nil {
		t.Errorf("AddCalls = %d, %v, want 1", n, err)
	}
	w.refuses("Called", w.Called(ctx, "lan", c.ID, ref, 1, casebook.Attempt{Status: casebook.Reached}), qrgate.ErrNotFound)
	_, err = w.Second(ctx, "lan", c.ID, ref)
	w.refuses("second ring", err, casebook.ErrRestrained)
	_, err = w.Alike(ctx, "lan", c.ID, ref)
	w.refuses("who is alike", err, casebook.ErrRestrained)
	if looks, err := w.Looks(ctx, p); len(looks) != 0 || err != nil {
		t.Errorf("somebody has seen them: %+v, %v", looks, err)
	}

	c = w.get("lan", c.ID)
	_, err = w.UseRestricted(ctx, "lan", c.ID, c.Version, "vì")
	w.refuses("no reason", err, qrgate.ErrInvalid)
	_, err = w.UseRestricted(ctx, "hoa", c.ID, c.Version, why)
	w.refuses("of another commune", err, qrgate.ErrNotFound)
	_, err = w.UseRestricted(ctx, "duc", c.ID, c.Version, why)
	w.refuses("the approver", err, qrgate.ErrNotFound)
	n, err := w.UseRestricted(ctx, "lan", c.ID, c.Version, why)
	if n != 1 || err != nil {
		t.Fatalf("UseRestricted = %d, %v, want 1", n, err)
	}
	cards, err := w.Cards(ctx, "lan", c.ID, ref)
	if err != nil || cards[0].Name != binh.Name || cards[0].Withheld || cards[0].Restraint != kind {
		t.Errorf("with a reason the card is %+v, %v", cards, err)
	}
	calls, err := w.Calls(ctx, "lan", c.ID)
	if len(calls) != 2 || err != nil {
		t.Errorf("the call list has %d, %v, want 2", len(calls), err)
	}
	_, err = w.UseRestricted(ctx, "lan", c.ID, w.get("lan", c.ID).Version, why)
	w.refuses("nobody is withheld", err, qrgate.ErrConflict)
	if d := cmp.Diff([]casebook.Kind{casebook.RestrictedUsed}, w.kinds("mai")); d != "" {
		t.Errorf("the data-protection officer is told (-want +got):\n%s", d)
	}
	glasses, err := w.Glasses(ctx, "mai", true)
	if err != nil || len(glasses) != 1 || !glasses[0].Restrained || glasses[0].People != 1 || glasses[0].Reason != why {
		t.Fatalf("Glasses = %+v, %v", glasses, err)
	}
	w.must(w.Review(ctx, "mai", glasses[0].ID, true, "Có nghĩa vụ phòng dịch"))
	if cards, err = w.Cards(ctx, "lan", c.ID, ref); err != nil || cards[0].Withheld {
		t.Errorf("after the review the card is %+v, %v", cards, err)
	}
	if w.get("lan", c.ID).Glass != nil {
		t.Error("the case says that somebody looked without approval")
	}
	looks, err := w.Looks(ctx, p)
	if err != nil || !slices.ContainsFunc(looks, func(l casebook.Look) bool { return l.Action == "use restricted data" && l.By == "lan" }) {
		t.Errorf("Looks = %+v, %v", looks, err)
	}

	// Another case has to say why, too; and after the restraint is lifted none.
	second := w.approved()
	if cards, err = w.Find(ctx, "lan", second.ID, casebook.Lookup{Kind: pass.Phone, Number: binh.Phone}); err != nil || !cards[0].Withheld {
		t.Errorf("another case shows %+v, %v", cards, err)
	}
	w.must(rights.New(w.s, w.time).Lift(ctx, "mai", request))
	if cards, err = w.Find(ctx, "lan", second.ID, casebook.Lookup{Kind: pass.Phone, Number: binh.Phone}); err != nil || cards[0].Name != binh.Name {
		t.Errorf("after it was lifted: %+v, %v", cards, err)
	}
}

// A contact of the call list who restricts their data afterwards leaves it.
func TestRestrictedLater(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		index, _ := w.holder(an)
		binh := register.Details{Name: "Lê Bình", Phone: "+84905000111", Area: phuXuan.ID, Identity: "046090000111"}
		p, _ := w.holder(binh)
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, result(met(p, 30)))
		w.must(err)
		_, err = w.AddCalls(ctx, "lan", c.ID, run.Refs())
		w.must(err)
		ref := run.Ref(p)
		w.restrain(p, rights.Restriction)
		if calls, err := w.Calls(ctx, "lan", c.ID); len(calls) != 0 || err != nil {
			t.Errorf("the call list has %+v, %v", calls, err)
		}
		w.refuses("Called", w.Called(ctx, "lan", c.ID, ref, 1, casebook.Attempt{Status: casebook.Reached}), casebook.ErrRestrained)
		if n, err := w.Withheld(ctx, "lan", c.ID); n != 1 || err != nil {
			t.Errorf("Withheld = %d, %v, want 1", n, err)
		}
		// The traced person, too.
		w.restrain(index, rights.Restriction)
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task", err, casebook.ErrRestrained)
		_, err = w.Run(ctx, "lan", c.ID, 0)
		w.refuses("Run", err, casebook.ErrRestrained)
		if n, err := w.UseRestricted(ctx, "lan", c.ID, w.get("lan", c.ID).Version, why); n != 2 || err != nil {
			t.Errorf("UseRestricted = %d, %v, want 2", n, err)
		}
		_, err = w.Task(ctx, "lan", c.ID)
		w.must(err)
	})
}

// Whoever is one human with somebody is restricted with them.
func TestRestrictedWithTheirSelves(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		p, _ := w.holder(register.Details{Name: "Lê Bình", Phone: "+84905000111", Area: phuXuan.ID, Identity: "046090000111"})
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, result(met(p, 30), met(99, 20)))
		w.must(err)
		w.must(w.Merge(ctx, "lan", c.ID, w.get("lan", c.ID).Version, run.Ref(p), run.Ref(99), true))
		w.restrain(p, rights.Restriction)
		cards, err := w.Cards(ctx, "lan", c.ID, run.Ref(99))
		if err != nil || !cards[0].Withheld {
			t.Errorf("the other card of the same human: %+v, %v", cards, err)
		}
	})
}
