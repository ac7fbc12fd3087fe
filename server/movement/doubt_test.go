package movement_test

import (
	"slices"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestDoubts(t *testing.T) {
	known := places()
	market := known[1]
	// Open from five to seven in the evening, on all days but Sundays.
	market.Hours = []qrgate.Hours{{Days: 0b1111110, Open: 5 * 60, Close: 19 * 60}}
	known[1] = market
	inn := known[2]
	inn.Hours = []qrgate.Hours{{Days: qrgate.EveryDay, Open: 18 * 60, Close: 2 * 60}} // past midnight
	known[2] = inn
	crowd := func(n int, place uint32, from, apart time.Duration, change func(*qrgate.Checkin)) list {
		var all list
		for p := 1; p <= n; p++ {
			c := at(p, place, from+time.Duration(p-1)*apart, wire.In)
			c.Kiosk, c.Presence = "gate-0001", wire.Verified
			if change != nil {
				change(&c)
			}
			all = append(all, c)
		}
		return all
	}
	phone := func(c *qrgate.Checkin) { c.Presence = wire.Claimed }
	for _, tt := range []struct {
		name string
		rows list
		want int
	}{
		{"a busy morning", crowd(400, 1, 8*time.Hour, 2*time.Second, nil), 0},
		{"more than pass a gate", crowd(60, 1, 8*time.Hour, 100*time.Millisecond, nil), 60},
		{"a family with one card", crowd(60, 1, 8*time.Hour, 100*time.Millisecond, func(c *qrgate.Checkin) { c.With = 7 }), 0},
		{"two gates", slices.Concat(crowd(40, 1, 8*time.Hour, 100*time.Millisecond, nil),
			crowd(40, 1, 8*time.Hour, 100*time.Millisecond, func(c *qrgate.Checkin) { c.Kiosk = "gate-0002" })), 0},
		{"a class with phones", crowd(200, 1, 8*time.Hour, 50*time.Millisecond, phone), 0},
		{"a robot", crowd(400, 1, 8*time.Hour, 50*time.Millisecond, phone), 400},
		{"those who leave", crowd(60, 1, 8*time.Hour, 100*time.Millisecond, func(c *qrgate.Checkin) { c.Direction = wire.Out }), 0},
		{"the zoo at two", crowd(25, 1, 2*time.Hour, time.Minute, nil), 25},
		{"early sellers", crowd(25, 1, 3*time.Hour+30*time.Minute, time.Minute, nil), 0},
		{"a few at two", crowd(12, 1, 2*time.Hour, time.Minute, nil), 0},
		{"guests past midnight", crowd(25, 2, time.Hour, time.Minute, nil), 0},
		{"guests at noon", crowd(25, 2, 12*time.Hour, time.Minute, nil), 25},
		{"a place without hours", crowd(25, 3, 2*time.Hour, time.Minute, nil), 0},
		{"nobody knows when", crowd(60, 1, 2*time.Hour, 0, func(c *qrgate.Checkin) { c.Earliest -= 2 * time.Hour.Milliseconds() }), 0},
	} {
		doubtful, err := movement.Doubts(t.Context(), tt.rows, day, known)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for i := range tt.rows {
			if doubtful(&tt.rows[i]) {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("%s: %d of %d are doubtful, want %d", tt.name, got, len(tt.rows), tt.want)
		}
	}
	ctx, cancel := contextThatEnds(t)
	cancel()
	if _, err := movement.Doubts(ctx, ending{}, day, known); err == nil {
		t.Error("Doubts() without rows has no error")
	}
}

// TestNobodyFlies: a move is left out that nobody can have made, the arrivals are
// not.
func TestNobodyFlies(t *testing.T) {
	known := places()
	for no, p := range map[uint32]qrgate.Point{1: {Lat: 16.47, Lon: 107.58}, 2: {Lat: 16.20, Lon: 107.99}} { // 53 km
		at := known[no]
		at.At = &p
		known[no] = at
	}
	for apart, want := range map[time.Duration]int{10 * time.Minute: 0, 30 * time.Minute: 15} {
		var all list
		for p := 1; p <= 15; p++ {
			all = append(all, at(p, 1, 8*time.Hour, wire.In), at(p, 2, 8*time.Hour+apart, wire.In))
		}
		d, err := movement.Count(t.Context(), all, day, ever, movement.Options{Places: known})
		if err != nil || movement.Sum(d.Moves, movement.Any()) != want || movement.Sum(d.Arrivals, movement.Any()) != 30 {
			t.Errorf("%s apart: %+v and %+v, %v; want %d moves and 30 arrivals", apart, d.Moves, d.Arrivals, err, want)
		}
	}
}
