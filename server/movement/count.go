package movement

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// Rows is where check-ins are read: a store.
type Rows interface {
	// EachOfDay calls fn with every check-in of a day. Their order is any. What
	// fn is handed is valid until it returns.
	EachOfDay(ctx context.Context, day qrgate.Day, fn func(*qrgate.Checkin) error) error
}

// A Place is what counting needs to know of one.
type Place struct {
	Area   string // commune of today
	Sector string // as of the place, perhaps one that has ended
	Kind   string
	Hours  []qrgate.Hours // none if nobody has said
	At     *qrgate.Point  // nil if nobody has said
}

// A Window says which check-ins a run counts, by when the server received them
// (Unix milliseconds): those after After, up to Until. Those before it are read
// as well: somebody whom an earlier run counted is not counted again.
type Window struct{ After, Until int64 }

// Sure is how far apart the bounds of a check-in's time may lie for its hour to be
// taken for known.
const Sure = time.Hour

// Options are the optional parts of [Count]. Without Places nothing is counted.
type Options struct {
	Places map[uint32]Place
	// Doubtful says of which check-ins to make nothing, because they may be no
	// true ones. Default: of none.
	Doubtful func(*qrgate.Checkin) bool
	Least    int // default [Least]; less shows what must not be shown, for tests
	Room     int // how many check-ins are held at once; default 2^20, about 40 MB
}

const (
	quarter = 15 * time.Minute
	dayLong = 24 * time.Hour
)

// Count counts a day. It reads it once if the check-ins of people fit into
// o.Room, and again for those that did not, so that it needs no more memory for a
// day of millions.
func Count(ctx context.Context, rows Rows, day qrgate.Day, w Window, o Options) (*Day, error) {
	c := newCount(day, w, o)
	for {
		more, err := c.pass(ctx, rows)
		if err != nil {
			return nil, fmt.Errorf("movement: count %s: %w", day, err)
		}
		if !more {
			return c.day(day), nil
		}
	}
}

// A place is a registered one in numbers.
type place struct {
	no           uint32
	area, sector uint16
	stay         int32 // milliseconds
	point        *qrgate.Point
}

// A sight is one check-in of a person.
type sight struct {
	subject qrgate.Subject
	place   uint32 // where in count.places
	at      int32  // milliseconds of the day
	about   int32  // by how many at most it was sooner or later
	out     bool
	late    bool // it is of this run: none before it knew
}

type count struct {
	w        Window
	start    int64 // of the day
	doubtful func(*qrgate.Checkin) bool
	least    int
	room     int

	areas, sectors []string
	places         []place
	byNo           map[uint32]uint32

	// A pass holds the sights of subjects whose first four bytes are from low
	// to high.
	low, high uint32
	sights    []sight
	first     bool // pass
	all       int
	unsure    int
	doubted   int
	strangers uint64 // people without a subject, each of whom is somebody else

	arrivals, moves map[of]people
	crowds          map[uint32]*crowd

	were, are, wentBefore, went []of // of one person, used again
}

func newCount(day qrgate.Day, w Window, o Options) *count {
	c := &count{
		w: w, start: day.Start().UnixMilli(), doubtful: o.Doubtful, least: o.Least, room: o.Room, first: true, high: ^uint32(0),
		byNo: map[uint32]uint32{}, arrivals: map[of]people{}, moves: map[of]people{}, crowds: map[uint32]*crowd{},
	}
	if c.least == 0 {
		c.least = Least
	}
	if c.room == 0 {
		c.room = 1 << 20
	}
	areaNo, sectorNo := map[string]uint16{}, map[string]uint16{}
	for _, u := range area.Current() {
		areaNo[u.ID.String()] = uint16(len(c.areas))
		c.areas = append(c.areas, u.ID.String())
	}
	for _, s := range qrgate.SectorsOn(day.Start()) {
		sectorNo[s.ID] = uint16(len(c.sectors))
		c.sectors = append(c.sectors, s.ID)
	}
	for no, p := range o.Places {
		s, err := qrgate.SectorNow(p.Sector, day.Start())
		sector, known := sectorNo[s.ID]
		in, there := areaNo[p.Area]
		if err != nil || !known || !there {
			continue // of an area or a sector that is on no map
		}
		c.byNo[no] = uint32(len(c.places))
		c.places = append(c.places, place{no, in, sector, int32(Stay(p.Kind).Milliseconds()), p.At})
	}
	return c
}

// pass counts the subjects from c.low on that there is room for, and reports
// whether there are others.
func (c *count) pass(ctx context.Context, rows Rows) (more bool, err error) {
	c.sights = c.sights[:0]
	c.high = ^uint32(0)
	day := qrgate.DayOfMilli(c.start)
	if err := rows.EachOfDay(ctx, day, c.take); err != nil {
		return false, err
	}
	slices.SortFunc(c.sights, func(a, b sight) int {
		return cmp.Or(bytes.Compare(a.subject[:], b.subject[:]), cmp.Compare(a.at, b.at), cmp.Compare(a.place, b.place), compareBool(a.out, b.out), cmp.Compare(a.about, b.about))
	})
	for rest := c.sights; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].subject == rest[0].subject {
			n++
		}
		c.person(rest[:n])
		rest = rest[n:]
	}
	c.first = false
	if c.high == ^uint32(0) {
		return false, nil
	}
	c.low = c.high + 1
	return true, nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// take is handed each check-in of the day.
