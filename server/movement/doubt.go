package movement

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// What is doubtful of a day as a whole, by the limits that package trace has for a
// place. A person who comes again and again is no matter here: they count once.
const (
	burst    = 45               // so many whom one kiosk scans
	claims   = 300              // so many who scan one place's poster
	burstFor = 30 * time.Second // within such a time
	night    = 20               // so many who come
	nightFor = time.Hour        // within such a time
	shut     = 2 * time.Hour    // while the place is closed, so long before and after
)

// What is doubtful of a move: nobody travels so fast between two places, which may
// be so far from where they are said to be.
const (
	fastest = 120.0 / 3.6 // metres in a second
	near    = 1000.0
)

// A slot is some time at one kiosk, or at one place.
type slot struct {
	kiosk int32 // 0 of what is of the place
	place uint32
	no    int32
	kind  byte
}

// Doubts returns which check-ins of a day may be no true ones: more than can pass
// a kiosk or read a poster in half a minute, and crowds while a place is closed.
// It reads the day once, and holds a number for each half-minute in which a kiosk
// was used.
func Doubts(ctx context.Context, rows Rows, day qrgate.Day, places map[uint32]Place) (func(*qrgate.Checkin) bool, error) {
	d := &doubts{start: day.Start(), places: places, kiosks: map[string]int32{}, open: map[uint32]*[24 * 4]bool{}, counts: map[slot]uint16{}}
	err := rows.EachOfDay(ctx, day, func(c *qrgate.Checkin) error {
		for _, s := range d.slots(c) {
			if s.kind != 0 && d.counts[s] < math.MaxUint16 {
				d.counts[s]++
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("movement: doubts of %s: %w", day, err)
	}
	// Of a hundred thousand slots a few are full.
	for s, n := range d.counts {
		if n < limits[s.kind] {
			delete(d.counts, s)
		}
	}
	return func(c *qrgate.Checkin) bool {
		for _, s := range d.slots(c) {
			if s.kind != 0 && d.counts[s] > 0 {
				return true
			}
		}
		return false
	}, nil
}

// The kinds of slots; 0 is none.
const (
	ofKiosk  = 1
	ofPoster = 2
	ofNight  = 3
)

var limits = [...]uint16{ofKiosk: burst, ofPoster: claims, ofNight: night}

type doubts struct {
	start  time.Time
	places map[uint32]Place
	kiosks map[string]int32 // from 1
	open   map[uint32]*[24 * 4]bool
	counts map[slot]uint16
}

// slots returns where a check-in counts.
func (d *doubts) slots(c *qrgate.Checkin) (all [2]slot) {
	if c.PlaceNo == 0 || c.Direction == wire.Out || c.Verdict != wire.Admitted {
		return all
	}
	// Bounds that are wide tell nothing of half a minute, nor of an hour.
	wide := time.Duration(c.Latest-c.Earliest) * time.Millisecond
	at := time.Duration(c.Earliest+(c.Latest-c.Earliest)/2-d.start.UnixMilli()) * time.Millisecond
	if at < 0 || at >= dayLong {
		return all
	}
	if c.With == 0 && wide < time.Minute { // a family comes with one card
		s := slot{place: c.PlaceNo, no: int32(at / burstFor), kind: ofPoster}
		if c.Presence != wire.Claimed {
			s.kind = ofKiosk
			s.kiosk = d.kiosks[c.Kiosk]
			if s.kiosk == 0 {
				s.kiosk = int32(len(d.kiosks) + 1)
				d.kiosks[c.Kiosk] = s.kiosk
			}
		}
		all[0] = s
	}
	if wide < nightFor && d.closed(c.PlaceNo, at) {
		all[1] = slot{place: c.PlaceNo, no: int32(at / nightFor), kind: ofNight}
	}
	return all
}

// closed reports whether a place was closed at a time of the day, and long before
// and after it. Of one of which nobody has said when it opens nothing is known.
func (d *doubts) closed(no uint32, at time.Duration) bool {
	p := d.places[no]
	if len(p.Hours) == 0 {
		return false
	}
	open := d.open[no]
	if open == nil {
		open = new([24 * 4]bool)
		weekday := d.start.Weekday()
		for q := range open {
			begin := time.Duration(q) * quarter
			for _, h := range p.Hours {
				for other := -1; other <= 1; other++ {
					if !h.Days.Has((weekday + time.Weekday(other) + 7) % 7) {
						continue
					}
					from := time.Duration(other)*dayLong + time.Duration(h.Open)*time.Minute
					until := time.Duration(other)*dayLong + time.Duration(h.Close)*time.Minute
					if h.Close <= h.Open {
						until += dayLong
					}
					if from-shut < begin+quarter && begin < until+shut {
						open[q] = true
					}
				}
			}
		}
		d.open[no] = open
	}
	return !open[at/quarter]
}

// travels reports whether somebody can have gone from one place to another in a
// time. Of places of which nobody has said where they are anybody can.
func travels(a, b *qrgate.Point, within time.Duration) bool {
	if a == nil || b == nil {
		return true
	}
	const radius, rad = 6_371_000.0, math.Pi / 180
	x := (b.Lon - a.Lon) * rad * math.Cos((a.Lat+b.Lat)/2*rad)
	y := (b.Lat - a.Lat) * rad
	return radius*math.Hypot(x, y)-near <= within.Seconds()*fastest
}
