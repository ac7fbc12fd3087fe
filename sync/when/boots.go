package when

import (
	"bytes"
	"cmp"
	"math"
	"slices"
)

// An Interval holds an event: it happened between its ends, in Unix
// milliseconds, both included.
type Interval struct {
	Earliest, Latest int64
}

// A Span is what the server has received of one boot: a run of its records.
type Span struct {
	Boot        Boot
	First, Last uint64 // sequence numbers in the ledger
	Start, End  int64  // milliseconds since boot of the first and last record

	// What the arrival says: the moment ArrivedSince of the boot was past when
	// the server's clock showed Arrived (Unix milliseconds). For a batch,
	// ArrivedSince is its End.
	Arrived, ArrivedSince int64
}

func (s Span) merge(t Span) Span {
	s.First, s.Last = min(s.First, t.First), max(s.Last, t.Last)
	s.Start, s.End = min(s.Start, t.Start), max(s.End, t.End)
	// The record that was on its way the shortest says the most.
	if t.Arrived-t.ArrivedSince < s.Arrived-s.ArrivedSince {
		s.Arrived, s.ArrivedSince = t.Arrived, t.ArrivedSince
	}
	return s
}

// Boots dates the records of one epoch of one kiosk. Spans and anchors may come
// in any order and repeatedly. A Boots is not safe for concurrent use.
type Boots struct {
	floor   int64
	spans   map[Boot]*Span
	anchors *Anchors
	order   []*Span // all of them; by sequence number if sorted
	sorted  bool

	// Of a kiosk of years a run may be long, and most of what comes is of a boot
	// with anchors: so runs are made when they are asked for.
	runs    []run
	settled uint64 // the anchors' changes when runs were made
}

// A run is what is known of boots without anchor, which follow each other from one
// place in the order on.
type run struct {
	from int
	of   []limits
}

// NewBoots returns the Boots of an epoch none of whose records is older than
// floor (Unix milliseconds): the first release, or the earliest time of the
// last record of the kiosk's epoch before. The kiosk's epochs share its anchors.
func NewBoots(floor int64, anchors *Anchors) *Boots {
	return &Boots{floor: floor, spans: map[Boot]*Span{}, anchors: anchors, sorted: true}
}

// Add takes in records that have arrived. A batch that crosses boots is one
// Span for each.
func (b *Boots) Add(s Span) {
	b.runs = nil
	if known, ok := b.spans[s.Boot]; ok {
		first := known.First
		*known = known.merge(s)
		b.sorted = b.sorted && known.First == first
		return
	}
	fresh := &Span{}
	*fresh = s
	b.spans[s.Boot] = fresh
	// As a rule it follows all others.
	b.sorted = b.sorted && (len(b.order) == 0 || compare(b.order[len(b.order)-1], fresh) < 0)
	b.order = append(b.order, fresh)
}

func compare(s, t *Span) int {
	return cmp.Or(cmp.Compare(s.First, t.First), bytes.Compare(s.Boot[:], t.Boot[:]))
}

// Bounds returns the time of the moment since (milliseconds) of a boot. A boot
// with anchors is dated by them alone. One without lies between its neighbours:
// it began after the last record of the boot before, its last record was past
// when the next began, and all of it was past when it arrived. Of a boot that
// nothing was added for, only the floor is known.
func (b *Boots) Bounds(boot Boot, since int64) Interval {
	l, ok := b.limits(boot)
	if !ok {
		return Interval{b.floor, math.MaxInt64}
	}
	i := l.at(since)
	// Both since and the server's times were cut to the millisecond.
	return Interval{i.Earliest - 1, i.Latest + 2}
}

// Around returns the boots, in the order of the ledger, whose bounds depend on
// what is known of boot: itself and the boots without anchor next to it. Their
// records are to be dated again after something was added for boot. It returns
// at most so many on each side.
func (b *Boots) Around(boot Boot, most int) []Boot {
	at, ok := b.find(boot)
	if !ok {
		return nil
	}
	from, to := at, at+1
	for from > 0 && at-from < most && !b.Anchored(b.order[from-1].Boot) {
		from--
	}
	for to < len(b.order) && to-at <= most && !b.Anchored(b.order[to].Boot) {
		to++
	}
	around := make([]Boot, 0, to-from)
	for _, s := range b.order[from:to] {
		around = append(around, s.Boot)
	}
	return around
}

