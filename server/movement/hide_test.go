package movement_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/sync/wire"
)

// steps are the steps by which cells are put together, as the package's comment
// has them; moves has one more.
func steps(moves bool) []func(movement.Figure) movement.Figure {
	all := []func(movement.Figure) movement.Figure{
		func(f movement.Figure) movement.Figure { return f },
		func(f movement.Figure) movement.Figure { f.Span = f.Span.Within(); return f },
		func(f movement.Figure) movement.Figure { f.Span = movement.AllDay; return f },
		func(f movement.Figure) movement.Figure { f.Sector = ""; return f },
	}
	if moves {
		all = append(all, func(f movement.Figure) movement.Figure { f.From = ""; return f })
	}
	return append(all, func(f movement.Figure) movement.Figure { f.To = ""; return f })
}

// line returns a cell and what holds it, the smallest first.
func line(c cell, moves bool) []movement.Figure {
	f := movement.Figure{From: c.From, To: c.To, Sector: c.Sector, Span: movement.Span(c.Hour)}
	var all []movement.Figure
	for _, step := range steps(moves) {
		f = step(f)
		all = append(all, f)
	}
	return all
}

// check says what is wrong with the figures of some cells.
func check(t *testing.T, cells map[cell]map[string]bool, got []movement.Figure, moves bool) {
	t.Helper()
	shown := map[movement.Figure]int{}
	for _, f := range got {
		n := f.People
		f.People = 0
		if _, twice := shown[f]; twice {
			t.Errorf("%+v comes twice", f)
		}
		shown[f] = n
		if n < movement.Least {
			t.Errorf("%+v is of %d people", f, n)
		}
	}
	who := map[movement.Figure]map[string]bool{}
	for c, people := range cells {
		for i, f := range line(c, moves) {
			if i == 0 && len(people) >= movement.Least && shown[f] == 0 {
				t.Errorf("%+v has %d people and is hidden", c, len(people))
			}
			if shown[f] == 0 {
				continue
			}
			if who[f] == nil {
				who[f] = map[string]bool{}
			}
			for p := range people {
				who[f][p] = true
			}
			break // nobody is in two figures for one thing
		}
	}
	for f, n := range shown {
		if len(who[f]) != n {
			t.Errorf("%+v says %d people; what is hidden in it has %d", f, n, len(who[f]))
		}
	}
}

// TestFiguresAreOfTenPeople: each figure is a cell, or exactly what is hidden in
// what it stands for, and of ten different people at least.
func TestFiguresAreOfTenPeople(t *testing.T) {
	sums := 0
	for seed := range uint64(5 * seeds) {
		r := rand.New(rand.NewPCG(seed, 3))
		all := random(r, 20+r.IntN(1000), 1+r.IntN(5))
		got, err := movement.Count(t.Context(), all, day, ever, movement.Options{Places: places(), Room: 500})
		if err != nil {
			t.Fatal(err)
		}
		ref := refer(all, ever, places())
		check(t, ref.Arrivals, got.Arrivals, false)
		check(t, ref.Moves, got.Moves, true)
		for _, f := range slices.Concat(got.Arrivals, got.Moves) {
			if f.Span >= movement.Night {
				sums++
			}
		}
		for _, c := range got.Crowds {
			for q, n := range c.People {
				if want := ref.Present[c.Place][q]; want < movement.Least && n != 0 || want >= movement.Least && (int(n)-want > 2 || want-int(n) > 2 || n%5 != 0) {
					t.Errorf("crowd of %d in quarter %d = %d, of %d people", c.Place, q, n, want)
				}
			}
		}
	}
	if sums < 10*seeds {
		t.Errorf("only %d figures were put together: the test tests little", sums)
	}
}

