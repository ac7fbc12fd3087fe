package movement

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/area"
	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/flows"
)

// What a page shows of lists that go on.
const (
	mostArrows  = 12
	mostBusiest = 5
	mostAreas   = 12
	perPage     = 50
)

// An asked is what every page with a question shows of it.
type asked struct {
	Form           *page.Form
	Query          template.URL // of the question, for links
	Sectors, Areas []option
	Spans          []option
	Begin, End     time.Time
	Days, Counted  int
	Scope          []string // what the viewer may see, in words; empty if everything
	Presets        []preset
}

// A preset is a range of days that is often asked for.
type preset struct {
	Key  string
	To   string
	Here bool
}

// A table cell of a heat table.
type heat struct {
	Text   string
	Shade  int
	Hidden bool
}

type overview struct {
	asked
	Arrivals, Moves, Across int
	Busiest                 string // hour
	Map                     template.HTML
	Whole, Zooms            bool
	ZoomTo                  string
	Legend                  []legend
	Flows                   []flowRow
	MoreFlows               int
	Hours                   []int
	Heat                    []heatRow
	Sum                     heatRow
	ByArea, MoreAreas       []areaRow
	BySector                []sectorRow
	Places                  []flows.Busy
	PlacesDay               time.Time
	Unsure, Doubted         int
	All                     bool // the viewer sees everything
	Attribution             string
}

type legend struct {
	Shade    int
	From, To int // To is 0 of the last
}

type flowRow struct {
	No, People int
	From, To   string
	Inside     bool // within one commune
	Share      int  // per cent of the strongest, for its bar
}

type heatRow struct {
	Day     time.Time
	Counted bool
	Hours   []heat
	All     int
}

type areaRow struct {
	Name                      string
	Arrivals, In, Out, Inside int
}

type sectorRow struct {
	Name            string
	Arrivals, Moves int
}

func (p *Pages) overview(w http.ResponseWriter, r *http.Request, v *page.View) error {
	if len(v.Scopes(seers...)) == 0 {
		return v.Go(w, "/di-chuyen/dia-diem", "")
	}
	a, q, s, form, err := p.answer(r, v)
	if errors.Is(err, errNothing) {
		return p.empty(r.Context(), w, v)
	}
	if err != nil {
		return err
	}
	d := overview{
		asked: p.asked(v, a, q, s, form), Arrivals: s.arrivals, Moves: s.moves, Across: s.across, All: everything(q.lenses), Whole: q.whole,
		Attribution: attribution(v),
	}
	if hour, people := s.busiest(); people > 0 {
		d.Busiest = spanText(v.Lang, counted.Span(hour))
	}
	if d.All {
		d.Unsure, d.Doubted = s.unsure, s.doubted
	}
	arrows := d.arrows(v, a, s)
	view := viewOf(arrows, q.whole)
	var numbers []int
	for _, line := range s.byArea {
		numbers = append(numbers, line.arrivals)
	}
	steps := scaleOf(numbers)
	d.Map = drawMap(s, a, arrows, view, steps, v.T("move.map.label", "n", len(arrows)))
	d.Legend = legendOf(steps)
	d.Zooms = q.whole || view.W < area.MapWidth
	d.ZoomTo = "/di-chuyen?" + with(form.Values, "ban_do", map[bool]string{true: "", false: "ca"}[q.whole])
	d.heat(q, s)
	d.lines(v, a, s)
	if d.Places, d.PlacesDay, err = p.fullest(r, v, q); err != nil {
		return err
	}
	return v.Render(w, "movement", d)
}

// asked returns what a page says of its question.
func (p *Pages) asked(v *page.View, a *atlas, q *question, s *answer, form *page.Form) asked {
	d := asked{
		Form: form, Query: template.URL(form.Values.Encode()), Begin: q.from.Start(), End: q.to.Start(), Days: int(q.to-q.from) + 1, Counted: s.counted,
	}
	sectors, areas := a.offers(q.lenses)
	for _, no := range sectors {
		d.Sectors = append(d.Sectors, option{a.sectors[no].ID, page.SectorName(v.Lang, a.sectors[no].ID)})
	}
	for _, no := range areas {
		d.Areas = append(d.Areas, option{a.areas[no].ID.String(), a.name(v.Lang, no)})
	}
	for _, part := range counted.Parts() {
		d.Spans = append(d.Spans, option{strconv.Itoa(int(part)), spanText(v.Lang, part)})
	}
	for h := range counted.Span(24) {
		d.Spans = append(d.Spans, option{strconv.Itoa(int(h)), spanText(v.Lang, h)})
	}
	if !everything(q.lenses) {
		for _, scope := range v.Scopes(seers...) {
			switch scope.Kind {
			case qrgate.InSector:
				d.Scope = append(d.Scope, page.SectorName(v.Lang, scope.ID))
			case qrgate.InArea:
				d.Scope = append(d.Scope, page.AreaName(v.Lang, scope.ID))
			}
		}
	}
	for _, days := range []int{1, 7, 28} {
		values := url.Values{}
		for k, vs := range form.Values {
			values[k] = vs
		}
		values.Set("tu", (q.to - qrgate.Day(days) + 1).String())
		d.Presets = append(d.Presets, preset{"move.last." + strconv.Itoa(days), "?" + values.Encode(), d.Days == days})
	}
	return d
}

