package movement_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// A province is the check-ins of a day, made as they are told.
type province struct {
	checkins int
	places   map[uint32]movement.Place
}

func newProvince(checkins int) province {
	r := rand.New(rand.NewPCG(8, 8))
	p := province{checkins, map[uint32]movement.Place{}}
	areas, sectors, kinds := area.Current(), []string{"trade", "trade", "trade", "education", "health", "tourism", "construction"}, qrgate.PlaceKinds()
	for no := range uint32(20_000) {
		// Few communes have most of the places.
		a := min(r.IntN(len(areas)), r.IntN(len(areas)))
		p.places[no+1] = movement.Place{Area: areas[a].ID.String(), Sector: sectors[r.IntN(len(sectors))], Kind: kinds[r.IntN(len(kinds))].ID}
	}
	return p
}

func (p province) EachOfDay(_ context.Context, _ qrgate.Day, fn func(*qrgate.Checkin) error) error {
	r := rand.New(rand.NewPCG(9, 9))
	start := day.Start().UnixMilli()
	for i := range p.checkins {
		// Each person checks in and out at two places.
		hour := 6 + r.NormFloat64()*1.5 + float64(i%4)*3
		ms := start + int64(max(0, min(hour, 23.9))*3.6e6)
		c := qrgate.Checkin{
			Day: day, Subject: subject(i / 4), PlaceNo: 1 + min(r.Uint32N(20_000), r.Uint32N(20_000)), Verdict: wire.Admitted,
			Direction: wire.In + wire.Direction(i%4/3), Earliest: ms, Latest: ms + 40, Received: ms,
		}
		if err := fn(&c); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkCount counts a day of a province. What it takes to make the check-ins
// is part of it.
func BenchmarkCount(b *testing.B) {
	for _, n := range []int{500_000, 1_000_000} {
		p := newProvince(n)
		for _, room := range []int{1 << 20, 1 << 17} {
			b.Run(fmt.Sprintf("checkins=%d/room=%d", n, room), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					d, err := movement.Count(b.Context(), p, day, movement.Window{Until: 1 << 60}, movement.Options{Places: p.places, Room: room})
					if err != nil {
						b.Fatal(err)
					}
					body := d.Encode()
					b.ReportMetric(float64(len(d.Arrivals)+len(d.Moves)), "figures")
					b.ReportMetric(float64(len(body)), "bytes")
					b.ReportMetric(float64(movement.Sum(d.Moves, movement.Any())), "moves")
					b.ReportMetric(float64(len(d.Crowds)), "crowds")
				}
			})
		}
	}
}

// BenchmarkDecode reads a day's figures and sums them.
func BenchmarkDecode(b *testing.B) {
	p := newProvince(500_000)
	d, err := movement.Count(b.Context(), p, day, movement.Window{Until: 1 << 60}, movement.Options{Places: p.places})
	if err != nil {
		b.Fatal(err)
	}
	body := d.Encode()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var d movement.Day
		if err := d.Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
