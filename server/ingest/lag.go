package ingest

import (
	"slices"
	"sync/atomic"
	"time"
)

// LagBounds are the upper ends of what a [Lag] tells apart. The last ones are for
// kiosks that were without a network.
var LagBounds = []time.Duration{
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	30 * time.Second, time.Minute, 5 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// A Lag says how long check-ins took from the scan, at the latest that it can have
// been, to the commit.
type Lag struct {
	Counts []uint64 // by LagBounds, and one for what took longer
	Sum    time.Duration
}

// lag is a Lag that is added to.
type lag struct {
	counts [15]atomic.Uint64
	sum    atomic.Int64
}

// add enters scans, in Unix milliseconds, that are committed now.
func (l *lag) add(scans []int64, now time.Time) {
	ms := now.UnixMilli()
	var counts [15]uint64
	var sum time.Duration
	for _, at := range scans {
		d := max(0, time.Duration(ms-at)*time.Millisecond)
		i, _ := slices.BinarySearch(LagBounds, d)
		counts[i]++
		sum += d
	}
	for i, n := range counts {
		if n > 0 {
			l.counts[i].Add(n)
		}
	}
	l.sum.Add(int64(sum))
}

func (l *lag) read() Lag {
	r := Lag{Counts: make([]uint64, len(l.counts)), Sum: time.Duration(l.sum.Load())}
	for i := range l.counts {
		r.Counts[i] = l.counts[i].Load()
	}
	return r
}

// Lags return how long check-ins of batches took that kiosks sent as they came, and
// of those that were sent beside them because they had waited.
func (in *Ingest) Lags() (live, backlog Lag) { return in.lags[0].read(), in.lags[1].read() }

// Queued returns how many batches wait for a worker.
func (in *Ingest) Queued() int { return len(in.batches.messages) }
