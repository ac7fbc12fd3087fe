package movement_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/area"
	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal/movement"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/flows"
)

const phuXuan = "19753@2025-07-01"

// A world is a portal with the pages of movement.
type world struct {
	*pagetest.World
	flows *flows.Flows
	last  qrgate.Day // yesterday
}

func newWorld(t testing.TB) *world {
	w := &world{last: qrgate.DayOf(time.Now()) - 1}
	w.World = pagetest.NewOver(t, "http://127.0.0.1", func(p *pagetest.World, f *page.Frame) []page.Route {
		w.flows = flows.New(p.Store, time.Now)
		return movement.New(f, w.flows).Routes()
	})
	return w
}

// save keeps what was counted of a day, as its run.
func (w *world) save(no int, d *counted.Day) {
	w.T.Helper()
	if err := w.flows.Save(w.T.Context(), counted.Run{Day: d.Day, No: no, Made: time.Now()}, d); err != nil {
		w.T.Fatal(err)
	}
}

// town returns a day of all communes, as many people as they have in the city
// come and go there.
func town(day qrgate.Day, seed uint64) *counted.Day {
	r := rand.New(rand.NewPCG(seed, uint64(day)))
	d := &counted.Day{Day: day, Checkins: 61_240, Unsure: 120}
	outlines := area.Outlines()
	weight := func(i int) float64 {
		o := outlines[i]
		return 1 / (1 + math.Hypot(float64(o.X)-4700, float64(o.Y)-2500)/500)
	}
	weekday := map[bool]float64{true: 1, false: .6}[day.Start().Weekday() != time.Sunday]
	hours := [24]float64{5: .2, 6: 1, 7: 1.6, 8: 1.3, 9: 1, 10: .9, 11: .8, 12: .5, 13: .7, 14: .9, 15: .8, 16: 1.2, 17: 1.5, 18: 1, 19: .7, 20: .4, 21: .2}
	sectors := []string{"trade", "education", "health", "tourism", "construction"}
	add := func(list *[]counted.Figure, f counted.Figure, mean float64) {
		f.People = int(mean * (.7 + .6*r.Float64()))
		if f.People >= counted.Least {
			*list = append(*list, f)
		}
	}
	for i := range outlines {
		to := outlines[i].Unit.ID.String()
		for s, sector := range sectors {
			for h, share := range hours {
				add(&d.Arrivals, counted.Figure{To: to, Sector: sector, Span: counted.Span(h)}, 300*weight(i)*share*weekday/float64(s+1))
			}
			for j := range outlines {
				distance := math.Hypot(float64(outlines[i].X-outlines[j].X), float64(outlines[i].Y-outlines[j].Y))
				add(&d.Moves, counted.Figure{From: outlines[j].Unit.ID.String(), To: to, Sector: sector, Span: counted.AllDay},
					4000*weight(i)*weight(j)*weekday/float64(s+1)/(1+distance/300)*r.Float64())
			}
		}
	}
	return d
}

// crowd returns a place that is full in the morning and in the evening.
func crowd(place uint32, most float64) counted.Crowd {
	c := counted.Crowd{Place: place}
	for q := range c.People {
		h := float64(q) / 4
		n := most * (math.Exp(-(h-8)*(h-8)/6) + .7*math.Exp(-(h-17)*(h-17)/5))
		if n >= 10 {
			c.People[q] = uint32(n/5+.5) * 5
		}
	}
	return c
}

// fill keeps a fortnight, of which one day was not counted.
func (w *world) fill() {
	w.T.Helper()
	for back := range qrgate.Day(14) {
		if back == 4 {
			continue
		}
		d := town(w.last-back, 1)
		d.Crowds = []counted.Crowd{crowd(w.Place.No, 380-10*float64(back)), crowd(w.Other.No, 60)}
		w.save(1, d)
	}
}

func (w *world) exec(query string, args ...any) {
	w.T.Helper()
	if err := w.Store.Write(w.T.Context(), func(t store.Tx) error { _, err := t.Exec(query, args...); return err }); err != nil {
		w.T.Fatal(err)
	}
}

func communes() []string {
	var ids []string
	for _, u := range area.Current() {
		ids = append(ids, u.ID.String())
	}
	return ids
}
