package trace

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

const (
	day = 24 * hour
	// late is how long after closing time the last people are out, and early how
	// long before opening time the first come.
	late  = 30 * minute
	early = hour
	// lunch is the longest pause over which people may stay.
	lunch = 4 * hour
	// mostDays is for how long a calendar is laid out.
	mostDays = 800
	// unbounded is farther off than any check-in.
	unbounded = int64(1) << 60
)

// A calendar is when a place is open, from one moment to another. Its zero value
// is a place that may be open at any time.
type calendar struct {
	open []when.Interval // apart from each other, in order; Latest is closing time
}

// newCalendar lays out hours so that every question between two moments finds
// the opening time before and the closing time after it.
func newCalendar(hours []qrgate.Hours, from, to int64) calendar {
	if len(hours) == 0 || to-from > mostDays*day { // nobody asks that of what is kept for weeks
		return calendar{}
	}
	var all []when.Interval
	// Nothing is closed for longer than a week.
	for d := qrgate.DayOfMilli(from) - 8; d <= qrgate.DayOfMilli(to)+8; d++ {
		weekday := time.Weekday((int(d)%7 + 4 + 7) % 7) // 1970-01-01 was a Thursday
		start := d.Start().UnixMilli()
		for _, h := range hours {
			if !h.Days.Has(weekday) {
				continue
			}
			in := when.Interval{Earliest: start + int64(h.Open)*minute, Latest: start + int64(h.Close)*minute}
			if h.Close <= h.Open {
				in.Latest += day
			}
			all = append(all, in)
		}
	}
	slices.SortFunc(all, func(a, b when.Interval) int { return cmp.Compare(a.Earliest, b.Earliest) })
	var open []when.Interval
	for _, in := range all {
		if n := len(open); n > 0 && in.Earliest <= open[n-1].Latest+lunch {
			open[n-1].Latest = max(open[n-1].Latest, in.Latest)
			continue
		}
		open = append(open, in)
	}
	if len(open) == 1 { // it never closes
		return calendar{}
	}
	return calendar{open}
}

// closes returns by when whoever is there at a moment is out, should they not
// stay overnight: after the first closing time that follows. It never falls as t
// rises.
func (c *calendar) closes(t int64) int64 {
	i := sort.Search(len(c.open), func(i int) bool { return c.open[i].Latest > t })
	if i == len(c.open) {
		return unbounded
	}
	return c.open[i].Latest + late
}

// opens returns since when whoever is there at a moment can have been, should
// they not stay overnight: the opening time before, or for who came before it
// the one before that.
func (c *calendar) opens(t int64) int64 {
	i := sort.Search(len(c.open), func(i int) bool { return c.open[i].Earliest >= t })
	if i == 0 {
		return -unbounded
	}
	return c.open[i-1].Earliest - early
}

// parts reports whether the place was closed and open again between two
// moments, so that they are of two stays.
func (c *calendar) parts(from, to int64) bool {
	i := sort.Search(len(c.open), func(i int) bool { return c.open[i].Latest > from })
	return i+1 < len(c.open) && to >= c.open[i+1].Earliest
}

// around returns between which moments a stay that touches in can have begun and
// ended, should nobody stay overnight.
func (c *calendar) around(in when.Interval) (from, to int64) {
	from, to = -unbounded, unbounded
	// Who is there while it is closed has come before it closed, or stays until
	// after it opens.
	if i := sort.Search(len(c.open), func(i int) bool { return c.open[i].Earliest > in.Earliest }); i > 1 {
		from = c.open[i-2].Latest
	}
	if i := sort.Search(len(c.open), func(i int) bool { return c.open[i].Latest > in.Latest }); i+1 < len(c.open) {
		to = c.open[i+1].Earliest
	}
	return from, to
}

// closed reports whether the place was closed during all of in, and for at least
// margin before and after it.
func (c *calendar) closed(in when.Interval, margin int64) bool {
	i := sort.Search(len(c.open), func(i int) bool { return c.open[i].Latest > in.Earliest-margin })
	// What came before the first opening time that is laid out was at a time of
	// which nothing is known.
	return 0 < i && i < len(c.open) && c.open[i].Earliest > in.Latest+margin
}
