package movement

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/area"
	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
)

const (
	longest = 92 // days of a question
	usual   = 7  // days if nobody says
)

// A lens is what one scope lets somebody see: figures of these sectors that touch
// these communes. A nil list is all of them.
type lens struct{ touches, sectors []bool }

func (l *lens) shows(e *entry) bool {
	if l.sectors != nil && (e.sector == several || !l.sectors[e.sector]) {
		return false
	}
	return l.touches == nil || e.to != several && l.touches[e.to] || e.from != several && l.touches[e.from]
}

// lenses returns what the viewer may see.
func (a *atlas) lenses(v *page.View) []lens {
	var all []lens
	for _, s := range v.Scopes(seers...) {
		switch s.Kind {
		case qrgate.Everywhere:
			return []lens{{}}
		case qrgate.InSector:
			l := lens{sectors: make([]bool, len(a.sectors))}
			if no := a.sector(s.ID); no != several {
				l.sectors[no] = true
			}
			all = append(all, l)
		case qrgate.InArea:
			l := lens{touches: make([]bool, len(a.areas))}
			if id, err := area.ParseID(s.ID); err == nil {
				for _, u := range area.CurrentOf(id) {
					if no, ok := a.areaNo[u.ID.String()]; ok && area.Covers(id, u.ID) {
						l.touches[no] = true
					}
				}
			}
			all = append(all, l)
		}
	}
	return all
}

// everything reports whether somebody sees all there is.
func everything(lenses []lens) bool {
	return slices.ContainsFunc(lenses, func(l lens) bool { return l.touches == nil && l.sectors == nil })
}

// A question is what an address asks for.
type question struct {
	from, to qrgate.Day
	span     counted.Span
	sector   uint16 // several is all
	area     uint16 // a commune at either end; several is any
	lenses   []lens
	whole    bool // the map shows the whole province
}

func (q *question) holds(e *entry) bool {
	if !q.span.Covers(e.span) || q.sector != several && e.sector != q.sector {
		return false
	}
	if q.area != several && e.to != q.area && e.from != q.area {
		return false
	}
	for i := range q.lenses {
		if q.lenses[i].shows(e) {
			return true
		}
	}
	return false
}

// offers returns which sectors and communes the viewer may choose from.
func (a *atlas) offers(lenses []lens) (sectors, areas []uint16) {
	for i := range a.sectors {
		if slices.ContainsFunc(lenses, func(l lens) bool { return l.sectors == nil || l.sectors[i] }) {
			sectors = append(sectors, uint16(i))
		}
	}
	for i := range a.areas {
		if slices.ContainsFunc(lenses, func(l lens) bool { return l.touches == nil || l.touches[i] }) {
			areas = append(areas, uint16(i))
		}
	}
	return sectors, areas
}

// ask reads a question. What cannot be asked is left out, and the form says what
// was asked in the end: an address is typed, copied and kept for years. first and
// last are the days that were counted.
func (a *atlas) ask(r *http.Request, v *page.View, first, last qrgate.Day) (question, *page.Form) {
	in := page.NewForm(r.URL.Query())
	q := question{span: counted.AllDay, sector: several, area: several, lenses: a.lenses(v), whole: in.Values.Get("ban_do") == "ca"}
	q.to = dayOf(in, "den", last)
	q.to = min(max(q.to, first), last)
	q.from = dayOf(in, "tu", q.to-usual+1)
	if q.from > q.to {
		q.from, q.to = q.to, min(q.from, last)
	}
	q.from = max(min(q.from, last), first, q.to-longest+1)
	out := url.Values{"tu": {q.from.String()}, "den": {q.to.String()}}
	if n, err := strconv.Atoi(in.Values.Get("gio")); err == nil && n >= 0 && n < int(counted.AllDay) {
		q.span = counted.Span(n)
		out.Set("gio", strconv.Itoa(n))
	}
	sectors, areas := a.offers(q.lenses)
	if id := in.Values.Get("nganh"); id != "" {
		if no := a.sector(id); no != several && slices.Contains(sectors, no) {
			q.sector = no
			out.Set("nganh", a.sectors[no].ID)
		}
	}
	if id := in.Values.Get("khu"); id != "" {
		if no := a.area(id); no != several && slices.Contains(areas, no) {
			q.area = no
			out.Set("khu", a.areas[no].ID.String())
		}
	}
	if q.whole {
		out.Set("ban_do", "ca")
	}
	return q, page.NewForm(out)
}

// dayOf reads a date as browsers send it.
func dayOf(f *page.Form, field string, otherwise qrgate.Day) qrgate.Day {
	if d, err := qrgate.ParseDay(f.Values.Get(field)); err == nil {
		return d
	}
	return otherwise
}
