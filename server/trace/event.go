package trace

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// An event is a check-in that let a person through a door, in few bytes: a trace
// sorts tens of thousands of them.
type event struct {
	person   qrgate.Person
	earliest int64
	latest   int64
	since    int64
	boot     int32 // in reading.boots; 0 of what no kiosk counted
	detail   int32 // in reading.details
	way      way
	staff    bool
	doubt    bool // it does not count
}

type way uint8

const (
	came way = iota
	gone
	seen // recorded a moment ago already
)

// A detail is what else a stay tells of its check-ins.
type detail struct {
	id       ID
	kiosk    string
	gate     string
	lane     uint8
	pass     pass.Kind
	level    qrgate.Level
	presence wire.Presence
	verdict  wire.Verdict
	with     uint64
	received int64
	doubt    Doubt
	out      bool // for that, it does not count
}

// A reading is what was read of one place. It is used again, for it is large.
type reading struct {
	at      qrgate.Spot
	events  []event
	details []detail
	unnamed []when.Interval
	scans   []Scans
	boots   map[when.Boot]int32
	names   []when.Boot // of the boots, from number 1 on

	lastBoot when.Boot
	lastNo   int32
	lastScan int

	unopened int
	closed   map[qrgate.Day]bool // days whose key is gone
}

func newReading() *reading {
	return &reading{boots: map[when.Boot]int32{}, closed: map[qrgate.Day]bool{}}
}

func (r *reading) reset(at qrgate.Spot) {
	clear(r.details) // which hold names of kiosks
	clear(r.boots)
	clear(r.closed)
	*r = reading{
		at: at, events: r.events[:0], details: r.details[:0], unnamed: r.unnamed[:0], boots: r.boots, names: r.names[:0],
		closed: r.closed,
	}
}

// bootNo returns a number for a boot, 0 for none.
func (r *reading) bootNo(b when.Boot) int32 {
	if b == r.lastBoot {
		return r.lastNo
	}
	if b == (when.Boot{}) {
		return 0
	}
	no, ok := r.boots[b]
	if !ok {
		r.names = append(r.names, b)
		no = int32(len(r.names))
		r.boots[b] = no
	}
	r.lastBoot, r.lastNo = b, no
	return no
}

// sourceOf returns how a check-in came to be known.
func sourceOf(kind pass.Kind, presence wire.Presence) Source {
	switch {
	case presence == wire.Paper:
		return FromPaper
	case kind == pass.Phone && presence != wire.Typed: // typed at a kiosk it is that kiosk's
		return FromPhone
	case kind == pass.Account:
		return FromAPI
	}
	return FromKiosk
}

// mark returns when the check-in was by its kiosk's count. What came by phone or
// from paper was counted when it arrived, which says nothing of when it was.
func markOf(c *qrgate.Checkin) Mark {
	if sourceOf(c.Pass, c.Presence) != FromKiosk {
		return Mark{}
	}
	return Mark{c.Boot, c.Since}
}

func idOf(c *qrgate.Checkin) ID { return ID{c.Epoch, c.Seq, c.Digest} }

func spotOf(c *qrgate.Checkin) qrgate.Spot {
	if c.PlaceNo != 0 {
		return qrgate.Spot{No: c.PlaceNo}
	}
	return qrgate.Spot{Name: c.Place}
}

// letIn reports whether somebody went through the door.
func letIn(c *qrgate.Checkin) bool {
	switch c.Verdict {
	case wire.Admitted, wire.Again, wire.Unrecorded:
		return c.Pass != pass.Test && c.Pass != pass.Maintenance
	}
	return false
}

func wayOf(c *qrgate.Checkin) way {
	switch {
	case c.Verdict == wire.Again:
		return seen
	case c.Direction == wire.Out:
		return gone
	}
	return came
}

// add takes a check-in of a person in.
func (r *reading) add(c *qrgate.Checkin, person qrgate.Person) {
	m := markOf(c)
	r.events = append(r.events, event{
		person: person, earliest: c.Earliest, latest: max(c.Latest, c.Earliest), since: m.Since, boot: r.bootNo(m.Boot),
		detail: int32(len(r.details)), way: wayOf(c), staff: c.Pass == pass.Staff,
	})
	r.details = append(r.details, detail{
		id: idOf(c), kiosk: c.Kiosk, gate: c.Gate, lane: c.Lane, pass: c.Pass, level: c.Level, presence: c.Presence,
		verdict: c.Verdict, with: c.With, received: c.Received,
	})
}

// count returns the counts of the check-in's kiosk.
func (r *reading) count(c *qrgate.Checkin) *Scans {
	if r.lastScan < len(r.scans) && r.scans[r.lastScan].Kiosk == c.Kiosk && r.scans[r.lastScan].Gate == c.Gate {
		return &r.scans[r.lastScan]
	}
	i := slices.IndexFunc(r.scans, func(s Scans) bool { return s.Kiosk == c.Kiosk && s.Gate == c.Gate })
	if i < 0 {
		i = len(r.scans)
		r.scans = append(r.scans, Scans{At: r.at, Kiosk: c.Kiosk, Gate: c.Gate, Source: sourceOf(c.Pass, c.Presence)})
	}
	r.lastScan = i
	return &r.scans[i]
}