// TestNobodyCanTell is the promise: for each cell that is hidden there is another
// day that has the very same figures and another number in that cell. So neither
// sums of rows and columns, nor questions that overlap, nor knowing this program
// tells what the number is.
func TestNobodyCanTell(t *testing.T) {
	current := area.Current()
	few := map[uint32]movement.Place{}
	for i, s := range []string{"trade", "health", "education"} {
		for j := range 3 {
			few[uint32(1+3*i+j)] = movement.Place{Area: current[j].ID.String(), Sector: s, Kind: "other"}
		}
	}
	hidden := 0
	for seed := range uint64(4 * seeds) {
		r := rand.New(rand.NewPCG(seed, 4))
		moves, dense := seed%2 == 1, seed%3 == 2
		// Each person is in one cell, so that a cell can be changed alone: of
		// moves, by coming from somewhere before dawn.
		type way struct {
			from, to uint32
			hour     int
		}
		var ways []way
		if dense {
			// Nine almost everywhere: a sum of them would say that each is nine.
			for hour := range 24 {
				for range 9 - r.IntN(8)/7 {
					ways = append(ways, way{1, 2, hour})
				}
			}
		}
		for range 60 + r.IntN(100) {
			if dense {
				break
			}
			w := way{uint32(1 + r.IntN(3)), uint32(1 + r.IntN(9)), 6 + r.IntN(5)}
			if r.IntN(4) == 0 {
				w.hour = r.IntN(24)
			}
			if r.IntN(3) == 0 {
				w.to = 1 + w.to%3
			}
			ways = append(ways, w)
		}
		count := func(ways []way) []movement.Figure {
			var all list
			for i, w := range ways {
				when := time.Duration(w.hour) * time.Hour
				if moves {
					all = append(all, at(i+1, w.from, when, wire.Out))
					when += time.Minute
				}
				all = append(all, at(i+1, w.to, when, wire.In))
			}
			d, err := movement.Count(t.Context(), all, day, ever, movement.Options{Places: few})
			if err != nil {
				t.Fatal(err)
			}
			if moves {
				return d.Moves
			}
			return d.Arrivals
		}
		cellOf := func(w way) cell {
			c := cell{"", few[w.to].Area, few[w.to].Sector, w.hour}
			if moves {
				c.From = few[w.from].Area
			}
			return c
		}
		got := count(ways)
		values := map[cell]int{}
		for _, w := range ways {
			if !moves || w.from != w.to {
				values[cellOf(w)]++
			}
		}
		// Those that hide somebody, and as many that hide nobody.
		var targets []way
		for range 5 {
			targets = append(targets, ways[r.IntN(len(ways))], way{uint32(1 + r.IntN(3)), uint32(1 + r.IntN(9)), r.IntN(24)})
		}
		for _, target := range targets {
			c := cellOf(target)
			if n := values[c]; n >= movement.Least || moves && target.from == target.to {
				continue
			}
			hidden++
			elsewhere := slices.Clone(ways)
			for from := range uint32(3) {
				for to := range uint32(9) {
					elsewhere = append(elsewhere, way{1 + from, 1 + to, target.hour})
				}
			}
			if !couldBeAnother(ways, elsewhere, target, func(w way) bool { return cellOf(w) == c }, func(other []way) bool { return cmp.Equal(got, count(other)) }) {
				t.Fatalf("seed %d: nobody is hidden in %+v: it can only be %d", seed, c, values[c])
			}
		}
	}
	if hidden < 10*seeds {
		t.Errorf("only %d hidden cells were tried", hidden)
	}
}

// couldBeAnother looks for ways that have the same figures and more or fewer
// people in the target's cell: somebody in it goes elsewhere, or somebody else goes
// its way, or one is not there at all.
func couldBeAnother[W any](ways, elsewhere []W, target W, in func(W) bool, same func([]W) bool) bool {
	if same(append(slices.Clone(ways), target)) {
		return true
	}
	tried := 0
	for i, w := range ways {
		var others []W
		if in(w) {
			if same(slices.Delete(slices.Clone(ways), i, i+1)) {
				return true
			}
			for _, o := range elsewhere {
				if !in(o) {
					others = append(others, o)
				}
			}
		} else {
			others = []W{target}
		}
		for _, o := range others {
			changed := slices.Clone(ways)
			changed[i] = o
			if same(changed) {
				return true
			}
			if tried++; tried > 2000 {
				return false
			}
		}
	}
	return false
}

// TestNestedQuestions: what two questions differ by is nobody, or ten people at
// least.
func TestNestedQuestions(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	all := random(r, 3000, 4)
	d, err := movement.Count(t.Context(), all, day, ever, movement.Options{Places: places()})
	if err != nil {
		t.Fatal(err)
	}
	var areas, sectors []string
	for _, p := range places() {
		areas, sectors = append(areas, p.Area), append(sectors, sector(p))
	}
	some := func(ids []string) (few, more movement.Set) {
		var a, b []string
		for _, id := range ids {
			switch r.IntN(3) {
			case 0:
				a, b = append(a, id), append(b, id)
			case 1:
				b = append(b, id)
			}
		}
		switch r.IntN(4) {
		case 0:
			return movement.All, movement.All
		case 1:
			return movement.Of(a...), movement.All
		}
		return movement.Of(a...), movement.Of(b...)
	}
	for range 5000 {
		small, large := movement.Any(), movement.Any()
		small.From, large.From = some(areas)
		small.To, large.To = some(areas)
		small.Touching, large.Touching = some(areas)
		small.Sector, large.Sector = some(sectors)
		small.Span = movement.Span(r.IntN(30))
		large.Span = []movement.Span{small.Span, small.Span.Within(), movement.AllDay}[r.IntN(3)]
		for _, figures := range [][]movement.Figure{d.Arrivals, d.Moves} {
			n := movement.Sum(figures, large) - movement.Sum(figures, small)
			if n < 0 || n > 0 && n < movement.Least {
				t.Fatalf("%+v and %+v differ by %d people", small, large, n)
			}
		}
	}
}

// TestSecondRunIsOfTen: what is new in a second run is figures of their own.
func TestSecondRunIsOfTen(t *testing.T) {
	var all list
	for p := 1; p <= 8; p++ {
		all = append(all, at(p, 1, 8*time.Hour, wire.In))
	}
	late := func(n int) []movement.Figure {
		more := slices.Clone(all)
		for p := 100; p < 100+n; p++ {
			c := at(p, 1, 8*time.Hour, wire.In)
			c.Received += 48 * time.Hour.Milliseconds()
			more = append(more, c)
		}
		d, err := movement.Count(t.Context(), more, day, movement.Window{After: (day + 1).Start().UnixMilli(), Until: 1 << 60}, movement.Options{Places: places()})
		if err != nil {
			t.Fatal(err)
		}
		return d.Arrivals
	}
	if got := late(9); len(got) > 0 {
		t.Errorf("nine late people beside eight are told: %+v", got)
	}
	if got := late(10); len(got) != 1 || got[0].People != 10 {
		t.Errorf("ten late people beside eight = %+v, want ten", got)
	}
}
