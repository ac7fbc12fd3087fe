package fleet

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// perPage is how many kiosks a page lists.
const perPage = 50

// A question is which kiosks somebody wants to see.
type question struct {
	text   string // folded
	id     string // as it was typed, in lower case
	area   string
	sector string
	state  string // of a kiosk, or one of those below
	page   int
}

// What may be asked for as a state beside a kiosk's own: that it has an alarm, or one
// that is grave.
const (
	withAlarm = "canh-bao"
	withGrave = "nang"
)

func asked(v url.Values) question {
	q := question{area: v.Get("khu"), sector: v.Get("nganh"), state: v.Get("trang")}
	typed := []rune(v.Get("tim"))
	typed = typed[:min(len(typed), 100)]
	q.text, q.id = area.Fold(string(typed)), strings.ToLower(strings.TrimSpace(string(typed)))
	q.page, _ = strconv.Atoi(v.Get("so"))
	q.page = min(max(q.page, 1), 1_000_000)
	return q
}

// A row is one kiosk in the list. It is compared, to find out what changed.
type row struct {
	ID, Place string
	Path      string
	State     label
	Alarms    string // lines of class, sign and words, the gravest first
	More      int    // alarms beyond those
	Queued    string
	Oldest    string
	Scan      string // last scan
	Contact   string
	ISO       string
	Release   string
}

// A tile is a number of kiosks in one state.
type tile struct {
	Key   string
	State string // as it is asked for
	Count int
	Class string
	Sign  string
	Here  bool
}

// A sight is what one viewer sees of a snapshot.
type sight struct {
	Tiles  []tile
	Rows   []row
	Total  int // kiosks that were asked for
	All    int // kiosks that the viewer may know of
	Outage string
	Read   string
	Unsure bool // the server itself is cut off

	perArea map[string]counts
	from    int
}

// counts are how many kiosks of a commune there are, and how many need somebody.
type counts struct{ all, online, sick int }

// see returns what a viewer with that filter sees.
func (s *snapshot) see(lang text.Lang, mine func(*judge.Place) bool, q question) *sight {
	d := &sight{perArea: map[string]counts{}, Read: s.at.In(qrgate.Zone).Format("15:04:05"), Unsure: s.linked.IsZero()}
	per := map[judge.State]int{}
	alarmed, grave := 0, 0
	var found []int
	for i, k := range s.kiosks {
		if !mine(&k.Place) {
			continue
		}
		d.All++
		alarms := s.alarms[k.No]
		sick := slices.ContainsFunc(alarms, func(a judge.Alarm) bool { return a.Acked.IsZero() })
		bad := slices.ContainsFunc(alarms, func(a judge.Alarm) bool { return a.Grave && a.Acked.IsZero() })
		if q.area != "" && k.Place.Area != q.area || q.sector != "" && k.Place.Sector != q.sector {
			continue
		}
		if q.text != "" && !strings.Contains(k.ID, q.id) && !strings.Contains(s.folded[i], q.text) {
			continue
		}
		state := s.states[i]
		per[state]++
		if sick {
			alarmed++
		}
		if bad {
			grave++
		}
		if state != judge.Revoked {
			c := d.perArea[k.Place.Area]
			c.all++
			if state == judge.Online {
				c.online++
			}
			if sick {
				c.sick++
			}
			d.perArea[k.Place.Area] = c
		}
		switch q.state {
		case "":
		case withAlarm:
			if !sick {
				continue
			}
		case withGrave:
			if !bad {
				continue
			}
		default:
			if string(state) != q.state {
				continue
			}
		}
		found = append(found, i)
	}
	d.Tiles = tiles(per, alarmed, grave, q.state)
	d.Total = len(found)
	// The sick come first, and among equals those that were added first.
	slices.SortStableFunc(found, func(a, b int) int { return s.urgency(a) - s.urgency(b) })
	d.from = min((q.page-1)*perPage, max(0, (len(found)-1)/perPage*perPage))
	for _, i := range found[d.from:min(d.from+perPage, len(found))] {
		d.Rows = append(d.Rows, s.row(lang, i))
	}
	if s.outage != nil {
		d.Outage = alarmText(lang, s.outage)
	}
	return d
}

func tiles(per map[judge.State]int, alarmed, grave int, here string) []tile {
	all := []tile{
		{"fleet.tile.grave", withGrave, grave, "bad", "▲", here == withGrave},
		{"fleet.tile.alarmed", withAlarm, alarmed, "warn", "▲", here == withAlarm},
	}
	for _, s := range judge.States() {
		if signs := stateSigns[s]; per[s] > 0 || s == judge.Online || s == judge.Offline || here == string(s) {
			all = append(all, tile{"fleet.state." + string(s), string(s), per[s], signs[0], signs[1], here == string(s)})
		}
	}
	return all
}

// urgency orders kiosks: the smaller, the sooner somebody should look.
func (s *snapshot) urgency(i int) int {
	u := 4
	for _, a := range s.alarms[s.kiosks[i].No] {
		switch {
		case !a.Acked.IsZero():
			u = min(u, 3)
		case a.Grave:
			u = min(u, 0)
		default:
			u = min(u, 1)
		}
	}
	if s.states[i] == judge.Revoked {
		u = 6
	} else if s.states[i] == judge.Unseen {
		u = min(u, 5)
	}
	return u
}

