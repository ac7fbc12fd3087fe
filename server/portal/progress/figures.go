package progress

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
	"github.com/qrgate/qrgate/server/store/register"
)

// mostDays is the longest period: half a year.
const mostDays = 186

// A period is some days, both included.
type period struct{ From, To qrgate.Day }

func (p period) start() time.Time { return p.From.Start() }
func (p period) end() time.Time   { return (p.To + 1).Start() }

// moments are the days as of which the way so far is drawn: the last day, before it
// each week's, of a longer period each month's, and the day before the period, since
// which all is counted that has changed in it.
func (p period) moments() []qrgate.Day {
	all := []qrgate.Day{p.To}
	for {
		last := all[len(all)-1]
		before := last - 7
		if p.To-p.From > 98 {
			t := last.Start()
			before = qrgate.DayOf(time.Date(t.Year(), t.Month(), 0, 0, 0, 0, 0, qrgate.Zone)) // the last of the month before
		}
		if before < p.From+3 { // too near to the first to be told apart
			break
		}
		all = append(all, before)
	}
	all = append(all, p.From-1)
	slices.Reverse(all)
	return all
}

// figures are what is known of some places over a period.
type figures struct {
	period
	Today        qrgate.Day
	Survey       report.Survey
	Cells        []report.Cell
	Kiosks       rollout.Kiosks
	Difficulties []register.DifficultyCount
	Visits       rollout.Visits
	Doors        rollout.Doors
}

// gather counts the places that a query asks for.
func (p *Pages) gather(ctx context.Context, q rollout.Query, over period) (*figures, error) {
	done, err := p.turns.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	f := &figures{period: over, Today: qrgate.DayOf(p.f.Now())}
	if f.Survey, err = p.kept.Survey(ctx, q, over.moments()...); err != nil {
		return nil, err
	}
	if f.Cells, err = p.kept.Cells(ctx, q, over.From, over.To); err != nil {
		return nil, err
	}
	if f.Kiosks, err = p.kept.Kiosks(ctx, q); err != nil {
		return nil, err
	}
	if f.Difficulties, err = p.kept.Difficulties(ctx, q, over.start(), over.end()); err != nil {
		return nil, err
	}
	if f.Doors, err = p.kept.Doors(ctx, q, over.start(), over.end()); err != nil {
		return nil, err
	}
	f.Visits, err = p.kept.Visits(ctx, q, over.start(), over.end())
	return f, err
}

// last is the moment of the period's end.
func (f *figures) last() int { return len(f.Survey.Moments) - 1 }

// difficulties returns how many were sent, and how many of them are still open.
func (f *figures) difficulties() (all, open int) {
	for _, c := range f.Difficulties {
		all += c.Count
		if c.State == register.DifficultyOpen {
			open += c.Count
		}
	}
	return all, open
}

// A book makes parts of a document of figures, in one language.
type book struct {
	words
	*figures
	now      time.Time
	tables   int // that were numbered
	charts   int
	numbered bool // as a report is, a page is not
}

func (b *book) table(key string, args ...any) string {
	if !b.numbered {
		return ""
	}
	b.tables++
	return b.t("progress.table", "n", b.tables) + " " + b.t(key, args...)
}

func (b *book) chart(key string, args ...any) string {
	if !b.numbered {
		return b.t(key, args...)
	}
	b.charts++
	return b.t("progress.figure", "n", b.charts) + " " + b.t(key, args...)
}

func count(n int) string { return page.Number(n) }

// percent returns a share in words, of nothing a dash.
func percent(n, of int) string {
	if of == 0 {
		return "–"
	}
	return strconv.Itoa(n*100/of) + " %"
}

// people returns a cell of a sum of people. What is hidden has no number.
func people(s report.Sum) report.Value {
	if s.Hidden > 0 || s.Withheld > 0 {
		return report.Words(s.Text(page.Number[int64]))
	}
	return report.Value{Text: page.Number(s.Shown), Number: float64(s.Shown), Numeric: true}
}

// funnel says how many have come to each stage, as a chart and a table.
func (b *book) funnel() report.Part {
	first, last := b.Survey.Funnel(0, nil), b.Survey.Funnel(b.last(), nil)
	var bars []report.Bar
	t := &report.Table{
		Caption: b.table("progress.funnel.title", "day", b.day(b.To)),
		Head:    []string{b.t("progress.stage"), b.t("progress.places"), b.t("progress.share"), b.t("progress.since", "day", b.day(b.Survey.Moments[0]))},
		Wide:    []float64{3.4, 1.1, 1.3, 1.6}, Note: b.t("progress.funnel.note", "days", report.ActiveDays),
	}
	for _, s := range report.Stages() {
		n, of := last.At(s), last.At(report.Listed)
		bars = append(bars, report.Bar{Label: b.t("progress.stage." + s.Name()), Value: n, Text: count(n) + " (" + percent(n, of) + ")"})
		change := n - first.At(s)
		grown := count(change)
		if change > 0 {
			grown = "+" + grown
		}
		t.Rows = append(t.Rows, []report.Value{
			report.Words(b.t("progress.stage." + s.Name())), report.Amount(n, count),
			{Text: percent(n, of), Number: float64(last.Percent(s)), Numeric: of > 0}, {Text: grown, Number: float64(change), Numeric: true},
		})
	}
	title := b.chart("progress.funnel.title", "day", b.day(b.To))
	return report.Part{Table: t, Chart: report.BarChart("pheu", title, b.t("progress.funnel.desc"), bars)}
}

