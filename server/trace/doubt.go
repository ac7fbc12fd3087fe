package trace

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

// A Suspicion is a check-in that may be no true one, and why.
type Suspicion struct {
	ID     ID
	Doubt  Doubt
	Person qrgate.Person // 0 if the check-in names nobody
	At     qrgate.Spot
	When   when.Interval
	Kiosk  string
	Gate   string
	// Count is of a crowd or a burst how many check-ins it has, and of one card
	// how often it came.
	Count int
	// Of an impossible journey: the check-in at its other end, how far off that
	// is, and how much time there was for it at most.
	Other    ID
	OtherAt  qrgate.Spot
	Metres   int
	Duration int64 // milliseconds
}

// What is doubtful.
const (
	crowd    = 20         // so many who come
	crowdFor = hour       // within such a time
	shut     = 2 * hour   // while the place is closed, so long before and after
	burst    = 45         // so many whom one kiosk scans
	burstFor = minute / 2 // within such a time: nobody can hold up cards so fast
	claims   = 300        // so many who scan one place's poster in that time
	again    = 6          // so often one person comes
	againFor = 10 * minute
)

// A moment is an event with a time by which it is compared with others.
type moment struct {
	event int32
	group int32 // moments of different groups have nothing to do with each other
	at    int64
}

// suspect marks the events that are doubtful, and those of them that do not
// count. The events must be sorted.
func (r *reading) suspect(c *calendar, rules *Rules) []Suspicion {
	var all []Suspicion
	note := func(i int32, why Doubt, count int) {
		e := &r.events[i]
		d := &r.details[e.detail]
		if d.doubt != "" {
			return // one reason is enough
		}
		d.doubt = why
		d.out = !rules.counts(d.id)
		e.doubt = d.out
		all = append(all, Suspicion{
			ID: d.id, Doubt: why, Person: e.person, At: r.at, When: when.Interval{Earliest: e.earliest, Latest: e.latest},
			Kiosk: d.kiosk, Gate: d.gate, Count: count,
		})
	}
	closed, scans, phones := r.moments(c)
	gather(closed, crowd, crowdFor, func(i int32, n int) { note(i, ClosedHours, n) })
	gather(scans, burst, burstFor, func(i int32, n int) { note(i, Burst, n) })
	gather(phones, claims, burstFor, func(i int32, n int) { note(i, Burst, n) })
	for i := 0; i < len(r.events); {
		j := i + 1
		for j < len(r.events) && r.events[j].person == r.events[i].person {
			j++
		}
		if j-i > again {
			r.suspectAgain(i, j, note)
		}
		i = j
	}
	return all
}

// suspectAgain looks at the events of one person. The first of many
// is believed.
func (r *reading) suspectAgain(from, to int, note func(int32, Doubt, int)) {
	var came []moment
	for i := from; i < to; i++ {
		if e := &r.events[i]; e.way == 0 {
			came = append(came, moment{event: int32(i), at: e.latest})
		}
	}
	last := -unbounded
	gather(came, again, againFor, func(i int32, n int) {
		at := r.events[i].latest
		if at-last <= againFor {
			note(i, Again, n)
		}
		last = at
	})
}

// moments returns those who came while the place was certainly closed, and those
// whose kiosk or telephone counted in any window more than can be.
func (r *reading) moments(c *calendar) (closed, scans, phones []moment) {
	type slot struct {
		boot int32
		no   int64
	}
	busy := map[slot]int32{}
	const online = minute // bounds that are wider tell nothing of a burst
	for i := range r.events {
		e := &r.events[i]
		if e.way != came {
			continue
		}
		if c.closed(when.Interval{Earliest: e.earliest, Latest: e.latest}, shut) {
			closed = append(closed, moment{event: int32(i), at: e.latest})
		}
		if r.details[e.detail].with != 0 {
			continue // a family comes with one card
		}
		if e.boot != 0 {
			busy[slot{e.boot, e.since / burstFor}]++
		} else if e.latest-e.earliest < online {
			busy[slot{0, e.latest / burstFor}]++
		}
	}
	limits := [...]int32{0: claims, 1: burst}
	for i := range r.events {
		e := &r.events[i]
		if e.way != came || r.details[e.detail].with != 0 || e.boot == 0 && e.latest-e.earliest >= online {
			continue
		}
		at := e.since
		if e.boot == 0 {
			at = e.latest
		}
		no := at / burstFor
		here := busy[slot{e.boot, no}]
		limit := limits[min(e.boot, 1)]
		if here+max(busy[slot{e.boot, no - 1}], busy[slot{e.boot, no + 1}]) < limit {
			continue
		}
		if m := (moment{event: int32(i), group: e.boot, at: at}); e.boot == 0 {
			phones = append(phones, m)
		} else {
			scans = append(scans, m)
		}
	}
	return closed, scans, phones
}

// gather calls fn once with each of many moments that lie within a time, in
// order, and with how many they are there.
func gather(all []moment, many int, within int64, fn func(event int32, n int)) {
	if len(all) < many {
		return
	}
	slices.SortFunc(all, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.at, b.at), cmp.Compare(a.event, b.event))
	})
	told, from := 0, 0
	for to := range all {
		for all[from].group != all[to].group || all[to].at-all[from].at > within {
			from++
		}
		if n := to - from + 1; n >= many {
			for told = max(told, from); told <= to; told++ {
				fn(all[told].event, n)
			}
		}
	}
}
