package casebook_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
)

// A case from its opening to the call list, and what was written down of it.
func TestCase(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		binh := an
		binh.Name, binh.Identity, binh.Insurance = "Trần Thị Bình", "046148001235", ""
		contact, _ := w.holder(binh)
		c := w.approved()
		if c.Number != "CB-2026-000001" || c.State != casebook.Suspected || c.Approval != casebook.Approved || c.DecidedBy != "duc" || !c.Open || c.Purpose != why {
			t.Errorf("an approved case is %+v", c)
		}
		if got := c.To.Sub(c.From); got != 14*24*time.Hour {
			t.Errorf("the window is %v, want what the profile says", got)
		}
		task, err := w.Task(ctx, "lan", c.ID)
		w.must(err)
		p, err := w.cards.PersonOf(ctx, pass.CCCD, an.Identity)
		w.must(err)
		if len(task.Persons) != 1 || task.Persons[0] != p || task.Profile.ID != "suspected" || task.Ring != 1 {
			t.Errorf("the task is %+v", task)
		}
		run, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(contact, 20)}}})
		w.must(err)
		refs := run.Refs()
		cards, err := w.Cards(ctx, "lan", c.ID, refs...)
		w.must(err)
		want := []casebook.Card{{
			Ref: refs[0], Name: binh.Name, Born: binh.Born, Sex: "m", Phone: binh.Phone, Area: binh.Area, Street: binh.Street, Holder: true,
		}}
		if d := cmp.Diff(want, cards); d != "" {
			t.Errorf("Cards (-want +got):\n%s", d)
		}
		n, err := w.AddCalls(ctx, "lan", c.ID, refs)
		if w.must(err); n != 1 {
			t.Errorf("AddCalls = %d, want 1", n)
		}
		if n, err := w.AddCalls(ctx, "lan", c.ID, refs); n != 0 || err != nil {
			t.Errorf("AddCalls again = %d, %v", n, err)
		}
		w.must(w.Called(ctx, "minh", c.ID, refs[0], 1, casebook.Attempt{Status: casebook.NotReached, Channel: casebook.ByPhone, Note: "Máy bận"}))
		w.refuses("Called with a stale version", w.Called(ctx, "minh", c.ID, refs[0], 1, casebook.Attempt{Status: casebook.Reached}), casebook.ErrChanged)
		w.must(w.Called(ctx, "lan", c.ID, refs[0], 2, casebook.Attempt{Status: casebook.Reached, Channel: casebook.ByPhone}))
		calls, err := w.Calls(ctx, "lan", c.ID)
		w.must(err)
		if len(calls) != 1 || calls[0].Status != casebook.Reached || calls[0].Version != 3 || len(calls[0].Attempts) != 2 || calls[0].Attempts[1].Note != "Máy bận" {
			t.Errorf("Calls = %+v", calls)
		}
		counts, err := w.CountCalls(ctx, "mai", c.ID)
		if d := cmp.Diff(map[casebook.Status]int{casebook.Reached: 1}, counts); d != "" || err != nil {
			t.Errorf("CountCalls (-want +got):\n%s%v", d, err)
		}

		object := "case " + c.ID
		var got []string
		for _, e := range w.audit(register.AuditQuery{Object: object}) {
			got = append(got, e.Actor+": "+e.Action+": "+e.Note)
		}
		wantRows := []string{
			"duc: approve case: ", "lan: add calls: 1", "lan: ask for approval: ", "lan: keep run: run 1, ring 1, 1 found", "lan: look for person: cccd",
			"lan: open case: CB-2026-000001 suspected suspected", "lan: see calls: ", "lan: set index of case: person",
		}
		slices.Sort(got)
		if d := cmp.Diff(wantRows, got); d != "" {
			t.Errorf("audit of the case (-want +got):\n%s", d)
		}
		looks, err := w.Looks(ctx, contact)
		w.must(err)
		var looked []string
		for _, l := range looks {
			looked = append(looked, l.By+": "+l.Action+": "+l.Number)
		}
		slices.Sort(looked)
		if d := cmp.Diff([]string{"lan: call person: CB-2026-000001", "lan: see person: CB-2026-000001", "minh: call person: CB-2026-000001"}, looked); d != "" {
			t.Errorf("Looks at the contact (-want +got):\n%s", d)
		}
		if looks, err = w.Looks(ctx, p); len(looks) != 2 || err != nil {
			t.Errorf("Looks at the index = %+v, %v, want to be found and to be traced", looks, err)
		}
	})
}