// with returns a query with another value, or without it.
func with(values url.Values, key, value string) string {
	out := url.Values{}
	for k, vs := range values {
		out[k] = vs
	}
	out.Del(key)
	if value != "" {
		out.Set(key, value)
	}
	return out.Encode()
}

// arrows fills the list of the strongest flows, and returns those between two
// communes for the map.
func (d *overview) arrows(v *page.View, a *atlas, s *answer) []arrow {
	outlines := area.Outlines()
	var all []arrow
	for _, f := range s.flows {
		if f.from == f.to {
			continue
		}
		if len(all) == mostArrows {
			d.MoreFlows++
			continue
		}
		all = append(all, arrow{len(all) + 1, f.people, outlines[f.from], outlines[f.to]})
		d.Flows = append(d.Flows, flowRow{No: len(all), People: f.people, From: a.name(v.Lang, f.from), To: a.name(v.Lang, f.to)})
	}
	for i := range d.Flows {
		d.Flows[i].Share = max(1, d.Flows[i].People*100/d.Flows[0].People)
	}
	return all
}

func legendOf(s scale) []legend {
	var all []legend
	for i, from := range s.from {
		if from == 0 || i > 0 && from == s.from[i-1] {
			if len(all) > 0 && from != 0 {
				all[len(all)-1].Shade = i + 1
			}
			continue
		}
		if len(all) > 0 {
			all[len(all)-1].To = from - 1
		}
		all = append(all, legend{Shade: i + 1, From: from})
	}
	return all
}

// heat fills the table of hours and days.
func (d *overview) heat(q *question, s *answer) {
	from, until := q.span.Hours()
	// Hours in which nothing is shown on any day are left out at both ends.
	for s.arrivals > 0 && until-from > 6 && s.hours[from] == 0 {
		from++
	}
	for s.arrivals > 0 && until-from > 6 && s.hours[until-1] == 0 {
		until--
	}
	for h := from; h < until; h++ {
		d.Hours = append(d.Hours, h)
	}
	var numbers []int
	for _, line := range s.days {
		numbers = append(numbers, line.hours[:]...)
	}
	steps := scaleOf(numbers)
	row := func(line dayLine, steps scale) heatRow {
		r := heatRow{Day: line.day.Start(), Counted: line.counted, All: line.all}
		for _, h := range d.Hours {
			n := line.hours[h]
			r.Hours = append(r.Hours, heat{shown(n), steps.shade(n), n == 0})
		}
		return r
	}
	for _, line := range s.days {
		d.Heat = append(d.Heat, row(line, steps))
	}
	d.Sum = row(dayLine{hours: s.hours, all: s.arrivals, counted: true}, scale{})
}

// lines fills the tables of communes and sectors, without those of which nothing
// is known.
func (d *overview) lines(v *page.View, a *atlas, s *answer) {
	for _, line := range inOrder(s.byArea) {
		if line.arrivals+line.in+line.out+line.inside > 0 {
			d.ByArea = append(d.ByArea, areaRow{a.name(v.Lang, line.no), line.arrivals, line.in, line.out, line.inside})
		}
	}
	if len(d.ByArea) > mostAreas+2 {
		d.ByArea, d.MoreAreas = d.ByArea[:mostAreas], d.ByArea[mostAreas:]
	}
	for _, line := range s.bySector {
		if line.arrivals+line.moves > 0 {
			id := a.sectors[line.no].ID
			d.BySector = append(d.BySector, sectorRow{page.SectorName(v.Lang, id), line.arrivals, line.moves})
		}
	}
}

// fullest returns the places that were fullest on the last day of a question.
func (p *Pages) fullest(r *http.Request, v *page.View, q *question) ([]flows.Busy, time.Time, error) {
	all, err := p.flows.Busiest(r.Context(), v.Places(both...), q.to, mostBusiest)
	return all, q.to.Start(), err
}
