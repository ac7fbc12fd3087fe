package movement_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// TestCountsAsTheReference shows every cell, by a least of one, and compares it
// with a plain count of sets: whole days, and the parts that came late; in one
// pass and in many.
func TestCountsAsTheReference(t *testing.T) {
	for seed := range uint64(40 * seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		all := random(r, 1+r.IntN(60), 1+r.IntN(6))
		windows := []movement.Window{ever, {After: day.Start().Add(12 * time.Hour).UnixMilli(), Until: 1 << 60}, {Until: day.Start().Add(12 * time.Hour).UnixMilli()}}
		w := windows[r.IntN(len(windows))]
		got, err := movement.Count(t.Context(), all, day, w, movement.Options{Places: places(), Least: 1, Room: 1 + r.IntN(40)})
		if err != nil {
			t.Fatal(err)
		}
		ref := refer(all, w, places())
		if d := cmp.Diff(figures(ref.Arrivals), got.Arrivals); d != "" {
			t.Fatalf("seed %d: arrivals (-want +got)\n%s", seed, d)
		}
		if d := cmp.Diff(figures(ref.Moves), got.Moves); d != "" {
			t.Fatalf("seed %d: moves (-want +got)\n%s", seed, d)
		}
		present := map[uint32][movement.Quarters]int{}
		for _, c := range got.Crowds {
			p := present[c.Place]
			for q, n := range c.People {
				p[q] = int(n)
			}
			present[c.Place] = p
		}
		for place, want := range ref.Present {
			if want == ([movement.Quarters]int{}) {
				delete(ref.Present, place)
			}
		}
		if d := cmp.Diff(ref.Present, present); d != "" {
			t.Fatalf("seed %d: crowds (-want +got)\n%s", seed, d)
		}
	}
}

// TestRunsAddUp counts a day at once and in three runs: who is in a cell is
// counted once, whichever run first knew.
func TestRunsAddUp(t *testing.T) {
	for seed := range uint64(10 * seeds) {
		r := rand.New(rand.NewPCG(seed, 2))
		all := random(r, 40, 5)
		o := movement.Options{Places: places(), Least: 1}
		count := func(w movement.Window) []movement.Figure {
			d, err := movement.Count(t.Context(), all, day, w, o)
			if err != nil {
				t.Fatal(err)
			}
			return d.Arrivals
		}
		noon, evening := day.Start().Add(12*time.Hour).UnixMilli(), day.Start().Add(20*time.Hour).UnixMilli()
		sums := map[movement.Figure]int{}
		for _, w := range []movement.Window{{0, noon}, {noon, evening}, {evening, 1 << 60}} {
			for _, f := range count(w) {
				n := f.People
				f.People = 0
				sums[f] += n
			}
		}
		for _, f := range count(ever) {
			n := f.People
			f.People = 0
			if sums[f] != n {
				t.Fatalf("seed %d: %+v is %d in three runs, %d at once", seed, f, sums[f], n)
			}
			delete(sums, f)
		}
		if len(sums) > 0 {
			t.Fatalf("seed %d: three runs count more: %v", seed, sums)
		}
	}
}

// TestOnePersonIsOne is of a driver who goes to and fro all day.
func TestOnePersonIsOne(t *testing.T) {
	var all list
	for i := range 60 {
		all = append(all, at(1, uint32(1+i%2), time.Duration(i)*20*time.Minute, wire.In))
	}
	got, err := movement.Count(t.Context(), all, day, ever, movement.Options{Places: places()})
	if err != nil || len(got.Arrivals)+len(got.Moves)+len(got.Crowds) > 0 {
		t.Errorf("Count() of one person = %+v, %v; want nothing", got, err)
	}
}

func TestDoubtsAreLeftOut(t *testing.T) {
	var all list
	for p := 1; p <= 40; p++ {
		all = append(all, at(p, 1, 8*time.Hour, wire.In))
	}
	o := movement.Options{Places: places(), Doubtful: func(c *qrgate.Checkin) bool { return c.Subject == subject(1) || c.Subject == subject(2) }}
	got, err := movement.Count(t.Context(), all, day, ever, o)
	if err != nil || len(got.Arrivals) != 1 || got.Arrivals[0].People != 38 || got.Doubted != 0 {
		t.Errorf("Count() = %+v, %v; want 38 people, and two doubts rounded to none", got, err)
	}
}

func TestCountFailsWithItsRows(t *testing.T) {
	ctx, cancel := contextThatEnds(t)
	cancel()
	if d, err := movement.Count(ctx, ending{}, day, ever, movement.Options{Places: places()}); err == nil {
		t.Errorf("Count() = %+v, want the error of its rows", d)
	}
}

func TestSpans(t *testing.T) {
	hours := 0
	for _, part := range movement.Parts() {
		from, until := part.Hours()
		for h := from; h < until; h++ {
			hours++
			if got := movement.Span(h).Within(); got != part || !part.Covers(movement.Span(h)) || movement.Span(h).Covers(part) {
				t.Errorf("hour %d lies in %d, want %d", h, got, part)
			}
		}
		if part.Within() != movement.AllDay || !movement.AllDay.Covers(part) {
			t.Errorf("part %d does not lie in the day", part)
		}
	}
	if hours != 24 {
		t.Errorf("the parts of a day have %d hours", hours)
	}
}

func ExampleSum() {
	figures := []movement.Figure{
		{From: "a", To: "b", Sector: "trade", Span: 8, People: 30},
		{From: "a", To: "b", Sector: "trade", Span: movement.AllDay, People: 14}, // of hours that are not named
	}
	morning, all := movement.Any(), movement.Any()
	morning.Span = movement.Morning
	fmt.Println(movement.Sum(figures, morning), movement.Sum(figures, all))
	// Output: 30 44
}
