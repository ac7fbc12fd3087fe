package fleet

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/passage"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	"github.com/qrgate/qrgate/server/store/coverage"
	"github.com/qrgate/qrgate/sync/wire"
)

// find returns the kiosk of a request, if the viewer may know of it, and whether they
// look after it.
func (p *Pages) find(ctx context.Context, v *page.View, id string) (k *judge.Kiosk, keeps bool, err error) {
	if !wire.ValidKiosk(id) {
		return nil, false, qrgate.ErrNotFound
	}
	if k, err = p.Fleet.Kiosk(ctx, id); err != nil {
		return nil, false, err
	}
	if !may(v, &k.Place, lookers...) {
		return nil, false, qrgate.ErrNotFound
	}
	return k, may(v, &k.Place, keepers...), nil
}

// ledgerText is what the server holds of a kiosk's current ledger, in words.
type ledgerText struct{ Text, Class string }

// ledger compares what the server holds with what the kiosk says.
func (p *Pages) ledger(ctx context.Context, lang text.Lang, k *judge.Kiosk) (*ledgerText, error) {
	b := k.Beat
	held, err := p.Store.Held(ctx, k.ID, b.Epoch)
	if err != nil {
		return nil, err
	}
	l := held.Ledger
	say := func(key string, args ...any) string { return text.Of(lang, "fleet.ledger."+key, args...) }
	through := int64(min(l.Through(), 1<<50))
	switch gaps := l.Gaps(l.Newest()); {
	case l.Forked():
		return &ledgerText{say("fork", "n", page.Number(through)), "bad"}, nil
	case len(gaps) > 0:
		var parts []string
		for _, g := range gaps[:min(len(gaps), 5)] {
			if part := page.Number(int64(g.From)); g.From == g.To {
				parts = append(parts, part)
			} else {
				parts = append(parts, part+"–"+page.Number(int64(g.To)))
			}
		}
		if len(gaps) > 5 {
			parts = append(parts, "…")
		}
		return &ledgerText{say("gaps", "n", page.Number(int64(l.Newest())), "gaps", strings.Join(parts, ", ")), "warn"}, nil
	case l.Newest() == 0:
		return &ledgerText{say("empty"), ""}, nil
	}
	return &ledgerText{say("complete", "n", page.Number(through)), ""}, nil
}

// An alarmRow is one alarm, as pages list it.
type alarmRow struct {
	Label label
	Says  string
	Kind  judge.Kind
	Since string
	Ended string
	Long  string // how long it has lasted, or did
	Open  bool
	Acked string // when
	Muted string // until when
	May   bool   // acknowledge and mute it

	Kiosk, Place, Path string
}

func (p *Pages) alarmRow(lang text.Lang, a *judge.Alarm, mutes []judge.Mute, now time.Time, keeps bool) alarmRow {
	r := alarmRow{Label: alarmLabel(lang, a), Says: alarmText(lang, a), Kind: a.Kind, Since: clockText(a.Since), Open: a.Open(), May: keeps && a.Open(), Kiosk: a.Kiosk}
	until := now
	if !a.Open() {
		r.Ended, until = clockText(a.Ended), a.Ended
		r.Label = label{"off", "○", r.Label.Text}
	}
	r.Long = duration(lang, until.Sub(a.Since))
	if !a.Acked.IsZero() {
		r.Acked = clockText(a.Acked)
	}
	for _, m := range mutes {
		if m.No == a.No && (m.Kind == "" || m.Kind == a.Kind) && now.Before(m.Until) {
			r.Muted = clockText(m.Until)
		}
	}
	if a.No != 0 {
		r.Path = "/thiet-bi/" + a.Kiosk
	}
	return r
}

// A span of history that may be asked for.
type span struct {
	Value, Key string
	slot       time.Duration
	back       time.Duration
	Here       bool
}

