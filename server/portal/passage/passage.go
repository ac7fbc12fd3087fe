// Package passage has the page that tells of a place how many people are inside, and how
// many of those who pass its doors check in.
//
//	GET  /dia-diem/{no}/do-phu
//
// The promise: what is not known is not shown as a number, and how old a number is
// stands beside it.
package passage

import (
	"context"
	"embed"
	"net/http"
	"slices"
	"strconv"

	"github.com/qrgate/qrgate/server/doors"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/server/store/coverage"
	"github.com/qrgate/qrgate/server/store/rooms"
	"github.com/qrgate/qrgate/sync/wire"
)

//go:embed pages
var files embed.FS

// Pages is the page.
type Pages struct {
	f        *page.Frame
	coverage *coverage.Coverage
	rooms    *rooms.Rooms
	configs  *configs.Configs
}

// New returns the page in f.
func New(f *page.Frame, s *store.Store) *Pages {
	f.Add(files, "pages/*.html")
	return &Pages{f, coverage.New(s), rooms.New(s, f.Now), configs.New(s, f.Now)}
}

var (
	own = []qrgate.Role{qrgate.Owner, qrgate.Staff, qrgate.Guard}
	see = []qrgate.Role{qrgate.Organiser, qrgate.Inspector, qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Reporter, qrgate.Administrator}
)

// Routes returns the page's row of the table.
func (p *Pages) Routes() []page.Route {
	return []page.Route{{Pattern: "GET /dia-diem/{no}/do-phu", Allow: page.Only(slices.Concat(own, see)...), Handler: p.place}}
}

// daysShown is how many days the page goes back.
const daysShown = 28

// A row is a lane on a day.
type row struct{ Day, Lane, People, Scans, Share, Against string }

// An inside is how many people are in a place, as its kiosks have told.
type inside struct {
	People, Limit, Told string
	Silent              int // kiosks that have not told lately
	Full, Near          bool
}

type placePage struct {
	Place        *qrgate.Place
	Inside       *inside // nil where nobody counts
	People       string  // who came in over all days; "" if too few were counted
	Scans, Share string
	Days         int
	Rows         []row
	Against      bool // some lane tells who went the other way
}

func (p *Pages) place(w http.ResponseWriter, r *http.Request, v *page.View) error {
	place, err := v.Place(slices.Concat(own, see), nil)
	if err != nil {
		return err
	}
	today := qrgate.DayOf(p.f.Now())
	days, err := p.coverage.OfPlace(r.Context(), place.No, today-daysShown+1, today)
	if err != nil {
		return err
	}
	d := placePage{Place: place, Days: daysShown}
	var all coverage.Sum
	for _, day := range days {
		d.Rows = append(d.Rows, rowOf(v.Lang, day))
		d.Against = d.Against || day.Against > 0
		if day.Lane.Direction == wire.In {
			all.Add(day.Sum)
		}
	}
	if n, ok := all.Percent(); ok {
		d.People, d.Scans, d.Share = page.Number(all.People), page.Number(all.Scans), page.Number(n)+" %"
	}
	if d.Inside, err = p.inside(r, place, today); err != nil {
		return err
	}
	return v.Render(w, "passage_place", d)
}

func rowOf(lang text.Lang, d coverage.Day) row {
	at := row{
		Day: d.Day.Start().In(qrgate.Zone).Format("02/01/2006"), Lane: LaneName(lang, d.Lane),
		People: page.Number(d.People), Scans: page.Number(d.Scans), Against: page.Number(d.Against),
	}
	if n, ok := d.Percent(); ok {
		at.Share = page.Number(n) + " %"
	}
	return at
}

// LaneName returns a lane in words: A1 · làn 2 · vào.
func LaneName(lang text.Lang, l coverage.Lane) string {
	name := l.Gate
	if l.No != 0 {
		name += " · " + text.Of(lang, "passage.lane", "lane", l.No)
	}
	switch l.Direction {
	case wire.In:
		name += " · " + text.Of(lang, "passage.in")
	case wire.Out:
		name += " · " + text.Of(lang, "passage.out")
	}
	return name
}

// inside returns how many people are inside, if the place has a limit: then its kiosks
// tell.
func (p *Pages) inside(r *http.Request, place *qrgate.Place, today qrgate.Day) (*inside, error) {
	if place.Capacity == 0 {
		return nil, nil
	}
	c, err := p.rooms.Inside(r.Context(), place.No, wire.Scope{}, int64(today), doors.Connected)
	if err != nil || c.Told.IsZero() {
		return nil, err
	}
	limit := int64(place.Capacity)
	in := &inside{People: page.Number(max(c.Inside, 0)), Limit: page.Number(limit), Told: c.Told.In(qrgate.Zone).Format("15:04 02/01"), Silent: c.Silent}
	in.Full = c.Inside >= limit
	near, err := p.near(r.Context(), place.No)
	if err != nil {
		return nil, err
	}
	in.Near = !in.Full && c.Inside*100 >= limit*near
	return in, nil
}

// near returns from how many of a hundred of its limit on a place is nearly full: what its
// kiosks are set to show, the earliest if they differ.
func (p *Pages) near(ctx context.Context, place uint32) (int64, error) {
	kiosks, err := p.configs.OfPlace(ctx, place)
	if err != nil {
		return 0, err
	}
	var shares []int64
	for _, k := range kiosks {
		for _, v := range k.Values() {
			if v.Key != "door.near_full" {
				continue
			}
			n, err := strconv.ParseInt(v.Value, 10, 64)
			if err != nil {
				return 0, err
			}
			shares = append(shares, n)
		}
	}
	if len(shares) == 0 {
		return wire.DefaultNear, nil
	}
	return slices.Min(shares), nil
}