// shownAlarms is how many alarms a row names.
const shownAlarms = 3

func (s *snapshot) row(lang text.Lang, i int) row {
	k := s.kiosks[i]
	r := row{ID: k.ID, Place: k.Place.Name, Path: "/thiet-bi/" + k.ID, State: stateLabel(lang, s.states[i]), Contact: shortText(k.Contact, s.at)}
	if !k.Contact.IsZero() {
		r.ISO = k.Contact.In(qrgate.Zone).Format("2006-01-02T15:04:05-07:00")
	}
	var words []string
	for _, a := range s.alarms[k.No] {
		if len(words) == shownAlarms {
			r.More++
			continue
		}
		l := alarmLabel(lang, &a)
		words = append(words, l.Class+"\t"+l.Sign+"\t"+l.Text)
	}
	r.Alarms = strings.Join(words, "\n")
	if b := k.Beat; b != nil {
		r.Queued, r.Release = page.Number(int64(min(b.Queued, 1<<40))), b.Release
		last := int64(0)
		for _, sc := range b.Scanners {
			last = max(last, sc.LastScan)
		}
		if last > 0 {
			r.Scan = shortText(timeOf(last), s.at)
		}
	}
	return r
}

// Lines returns the alarms one by one.
func (r row) Lines() []label {
	var all []label
	for line := range strings.Lines(r.Alarms) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(f) == 3 {
			all = append(all, label{f[0], f[1], f[2]})
		}
	}
	return all
}

// A Pager is where a page lies among its list.
type Pager struct {
	Before, After string
	From, To, All int
}

// An option is what may be chosen.
type option struct{ Value, Text string }

func (p *Pages) list(w http.ResponseWriter, r *http.Request, v *page.View) error {
	s, err := p.board.get(r.Context())
	if err != nil {
		return err
	}
	values := r.URL.Query()
	q := asked(values)
	mine := within(v.Places(lookers...))
	d := s.see(v.Lang, mine, q)
	to := func(change ...string) string {
		u := url.Values{}
		for _, name := range []string{"tim", "khu", "nganh", "trang"} {
			if x := values.Get(name); x != "" && len(x) <= 200 {
				u.Set(name, x)
			}
		}
		for i := 0; i < len(change); i += 2 {
			if change[i+1] == "" {
				u.Del(change[i])
			} else {
				u.Set(change[i], change[i+1])
			}
		}
		if len(u) == 0 {
			return "/thiet-bi"
		}
		return "/thiet-bi?" + u.Encode()
	}
	pager := Pager{From: d.from + 1, To: d.from + len(d.Rows), All: d.Total}
	here := d.from/perPage + 1
	if d.from > 0 {
		pager.Before = to("so", strconv.Itoa(here-1))
	}
	if d.from+perPage < d.Total {
		pager.After = to("so", strconv.Itoa(here+1))
	}
	areas, sectors := choices(v, s, mine)
	keeps := len(v.Scopes(keepers...)) > 0
	late := 0
	if keeps {
		if late, err = p.Store.LateCarried(r.Context(), p.f.Now()); err != nil {
			return err
		}
	}
	return v.Render(w, "fleet", map[string]any{
		"Sight": d, "Asked": values, "Pager": pager, "Areas": areas, "Sectors": sectors, "Filtered": q.text+q.area+q.sector+q.state != "",
		"Tiles": tilesTo(d.Tiles, to), "Map": safe(drawMap(v.Lang, d.perArea)), "Stream": "/thiet-bi/dong" + strings.TrimPrefix(to("so", strconv.Itoa(here)), "/thiet-bi"),
		"Keeper": keeps, "Late": late, "Attribution": attribution(v.Lang), "Communes": communes(v.Lang, d.perArea, to),
	})
}

// A tileTo is a tile with where it leads: to its state, or back to all.
type tileTo struct {
	tile
	To string
}

func tilesTo(all []tile, to func(...string) string) []tileTo {
	var linked []tileTo
	for _, t := range all {
		state := t.State
		if t.Here {
			state = ""
		}
		linked = append(linked, tileTo{t, to("trang", state)})
	}
	return linked
}

// choices returns the communes and sectors that a viewer's kiosks are in.
func choices(v *page.View, s *snapshot, mine func(*judge.Place) bool) (areas, sectors []option) {
	seenArea, seenSector := map[string]bool{}, map[string]bool{}
	for _, k := range s.kiosks {
		if mine(&k.Place) {
			seenArea[k.Place.Area], seenSector[k.Place.Sector] = true, true
		}
	}
	for _, u := range area.Current() {
		if id := u.ID.String(); seenArea[id] {
			areas = append(areas, option{id, u.Name})
		}
	}
	for _, sector := range qrgate.Sectors() {
		if seenSector[sector.ID] {
			sectors = append(sectors, option{sector.ID, page.SectorName(v.Lang, sector.ID)})
		}
	}
	return areas, sectors
}

// render returns a part of a page as streams send it.
func (p *Pages) render(lang text.Lang, name string, data any) (string, error) {
	var b bytes.Buffer
	err := p.parts[lang].ExecuteTemplate(&b, name, data)
	return b.String(), err
}