// met is a contact of so many minutes.
func met(p qrgate.Person, minutes int64) trace.Contact {
	ms := minutes * 60_000
	return trace.Contact{
		Person: p, Sureness: trace.Certain, Least: ms, Most: ms,
		Shared: []trace.Shared{{Stay: trace.Stay{Person: p, At: qrgate.Spot{No: 7}}, Sureness: trace.Certain, Least: ms, Most: ms}},
	}
}

// Whoever may not know of a case is told that there is none, whatever they ask for,
// and nothing of it is written down but their look-ups.
func TestOnlyOfficersOfTheAreaKnowOfACase(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		p, _ := w.holder(an)
		c := w.approved()
		run, err := w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Found: trace.Found{Contacts: []trace.Contact{met(p+1, 20)}}})
		w.must(err)
		_, err = w.AddCalls(ctx, "lan", c.ID, run.Refs())
		w.must(err)
		c = w.get("lan", c.ID)
		ref, v := run.Refs()[0], c.Version
		if id, who, err := w.Recall(ctx, "minh", ref.Code()); id != c.ID || who != ref || err != nil {
			t.Errorf("Recall = %q, %v, %v", id, who, err)
		}
		all := map[string]func(by, id string) error{
			"Find": func(by, id string) error {
				_, err := w.Find(ctx, by, id, casebook.Lookup{Kind: pass.Phone, Number: an.Phone})
				return err
			},
			"Cards":    func(by, id string) error { _, err := w.Cards(ctx, by, id, ref); return err },
			"Task":     func(by, id string) error { _, err := w.Task(ctx, by, id); return err },
			"Second":   func(by, id string) error { _, err := w.Second(ctx, by, id, ref); return err },
			"Run":      func(by, id string) error { _, err := w.Run(ctx, by, id, 0); return err },
			"Runs":     func(by, id string) error { _, err := w.Runs(ctx, by, id); return err },
			"SaveRun":  func(by, id string) error { _, err := w.SaveRun(ctx, by, id, &casebook.Result{Ring: 1}); return err },
			"Calls":    func(by, id string) error { _, err := w.Calls(ctx, by, id); return err },
			"AddCalls": func(by, id string) error { _, err := w.AddCalls(ctx, by, id, []casebook.Ref{ref}); return err },
			"Merges":   func(by, id string) error { _, err := w.Merges(ctx, by, id); return err },
			"Called": func(by, id string) error {
				return w.Called(ctx, by, id, ref, 1, casebook.Attempt{Status: casebook.Reached})
			},
			"Recall": func(by, id string) error {
				if id != c.ID {
					return qrgate.ErrNotFound
				}
				_, _, err := w.Recall(ctx, by, ref.Code())
				return err
			},
			"SetState":  func(by, id string) error { return w.SetState(ctx, by, id, v, casebook.Confirmed) },
			"Extend":    func(by, id string) error { return w.Extend(ctx, by, id, v, w.time().Add(time.Hour)) },
			"Purpose":   func(by, id string) error { return w.SetPurpose(ctx, by, id, v, why) },
			"Disease":   func(by, id string) error { return w.SetProfile(ctx, by, id, v, "measles") },
			"Window":    func(by, id string) error { return w.SetWindow(ctx, by, id, v, w.time().Add(-time.Hour), w.time()) },
			"SetIndex":  func(by, id string) error { return w.SetIndex(ctx, by, id, v, ref) },
			"SetPlace":  func(by, id string) error { return w.SetPlace(ctx, by, id, v, qrgate.Spot{No: 1}) },
			"Ask":       func(by, id string) error { return w.Ask(ctx, by, id, v) },
			"Glass":     func(by, id string) error { return w.BreakGlass(ctx, by, id, v, why) },
			"Choose":    func(by, id string) error { return w.Choose(ctx, by, id, v, nil) },
			"Restore":   func(by, id string) error { return w.Restore(ctx, by, id, v, true, trace.ID{}) },
			"Merge":     func(by, id string) error { return w.Merge(ctx, by, id, v, ref, c.Index, true) },
			"Unmerge":   func(by, id string) error { return w.Unmerge(ctx, by, id, v, ref, c.Index) },
			"Decide":    func(by, id string) error { return w.Decide(ctx, by, id, v, true) },
			"Case":      func(by, id string) error { _, err := w.Case(ctx, by, id); return err },
			"CountCall": func(by, id string) error { _, err := w.CountCalls(ctx, by, id); return err },
		}
		before := w.audit(register.AuditQuery{})
		for name, ask := range all {
			for _, by := range []string{"hoa", "xa", "vien", "nobody", "", "' OR 1=1 --"} {
				w.refuses(name+" by "+by, ask(by, c.ID), qrgate.ErrNotFound)
			}
			w.refuses(name+" of no case", ask("lan", "nosuchcase"), qrgate.ErrNotFound)
			w.refuses(name+" of no case", ask("tinh", "' OR 1=1 --"), qrgate.ErrNotFound)
			if name != "Decide" && name != "Case" && name != "CountCall" {
				w.refuses(name+" by an approver", ask("duc", c.ID), qrgate.ErrNotFound)
				w.refuses(name+" by the data-protection officer", ask("mai", c.ID), qrgate.ErrNotFound)
			}
		}
		w.refuses("Decide by an officer", all["Decide"]("minh", c.ID), qrgate.ErrNotFound)
		if d := cmp.Diff(before, w.audit(register.AuditQuery{})); d != "" {
			t.Errorf("what was refused is written down (-want +got):\n%s", d)
		}
		if got := w.get("lan", c.ID); got.Version != v {
			t.Errorf("what was refused changed the case to version %d from %d", got.Version, v)
		}
		if err := all["Case"]("tinh", c.ID); err != nil {
			t.Errorf("an officer of everywhere: %v", err)
		}
	})
}

