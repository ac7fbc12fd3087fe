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
	spans   map[Boot]Span
	anchors *Anchors

	// What follows is made from the above when it is next asked for: of a kiosk of
	// years it is much, and most of what comes is of a boot with anchors.
	order   []began         // by sequence number
	sorted  bool            // order is all of it
	between map[Boot]limits // of boots without anchors, as far as they were asked for
	settled uint64          // the anchors' changes then
}

// A began is where in the ledger a boot begins.
type began struct {
	first uint64
	boot  Boot
}

func (b began) compare(c began) int {
	return cmp.Or(cmp.Compare(b.first, c.first), bytes.Compare(b.boot[:], c.boot[:]))
}

// NewBoots returns the Boots of an epoch none of whose records is older than
// floor (Unix milliseconds): the first release, or the earliest time of the
// last record of the kiosk's epoch before. The kiosk's epochs share its anchors.
func NewBoots(floor int64, anchors *Anchors) *Boots {
	return &Boots{floor: floor, spans: map[Boot]Span{}, anchors: anchors, sorted: true, between: map[Boot]limits{}}
}

// Add takes in records that have arrived. A batch that crosses boots is one
// Span for each.
func (b *Boots) Add(s Span) {
	known, ok := b.spans[s.Boot]
	if ok {
		s = known.merge(s)
	}
	b.spans[s.Boot] = s
	clear(b.between)
	if ok && known.First == s.First || !b.sorted {
		return
	}
	// As a rule a boot that is new follows all others.
	at := began{s.First, s.Boot}
	if b.sorted = !ok && (len(b.order) == 0 || b.order[len(b.order)-1].compare(at) < 0); b.sorted {
		b.order = append(b.order, at)
	}
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
	for from > 0 && at-from < most && !b.Anchored(b.order[from-1].boot) {
		from--
	}
	for to < len(b.order) && to-at <= most && !b.Anchored(b.order[to].boot) {
		to++
	}
	around := make([]Boot, 0, to-from)
	for _, o := range b.order[from:to] {
		around = append(around, o.boot)
	}
	return around
}

// Spans returns what was added, in the order of the ledger and merged to one
// Span a boot: adding them to new Boots brings it back.
func (b *Boots) Spans() []Span {
	b.sort()
	all := make([]Span, len(b.order))
	for i, o := range b.order {
		all[i] = b.spans[o.boot]
	}
	return all
}

// Span returns what was added of one boot, merged; of a boot that nothing was
// added for, a Span without numbers.
func (b *Boots) Span(boot Boot) Span {
	if s, ok := b.spans[boot]; ok {
		return s
	}
	return Span{Boot: boot}
}

// Newest returns the last boot in the order of the ledger, if there is any.
func (b *Boots) Newest() (boot Boot, ok bool) {
	b.sort()
	if len(b.order) == 0 {
		return Boot{}, false
	}
	return b.order[len(b.order)-1].boot, true
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
	if b.settled != b.anchors.changes {
		clear(b.between)
		b.settled = b.anchors.changes
	}
	if _, ok := b.between[boot]; !ok {
		b.settle(boot)
	}
	l, ok := b.between[boot]
	return l, ok
}

// sort orders the boots.
func (b *Boots) sort() {
	if b.sorted {
		return
	}
	b.order = b.order[:0]
	for boot, s := range b.spans {
		b.order = append(b.order, began{s.First, boot})
	}
	slices.SortFunc(b.order, began.compare)
	b.sorted = true
}

// find returns where in the order a boot is.
func (b *Boots) find(boot Boot) (at int, ok bool) {
	s, known := b.spans[boot]
	if !known {
		return 0, false
	}
	b.sort()
	return slices.BinarySearchFunc(b.order, began{s.First, boot}, began.compare)
}

// settle hands what is known of the two boots with anchors next to a boot, or of
// the ends of the ledger, on to it and all others between them.
func (b *Boots) settle(boot Boot) {
	at, ok := b.find(boot)
	if !ok {
		return
	}
	from, to := at, at+1
	for from > 0 && !b.Anchored(b.order[from-1].boot) {
		from--
	}
	for to < len(b.order) && !b.Anchored(b.order[to].boot) {
		to++
	}
	run := make([]limits, to-from)
	var earliest, latest *point // of the boot before and the boot after
	if from > 0 {
		before := b.order[from-1].boot
		earliest = &point{0, b.anchors.of[before].at(b.spans[before].End).Earliest}
	}
	if to < len(b.order) {
		latest = &point{0, b.anchors.of[b.order[to].boot].at(0).Latest}
	}
	for i := range run {
		s := b.spans[b.order[from+i].boot]
		run[i].notBefore = []point{{s.Start, b.floor}}
		if earliest != nil {
			run[i].notBefore = append(run[i].notBefore, *earliest)
		}
		earliest = &point{0, run[i].at(s.End).Earliest}
	}
	for i := range slices.Backward(run) {
		s := b.spans[b.order[from+i].boot]
		run[i].notAfter = []point{{s.ArrivedSince, s.Arrived}}
		if latest != nil {
			run[i].notAfter = append(run[i].notAfter, point{s.End, latest.time})
		}
		latest = &point{0, run[i].at(0).Latest}
		b.between[s.Boot] = run[i]
	}
}
