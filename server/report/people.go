package report

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Fewest is the smallest number of people that is published. One below it says
// too much of each of them to whoever knows some.
const Fewest = 10

// A Cell is how many people checked in at the places of one sector, kind and
// commune on one day. Nothing smaller is ever counted for others, so that two
// numbers can not be taken from each other to get at one.
type Cell struct {
	Sector, Kind, Area string // Area is the commune of today
	Day                qrgate.Day
	People             int64
	Withheld           bool // it is of too few members of an association
}

// A Sum is what may be told of some cells together: what those of at least
// [Fewest] add up to, and how many others there are that are not empty. It depends
// on nothing else, so that neither it nor any number of them tells what is in a
// cell that is hidden.
type Sum struct {
	Shown    int64
	Hidden   int
	Withheld int // cells of which nothing may be told
}

func (s *Sum) add(c *Cell) {
	switch {
	case c.Withheld:
		s.Withheld++
	case c.People >= Fewest:
		s.Shown += c.People
	case c.People > 0:
		s.Hidden++
	}
}

// Text returns the sum in words: a number, "<10" of one cell that is hidden, or
// the least that it can be.
func (s Sum) Text(number func(int64) string) string {
	switch {
	case s.Withheld > 0 && s.Least() == 0:
		return "–"
	case s.Withheld > 0:
		return "≥\u00a0" + number(s.Least())
	case s.Hidden == 0:
		return number(s.Shown)
	case s.Shown == 0 && s.Hidden == 1:
		return "<" + number(Fewest)
	}
	return "≥\u00a0" + number(s.Least())
}

// Least returns the least that the sum can be: somebody is in each hidden cell.
func (s Sum) Least() int64 { return s.Shown + int64(s.Hidden) }

// Total adds up the cells that keep lets through; nil keeps all.
func Total(cells []Cell, keep func(*Cell) bool) (s Sum) {
	for i := range cells {
		if keep == nil || keep(&cells[i]) {
			s.add(&cells[i])
		}
	}
	return s
}

// A SumGroup is the sum of the cells that have something in common.
type SumGroup struct {
	Key string
	Sum Sum
}

// TotalBy adds up the cells by a key, in the order of keys.
func TotalBy(cells []Cell, key func(*Cell) string) []SumGroup {
	at := map[string]*Sum{}
	for i := range cells {
		k := key(&cells[i])
		if at[k] == nil {
			at[k] = new(Sum)
		}
		at[k].add(&cells[i])
	}
	groups := make([]SumGroup, 0, len(at))
	for k, s := range at {
		groups = append(groups, SumGroup{k, *s})
	}
	slices.SortFunc(groups, func(a, b SumGroup) int { return cmp.Compare(a.Key, b.Key) })
	return groups
}

// Coverage returns how many of a hundred people who went in had checked in, where
// somebody has counted both, and false where too few were counted to say.
func Coverage(people, scanned int64) (percent int, ok bool) {
	if people < 3*Fewest || scanned < 0 {
		return 0, false
	}
	return int(min(scanned, people) * 100 / people), true
}

// Tens returns a number of people in whole tens, rounded down: no difference of two of
// them, of one place or day more, is a number of few people.
func Tens(people int64) int64 { return people / Fewest * Fewest }
