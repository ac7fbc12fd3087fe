package progress

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
)

// A shownVisit is a visit as a page shows it.
type shownVisit struct {
	rollout.Inspection
	Area    string
	Answers []answer
	Late    bool
	Settles bool // the viewer may say that it was put right
	Day     string
}

// An answer is one check with what was found.
type answer struct {
	Check  rollout.Check
	Answer rollout.Answer
}

func (p *Pages) shownVisits(v *page.View, all []rollout.Inspection, settles func(*rollout.Inspection) bool) []shownVisit {
	today := qrgate.DayOf(p.f.Now())
	shown := make([]shownVisit, len(all))
	for i, one := range all {
		s := shownVisit{Inspection: one, Area: page.AreaName(v.Lang, one.Area), Late: one.Open() && one.Due < today, Settles: one.Open() && settles(&all[i])}
		for _, c := range rollout.Checks() {
			found := one.Checks[c]
			if found == "" { // a check that there was not yet
				found = rollout.None
			}
			s.Answers = append(s.Answers, answer{c, found})
		}
		if one.Due > 0 {
			s.Day = words{v.Lang}.day(one.Due)
		}
		shown[i] = s
	}
	return shown
}

type visitsPage struct {
	Form   *page.Form
	Found  []*qrgate.Place
	Asked  bool
	Visits []shownVisit
	Open   bool // only those that left something open
	Goes   bool // the viewer visits places
	Pager  pager
}

func (p *Pages) visits(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return p.showVisits(w, r, v, http.StatusOK, formOf(), nil, false)
}

func (p *Pages) showVisits(w http.ResponseWriter, r *http.Request, v *page.View, status int, f *page.Form, found []*qrgate.Place, asked bool) error {
	d := visitsPage{Form: f, Found: found, Asked: asked, Open: r.URL.Query().Get("xem") != "tat-ca", Goes: len(v.Scopes(visitors...)) > 0}
	all, total, err := p.kept.Inspections(r.Context(), rollout.Query{Within: v.Places(seers...)}, d.Open, pageNo(r), perPage)
	if err != nil {
		return err
	}
	settles := len(v.Scopes(settlers...)) > 0
	d.Visits = p.shownVisits(v, all, func(*rollout.Inspection) bool { return settles })
	d.Pager = newPager(r, len(all), total)
	return v.RenderStatus(w, status, "progress_visits", d)
}

// mostFound is how many places a search shows.
const mostFound = 20

// find takes what an inspector has typed or scanned: a poster's code or address, a
// place's number or words of its name.
func (p *Pages) find(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	s := f.Text("progress_find", 200, true)
	if !f.OK() {
		return p.showVisits(w, r, v, http.StatusUnprocessableEntity, f, nil, false)
	}
	place, err := p.typed(r, v, s, visitors)
	if err == nil {
		return v.Go(w, "/kiem-tra/dia-diem/"+number(place.No), "")
	}
	if !isNotFound(err) {
		return err
	}
	found, _, err := p.reg.Places(r.Context(), register.Query{Within: v.Places(visitors...), Text: s, Size: mostFound})
	if err != nil {
		return err
	}
	return p.showVisits(w, r, v, http.StatusOK, f, found, true)
}

type placePage struct {
	*qrgate.Place
	AreaName, Address, Kind string
	Visits                  []shownVisit
	Goes, Calls, Owns       bool
	Phones                  []string
}

// mostVisits is how many visits to a place are shown.
const mostVisits = 30

func (p *Pages) place(w http.ResponseWriter, r *http.Request, v *page.View) error {
	place, err := v.Place(slices.Concat(owners, seers), nil)
	if err != nil {
		return err
	}
	all, err := p.kept.InspectionsOf(r.Context(), place.No, mostVisits)
	if err != nil {
		return err
	}
	d := placePage{
		Place: place, AreaName: page.AreaName(v.Lang, place.AreaNow), Address: page.Address(place), Kind: kindName(v.Lang, place.Kind),
		Goes: v.May(place, visitors...), Calls: v.May(place, callers...), Owns: v.May(place, owners...),
	}
	if d.Calls {
		for _, n := range place.Phones {
			d.Phones = append(d.Phones, page.ShowPhone(n))
		}
	}
	d.Visits = p.shownVisits(v, all, func(*rollout.Inspection) bool { return v.May(place, settlers...) })
	return v.Render(w, "progress_place", d)
}

