package movement

import (
	"cmp"
	"slices"

	counted "github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
)

// An answer is the sums of figures within a question.
type answer struct {
	days            []dayLine
	arrivals        int
	moves           int
	across          int // of moves, those to another commune
	byArea          []areaLine
	bySector        []sectorLine
	hours           [24]int // arrivals
	flows           []flow  // the strongest first
	counted         int     // days
	unsure, doubted int     // of everything, whatever was asked
}

// A dayLine is the arrivals of one day.
type dayLine struct {
	day     qrgate.Day
	counted bool
	hours   [24]int
	all     int
}

// An areaLine is what came to a commune, and left it for others.
type areaLine struct {
	no                        uint16
	arrivals, in, out, inside int
}

type sectorLine struct {
	no              uint16
	arrivals, moves int
}

// A flow is how many went from one commune to another, or moved within one.
type flow struct {
	from, to uint16
	people   int
}

func (q *question) answer(a *atlas, leaves map[qrgate.Day]*leaf) *answer {
	s := &answer{byArea: make([]areaLine, len(a.areas)), bySector: make([]sectorLine, len(a.sectors))}
	n := len(a.areas)
	flows := make([]int, n*n)
	for day := q.to; day >= q.from; day-- {
		line := dayLine{day: day}
		if l := leaves[day]; l != nil {
			line.counted = true
			s.counted++
			s.unsure, s.doubted = s.unsure+l.unsure, s.doubted+l.doubted
			for i := range l.arrivals {
				e := &l.arrivals[i]
				if q.holds(e) {
					s.arrive(e, &line)
				}
			}
			for i := range l.moves {
				e := &l.moves[i]
				if q.holds(e) {
					s.move(e, flows, n)
				}
			}
		}
		s.days = append(s.days, line)
	}
	for i := range s.byArea {
		s.byArea[i].no = uint16(i)
	}
	for i := range s.bySector {
		s.bySector[i].no = uint16(i)
	}
	for i, people := range flows {
		if people > 0 {
			s.flows = append(s.flows, flow{uint16(i / n), uint16(i % n), people})
		}
	}
	slices.SortStableFunc(s.flows, func(a, b flow) int { return cmp.Compare(b.people, a.people) })
	return s
}

func (s *answer) arrive(e *entry, line *dayLine) {
	people := int(e.people)
	s.arrivals += people
	line.all += people
	if e.span < counted.Night {
		line.hours[e.span] += people
		s.hours[e.span] += people
	}
	if e.to != several {
		s.byArea[e.to].arrivals += people
	}
	if e.sector != several {
		s.bySector[e.sector].arrivals += people
	}
}

func (s *answer) move(e *entry, flows []int, n int) {
	people := int(e.people)
	s.moves += people
	if e.sector != several {
		s.bySector[e.sector].moves += people
	}
	if e.from == several || e.to == several {
		return // from where is not known: it may be from the same commune
	}
	flows[int(e.from)*n+int(e.to)] += people
	if e.from == e.to {
		s.byArea[e.to].inside += people
		return
	}
	s.across += people
	s.byArea[e.to].in += people
	s.byArea[e.from].out += people
}

// busiest returns the hour in which most people came, and how many.
func (s *answer) busiest() (hour, people int) {
	for h, n := range s.hours {
		if n > people {
			hour, people = h, n
		}
	}
	return hour, people
}

// shades are how many steps a map or a table has from little to much.
const shades = 5

// A scale says which shade a number has.
type scale struct{ from [shades]int } // the least of each; 0 is none

// scaleOf returns a scale whose steps hold about as many of the numbers each.
func scaleOf(numbers []int) scale {
	var some []int
	for _, n := range numbers {
		if n > 0 {
			some = append(some, n)
		}
	}
	slices.Sort(some)
	some = slices.Compact(some)
	var s scale
	for i := range s.from {
		if len(some) > 0 {
			s.from[i] = some[i*len(some)/shades]
		}
	}
	return s
}

// shade returns the shade of a number, from 1; 0 is of what is hidden.
func (s scale) shade(n int) int {
	if n <= 0 {
		return 0
	}
	shade := 1
	for i, from := range s.from {
		if n >= from {
			shade = i + 1
		}
	}
	return shade
}
