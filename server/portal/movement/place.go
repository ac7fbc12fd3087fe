package movement

import (
	"errors"
	"html/template"
	"net/http"
	"time"

	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/flows"
)

// mostPlaces is how many places the list of the fullest shows.
const mostPlaces = 100

// beside is how many days a place's page shows beside the one that is asked for.
const beside = 14

// A placeList is the fullest places of a day.
type placeList struct {
	Day           time.Time
	Value         string // of the day, as browsers have it
	First, Last   string
	Before, After string
	Rows          []placeRow
	Officer       bool
	Full          bool // there may be more
}

type placeRow struct {
	flows.Busy
	KindName string
	Percent  int // of the capacity, 0 if it is not known
	Share    int // per cent of the fullest, for its bar
}

// dayAsked returns the day that an address asks for, and its neighbours.
func dayAsked(r *http.Request, first, last qrgate.Day) (day qrgate.Day, before, after string) {
	day = min(max(dayOf(page.NewForm(r.URL.Query()), "ngay", last), first), last)
	if day > first {
		before = "?ngay=" + (day - 1).String()
	}
	if day < last {
		after = "?ngay=" + (day + 1).String()
	}
	return day, before, after
}

func (p *Pages) places(w http.ResponseWriter, r *http.Request, v *page.View) error {
	first, last, ok, err := p.flows.Bounds(r.Context())
	if err != nil {
		return err
	}
	if !ok {
		return p.empty(r.Context(), w, v)
	}
	day, before, after := dayAsked(r, first, last)
	all, err := p.flows.Busiest(r.Context(), v.Places(both...), day, mostPlaces)
	if err != nil {
		return err
	}
	d := placeList{
		Day: day.Start(), Value: day.String(), First: first.String(), Last: last.String(), Before: before, After: after,
		Officer: len(v.Scopes(seers...)) > 0, Full: len(all) == mostPlaces,
	}
	for _, b := range all {
		row := placeRow{Busy: b, KindName: kindName(v, b.Kind), Share: max(1, b.Peak*100/all[0].Peak)}
		if b.Capacity > 0 {
			row.Percent = b.Peak * 100 / b.Capacity
		}
		d.Rows = append(d.Rows, row)
	}
	return v.Render(w, "movement_places", d)
}

func kindName(v *page.View, id string) string {
	k, err := qrgate.FindPlaceKind(id)
	switch {
	case err != nil:
		return id
	case v.Lang == text.English:
		return k.English
	}
	return k.Name
}

// A crowdPage is a place through a day.
type crowdPage struct {
	No            uint32
	Name          string
	Kind          string
	Address       string
	Day           time.Time
	Value         string
	First, Last   string
	Before, After string
	Counted       bool
	Peak          int
	PeakAt        string
	Capacity      int
	Percent       int
	Picture       template.HTML
	Hours         []hourRow
	Days          []peakRow
	Officer       bool
}

// An hourRow is the quarters that end in an hour.
type hourRow struct {
	Hour     int
	Quarters [4]string
}

type peakRow struct {
	Day     time.Time
	To      string
	Counted bool
	Peak    int
	Share   int // per cent of the greatest, for its bar
	Here    bool
}

func (p *Pages) place(w http.ResponseWriter, r *http.Request, v *page.View) error {
	at, err := v.Place(both, nil)
	if err != nil {
		return err
	}
	first, last, ok, err := p.flows.Bounds(r.Context())
	if err != nil {
		return err
	}
	if !ok {
		return p.empty(r.Context(), w, v)
	}
	day, before, after := dayAsked(r, first, last)
	d := crowdPage{
		No: at.No, Name: at.Name, Kind: kindName(v, at.Kind), Address: page.Address(at), Capacity: at.Capacity, Day: day.Start(), Value: day.String(),
		First: first.String(), Last: last.String(), Before: before, After: after, Officer: len(v.Scopes(seers...)) > 0,
	}
	from := max(first, day-beside/2)
	to := min(last, from+beside-1)
	runs, err := p.flows.Runs(r.Context(), from, to)
	if err != nil {
		return err
	}
	_, d.Counted = runs[day]
	c, err := p.flows.Crowd(r.Context(), at.No, day)
	switch {
	case errors.Is(err, qrgate.ErrNotFound):
	case err != nil:
		return err
	default:
		d.show(v, c)
	}
	peaks, err := p.flows.CrowdDays(r.Context(), at.No, from, to)
	if err != nil {
		return err
	}
	most := 1
	for _, n := range peaks {
		most = max(most, n)
	}
	for other := to; other >= from; other-- {
		row := peakRow{Day: other.Start(), To: "?ngay=" + other.String(), Here: other == day}
		if _, row.Counted = runs[other]; row.Counted {
			row.Peak, row.Share = peaks[other], peaks[other]*100/most
		}
		d.Days = append(d.Days, row)
	}
	return v.Render(w, "movement_place", d)
}

func (d *crowdPage) show(v *page.View, c *counted.Crowd) {
	people, at := c.Peak()
	d.Peak, d.PeakAt = int(people), clock(at)
	if d.Capacity > 0 {
		d.Percent = d.Peak * 100 / d.Capacity
	}
	label := v.T("move.crowd.label", "name", d.Name, "n", page.Number(people), "at", d.PeakAt)
	d.Picture = drawCrowd(c, d.Capacity, v.T("move.capacity", "n", page.Number(d.Capacity)), label)
	for h := range 24 {
		row := hourRow{Hour: h}
		some := false
		for i := range 4 {
			n := int(c.People[4*h+i])
			row.Quarters[i] = shown(n)
			some = some || n > 0
		}
		if some {
			d.Hours = append(d.Hours, row)
		}
	}
}
