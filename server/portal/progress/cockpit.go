package progress

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
)

// An asked is what somebody wants to see.
type asked struct {
	period
	Sector, Area, Kind string
	Days               int // without a check-in that make a place silent
	Wrong              bool
	query              rollout.Query
}

// Values returns what was asked for as an address has it.
func (a asked) Values() url.Values {
	return url.Values{"nganh": {a.Sector}, "khu": {a.Area}, "loai": {a.Kind}, "tu": {a.From.String()}, "den": {a.To.String()}}
}

// silences are the thresholds that may be chosen.
var silences = []int{7, 14, 30, 60}

// lately is the period that is shown first.
const lately = 28

// asked reads what a request wants to see. What makes no sense is left out and
// said.
func (p *Pages) asked(r *http.Request, v *page.View, sectors, areas []option) asked {
	query, today := r.URL.Query(), qrgate.DayOf(p.f.Now())
	a := asked{period: period{today - lately + 1, today}, Days: silentFor}
	pick := func(name string, from []string) string {
		s := query.Get(name)
		if s != "" && !slices.Contains(from, s) {
			a.Wrong = true
			return ""
		}
		return s
	}
	a.Sector, a.Area, a.Kind = pick("nganh", values(sectors)), pick("khu", values(areas)), pick("loai", values(kinds(v.Lang)))
	switch query.Get("ky") {
	case "tuan":
		a.From = today - 6
	case "thang":
		a.From = qrgate.DayOf(p.f.Now().In(qrgate.Zone).AddDate(0, -1, 1))
	default:
		for name, day := range map[string]*qrgate.Day{"tu": &a.From, "den": &a.To} {
			if s := query.Get(name); s != "" {
				d, ok := readDay(s)
				if !ok {
					a.Wrong = true
					continue
				}
				*day = d
			}
		}
	}
	if a.To > today || a.From > a.To || a.To-a.From >= mostDays {
		a.period, a.Wrong = period{today - lately + 1, today}, true
	}
	for _, days := range silences {
		if query.Get("im") == count(days) {
			a.Days = days
		}
	}
	a.query = p.queryOf(v.Places(seers...), a.Sector, a.Area, a.Kind)
	return a
}

// A silentPlace is one that was in use and is not, with whom to call if the viewer
// may know.
type silentPlace struct {
	*qrgate.Place
	Area   string
	Last   qrgate.Day
	Since  int
	Phones []string
}

// mostSilent is how many of them are shown.
const mostSilent = 50

type cockpitPage struct {
	asked                    // what was asked for
	Scope                    string
	Form                     *page.Form
	Sectors, Areas, Kinds    []option
	Silences                 []int
	Tiles                    []tile
	Summary                  string
	Funnel, Way, Commune     part
	BySector, District, Work part
	Silent                   []silentPlace
	SilentAll                int
	Calls, Leads, Writes     bool
	Targets                  []shownTarget
	Query                    template.URL // of the question, for a link
}

// A tile is one figure.
type tile struct{ Key, Text string }

func (p *Pages) cockpit(w http.ResponseWriter, r *http.Request, v *page.View) error {
	sectors, areas := p.sectors(v, seers...), p.areas(v, seers...)
	a := p.asked(r, v, sectors, areas)
	f, err := p.gather(r.Context(), a.query, a.period)
	if err != nil {
		return err
	}
	b := &book{words: words{v.Lang}, figures: f, now: p.f.Now()}
	d := cockpitPage{
		asked: a, Sectors: sectors, Areas: areas, Kinds: kinds(v.Lang), Silences: silences, Summary: b.summary(),
		Form:  formOf("nganh", a.Sector, "khu", a.Area, "loai", a.Kind, "tu", a.From.String(), "den", a.To.String()),
		Calls: len(v.Scopes(callers...)) > 0, Leads: len(v.Scopes(leaders...)) > 0, Writes: len(v.Scopes(writers...)) > 0,
		Query: template.URL(a.Values().Encode()), Scope: scopeName(b.words, a.Sector, a.Area),
	}
	if a.Sector == "" && len(sectors) == 1 {
		d.Scope = scopeName(b.words, sectors[0].Value, a.Area)
	}
	parts, err := partsOf([]report.Part{b.funnel(), b.way(), b.byCommune(), b.bySector(), b.byDistrict(), b.work()})
	if err != nil {
		return err
	}
	d.Funnel, d.Way, d.Commune, d.BySector, d.District, d.Work = parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]
	d.Tiles = p.tiles(b)
	silent := f.Survey.Silent(f.last(), a.Days)
	d.SilentAll = len(silent)
	for _, s := range silent[:min(len(silent), mostSilent)] {
		place, err := p.reg.Place(r.Context(), s.Place)
		if err != nil {
			return err
		}
		shown := silentPlace{Place: place, Area: page.AreaName(v.Lang, place.AreaNow), Last: s.Last[f.last()], Since: int(a.To - s.Last[f.last()])}
		if v.May(place, callers...) {
			for _, n := range place.Phones {
				shown.Phones = append(shown.Phones, page.ShowPhone(n))
			}
		} else {
			hidden := *place
			hidden.Person, hidden.Phones, hidden.Email = "", nil, ""
			shown.Place = &hidden
		}
		d.Silent = append(d.Silent, shown)
	}
	if d.Targets, err = p.shownTargets(r, v, false); err != nil {
		return err
	}
	return v.Render(w, "progress", d)
}

func (p *Pages) tiles(b *book) []tile {
	last := b.Survey.Funnel(b.last(), nil)
	sent, open := b.difficulties()
	covered := "–"
	if n, _, ok := b.coverage(); ok {
		covered = percent(n, 100)
	}
	of := func(n, all int) string { return b.t("progress.of", "n", count(n), "all", count(all)) }
	return []tile{
		{"progress.tile.active", of(last.At(report.Active), last.At(report.Listed))},
		{"progress.tile.checkins", report.Total(b.Cells, nil).Text(page.Number[int64])},
		{"progress.tile.kiosks", of(b.Kiosks.Up, b.Kiosks.All)},
		{"progress.tile.coverage", covered},
		{"progress.tile.difficulties", of(open, sent)},
		{"progress.tile.visits", count(b.Visits.All)},
	}
}
