package movement_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// A cell is a figure's place before anything is hidden.
type cell struct {
	From, To, Sector string
	Hour             int
}

// reference counts as the package's comment says, plainly: with a set of people
// for each cell, however slow.
type reference struct {
	Arrivals, Moves map[cell]map[string]bool
	// Present is how many are at a place at the end of a quarter.
	Present map[uint32][movement.Quarters]int
}

func refer(all list, w movement.Window, places map[uint32]movement.Place) reference {
	ref := reference{map[cell]map[string]bool{}, map[cell]map[string]bool{}, map[uint32][movement.Quarters]int{}}
	add := func(cells map[cell]map[string]bool, c cell, who string) {
		if cells[c] == nil {
			cells[c] = map[string]bool{}
		}
		cells[c][who] = true
	}
	people := map[qrgate.Subject]list{}
	strangers := map[uint32]list{}
	for i, c := range all {
		p, ok := places[c.PlaceNo]
		if !ok || !known(p) || c.Received > w.Until || c.Latest-c.Earliest > time.Hour.Milliseconds() {
			continue
		}
		if c.Verdict != wire.Admitted && c.Verdict != wire.Unrecorded {
			continue
		}
		if c.Subject != (qrgate.Subject{}) {
			people[c.Subject] = append(people[c.Subject], c)
			continue
		}
		strangers[c.PlaceNo] = append(strangers[c.PlaceNo], c)
		if c.Direction == wire.In && c.Received > w.After {
			add(ref.Arrivals, cell{"", p.Area, sector(p), hour(&c)}, fmt.Sprint("stranger", i))
		}
	}
	for s, seen := range people {
		sorted(seen)
		ref.present(seen, places)
		arrivals, moves := follow(seen, places)
		var earlier list
		for _, c := range seen {
			if c.Received <= w.After {
				earlier = append(earlier, c)
			}
		}
		knownArrivals, knownMoves := follow(earlier, places)
		for c := range arrivals {
			if !knownArrivals[c] {
				add(ref.Arrivals, c, string(s[:]))
			}
		}
		for c := range moves {
			if !knownMoves[c] {
				add(ref.Moves, c, string(s[:]))
			}
		}
	}
	for place, seen := range strangers {
		ref.strangers(place, seen, movement.Stay(places[place].Kind))
	}
	return ref
}

func known(p movement.Place) bool { return p.Area != "99999@2025-07-01" }

func sector(p movement.Place) string {
	if p.Sector == "transport" {
		return "construction"
	}
	return p.Sector
}

func moment(c *qrgate.Checkin) time.Duration {
	mid := time.Duration(c.Earliest+(c.Latest-c.Earliest)/2-day.Start().UnixMilli()) * time.Millisecond
	return min(max(mid, 0), 24*time.Hour-time.Millisecond)
}

func hour(c *qrgate.Checkin) int { return int(moment(c) / time.Hour) }

func sorted(l list) {
	// Those of one moment come in the order of places, and in before out.
	slices.SortFunc(l, func(a, b qrgate.Checkin) int {
		return cmp.Or(cmp.Compare(moment(&a), moment(&b)), cmp.Compare(a.PlaceNo, b.PlaceNo), cmp.Compare(a.Direction, b.Direction))
	})
}

func follow(seen list, places map[uint32]movement.Place) (arrivals, moves map[cell]bool) {
	arrivals, moves = map[cell]bool{}, map[cell]bool{}
	for i := range seen {
		p := places[seen[i].PlaceNo]
		if seen[i].Direction == wire.In {
			arrivals[cell{"", p.Area, sector(p), hour(&seen[i])}] = true
		}
		if i > 0 && seen[i-1].PlaceNo != seen[i].PlaceNo {
			moves[cell{places[seen[i-1].PlaceNo].Area, p.Area, sector(p), hour(&seen[i])}] = true
		}
	}
	return arrivals, moves
}

// present marks where a person is at the end of each quarter.
func (ref *reference) present(seen list, places map[uint32]movement.Place) {
	mark := func(place uint32, from, until time.Duration) {
		p := ref.Present[place]
		for q := range movement.Quarters {
			if end := time.Duration(q+1) * 15 * time.Minute; from <= end && end < until {
				p[q]++
			}
		}
		ref.Present[place] = p
	}
	var here uint32 // 0 is nowhere
	var since, free time.Duration
	stay := func() time.Duration { return movement.Stay(places[here].Kind) }
	for i := range seen {
		c, t := &seen[i], moment(&seen[i])
		if here != 0 && c.PlaceNo == here {
			if c.Direction == wire.Out {
				mark(here, since, t)
				here, free = 0, t
			}
			continue
		}
		if here != 0 {
			mark(here, since, min(t, since+stay()))
			here, free = 0, t
		}
		if c.Direction == wire.Out {
			mark(c.PlaceNo, max(free, t-movement.Stay(places[c.PlaceNo].Kind)), t)
			free = t
			continue
		}
		here, since = c.PlaceNo, t
	}
	if here != 0 {
		mark(here, since, min(24*time.Hour, since+stay()))
	}
}

// strangers marks how many of those whom nobody identified are there at the end
// of each quarter: each leaves with the next check-out that nobody before them
// needs, or when people usually leave.
func (ref *reference) strangers(place uint32, seen list, stay time.Duration) {
	quarters := max(1, int(stay/(15*time.Minute)))
	showsAt := func(c *qrgate.Checkin) int {
		q := 0
		for time.Duration(q+1)*15*time.Minute < moment(c) {
			q++
		}
		return q
	}
	var there []int // when they came
	p := ref.Present[place]
	for q := range movement.Quarters {
		there = slices.DeleteFunc(there, func(came int) bool { return came+quarters <= q })
		for i := range seen {
			if seen[i].Direction == wire.In && showsAt(&seen[i]) == q {
				there = append(there, q)
			}
		}
		for i := range seen {
			if seen[i].Direction == wire.Out && showsAt(&seen[i]) == q && len(there) > 0 {
				there = there[1:]
			}
		}
		p[q] += len(there)
	}
	ref.Present[place] = p
}

// figures returns cells as figures of one hour.
func figures(cells map[cell]map[string]bool) []movement.Figure {
	all := []movement.Figure{}
	for c, who := range cells {
		all = append(all, movement.Figure{From: c.From, To: c.To, Sector: c.Sector, Span: movement.Span(c.Hour), People: len(who)})
	}
	slices.SortFunc(all, order)
	return all
}

func order(a, b movement.Figure) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Sector, b.Sector), cmp.Compare(a.Span, b.Span))
}