// A laboratory names the disease: the case asks about as many days as that needs, and
// is approved again where somebody has to look at it anew.
func TestDiseaseOfACase(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		set := func(c *casebook.Case, profile string) *casebook.Case {
			t.Helper()
			w.must(w.SetProfile(ctx, "lan", c.ID, w.get("lan", c.ID).Version, profile))
			return w.get("lan", c.ID)
		}
		days := func(c *casebook.Case) int { return int(c.To.Sub(c.From).Hours()) / 24 }

		c := set(w.open("lan"), "measles")
		if c.Profile != "measles" || c.Approval != casebook.Needed || days(c) != 21 {
			t.Errorf("a suspicion that is measles = %s, %s, %d days; want that somebody approves it of 21 days", c.Profile, c.Approval, days(c))
		}
		c = set(w.approved(), "measles")
		if c.Approval != casebook.Approved || days(c) != 14 || !c.Open {
			t.Errorf("an approved suspicion that is measles = %s of %d days, want as it was approved", c.Approval, days(c))
		}
		if task, err := w.Task(ctx, "lan", c.ID); err != nil || task.Profile.ID != "measles" {
			t.Errorf("Task = %+v, %v", task, err)
		}
		if c = set(c, "tuberculosis"); c.Approval != casebook.Needed || days(c) != 21 || c.Open {
			t.Errorf("tuberculosis = %s of %d days, want that somebody approves it of 21", c.Approval, days(c))
		}
		w.refuses("no disease", w.SetProfile(ctx, "lan", c.ID, c.Version, "jealousy"), qrgate.ErrInvalid)
		w.refuses("the same", w.SetProfile(ctx, "lan", c.ID, c.Version, "tuberculosis"), qrgate.ErrInvalid)
		w.refuses("stale", w.SetProfile(ctx, "lan", c.ID, c.Version-1, "measles"), casebook.ErrChanged)

		c, err := w.Open(ctx, "lan", casebook.Opening{State: casebook.Confirmed, Profile: "influenza", Purpose: why})
		w.must(err)
		if c = set(c, "measles"); c.Approval != casebook.NotNeeded || days(c) != 21 {
			t.Errorf("influenza that is measles = %s of %d days", c.Approval, days(c))
		}
		if c = set(c, "suspected"); c.Approval != casebook.Needed || c.Open {
			t.Errorf("measles that is unknown = %s, want that somebody approves it", c.Approval)
		}
		notes := map[string]int{} // rows of one moment have no order
		for _, r := range w.audit(register.AuditQuery{Action: "set disease of case"}) {
			notes[r.Note]++
		}
		want := map[string]int{"suspected to measles": 2, "measles to tuberculosis": 1, "influenza to measles": 1, "measles to suspected": 1}
		if d := cmp.Diff(want, notes); d != "" {
			t.Errorf("written down are (-want +got):\n%s", d)
		}
	})
}