func (c *count) take(r *qrgate.Checkin) error {
	if r.Received > c.w.Until || r.Verdict != wire.Admitted && r.Verdict != wire.Unrecorded {
		return nil
	}
	at, ok := c.byNo[r.PlaceNo]
	if !ok {
		return nil
	}
	head := binary.BigEndian.Uint32(r.Subject[:])
	somebody := r.Subject != qrgate.Subject{}
	if somebody && (head < c.low || head > c.high) && !c.first {
		return nil
	}
	if !somebody && !c.first {
		return nil
	}
	if c.doubtful != nil && c.doubtful(r) {
		c.doubted += c.once()
		return nil
	}
	// Half way between its bounds, and the day is that of the later one: just
	// after midnight that may be a moment before.
	when := r.Earliest + (r.Latest-r.Earliest)/2 - c.start
	if r.Latest-r.Earliest > Sure.Milliseconds() || when < -Sure.Milliseconds() || when >= (dayLong+Sure).Milliseconds() {
		c.unsure += c.once()
		return nil
	}
	when = min(max(when, 0), dayLong.Milliseconds()-1)
	c.all += c.once()
	s := sight{r.Subject, at, int32(when), int32(r.Latest-r.Earliest+1) / 2, r.Direction == wire.Out, r.Received > c.w.After}
	if !somebody {
		c.stranger(s)
		return nil
	}
	if head < c.low || head > c.high {
		return nil
	}
	c.sights = append(c.sights, s)
	if len(c.sights) > c.room {
		c.shrink()
	}
	return nil
}

// once is 1 in the pass that counts what every pass sees.
func (c *count) once() int {
	if c.first {
		return 1
	}
	return 0
}

// shrink gives up the upper half of the subjects of this pass. Subjects are the
// output of a cipher, so that is about half of the sights; one alone is never
// given up.
func (c *count) shrink() {
	for len(c.sights) > c.room/2+1 && c.low < c.high {
		c.high = c.low + (c.high-c.low)/2
		c.sights = slices.DeleteFunc(c.sights, func(s sight) bool { return binary.BigEndian.Uint32(s.subject[:]) > c.high })
	}
}

// person counts one subject, whose sights are in order of time.
func (c *count) person(sights []sight) {
	who := binary.BigEndian.Uint64(sights[0].subject[:])
	c.crowd(sights)
	before, now := 0, 0
	for _, s := range sights {
		if s.late {
			now++
		} else {
			before++
		}
	}
	if now == 0 {
		return
	}
	c.are, c.went = c.follow(sights, true, c.are[:0], c.went[:0])
	c.were, c.wentBefore = c.were[:0], c.wentBefore[:0]
	if before > 0 {
		c.were, c.wentBefore = c.follow(sights, false, c.were, c.wentBefore)
	}
	addNew(c.arrivals, who, c.are, c.were, c.least)
	addNew(c.moves, who, c.went, c.wentBefore, c.least)
}

// addNew adds somebody to the cells in which they are now and were not before.
func addNew(cells map[of]people, who uint64, are, were []of, least int) {
	for _, o := range are {
		if _, found := slices.BinarySearchFunc(were, o, of.compare); !found {
			cells[o] = cells[o].add(who, least)
		}
	}
}

func (o of) compare(p of) int {
	return cmp.Or(cmp.Compare(o.from, p.from), cmp.Compare(o.to, p.to), cmp.Compare(o.sector, p.sector), cmp.Compare(o.span, p.span))
}

// follow returns the cells of a person's arrivals and moves, each once: by all
// sights, or by those that an earlier run knew.
func (c *count) follow(sights []sight, late bool, arrivals, moves []of) ([]of, []of) {
	last := -1
	for i := range sights {
		s := &sights[i]
		if s.late && !late {
			continue
		}
		p := &c.places[s.place]
		hour := Span(int64(s.at) / time.Hour.Milliseconds())
		if !s.out {
			arrivals = append(arrivals, of{several, p.area, p.sector, hour})
		}
		if last >= 0 && sights[last].place != s.place {
			from := &sights[last]
			// What nobody can have done is no move.
			within := time.Duration(s.at-from.at+s.about+from.about) * time.Millisecond
			if was := &c.places[from.place]; travels(was.point, p.point, within) {
				moves = append(moves, of{was.area, p.area, p.sector, hour})
			}
		}
		last = i
	}
	slices.SortFunc(arrivals, of.compare)
	slices.SortFunc(moves, of.compare)
	return slices.Compact(arrivals), slices.Compact(moves)
}

// stranger counts somebody who was let in and not identified.
func (c *count) stranger(s sight) {
	c.strangerCrowd(s)
	if s.out || !s.late {
		return
	}
	// No cell is told from another by who it holds, and nobody is in two.
	c.strangers++
	p := &c.places[s.place]
	o := of{several, p.area, p.sector, Span(int64(s.at) / time.Hour.Milliseconds())}
	c.arrivals[o] = c.arrivals[o].add(c.strangers, c.least)
}

func (c *count) day(day qrgate.Day) *Day {
	a, s := len(c.areas), len(c.sectors)
	return &Day{
		Day:      day,
		Arrivals: named(hide(c.arrivals, levels(a, s, false), c.least), c.areas, c.sectors),
		Moves:    named(hide(c.moves, levels(a, s, true), c.least), c.areas, c.sectors),
		Crowds:   c.full(),
		Checkins: nearest(c.all, 10), Unsure: nearest(c.unsure, 10), Doubted: nearest(c.doubted, 10),
	}
}

// nearest rounds n to a multiple of step.
func nearest(n, step int) int { return (n + step/2) / step * step }