// way draws how the shares have grown.
func (b *book) way() report.Part {
	stages := []report.Stage{report.Registered, report.Live, report.Active}
	series := make([]report.Series, len(stages))
	t := &report.Table{Caption: b.table("progress.way.title"), Head: []string{b.t("progress.day")}, Wide: []float64{1.6}}
	for i, s := range stages {
		series[i].Label = b.t("progress.stage." + s.Name())
		t.Head, t.Wide = append(t.Head, series[i].Label), append(t.Wide, 1.6)
	}
	for m, day := range b.Survey.Moments {
		f := b.Survey.Funnel(m, nil)
		row := []report.Value{report.Words(b.day(day))}
		for i, s := range stages {
			series[i].Values = append(series[i].Values, f.Percent(s))
			row = append(row, report.Value{Text: count(f.At(s)) + " (" + percent(f.At(s), f.At(report.Listed)) + ")", Number: float64(f.At(s)), Numeric: true})
		}
		t.Rows = append(t.Rows, row)
	}
	return report.Part{Table: t, Chart: report.PercentChart("duong", b.chart("progress.way.title"), b.t("progress.way.desc"), report.Days(b.Survey.Moments...), series...)}
}

// groups makes a table of groups, each named by name. sums are the people of each
// key, nil if there are none to tell.
func (b *book) groups(caption, head string, groups []report.Group, name func(string) string, sums []report.SumGroup) *report.Table {
	t := &report.Table{Caption: caption, Head: []string{head}, Wide: []float64{3}}
	for _, s := range report.Stages() {
		t.Head, t.Wide = append(t.Head, b.t("progress.short."+s.Name())), append(t.Wide, 1)
	}
	t.Head, t.Wide = append(t.Head, b.t("progress.share.active")), append(t.Wide, 1.1)
	if sums != nil {
		t.Head, t.Wide = append(t.Head, b.t("progress.checkins")), append(t.Wide, 2)
	}
	row := func(name string, f report.Funnel, sum report.Sum) {
		cells := []report.Value{report.Words(name)}
		for _, n := range f {
			cells = append(cells, report.Amount(n, count))
		}
		cells = append(cells, report.Value{Text: percent(f.At(report.Active), f.At(report.Listed)), Number: float64(f.Percent(report.Active)), Numeric: f.At(report.Listed) > 0})
		if sums != nil {
			cells = append(cells, people(sum))
		}
		t.Rows = append(t.Rows, cells)
	}
	of := map[string]report.Sum{}
	for _, s := range sums {
		of[s.Key] = s.Sum
	}
	for _, g := range groups {
		row(name(g.Key), g.Funnel, of[g.Key])
	}
	if len(groups) > 1 {
		row(b.t("progress.all"), b.Survey.Funnel(b.last(), nil), report.Total(b.Cells, nil))
		t.Sum = true
	}
	if sums != nil {
		t.Note = b.t("progress.hidden", "fewest", report.Fewest)
	}
	return t
}

func (b *book) sectorNow(id string) string {
	s, err := qrgate.SectorNow(id, b.now)
	if err != nil || id == "" {
		return id
	}
	return s.ID
}

func (b *book) bySector() report.Part {
	groups := b.Survey.By(b.last(), func(f *report.Facts) string { return b.sectorNow(f.Sector) })
	sums := report.TotalBy(b.Cells, func(c *report.Cell) string { return b.sectorNow(c.Sector) })
	return report.Part{Table: b.groups(b.table("progress.by.sector"), b.t("field.progress_sector"), groups, b.named(page.SectorName), sums)}
}

// named returns what names sectors or areas. Without an id they are several, of
// which nothing is told apart.
func (b *book) named(name func(text.Lang, string) string) func(string) string {
	return func(id string) string {
		if id == "" {
			return b.t("progress.rest")
		}
		return name(b.lang, id)
	}
}

func (b *book) byDistrict() report.Part {
	groups := b.Survey.By(b.last(), func(f *report.Facts) string { return f.District })
	t := b.groups(b.table("progress.by.district"), b.t("progress.district"), groups, func(id string) string {
		if id == "" {
			return b.t("progress.district.several")
		}
		return page.AreaName(b.lang, id)
	}, nil)
	t.Note = b.t("progress.district.note")
	return report.Part{Table: t}
}

