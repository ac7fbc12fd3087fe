package progress

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
)

// A shownTarget is one with how it stands.
type shownTarget struct {
	rollout.Target
	report.Progress
	Scope, Kind string
	StageName   string
	Changes     bool // the viewer may change it
	Way         part
}

// shownTargets returns the targets whose places the viewer may count, each with the
// way to it if it is wanted.
func (p *Pages) shownTargets(r *http.Request, v *page.View, ways bool) ([]shownTarget, error) {
	done, err := p.turns.Take(r.Context())
	if err != nil {
		return nil, err
	}
	defer done()
	all, err := p.kept.Targets(r.Context())
	if err != nil {
		return nil, err
	}
	today, say := qrgate.DayOf(p.f.Now()), words{v.Lang}
	var shown []shownTarget
	for _, g := range all {
		if !p.covers(v, g.Sector, g.Area, seers...) || len(shown) == mostTargets {
			continue
		}
		s := shownTarget{Target: g, Scope: scopeName(say, g.Sector, g.Area), StageName: say.t("progress.stage." + g.Stage.Name()), Changes: p.covers(v, g.Sector, g.Area, leaders...)}
		if g.Kind != "" {
			s.Kind = kindName(v.Lang, g.Kind)
		}
		moments := targetMoments(g.Begun, today)
		if !ways {
			moments = []qrgate.Day{moments[0], today}
		}
		survey, err := p.kept.Survey(r.Context(), p.queryOf(v.Places(seers...), g.Sector, g.Area, g.Kind), moments...)
		if err != nil {
			return nil, err
		}
		last := len(moments) - 1
		s.Progress = g.Progress(survey.Funnel(0, nil), survey.Funnel(last, nil), today)
		if ways {
			if s.Way, err = wayTo(say, &s, &survey, today); err != nil {
				return nil, err
			}
		}
		shown = append(shown, s)
	}
	return shown, nil
}

// wayTo draws what there was of a target on the days of a survey, and what there
// should be on its way.
func wayTo(say words, s *shownTarget, survey *report.Survey, today qrgate.Day) (part, error) {
	g := s.Target
	have, line := report.Series{Label: say.t("progress.target.have")}, report.Series{Label: say.t("progress.target.line")}
	start := survey.Funnel(0, nil).Percent(g.Stage)
	t := &report.Table{Head: []string{say.t("progress.day"), have.Label, line.Label}}
	days := survey.Moments
	if today < g.Due {
		days = append(slices.Clone(survey.Moments), g.Due)
	}
	for m, day := range days {
		row := []report.Value{report.Words(say.day(day)), report.Words("–"), report.Words(percent(g.Line(start, day), 100))}
		line.Values = append(line.Values, g.Line(start, day))
		if m < len(survey.Moments) {
			f := survey.Funnel(m, nil)
			have.Values = append(have.Values, f.Percent(g.Stage))
			row[1] = report.Words(percent(f.At(g.Stage), f.At(report.Listed)))
		}
		t.Rows = append(t.Rows, row)
	}
	title := say.t("progress.target.title", "percent", g.Percent, "stage", s.StageName, "scope", s.Scope, "due", say.day(g.Due))
	chart := report.PercentChart("muc-tieu-"+g.ID, title, say.t("progress.target.desc", "percent", s.Percent(), "wanted", s.Wanted), report.Days(days...), have, line)
	parts, err := partsOf([]report.Part{{Chart: chart, Table: t}})
	if err != nil {
		return part{}, err
	}
	return parts[0], nil
}

// Percent returns how many per cent there are; [rollout.Target] has those that
// there are to be.
func (s shownTarget) Percent() int { return s.Progress.Percent }

// mostTargets is how many are shown: each is counted by itself.
const mostTargets = 20

// targetMoments are at most five days from the beginning until today.
func targetMoments(begun, today qrgate.Day) []qrgate.Day {
	begun = min(begun, today)
	all := []qrgate.Day{begun}
	for i := range 4 {
		if d := begun + (today-begun)*qrgate.Day(i+1)/4; d > all[len(all)-1] {
			all = append(all, d)
		}
	}
	return all
}