var spans = []span{
	{Value: "6g", Key: "fleet.span.6h", slot: judge.Fine, back: 6 * time.Hour},
	{Value: "", Key: "fleet.span.48h", slot: judge.Fine, back: 48 * time.Hour},
	{Value: "14n", Key: "fleet.span.14d", slot: judge.Coarse, back: 14 * 24 * time.Hour},
	{Value: "90n", Key: "fleet.span.90d", slot: judge.Coarse, back: 90 * 24 * time.Hour},
}

const (
	passedShown  = 24 * time.Hour
	comingsShown = 20
	alarmsShown  = 20
)

func (p *Pages) kiosk(w http.ResponseWriter, r *http.Request, v *page.View) error {
	ctx := r.Context()
	k, keeps, err := p.find(ctx, v, r.PathValue("kiosk"))
	if err != nil {
		return err
	}
	now := p.f.Now()
	alarms, err := p.Fleet.AlarmsOf(ctx, k.No, alarmsShown)
	if err != nil {
		return err
	}
	mutes, err := p.Fleet.Mutes(ctx, now)
	if err != nil {
		return err
	}
	comings, err := p.Fleet.Comings(ctx, k.No, comingsShown)
	if err != nil {
		return err
	}
	here := spans[1]
	asked := make([]span, len(spans))
	for i, s := range spans {
		if s.Value == r.URL.Query().Get("ky") {
			here = s
		}
		asked[i] = s
	}
	for i := range asked {
		asked[i].Here = asked[i].Value == here.Value
	}
	history, err := p.Fleet.History(ctx, k.No, here.slot, now.Add(-here.back))
	if err != nil {
		return err
	}
	d := map[string]any{
		"Kiosk": k, "State": stateLabel(v.Lang, judge.StateOf(k, now, p.Linked())), "Keeper": keeps, "Spans": asked,
		"Charts": p.charts(v.Lang, history, now.Add(-here.back), now, here.slot), "Tabs": p.tabs(keeps),
		"Sector": page.SectorName(v.Lang, k.Place.Sector), "Area": page.AreaName(v.Lang, k.Place.Area),
	}
	slices.SortStableFunc(alarms, func(a, b judge.Alarm) int {
		if a.Open() && b.Open() {
			return judge.Compare(a, b)
		}
		return 0
	})
	var open, past []alarmRow
	for i := range alarms {
		row := p.alarmRow(v.Lang, &alarms[i], mutes, now, keeps)
		if row.Open {
			open = append(open, row)
		} else {
			past = append(past, row)
		}
	}
	d["Open"], d["Past"] = open, past
	for _, m := range mutes {
		if m.No == k.No && m.Kind == "" {
			d["Muted"] = clockText(m.Until)
		}
	}
	type coming struct {
		When  string
		Label label
	}
	var came []coming
	for _, c := range comings {
		l := label{"good", "●", v.T("fleet.came")}
		if !c.Up {
			l = label{"warn", "○", v.T("fleet.went")}
		}
		came = append(came, coming{clockText(c.At), l})
	}
	d["Comings"] = came
	if !k.Contact.IsZero() {
		d["Contact"], d["Ago"] = clockText(k.Contact), duration(v.Lang, now.Sub(k.Contact))
	}
	if k.Beat != nil {
		ledger, err := p.ledger(ctx, v.Lang, k)
		if err != nil {
			return err
		}
		d["Groups"] = groups(v.Lang, k, judge.For(k.Place.Kind), ledger)
		d["Scanners"] = scannerRows(v.Lang, k.Beat)
	}
	passed, err := p.coverage.OfKiosk(ctx, k.ID, now.Add(-passedShown), now.Add(time.Hour))
	if err != nil {
		return err
	}
	d["Passed"], d["Counts"] = passedRows(v.Lang, passed), len(passed) > 0 || k.Beat != nil && k.Beat.Passage != nil
	return v.Render(w, "fleet_kiosk", d)
}

// A passedRow is an hour of a lane.
type passedRow struct{ Hour, Lane, People, Scans, Share string }

