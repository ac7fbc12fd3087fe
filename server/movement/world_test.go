package movement_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// day is a Wednesday.
var day = qrgate.DayOf(time.Date(2026, 11, 25, 12, 0, 0, 0, qrgate.Zone))

// A list is check-ins as a store tells them.
type list []qrgate.Checkin

func (l list) EachOfDay(_ context.Context, d qrgate.Day, fn func(*qrgate.Checkin) error) error {
	for i := range l {
		if l[i].Day != d {
			continue
		}
		c := l[i] // valid until fn returns
		if err := fn(&c); err != nil {
			return err
		}
		c = qrgate.Checkin{}
	}
	return nil
}

// subject returns a person's subject: as a cipher's output, its first bytes are
// like any others.
func subject(person int) qrgate.Subject {
	var s qrgate.Subject
	r := rand.New(rand.NewPCG(uint64(person), 7))
	binary.BigEndian.PutUint64(s[:], r.Uint64())
	binary.BigEndian.PutUint64(s[8:], r.Uint64()|1)
	return s
}

// at returns a check-in of a person (0 is nobody) at a place, at a time of the
// day.
func at(person int, place uint32, clock time.Duration, d wire.Direction) qrgate.Checkin {
	ms := day.Start().Add(clock).UnixMilli()
	c := qrgate.Checkin{
		Day: day, PlaceNo: place, Direction: d, Verdict: wire.Admitted, Said: ms, Earliest: ms - 20, Latest: ms + 20, Received: ms + 5000,
	}
	if person != 0 {
		c.Subject = subject(person)
	}
	return c
}

// places are some in three communes and two sectors.
func places() map[uint32]movement.Place {
	current := area.Current()
	a, b, c := current[0].ID.String(), current[1].ID.String(), current[2].ID.String()
	return map[uint32]movement.Place{
		1: {Area: a, Sector: "trade", Kind: "market"},
		2: {Area: b, Sector: "trade", Kind: "shop"},
		3: {Area: b, Sector: "education", Kind: "school"},
		4: {Area: c, Sector: "health", Kind: "hospital"},
		5: {Area: a, Sector: "trade", Kind: "market"},
		6: {Area: c, Sector: "transport", Kind: "bus_station"}, // a sector that has ended
		7: {Area: "99999@2025-07-01", Sector: "trade", Kind: "shop"},
	}
}

// random returns check-ins of some people, who go about as people do, and some as
// nobody does.
func random(r *rand.Rand, people, most int) list {
	var all list
	for p := 1; p <= people; p++ {
		for range 1 + r.IntN(most) {
			c := at(p, uint32(r.IntN(9)), time.Duration(r.IntN(24*3600))*time.Second, wire.Direction(1+r.IntN(2)))
			switch r.IntN(12) {
			case 0:
				c.Subject = qrgate.Subject{}
			case 1:
				c.Earliest -= r.Int64N(2 * time.Hour.Milliseconds())
			case 2:
				c.Verdict = wire.Verdict(1 + r.IntN(4))
			case 3:
				c.Received += 24 * time.Hour.Milliseconds()
			}
			all = append(all, c)
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// ever is a window that holds whatever was received.
var ever = movement.Window{Until: 1 << 60}

// ending are rows of a database that went away.
type ending struct{}

func (ending) EachOfDay(ctx context.Context, _ qrgate.Day, _ func(*qrgate.Checkin) error) error {
	return ctx.Err()
}

func contextThatEnds(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}