type targetsPage struct {
	Targets               []shownTarget
	Form                  *page.Form
	Sectors, Areas, Kinds []option
	Stages                []option
	Leads                 bool
}

func (p *Pages) targetsPage(r *http.Request, v *page.View, f *page.Form) (d targetsPage, err error) {
	d = targetsPage{Form: f, Sectors: p.sectors(v, leaders...), Areas: p.areas(v, leaders...), Kinds: kinds(v.Lang), Leads: len(v.Scopes(leaders...)) > 0}
	for _, s := range report.Stages()[1:] {
		d.Stages = append(d.Stages, option{Value: s.Name(), Text: v.T("progress.stage." + s.Name())})
	}
	d.Targets, err = p.shownTargets(r, v, true)
	return d, err
}

func (p *Pages) targets(w http.ResponseWriter, r *http.Request, v *page.View) error {
	d, err := p.targetsPage(r, v, formOf("progress_stage", report.Active.Name(), "progress_percent", "80"))
	if err != nil {
		return err
	}
	return v.Render(w, "progress_targets", d)
}

func (p *Pages) addTarget(w http.ResponseWriter, r *http.Request, v *page.View) error {
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	today := qrgate.DayOf(p.f.Now())
	g := rollout.Target{
		Sector: f.Choice("progress_sector", false, values(p.sectors(v, leaders...))...), Area: f.Choice("progress_area", false, values(p.areas(v, leaders...))...),
		Kind: f.Choice("progress_kind", false, values(kinds(v.Lang))...), Note: f.Text("progress_note", 300, false),
	}
	var names []string
	for _, s := range report.Stages()[1:] {
		names = append(names, s.Name())
	}
	stage := f.Choice("progress_stage", true, names...)
	g.Target = report.Target{Stage: report.Stage(slices.Index(names, stage)) + report.Registered, Percent: f.Int("progress_percent", 1, 100), Begun: today, Due: dayField(f, "progress_due", true)}
	if g.Percent == 0 {
		f.Fail("progress_percent", "wrong.empty")
	}
	if f.OK() && g.Due <= today {
		f.Fail("progress_due", "progress.wrong.past")
	}
	if f.OK() && !p.covers(v, g.Sector, g.Area, leaders...) {
		f.Fail("progress_sector", "progress.wrong.scope")
	}
	if !f.OK() {
		d, err := p.targetsPage(r, v, f)
		if err != nil {
			return err
		}
		return v.RenderStatus(w, http.StatusUnprocessableEntity, "progress_targets", d)
	}
	if err := p.kept.AddTarget(r.Context(), v.Who.Account.ID, &g); err != nil {
		return err
	}
	return v.Go(w, "/tien-do/muc-tieu", "progress.target.added")
}

// changeTarget moves a target or drops it.
func (p *Pages) changeTarget(w http.ResponseWriter, r *http.Request, v *page.View) error {
	g, err := p.kept.Target(r.Context(), page.ID(r))
	if err != nil {
		return err
	}
	switch {
	case p.covers(v, g.Sector, g.Area, leaders...):
	case p.covers(v, g.Sector, g.Area, seers...):
		return qrgate.ErrForbidden
	default:
		return qrgate.ErrNotFound
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Values.Get("version") != strconv.Itoa(g.Version) {
		return qrgate.ErrConflict
	}
	if f.Values.Get("lam") == "bo" {
		if err := p.kept.DropTarget(r.Context(), v.Who.Account.ID, g); err != nil {
			return err
		}
		return v.Go(w, "/tien-do/muc-tieu", "progress.target.dropped")
	}
	percent, due := f.Int("progress_percent", 1, 100), dayField(f, "progress_due", true)
	if !f.OK() || percent == 0 || due <= g.Begun {
		return qrgate.ErrInvalid
	}
	if err := p.kept.MoveTarget(r.Context(), v.Who.Account.ID, g, percent, due); err != nil {
		return err
	}
	return v.Go(w, "/tien-do/muc-tieu", "progress.target.moved")
}
