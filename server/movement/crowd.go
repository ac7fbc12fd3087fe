package movement

import (
	"cmp"
	"slices"
	"time"
)

// A crowd is what is known of how full a place was.
type crowd struct {
	// By how much the number of people changes at the end of each quarter.
	change [Quarters + 1]int32
	// Those who were not identified, by quarter.
	in, out [Quarters + 1]int32
}

func (c *count) crowdOf(place uint32) *crowd {
	f := c.crowds[place]
	if f == nil {
		f = new(crowd)
		c.crowds[place] = f
	}
	return f
}

// ending returns the first quarter at whose end something of that moment shows.
func ending(at int32) int {
	const length = int32(quarter / time.Millisecond)
	return int(max(0, (at+length-1)/length-1))
}

// crowd adds one person to the places where they were. Nobody is at two: who is
// seen elsewhere has left.
func (c *count) crowd(sights []sight) {
	const none = -1
	open := none // the sight by which the person is somewhere
	free := int32(0)
	leave := func(at int32) {
		if open == none {
			return
		}
		s := &sights[open]
		c.stay(s.place, s.at, min(at, s.at+c.places[s.place].stay))
		free, open = at, none
	}
	for i := range sights {
		s := &sights[i]
		here := open != none && sights[open].place == s.place
		switch {
		case s.out && here:
			c.stay(s.place, sights[open].at, s.at)
			free, open = s.at, none
		case s.out:
			// Nobody saw them come.
			leave(s.at)
			c.stay(s.place, max(free, s.at-c.places[s.place].stay), s.at)
			free = s.at
		case !here:
			leave(s.at)
			open = i
		}
	}
	leave(int32(dayLong / time.Millisecond))
}

// stay adds somebody from one moment to another.
func (c *count) stay(place uint32, from, until int32) {
	f := c.crowdOf(place)
	f.change[ending(from)]++
	f.change[ending(until)]--
}

func (c *count) strangerCrowd(s sight) {
	f := c.crowdOf(s.place)
	if s.out {
		f.out[ending(s.at)]++
	} else {
		f.in[ending(s.at)]++
	}
}

// full returns the crowds that may be shown.
func (c *count) full() []Crowd {
	var all []Crowd
	for at, f := range c.crowds {
		p := &c.places[at]
		figures := Crowd{Place: p.no}
		f.strangers(max(1, int(p.stay)/int(quarter/time.Millisecond)))
		n, seen := int32(0), false
		for q := range Quarters {
			n += f.change[q]
			if int(n) >= c.least {
				figures.People[q] = uint32(nearest(int(n), min(5, c.least)))
				seen = true
			}
		}
		if seen {
			all = append(all, figures)
		}
	}
	slices.SortFunc(all, func(a, b Crowd) int { return cmp.Compare(a.Place, b.Place) })
	return all
}

// strangers adds those of whom nobody knows who left: the first who came is the
// first who goes, at the latest after stay quarters, and nobody goes who did not
// come.
func (f *crowd) strangers(stay int) {
	left := f.in // who is still there, by when they came
	oldest := 0
	for q := range Quarters {
		if gone := q - stay; gone >= 0 && left[gone] > 0 {
			f.change[q] -= left[gone]
			left[gone] = 0
		}
		f.change[q] += f.in[q]
		for leaving := f.out[q]; leaving > 0 && oldest <= q; {
			if left[oldest] == 0 {
				oldest++
				continue
			}
			n := min(leaving, left[oldest])
			left[oldest] -= n
			leaving -= n
			f.change[q] -= n
		}
	}
}