func passedRows(lang text.Lang, all []coverage.Hour) []passedRow {
	rows := make([]passedRow, 0, len(all))
	for _, h := range all {
		r := passedRow{h.At.In(qrgate.Zone).Format("15:04 02/01"), passage.LaneName(lang, h.Lane), page.Number(h.People), page.Number(h.Scans), ""}
		if n, ok := h.Percent(); ok {
			r.Share = page.Number(n) + " %"
		}
		rows = append(rows, r)
	}
	return rows
}

func (p *Pages) tabs(keeps bool) []Tab {
	if !keeps {
		return nil
	}
	return p.Tabs
}

// A chart is a drawing with a table's worth of words for it.
type chart struct {
	Key string
	SVG any
}

// charts draws history. Of what was never said there is none.
func (p *Pages) charts(lang text.Lang, all []judge.Sample, from, to time.Time, slot time.Duration) []chart {
	say := func(key string, args ...any) string { return text.Of(lang, "fleet.chart."+key, args...) }
	expected := int64(slot / (30 * time.Second))
	kinds := []struct {
		id     string
		value  func(*judge.Sample) int64
		format func(int64) string
		whole  int64 // what the axis reaches at least; below 0 it is exactly that
	}{
		{"beats", func(s *judge.Sample) int64 { return min(s.Beats*100/expected, 100) }, func(v int64) string { return page.Number(v) + " %" }, -100},
		{"scans", func(s *judge.Sample) int64 { return s.Scans }, page.Number[int64], 10},
		{"queued", func(s *judge.Sample) int64 { return s.Queued }, page.Number[int64], 10},
		{"oldest", func(s *judge.Sample) int64 { return minutesOf(s.Oldest) }, func(v int64) string { return say("minutes", "n", page.Number(v)) }, 10},
		{"temperature", func(s *judge.Sample) int64 { return tenthOf(s.Temperature, 1000) }, func(v int64) string { return page.Number(v) + " °C" }, 90},
		{"disk", func(s *judge.Sample) int64 { return tenthOf(s.Disk, 10) }, func(v int64) string { return page.Number(v) + " %" }, -100},
		{"outbox", func(s *judge.Sample) int64 { return tenthOf(s.Outbox, 10) }, func(v int64) string { return page.Number(v) + " %" }, -100},
		{"memory", func(s *judge.Sample) int64 { return tenthOf(s.Memory, 10) }, func(v int64) string { return page.Number(v) + " %" }, -100},
		{"round_trip", func(s *judge.Sample) int64 { return tenthOf(s.RoundTrip, 1000) }, milliseconds, 100},
		{"unreadable", func(s *judge.Sample) int64 { return tenthOf(s.Unreadable, 10) }, func(v int64) string { return page.Number(v) + " %" }, -100},
	}
	var charts []chart
	for _, c := range kinds {
		line := report.TimeLine{From: from, To: to, Slot: slot, Zone: qrgate.Zone, Format: c.format, Whole: c.whole}
		least, most, last := int64(0), int64(-1), int64(0)
		for i := range all {
			v := c.value(&all[i])
			if v < 0 {
				continue
			}
			if most < 0 {
				least, most = v, v
			}
			least, most, last = min(least, v), max(most, v), v
			line.Points = append(line.Points, report.TimePoint{At: all[i].At, Value: v})
		}
		if most < 0 || most == 0 && c.id == "oldest" {
			continue
		}
		desc := say("desc", "least", c.format(least), "most", c.format(most), "last", c.format(last))
		charts = append(charts, chart{"fleet.chart." + c.id, safe(report.TimeChart("chart-"+c.id, say(c.id), desc, line).SVG())})
	}
	return charts
}

func minutesOf(ms int64) int64 {
	if ms < 0 {
		return -1
	}
	return ms / 60_000
}

func tenthOf(v, by int64) int64 {
	if v < 0 {
		return -1
	}
	return v / by
}
