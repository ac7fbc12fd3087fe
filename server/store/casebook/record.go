package casebook

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
)

// A Recorder remembers what a tracer asked for and a fingerprint of what it got, so
// that it can be found out later whether it would get anything else. It holds no
// check-in. It is safe for concurrent use.
type Recorder struct {
	rows  trace.Rows
	began time.Time

	mu  sync.Mutex
	all []reading
}

// Record returns rows that are remembered, from now on.
func Record(rows trace.Rows, now func() time.Time) *Recorder {
	return &Recorder{rows: rows, began: now().Truncate(time.Millisecond)}
}

var _ trace.Rows = (*Recorder)(nil)

// A reading is one question and what came of it.
type reading struct {
	Subjects []subjectOf // of CheckinsOf
	At       qrgate.Spot // of CheckinsAt
	From, To int64
	Days     []print // in order
}

type subjectOf struct {
	Day     qrgate.Day
	Subject qrgate.Subject
}

// A print is the fingerprint of the check-ins of one day, whatever their order.
type print struct {
	Day qrgate.Day
	N   int
	Sum uint64
}

// CheckinsOf implements [trace.Rows].
func (r *Recorder) CheckinsOf(ctx context.Context, subjects map[qrgate.Day]qrgate.Subject, fn func(*qrgate.Checkin) error) error {
	q := reading{}
	for day, s := range subjects {
		q.Subjects = append(q.Subjects, subjectOf{day, s})
	}
	slices.SortFunc(q.Subjects, func(a, b subjectOf) int { return cmp.Compare(a.Day, b.Day) })
	return r.record(ctx, q, fn)
}

// CheckinsAt implements [trace.Rows].
func (r *Recorder) CheckinsAt(ctx context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error {
	return r.record(ctx, reading{At: at, From: from, To: to}, fn)
}

func (r *Recorder) record(ctx context.Context, q reading, fn func(*qrgate.Checkin) error) error {
	days, err := q.read(ctx, r.rows, fn)
	q.Days = days
	r.mu.Lock()
	r.all = append(r.all, q)
	r.mu.Unlock()
	return err
}

// readings returns what was read so far.
func (r *Recorder) readings() []reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// read asks again and returns the fingerprint of what comes.
func (q *reading) read(ctx context.Context, rows trace.Rows, fn func(*qrgate.Checkin) error) ([]print, error) {
	days := map[qrgate.Day]*print{}
	each := func(c *qrgate.Checkin) error {
		d := days[c.Day]
		if d == nil {
			d = &print{Day: c.Day}
			days[c.Day] = d
		}
		d.N++
		d.Sum += printOf(c)
		return fn(c)
	}
	var err error
	if q.Subjects != nil {
		of := map[qrgate.Day]qrgate.Subject{}
		for _, s := range q.Subjects {
			of[s.Day] = s.Subject
		}
		err = rows.CheckinsOf(ctx, of, each)
	} else {
		err = rows.CheckinsAt(ctx, q.At, q.From, q.To, each)
	}
	var all []print
	for _, d := range days {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b print) int { return cmp.Compare(a.Day, b.Day) })
	return all, err
}

// changed reports whether what is read now is something else. A day of which
// nothing is left was dropped at the end of retention, which is no news, and of one
// that is older than all that have a key, less and less is left.
func (q *reading) changed(now []print, keyed []qrgate.Day) bool {
	was := map[qrgate.Day]print{}
	for _, d := range q.Days {
		was[d.Day] = d
	}
	return slices.ContainsFunc(now, func(d print) bool { return was[d.Day] != d && (len(keyed) == 0 || d.Day >= keyed[0]) })
}

// printOf is a number that another check-in, or the same one with other bounds on
// its time, hardly has too.
func printOf(c *qrgate.Checkin) uint64 {
	x := mix(binary.BigEndian.Uint64(c.Digest[:]))
	for _, n := range []uint64{binary.BigEndian.Uint64(c.Epoch[:8]), binary.BigEndian.Uint64(c.Epoch[8:]), c.Seq, uint64(c.Earliest), uint64(c.Latest)} {
		x = mix(x ^ n)
	}
	return x
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