type visitPage struct {
	*qrgate.Place
	Address string
	Form    *page.Form
	Checks  []rollout.Check
	Answers []rollout.Answer
	Results []option
}

func (p *Pages) visitPage(v *page.View, place *qrgate.Place, f *page.Form) visitPage {
	d := visitPage{Place: place, Address: page.Address(place), Form: f, Checks: rollout.Checks(), Answers: rollout.Answers()}
	for _, r := range rollout.Results() {
		d.Results = append(d.Results, option{Value: string(r), Text: v.T("progress.result." + string(r))})
	}
	return d
}

// visited returns the place of a visit that is to be written down.
func (p *Pages) visited(v *page.View) (*qrgate.Place, error) { return v.Place(visitors, seers) }

func (p *Pages) visitForm(w http.ResponseWriter, _ *http.Request, v *page.View) error {
	place, err := p.visited(v)
	if err != nil {
		return err
	}
	return v.Render(w, "progress_visit", p.visitPage(v, place, formOf()))
}

func (p *Pages) visit(w http.ResponseWriter, r *http.Request, v *page.View) error {
	place, err := p.visited(v)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	today := qrgate.DayOf(p.f.Now())
	i := rollout.Inspection{Place: place.No, Checks: map[rollout.Check]rollout.Answer{}}
	var answers []string
	for _, a := range rollout.Answers() {
		answers = append(answers, string(a))
	}
	for _, c := range rollout.Checks() {
		i.Checks[c] = rollout.Answer(f.Choice("progress_check_"+string(c), true, answers...))
	}
	i.People, i.Scanned = f.Int("progress_people", 0, 10_000), f.Int("progress_scanned", 0, 10_000)
	if i.Scanned > i.People {
		f.Fail("progress_scanned", "progress.wrong.scanned")
	}
	var results []string
	for _, r := range rollout.Results() {
		results = append(results, string(r))
	}
	i.Result = rollout.Result(f.Choice("progress_result", true, results...))
	i.Note = f.Lines("progress_note", 2000, i.Result == rollout.Fix || i.Result == rollout.Bad)
	i.Due = dayField(f, "progress_due", i.Result == rollout.Fix || i.Result == rollout.Bad)
	switch {
	case i.Result == rollout.Good:
		i.Due = 0
	case i.Due > 0 && (i.Due < today || i.Due > today+366):
		f.Fail("progress_due", "progress.wrong.past")
	}
	if !f.OK() {
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "progress_visit", p.visitPage(v, place, f))
	}
	if err := p.kept.AddInspection(r.Context(), v.Who.Account.ID, &i); err != nil {
		return err
	}
	return v.Go(w, "/kiem-tra/dia-diem/"+number(place.No), "progress.visit.added")
}

func (p *Pages) settle(w http.ResponseWriter, r *http.Request, v *page.View) error {
	i, err := p.kept.Inspection(r.Context(), page.ID(r))
	if err != nil {
		return err
	}
	place, err := p.reg.Place(r.Context(), i.Place)
	if err != nil {
		return err
	}
	switch {
	case v.May(place, settlers...):
	case v.May(place, seers...):
		return qrgate.ErrForbidden
	default:
		return qrgate.ErrNotFound
	}
	if err := p.kept.Settle(r.Context(), v.Who.Account.ID, i.ID); err != nil {
		return err
	}
	return v.Go(w, page.Back(r, "/kiem-tra"), "progress.visit.settled")
}

// number returns a place's number as addresses have it.
func number(no uint32) string { return strconv.FormatUint(uint64(no), 10) }