// Spans returns what was added, in the order of the ledger and merged to one
// Span a boot: adding them to new Boots brings it back.
func (b *Boots) Spans() []Span {
	b.sort()
	all := make([]Span, len(b.order))
	for i, s := range b.order {
		all[i] = *s
	}
	return all
}

// Span returns what was added of one boot, merged; of a boot that nothing was
// added for, a Span without numbers.
func (b *Boots) Span(boot Boot) Span {
	if s, ok := b.spans[boot]; ok {
		return *s
	}
	return Span{Boot: boot}
}

// Newest returns the last boot in the order of the ledger, if there is any.
func (b *Boots) Newest() (boot Boot, ok bool) {
	b.sort()
	if len(b.order) == 0 {
		return Boot{}, false
	}
	return b.order[len(b.order)-1].Boot, true
}

// Anchored reports whether an anchor of boot is known.
func (b *Boots) Anchored(boot Boot) bool {
	_, ok := b.anchors.of[boot]
	return ok
}

// A point says that one moment of a boot was not before, or not after, a time.
type point struct {
	since, time int64
}

// limits are what is known of one boot's time.
type limits struct {
	notBefore, notAfter []point
}

// at returns the interval of one moment. Points that contradict each other come
// from a clock or crystal that broke its promise; which one is not known, so the
// interval then spans all that any of them says.
func (l limits) at(since int64) Interval {
	tight := Interval{math.MinInt64, math.MaxInt64}
	wide := Interval{math.MaxInt64, math.MinInt64}
	for _, p := range l.notBefore {
		t := p.time + (since - p.since) - slack(since-p.since)
		tight.Earliest, wide.Earliest = max(tight.Earliest, t), min(wide.Earliest, t)
	}
	for _, p := range l.notAfter {
		t := p.time + (since - p.since) + slack(since-p.since)
		tight.Latest, wide.Latest = min(tight.Latest, t), max(wide.Latest, t)
	}
	if tight.Earliest > tight.Latest {
		return wide
	}
	return tight
}

func (b *Boots) limits(boot Boot) (limits, bool) {
	if l, ok := b.anchors.of[boot]; ok {
		return l, true
	}
	at, ok := b.find(boot)
	if !ok {
		return limits{}, false
	}
	if b.settled != b.anchors.changes {
		b.runs, b.settled = nil, b.anchors.changes
	}
	i := slices.IndexFunc(b.runs, func(r run) bool { return r.from <= at && at < r.from+len(r.of) })
	if i < 0 {
		i = len(b.runs)
		b.runs = append(b.runs, b.settle(at))
	}
	return b.runs[i].of[at-b.runs[i].from], true
}

// sort orders the boots.
func (b *Boots) sort() {
	if !b.sorted {
		slices.SortFunc(b.order, compare)
		b.sorted = true
	}
}

// find returns where in the order a boot is.
func (b *Boots) find(boot Boot) (at int, ok bool) {
	s, known := b.spans[boot]
	if !known {
		return 0, false
	}
	b.sort()
	return slices.BinarySearchFunc(b.order, s, compare)
}

// settle hands what is known of the two boots with anchors around a place in the
// order, or of the ends of the ledger, on to all that are between them.
func (b *Boots) settle(at int) run {
	from, to := at, at+1
	for from > 0 && !b.Anchored(b.order[from-1].Boot) {
		from--
	}
	for to < len(b.order) && !b.Anchored(b.order[to].Boot) {
		to++
	}
	between := b.order[from:to]
	made := run{from, make([]limits, len(between))}
	points := make([]point, 0, 4*len(between)) // two on each side
	of := func(add ...point) []point {
		points = append(points, add...)
		return points[len(points)-len(add) : len(points) : len(points)]
	}
	for i, s := range between {
		var before limits
		switch {
		case i > 0:
			before = made.of[i-1]
		case from > 0:
			before = b.anchors.of[b.order[from-1].Boot]
		default:
			made.of[0].notBefore = of(point{s.Start, b.floor})
			continue
		}
		made.of[i].notBefore = of(point{s.Start, b.floor}, point{0, before.at(b.order[from+i-1].End).Earliest})
	}
	for i, s := range slices.Backward(between) {
		var after limits
		switch {
		case i+1 < len(between):
			after = made.of[i+1]
		case to < len(b.order):
			after = b.anchors.of[b.order[to].Boot]
		default:
			made.of[i].notAfter = of(point{s.ArrivedSince, s.Arrived})
			continue
		}
		made.of[i].notAfter = of(point{s.ArrivedSince, s.Arrived}, point{s.End, after.at(0).Latest})
	}
	return made
}
