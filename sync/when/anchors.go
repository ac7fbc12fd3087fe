package when

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// How many anchors are kept. A boot makes four a day and a few when it begins, so
// that all of a month are within the first, and all boots of a month within the
// second, even of a kiosk that starts every minute.
const (
	anchorsOfBoot = 256
	anchorsInAll  = 1 << 16

	// anchorsFor is longer than any check-in is kept: an anchor that is older by
	// so much than its boot's newest dates none.
	anchorsFor = 32 * 24 * time.Hour
)

// Anchors are the anchors of all boots of one kiosk, in whichever epoch's ledger
// they came, in any order and repeatedly. However many come, it keeps those that
// say most. It is not safe for concurrent use.
type Anchors struct {
	of      map[Boot]limits
	boots   []Boot // as they came
	count   int
	changes uint64
}

// NewAnchors returns no anchors.
func NewAnchors() *Anchors { return &Anchors{of: map[Boot]limits{}} }

// Has reports whether a is kept.
func (s *Anchors) Has(a Anchor) bool {
	_, found := s.of[a.Boot].find(a)
	return found
}

// Add takes in an anchor and returns those that are given up for it, which may be
// a itself.
func (s *Anchors) Add(a Anchor) (gone []Anchor) {
	l, known := s.of[a.Boot]
	at, found := l.find(a)
	if found {
		return nil
	}
	if !known {
		s.boots = append(s.boots, a.Boot)
	}
	s.changes++
	s.count++
	l.notBefore = slices.Insert(l.notBefore, at, point{a.Since, a.Server - a.Error})
	l.notAfter = slices.Insert(l.notAfter, at, point{a.Since, a.Server + a.Error})
	if len(l.notBefore) > anchorsOfBoot {
		least := l.least()
		gone = append(gone, l.anchor(a.Boot, least))
		l.notBefore = slices.Delete(l.notBefore, least, least+1)
		l.notAfter = slices.Delete(l.notAfter, least, least+1)
		s.count--
	}
	s.of[a.Boot] = l
	for s.count > anchorsInAll {
		oldest := s.boots[0]
		s.boots = s.boots[1:]
		for i := range s.of[oldest].notBefore {
			gone = append(gone, s.of[oldest].anchor(oldest, i))
			s.count--
		}
		delete(s.of, oldest)
	}
	return gone
}

// find returns where a is among a boot's anchors, or where it belongs: they are
// in the order of the boot's time.
func (l limits) find(a Anchor) (at int, found bool) {
	low, high := point{a.Since, a.Server - a.Error}, point{a.Since, a.Server + a.Error}
	at, _ = slices.BinarySearchFunc(l.notBefore, a.Since, func(p point, since int64) int { return cmp.Compare(p.since, since) })
	for ; at < len(l.notBefore) && l.notBefore[at].since == a.Since; at++ {
		if l.notBefore[at] == low && l.notAfter[at] == high {
			return at, true
		}
	}
	return at, false
}

// anchor returns the anchor from which the points at i are.
func (l limits) anchor(boot Boot, i int) Anchor {
	low, high := l.notBefore[i], l.notAfter[i]
	return Anchor{Boot: boot, Since: low.since, Server: (low.time + high.time) / 2, Error: (high.time - low.time) / 2}
}

// least returns which of a boot's anchors is missed the least: the oldest, if
// nothing is left that it would date, or else one between others that are near,
// the sooner the less exact it is. Both ends stay: the newest dates what comes
// next.
func (l limits) least() (least int) {
	newest := len(l.notBefore) - 1
	if l.notBefore[newest].since-l.notBefore[0].since > anchorsFor.Milliseconds() {
		return 0
	}
	lowest := int64(math.MaxInt64)
	for i := 1; i < newest; i++ {
		apart, width := l.notBefore[i+1].since-l.notBefore[i-1].since, l.notAfter[i].time-l.notBefore[i].time
		if missed := apart - width*(1_000_000/Drift); missed < lowest {
			least, lowest = i, missed
		}
	}
	return least
}