// take counts a check-in and keeps it if it let somebody through.
func (r *reading) take(c *qrgate.Checkin, persons Persons) error {
	s := r.count(c)
	switch {
	case c.Verdict == wire.Refused:
		s.Refused++
		if c.Reason == wire.ReasonUnknown || c.Reason == wire.ReasonMalformed {
			s.Unread++
		}
		return nil
	case !letIn(c):
		return nil
	}
	if c.Verdict == wire.Unrecorded {
		s.Amber++
	}
	if c.Presence == wire.Paper {
		if s.Paper == 0 {
			s.PaperFrom, s.PaperTo = c.Earliest, c.Latest
		}
		s.Paper++
		s.PaperFrom, s.PaperTo = min(s.PaperFrom, c.Earliest), max(s.PaperTo, c.Latest)
	}
	if c.Subject == (qrgate.Subject{}) {
		s.Unnamed++
		if wayOf(c) == came {
			r.unnamed = append(r.unnamed, when.Interval{Earliest: c.Earliest, Latest: c.Latest})
		}
		return nil
	}
	s.Admitted++
	person, err := r.open(c, persons)
	if err != nil || person == 0 {
		return err
	}
	r.add(c, person)
	return nil
}

// open returns who a check-in is of, or nobody if that cannot be told any more.
func (r *reading) open(c *qrgate.Checkin, persons Persons) (qrgate.Person, error) {
	if len(r.closed) > 0 && r.closed[c.Day] {
		r.unopened++
		return 0, nil
	}
	person, err := persons.Person(c.Day, c.Subject)
	switch {
	case err == nil:
		return person, nil
	case errors.Is(err, vault.ErrShredded), errors.Is(err, qrgate.ErrNotFound):
		r.closed[c.Day] = true
	case !errors.Is(err, vault.ErrSubject):
		return 0, err
	}
	r.unopened++
	return 0, nil
}

// read reads a place's check-ins of some windows, which lie apart.
func (r *reading) read(ctx context.Context, rows Rows, persons Persons, windows []when.Interval, also func(*qrgate.Checkin, qrgate.Person)) error {
	for i, w := range windows {
		err := rows.CheckinsAt(ctx, r.at, w.Earliest, w.Latest, func(c *qrgate.Checkin) error {
			// Of wide bounds it may be in two windows.
			if i > 0 && c.Earliest <= windows[i-1].Latest {
				return nil
			}
			before := len(r.events)
			if err := r.take(c, persons); err != nil {
				return err
			}
			if also != nil {
				var person qrgate.Person
				if len(r.events) > before {
					person = r.events[before].person
				}
				also(c, person)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sort brings the events of each person together, in the order in which they
// most likely were.
func (r *reading) sort() {
	slices.SortFunc(r.events, r.compare)
	// Bounds that were narrowed for some events of a boot and not yet for others
	// do not change what the kiosk counted.
	for i := 1; i < len(r.events); i++ {
		for j := i; j > 0; j-- {
			a, b := &r.events[j-1], &r.events[j]
			if a.person != b.person || a.boot == 0 || a.boot != b.boot || a.since <= b.since {
				break
			}
			*a, *b = *b, *a
		}
	}
}

// compare looks at as little as it must: a trace spends much of its time here.
func (r *reading) compare(a, b event) int {
	switch {
	case a.person != b.person:
		return cmp.Compare(a.person, b.person)
	case a.earliest != b.earliest:
		return cmp.Compare(a.earliest, b.earliest)
	case a.latest != b.latest:
		return cmp.Compare(a.latest, b.latest)
	case a.since != b.since:
		return cmp.Compare(a.since, b.since)
	case a.way != b.way:
		return cmp.Compare(a.way, b.way)
	}
	return r.details[a.detail].id.compare(r.details[b.detail].id)
}

// eachPerson calls fn with the events of each person.
func (r *reading) eachPerson(fn func([]event)) {
	for i := 0; i < len(r.events); {
		j := i + 1
		for j < len(r.events) && r.events[j].person == r.events[i].person {
			j++
		}
		fn(r.events[i:j])
		i = j
	}
}

// people returns of how many persons there are events.
func (r *reading) people() (n int) {
	for i := range r.events {
		if i == 0 || r.events[i].person != r.events[i-1].person {
			n++
		}
	}
	return n
}

// merged joins windows that touch.
func merged(windows []when.Interval) []when.Interval {
	slices.SortFunc(windows, func(a, b when.Interval) int { return cmp.Compare(a.Earliest, b.Earliest) })
	all := windows[:0]
	for _, w := range windows {
		if n := len(all); n > 0 && w.Earliest <= all[n-1].Latest {
			all[n-1].Latest = max(all[n-1].Latest, w.Latest)
			continue
		}
		all = append(all, w)
	}
	return all
}