// byCommune draws the communes and tells of each, the one with the least in use
// first.
func (b *book) byCommune() report.Part {
	groups := b.Survey.By(b.last(), func(f *report.Facts) string { return f.Area })
	shares := map[string]int{}
	for _, g := range groups {
		shares[g.Key] = g.Funnel.Percent(report.Active)
	}
	slices.SortStableFunc(groups, func(x, y report.Group) int { return cmp.Compare(shares[x.Key], shares[y.Key]) })
	sums := report.TotalBy(b.Cells, func(c *report.Cell) string { return c.Area })
	source := area.Attribution
	if b.lang == text.English {
		source = area.AttributionEN
	}
	return report.Part{
		Table: b.groups(b.table("progress.by.commune"), b.t("progress.commune"), groups, b.named(page.AreaName), sums),
		Chart: report.Map("ban-do", b.chart("progress.map.title"), b.t("progress.map.desc"), shares, report.MapWords{None: b.t("progress.map.none"), Source: source}),
	}
}

// coverage returns how many of a hundred who went in have checked in: as the doors'
// own counters say, or else inspectors; and in words by whom.
func (b *book) coverage() (percent int, by string, ok bool) {
	if n, ok := report.Coverage(b.Doors.People, b.Doors.Scanned); ok {
		return n, b.t("progress.coverage.doors", "percent", n, "places", count(b.Doors.Places), "people", page.Number(report.Tens(b.Doors.People))), true
	}
	if n, ok := report.Coverage(b.Visits.People, b.Visits.Scanned); ok {
		return n, b.t("progress.coverage.known", "percent", n), true
	}
	return 0, b.t("progress.coverage.unknown"), false
}

// doors tells what is at the doors: kiosks, and how many who go in check in, where
// they are counted.
func (b *book) doors() report.Part {
	total := report.Total(b.Cells, nil)
	_, covered, _ := b.coverage()
	t := &report.Table{Caption: b.table("progress.doors.title"), Head: []string{b.t("progress.what"), b.t("progress.number")}, Wide: []float64{3, 2}, Note: b.t("progress.coverage.note")}
	t.Rows = [][]report.Value{
		{report.Words(b.t("progress.checkins.period")), people(total)},
		{report.Words(b.t("progress.kiosks.up")), report.Words(b.t("progress.of", "n", count(b.Kiosks.Up), "all", count(b.Kiosks.All)))},
		{report.Words(b.t("progress.coverage")), report.Words(covered)},
		{report.Words(b.t("progress.silent.count", "days", silentFor)), report.Amount(len(b.Survey.Silent(b.last(), silentFor)), count)},
	}
	return report.Part{Table: t}
}

// work tells of difficulties and visits.
func (b *book) work() report.Part {
	t := &report.Table{Caption: b.table("progress.work.title"), Head: []string{b.t("progress.what"), b.t("progress.number")}, Wide: []float64{3, 1}}
	all, open := b.difficulties()
	add := func(key string, n int) {
		t.Rows = append(t.Rows, []report.Value{report.Words(b.t(key)), report.Amount(n, count)})
	}
	add("progress.difficulties.sent", all)
	add("progress.difficulties.open", open)
	add("progress.difficulties.done", all-open)
	add("progress.visits.all", b.Visits.All)
	add("progress.visits.good", b.Visits.Good)
	add("progress.visits.fix", b.Visits.Fix)
	add("progress.visits.bad", b.Visits.Bad)
	add("progress.visits.open", b.Visits.Open)
	add("progress.visits.late", b.Visits.Late)
	return report.Part{Table: t}
}

// difficultiesBy tells what difficulties were about.
func (b *book) difficultiesBy() report.Part {
	t := &report.Table{Caption: b.table("progress.difficulties.title"), Head: []string{b.t("field.difficulty_category")}, Wide: []float64{3}}
	for _, s := range register.DifficultyStates() {
		t.Head, t.Wide = append(t.Head, b.t("difficulty.state."+string(s))), append(t.Wide, 1)
	}
	for _, c := range register.Categories() {
		row, any := []report.Value{report.Words(b.t("difficulty.category." + string(c)))}, false
		for _, s := range register.DifficultyStates() {
			n := 0
			for _, d := range b.Difficulties {
				if d.Category == c && d.State == s {
					n += d.Count
				}
			}
			any = any || n > 0
			row = append(row, report.Amount(n, count))
		}
		if any {
			t.Rows = append(t.Rows, row)
		}
	}
	if t.Rows == nil {
		return report.Part{Text: b.t("progress.difficulties.none")}
	}
	return report.Part{Table: t}
}

// silentFor is how many days without a check-in make a place silent.
const silentFor = 14

// summary says the most important in one sentence.
func (b *book) summary() string {
	f := b.Survey.Funnel(b.last(), nil)
	return b.t("progress.summary", "day", b.day(b.To), "listed", count(f.At(report.Listed)), "registered", count(f.At(report.Registered)),
		"printed", count(f.At(report.Printed)), "live", count(f.At(report.Live)), "active", count(f.At(report.Active)), "percent", percent(f.At(report.Active), f.At(report.Listed)),
		"people", report.Total(b.Cells, nil).Text(page.Number[int64]), "from", b.day(b.From))
}

// title returns n as the number of a part.
func numbered(n int, title string) string { return fmt.Sprintf("%d. %s", n, title) }
