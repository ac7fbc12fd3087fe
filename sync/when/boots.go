package when

import (
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

	// These are made from the above when they are next asked for.
	order   []Boot          // by sequence number
	between map[Boot]limits // of boots without anchors; nil when outdated
	settled uint64          // the anchors' changes then
}

// NewBoots returns the Boots of an epoch none of whose records is older than
// floor (Unix milliseconds): the first release, or the earliest time of the
// last record of the kiosk's epoch before. The kiosk's epochs share its anchors.
func NewBoots(floor int64, anchors *Anchors) *Boots {
	return &Boots{floor: floor, spans: map[Boot]Span{}, anchors: anchors}
}

// Add takes in records that have arrived. A batch that crosses boots is one
// Span for each.
func (b *Boots) Add(s Span) {
	if known, ok := b.spans[s.Boot]; ok {
		s = known.merge(s)
	}
	b.spans[s.Boot] = s
	b.between = nil
}

// Bounds returns the time of the moment since (milliseconds) of a boot. A boot
// with anchors is dated by them alone. One without lies between its neighbours:
// it began after the last record of the boot before, its last record was past
// when the next began, and all of it was past when it arrived. Of a boot that
// nothing was added for, only the floor is known.
func (b *Boots) Bounds(boot Boot, since int64) Interval {
	b.settle()
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
// records are to be dated again after something was added for boot.
func (b *Boots) Around(boot Boot) []Boot {
	b.settle()
	at := slices.Index(b.order, boot)
	if at < 0 {
		return nil
	}
	from, to := at, at+1
	for from > 0 && !b.Anchored(b.order[from-1]) {
		from--
	}
	for to < len(b.order) && !b.Anchored(b.order[to]) {
		to++
	}
	return slices.Clone(b.order[from:to])
}

// Spans returns what was added, in the order of the ledger and merged to one
// Span a boot: adding them to new Boots brings it back.
func (b *Boots) Spans() []Span {
	b.settle()
	all := make([]Span, len(b.order))
	for i, boot := range b.order {
		all[i] = b.spans[boot]
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
	b.settle()
	if len(b.order) == 0 {
		return Boot{}, false
	}
	return b.order[len(b.order)-1], true
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
	l, ok := b.between[boot]
	return l, ok
}

// settle orders the boots and hands what is known of each on to those of its
// neighbours that have no anchor.
func (b *Boots) settle() {
	if b.between != nil && b.settled == b.anchors.changes {
		return
	}
	b.settled = b.anchors.changes
	b.order = b.order[:0]
	for boot := range b.spans {
		b.order = append(b.order, boot)
	}
	slices.SortFunc(b.order, func(x, y Boot) int { return cmp.Compare(b.spans[x].First, b.spans[y].First) })
	b.between = map[Boot]limits{}
	for i, boot := range b.order {
		if b.Anchored(boot) {
			continue
		}
		notBefore := []point{{b.spans[boot].Start, b.floor}}
		if i > 0 {
			before, _ := b.limits(b.order[i-1])
			notBefore = append(notBefore, point{0, before.at(b.spans[b.order[i-1]].End).Earliest})
		}
		b.between[boot] = limits{notBefore: notBefore}
	}
	for i, boot := range slices.Backward(b.order) {
		if b.Anchored(boot) {
			continue
		}
		s, l := b.spans[boot], b.between[boot]
		l.notAfter = []point{{s.ArrivedSince, s.Arrived}}
		if i+1 < len(b.order) {
			after, _ := b.limits(b.order[i+1])
			l.notAfter = append(l.notAfter, point{s.End, after.at(0).Latest})
		}
		b.between[boot] = l
	}
}
