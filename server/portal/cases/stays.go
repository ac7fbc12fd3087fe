package cases

import (
	"cmp"
	"context"
	"encoding/hex"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// tracer returns what traces, reading through rows.
func (p *Pages) tracer(rows trace.Rows) *trace.Tracer {
	return trace.New(rows, p.o.Vault, venues{p.reg})
}

// staysOf returns the stays of everybody whom a task traces, or of everybody at its
// place, the oldest first.
func (p *Pages) staysOf(ctx context.Context, t *trace.Tracer, task *casebook.Task) ([]trace.Stay, error) {
	if len(task.Persons) == 0 {
		return t.Visitors(ctx, task.At, task.From.UnixMilli(), task.To.UnixMilli(), task.Rules)
	}
	from, to := qrgate.DayOf(task.From), qrgate.DayOf(task.To)
	var all []trace.Stay
	for _, who := range task.Persons {
		stays, err := t.Stays(ctx, who, from, to, task.Rules)
		if err != nil {
			return nil, err
		}
		all = append(all, stays...)
	}
	slices.SortStableFunc(all, func(a, b trace.Stay) int { return cmp.Compare(a.In.Earliest, b.In.Earliest) })
	return all, nil
}

// idOf is what names a stay: its entry, or its exit where nobody saw the entry.
func idOf(s *trace.Stay) trace.ID {
	if s.Entry != (trace.ID{}) {
		return s.Entry
	}
	return s.Exit
}

// idText writes the id of a check-in into a form.
func idText(id trace.ID) string {
	return hex.EncodeToString(id.Epoch[:]) + "." + strconv.FormatUint(id.Seq, 36) + "." + hex.EncodeToString(id.Digest[:])
}

// findID returns the check-in that a form names, if it is one of these stays'.
func findID(stays []trace.Stay, text string) (trace.ID, bool) {
	for i := range stays {
		for _, id := range []trace.ID{stays[i].Entry, stays[i].Exit} {
			if id != (trace.ID{}) && idText(id) == text {
				return id, true
			}
		}
	}
	return trace.ID{}, false
}

// A stayRow is a stay as people read it.
type stayRow struct {
	No      int
	ID      string
	Anchor  string
	Day     string
	On      qrgate.Day
	Place   spotName
	In, Out string // empty where nobody saw it
	Long    string
	Gate    string
	Left    string
	Source  string // keys of texts
	Who     string
	There   string
	Doubts  []string
	Counts  bool // although it is doubtful
	Chosen  bool
	Guess   bool // the end is inferred
	NoEntry bool
	With    bool // came as a companion of somebody
}

// stayRow tells a stay as it is known now, in Unix milliseconds: nobody has been
// anywhere for longer than until then.
func (p *Pages) stayRow(ctx context.Context, v *page.View, names spots, s *trace.Stay, now int64) (stayRow, error) {
	place, err := p.name(ctx, v, names, s.At)
	if err != nil {
		return stayRow{}, err
	}
	on := qrgate.DayOfMilli(s.In.Earliest)
	if s.NoEntry {
		on = qrgate.DayOfMilli(s.Out.Earliest)
	}
	row := stayRow{
		ID: idText(idOf(s)), Day: weekday(v, on), On: on, Place: place, Gate: s.Gate, Left: s.Left,
		Source: sourceKey(s.Source), Who: identityKey(s), There: presenceKey(s.Presence), Guess: s.Inferred, NoEntry: s.NoEntry, With: s.With != 0,
	}
	if row.Left == row.Gate {
		row.Left = ""
	}
	if row.In = sayWhen(v, s.In, on); s.NoEntry {
		row.In = v.T("cases.stay.no_entry", "at", sayEdge(v, s.In.Earliest, on))
	}
	switch row.Out = sayWhen(v, s.Out, on); {
	case s.Inferred && s.Out.Latest > now:
		row.Out = v.T("cases.stay.still")
	case s.Inferred:
		row.Out = v.T("cases.stay.inferred", "at", sayEdge(v, s.Out.Latest, on))
	}
	row.Long = sayBounds(v, max(0, s.Out.Earliest-s.In.Latest), max(0, min(s.Out.Latest, now)-s.In.Earliest))
	for _, d := range s.Doubts {
		row.Doubts = append(row.Doubts, "cases.doubt."+string(d))
	}
	return row, nil
}

func sourceKey(s trace.Source) string {
	switch s {
	case trace.FromKiosk:
		return "cases.source.kiosk"
	case trace.FromPhone:
		return "cases.source.phone"
	case trace.FromAPI:
		return "cases.source.api"
	case trace.FromPaper:
		return "cases.source.paper"
	}
	return "cases.source.unknown"
}

// identityKey says how sure it is who it was: by the pass, where nobody was asked.
func identityKey(s *trace.Stay) string {
	if s.Level == qrgate.NoLevel {
		if s.Pass.Identifies() {
			return "cases.pass." + s.Pass.String()
		}
		return "cases.pass.unknown"
	}
	return "cases.level." + s.Level.String()
}

func presenceKey(p wire.Presence) string {
	switch p {
	case wire.Claimed:
		return "cases.presence.claimed"
	case wire.Typed:
		return "cases.presence.typed"
	case wire.Verified:
		return "cases.presence.verified"
	case wire.Paper:
		return "cases.presence.paper"
	}
	return "cases.presence.unknown"
}

// A crowdDay is a day at a place, for a desk and for a phone.
type crowdDay struct {
	Name       string
	Wide, Thin template.HTML
}

// A staysPage is where a person was.
type staysPage struct {
	*head
	Rows           []stayRow
	Person         *known
	Where          *spotName
	Time, TimeThin template.HTML
	Map            template.HTML
	Days           []crowdDay
	Inside         int // people at an outbreak's place
	Busiest        string
	MapNote        string
	Chosen         int // how many count
	Unplaced       int // places that nobody has put on the map
}

func (p *Pages) stays(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, err := p.seen(r, v)
	if err != nil {
		return err
	}
	if h.Index == (casebook.Ref{}) && h.Place == (qrgate.Spot{}) {
		return v.Go(w, h.Path(), "cases.nobody_yet")
	}
	ctx, me := r.Context(), v.Who.Account.ID
	task, err := p.book.Task(ctx, me, h.ID)
	if err != nil {
		return err
	}
	stays, err := p.staysOf(ctx, p.tracer(p.o.Store), task)
	if err != nil {
		return err
	}
	names := spots{}
	if h.Place != (qrgate.Spot{}) {
		d, err := p.outbreak(ctx, v, h, names, stays)
		if err != nil {
			return err
		}
		return v.Render(w, "cases_stays", d)
	}
	cards, err := p.book.Cards(ctx, me, h.ID, h.Index)
	if err != nil {
		return err
	}
	d := &staysPage{head: h, Person: knownOf(&cards[0]), MapNote: mapNote(v)}
	var bars []bar
	pins := map[qrgate.Spot]*pin{}
	var order []qrgate.Spot
	for i := range stays {
		s := &stays[i]
		row, err := p.stayRow(ctx, v, names, s, p.f.Now().UnixMilli())
		if err != nil {
			return err
		}
		row.No, row.Anchor = i+1, "luot-"+strconv.Itoa(i+1)
		row.Counts = len(s.Doubts) > 0 && task.Rules.Believes(s)
		row.Chosen = task.Counts(s)
		if row.Chosen && task.Rules.Believes(s) {
			d.Chosen++
		}
		d.Rows = append(d.Rows, row)
		bars = append(bars, bar{In: s.In, Out: s.Out, No: row.No, Anchor: row.Anchor, Inferred: s.Inferred || s.NoEntry, Doubtful: len(row.Doubts) > 0 && !row.Counts,
			Title: row.Place.Name + ", " + row.In + " – " + row.Out})
		if row.Place.At == nil {
			continue
		}
		if q := pins[s.At]; q != nil {
			q.Title += "; " + row.Day + " " + row.In
			q.Label += "·" + strconv.Itoa(row.No)
			continue
		}
		pins[s.At] = &pin{At: *row.Place.At, Label: strconv.Itoa(row.No), Title: row.Place.Name + ": " + row.Day + " " + row.In, Anchor: row.Anchor}
		order = append(order, s.At)
	}
	var all []pin
	for _, at := range order {
		q := *pins[at]
		if first, more, several := strings.Cut(q.Label, "·"); several {
			q.Label = first + "+"
			if !strings.Contains(more, "·") {
				q.Label = first + "·" + more
			}
		}
		all = append(all, q)
	}
	for at, s := range names {
		if s.At == nil && at != (qrgate.Spot{}) {
			d.Unplaced++
		}
	}
	label := func(q qrgate.Day) string { return shortDay(v, q) }
	d.Time = timeline(v.T("cases.time.label"), bars, 660, label)
	d.TimeThin = timeline(v.T("cases.time.label"), bars, 300, label)
	d.Map = mapOf(v.T("cases.map.label"), all)
	return v.Render(w, "cases_stays", d)
}

// outbreak is the page of a place: how many were there, by quarter of an hour.
func (p *Pages) outbreak(ctx context.Context, v *page.View, h *head, names spots, stays []trace.Stay) (*staysPage, error) {
	where, err := p.name(ctx, v, names, h.Place)
	if err != nil {
		return nil, err
	}
	d := &staysPage{head: h, Where: &where, MapNote: mapNote(v)}
	people := map[qrgate.Person]bool{}
	var may, sure []when.Interval
	from, to := h.To.UnixMilli(), h.From.UnixMilli()
	for i := range stays {
		s := &stays[i]
		if len(s.Doubts) > 0 {
			continue
		}
		people[s.Person] = true
		may = append(may, when.Interval{Earliest: s.In.Earliest, Latest: s.Out.Latest})
		sure = append(sure, when.Interval{Earliest: s.In.Latest, Latest: s.Out.Earliest})
		from, to = min(from, s.In.Earliest), max(to, s.Out.Latest)
	}
	d.Inside = len(people)
	from, to = max(from, h.From.UnixMilli()), min(to, h.To.UnixMilli())
	var top quarter
	for _, quarters := range crowd(from, to, may, sure) {
		for _, q := range quarters {
			if q.Most > top.Most {
				top = q
			}
		}
		name := weekday(v, qrgate.DayOfMilli(quarters[0].From))
		label := v.T("cases.crowd.label") + ", " + name
		d.Days = append(d.Days, crowdDay{name, crowding(label, quarters, 1000), crowding(label, quarters, 300)})
	}
	if top.Most > 0 {
		d.Busiest = v.T("cases.crowd.top", "at", v.T("cases.clock.day", "clock", clock(top.From), "day", date(top.From)), "least", top.Least, "most", top.Most)
	}
	if where.At != nil {
		d.Map = mapOf(v.T("cases.map.label"), []pin{{At: *where.At, Label: "1", Title: where.Name, Anchor: "main"}})
	}
	return d, nil
}

// chooseStays says which stays count.
func (p *Pages) chooseStays(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, form, n, stays, err := p.ownStays(r, v)
	if err != nil {
		return err
	}
	var ids []trace.ID
	for _, text := range form.Values["luot"] {
		id, ok := findID(stays, text)
		if !ok {
			return qrgate.ErrNotFound
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return v.Go(w, h.Path("lich-trinh"), "cases.choose.none")
	}
	var others []trace.ID
	for i := range stays {
		if s := &stays[i]; !slices.Contains(ids, s.Entry) && !slices.Contains(ids, s.Exit) {
			others = append(others, idOf(s))
		}
	}
	if len(others) == 0 {
		ids = nil
	}
	if err := p.book.Choose(r.Context(), v.Who.Account.ID, h.ID, n, ids, others...); err != nil {
		return err
	}
	return v.Go(w, h.Path("lich-trinh"), "cases.choose.done")
}

// restore lets a doubtful check-in count, or not after all.
func (p *Pages) restore(w http.ResponseWriter, r *http.Request, v *page.View) error {
	h, form, n, stays, err := p.ownStays(r, v)
	if err != nil {
		return err
	}
	id, ok := findID(stays, form.Values.Get("luot"))
	if !ok {
		return qrgate.ErrNotFound
	}
	counts := form.Values.Get("tinh") == "1"
	if err := p.book.Restore(r.Context(), v.Who.Account.ID, h.ID, n, counts, id); err != nil {
		return err
	}
	notice := "cases.doubt.left_out"
	if counts {
		notice = "cases.doubt.restored"
	}
	return v.Go(w, h.Path("lich-trinh"), notice)
}

// ownStays reads a form about the stays of a case's person, with these.
func (p *Pages) ownStays(r *http.Request, v *page.View) (h *head, form *page.Form, n int, stays []trace.Stay, err error) {
	if h, err = p.seen(r, v); err != nil {
		return h, nil, 0, nil, err
	}
	if form, err = page.ReadForm(r); err != nil {
		return h, nil, 0, nil, err
	}
	if n, err = version(form); err != nil {
		return h, nil, 0, nil, err
	}
	task, err := p.book.Task(r.Context(), v.Who.Account.ID, h.ID)
	if err == nil {
		stays, err = p.staysOf(r.Context(), p.tracer(p.o.Store), task)
	}
	return h, form, n, stays, err
}

// sayEdge is one bound of an interval.
func sayEdge(v *page.View, ms int64, on qrgate.Day) string {
	if qrgate.DayOfMilli(ms) == on {
		return clock(ms)
	}
	return v.T("cases.clock.day", "clock", clock(ms), "day", date(ms))
}

// mapNote says where the outlines come from.
func mapNote(v *page.View) string {
	if v.Lang == "en" {
		return area.AttributionEN
	}
	return area.Attribution
}