// A reference is of one case alone, and cannot be made up.
func TestReferenceOfAnotherCase(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		a, b := w.approved(), w.approved()
		if a.Index == b.Index {
			t.Error("one person has one reference in two cases")
		}
		guessed := a.Index
		guessed[0] ^= 1
		for name, ref := range map[string]casebook.Ref{"another case's": b.Index, "guessed": guessed, "none": {}} {
			_, err := w.Cards(ctx, "lan", a.ID, ref)
			w.refuses("Cards: "+name, err, qrgate.ErrNotFound)
			_, err = w.AddCalls(ctx, "lan", a.ID, []casebook.Ref{ref})
			w.refuses("AddCalls: "+name, err, qrgate.ErrNotFound)
			w.refuses("SetIndex: "+name, w.SetIndex(ctx, "lan", a.ID, a.Version, ref), qrgate.ErrNotFound)
			w.refuses("Merge: "+name, w.Merge(ctx, "lan", a.ID, a.Version, a.Index, ref, false), qrgate.ErrNotFound)
			if name != "none" {
				_, err = w.Second(ctx, "lan", a.ID, ref)
				w.refuses("Second: "+name, err, qrgate.ErrNotFound)
			}
		}
		_, err := w.Cards(ctx, "lan", a.ID, make([]casebook.Ref, casebook.MaxCards+1)...)
		w.refuses("Cards of very many", err, casebook.ErrTooMany)
	})
}

func TestOpenRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		now := w.time()
		for name, tt := range map[string]struct {
			by     string
			change func(*casebook.Opening)
			err    error
		}{
			"no purpose":       {"lan", func(o *casebook.Opening) { o.Purpose = " \n " }, qrgate.ErrInvalid},
			"short purpose":    {"lan", func(o *casebook.Opening) { o.Purpose = "vì thế" }, qrgate.ErrInvalid},
			"no text":          {"lan", func(o *casebook.Opening) { o.Purpose = "không phải chữ \xff" }, qrgate.ErrInvalid},
			"profile":          {"lan", func(o *casebook.Opening) { o.Profile = "tò mò" }, qrgate.ErrInvalid},
			"state":            {"lan", func(o *casebook.Opening) { o.State = casebook.Closed }, qrgate.ErrInvalid},
			"window":           {"lan", func(o *casebook.Opening) { o.From = now.AddDate(-1, 0, 0) }, qrgate.ErrInvalid},
			"future":           {"lan", func(o *casebook.Opening) { o.To = now.Add(time.Hour) }, qrgate.ErrInvalid},
			"backwards":        {"lan", func(o *casebook.Opening) { o.From, o.To = now, now.Add(-time.Hour) }, qrgate.ErrInvalid},
			"ended":            {"lan", func(o *casebook.Opening) { o.Ends = now }, qrgate.ErrInvalid},
			"endless":          {"lan", func(o *casebook.Opening) { o.Ends = now.Add(casebook.MaxLife + time.Second) }, qrgate.ErrInvalid},
			"another area":     {"lan", func(o *casebook.Opening) { o.Scope = duongNo }, qrgate.ErrForbidden},
			"wider area":       {"lan", func(o *casebook.Opening) { o.Scope = qrgate.All }, qrgate.ErrForbidden},
			"an approver":      {"duc", func(*casebook.Opening) {}, qrgate.ErrForbidden},
			"an administrator": {"vien", func(*casebook.Opening) {}, qrgate.ErrForbidden},
			"nobody":           {"", func(*casebook.Opening) {}, qrgate.ErrForbidden},
		} {
			o := casebook.Opening{State: casebook.Suspected, Profile: "measles", Purpose: why}
			tt.change(&o)
			_, err := w.Open(t.Context(), tt.by, o)
			w.refuses(name, err, tt.err)
		}
		if rows := w.audit(register.AuditQuery{Action: "open case"}); len(rows) > 0 {
			t.Errorf("cases were opened: %v", rows)
		}
		w.must(w.reg.GiveRole(t.Context(), "", "hoa", qrgate.Grant{Role: qrgate.HealthOfficer, Scope: phuXuan}))
		_, err := w.Open(t.Context(), "hoa", casebook.Opening{State: casebook.Suspected, Profile: "measles", Purpose: why})
		w.refuses("one of two areas", err, qrgate.ErrInvalid)
		c, err := w.Open(t.Context(), "tinh", casebook.Opening{State: casebook.Confirmed, Profile: "measles", Purpose: why, Scope: duongNo})
		if err != nil || c.Scope != duongNo || c.Approval != casebook.NotNeeded || !c.Open {
			t.Errorf("Open within a part of what is held = %+v, %v", c, err)
		}
	})
}

// Cases that are opened at once have numbers of their own, and so do years.
func TestNumbers(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var numbers []string
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				c, err := w.Open(context.Background(), "lan", casebook.Opening{State: casebook.Suspected, Profile: "measles", Purpose: why})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				numbers = append(numbers, c.Number)
			})
		}
		wg.Wait()
		slices.Sort(numbers)
		if len(slices.Compact(numbers)) != 8 || numbers[0] != "CB-2026-000001" || numbers[7] != "CB-2026-000008" {
			t.Errorf("numbers are %v", numbers)
		}
		w.pass(60 * 24 * time.Hour)
		if c := w.open("lan"); c.Number != "CB-2027-000001" {
			t.Errorf("the first of the next year is %s", c.Number)
		}
	})
}

// Of two who change a case at once one is told so, and nothing of theirs is kept.
func TestChangeAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		c := w.open("lan")
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				errs[i] = w.Extend(context.Background(), []string{"lan", "minh"}[i%2], c.ID, c.Version, w.time().Add(time.Duration(i+1)*time.Hour))
			})
		}
		wg.Wait()
		won := slices.IndexFunc(errs, func(err error) bool { return err == nil })
		for i, err := range errs {
			if i != won && !errors.Is(err, casebook.ErrChanged) {
				t.Errorf("change %d: %v, want %v", i, err, casebook.ErrChanged)
			}
		}
		got := w.get("lan", c.ID)
		if won < 0 || !got.Ends.Equal(w.time().Add(time.Duration(won+1)*time.Hour)) || got.Version != c.Version+1 {
			t.Errorf("after change %d won the case is %+v", won, got)
		}
		if rows := w.audit(register.AuditQuery{Action: "set end of case"}); len(rows) != 1 {
			t.Errorf("audit rows: %v", rows)
		}
	})
}
