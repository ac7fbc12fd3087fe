// Package passage counts the people who pass a lane, so that it can be told how many of
// them have checked in.
//
//	c := passage.New(passage.Options{Lane: ..., Now: clock.Read, Put: queue.Put})
//	heart.Add(c.Part())             // tells of it in beats
//	kiosk.Door{Faces: {c, ...}}     // hears who checked in
//	c.Feel(event)                   // feels who passes, and whether the door was opened
//	go c.Run(ctx)
//
// One beam, a turnstile or a key that a guard presses says that somebody passed; two
// beams behind each other also say which way, by the order in which they are broken.
// Whoever breaks one and turns back has not passed.
//
// The promise: each hour, and when the program ends, what was counted since goes into
// the ledger, once, the check-ins of the same time beside it, so that what a power cut
// takes, it takes from both. It names nobody, and nothing here stops the door.
//
// It leaves out how a beam is read and debounced (package panel).
package passage

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

const (
	// through is how long at most somebody takes from one beam to the other.
	through = 1500 * time.Millisecond
	// waiting is how many people at most are between two beams.
	waiting = 4
	// lookEvery is how often it is asked whether an hour is over.
	lookEvery = 10 * time.Second
	// slot is the grain of what passed lately.
	slot = time.Minute
)

// A Lane is where a kiosk stands, and which way people go there.
type Lane struct {
	Gate      string
	No        uint8
	Direction wire.Direction
}

// Options are what a Counter is made of. All but Log are required.
type Options struct {
	Two  bool // there are two beams
	Lane func() Lane
	Now  func() when.Reading
	// Put appends to the ledger.
	Put func(func(wire.Epoch, uint64) (wire.Record, wire.Context, error)) (uint64, error)
	// Opens is how long after a decision the door's contact tells that it was opened;
	// 0 where there is none.
	Opens time.Duration
	// Faulty reports whether what counts cannot be read now; nil is never.
	Faulty func() bool
	Log    *slog.Logger
}

// A Counter counts one lane. It is safe for concurrent use, and a [kiosk.Face] that
// shows nothing.
type Counter struct {
	o Options

	mu    sync.Mutex
	since sum   // since the program's start
	hour  spell // what is not in the ledger yet
	slots [wire.LatelyTime / slot]sum
	at    int64 // number of the newest slot, since boot
	began int64 // milliseconds since boot
	last  int64 // when somebody last passed
	// When people broke one beam and not yet the other.
	outer, inner []time.Time
	felt         uint64 // times that the only beam was broken
	until        int64  // since boot: until when the door should open; 0 if it need not
	open         bool   // the door is open
	failed       bool
}

type sum struct{ people, against, scans, shut uint64 }

func (s *sum) add(t sum) {
	s.people, s.against, s.scans, s.shut = s.people+t.people, s.against+t.against, s.scans+t.scans, s.shut+t.shut
}

// A spell is a part of an hour.
type spell struct {
	sum
	lane Lane
	hour int64 // of the wall clock, as it was believed
	from int64 // milliseconds since boot
}

// New returns a counter that begins now.
func New(o Options) *Counter {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Counter{o: o}
	r := o.Now()
	c.began, c.at = r.Since, r.Since/slot.Milliseconds()
	c.begin(r)
	return c
}

func (c *Counter) begin(r when.Reading) {
	c.hour = spell{lane: c.o.Lane(), hour: hourOf(r), from: r.Since}
}

func hourOf(r when.Reading) int64 { return r.Wall / time.Hour.Milliseconds() }

// Run puts each hour into the ledger until ctx ends, then what is left, and returns nil.
func (c *Counter) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	defer c.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.Look()
		}
	}
}

// Close puts into the ledger what is not there yet.
func (c *Counter) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(c.o.Now())
}

// Look puts an hour that is over into the ledger. [Counter.Run] calls it again and again.
func (c *Counter) Look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now()
}

// now returns what is known of the time, after what is over has been put into the
// ledger: an hour, or the lane as it was.
func (c *Counter) now() when.Reading {
	r := c.o.Now()
	if c.until > 0 && r.Since > c.until {
		c.until = 0
		c.since.shut++
		c.hour.shut++
	}
	if c.hour.hour != hourOf(r) || c.hour.lane != c.o.Lane() {
		c.end(r)
	}
	for at := r.Since / slot.Milliseconds(); c.at < at; c.at++ {
		if at-c.at > int64(len(c.slots)) {
			c.at = at - int64(len(c.slots))
		}
		c.slots[(c.at+1)%int64(len(c.slots))] = sum{}
	}
	return r
}

// end writes the spell that ends now, if there was anything in it. What cannot be
// written is kept for the next.
func (c *Counter) end(r when.Reading) {
	s := c.hour
	if s.sum == (sum{}) {
		c.begin(r)
		return
	}
	_, err := c.o.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		h := wire.Header{
			Seq: seq, Kind: wire.KindPassage, Gate: s.lane.Gate, Lane: s.lane.No, Direction: s.lane.Direction,
			Passage: &wire.Passage{
				Took: min(r.Since-s.from, wire.MaxPassageTime.Milliseconds()), People: count(s.people), Against: count(s.against), Scans: count(s.scans), Shut: count(s.shut),
			},
		}
		h.At(r)
		return wire.NewRecord(h, wire.Sealed{}), wire.Context{}, nil
	})
	if err != nil {
		if !c.failed {
			c.o.Log.Warn("people who passed are not in the ledger yet", "err", err)
		}
		c.failed = true
		c.hour.hour = hourOf(r) // it is tried again when this one is over
		return
	}
	c.failed = false
	c.begin(r)
}

func count(n uint64) uint32 { return uint32(min(n, wire.MaxPassage)) }

func (c *Counter) add(s sum) {
	r := c.now()
	c.since.add(s)
	c.hour.add(s)
	c.slots[c.at%int64(len(c.slots))].add(s)
	if s.people+s.against > 0 {
		c.last = r.Wall
	}
}

// Show implements [kiosk.Face]: it counts whoever was recorded.
func (c *Counter) Show(a kiosk.Answer) {
	n := 0
	switch {
	case a.Test:
	case a.Brought > 0:
		n = a.Brought
	case (a.State == words.Admitted || a.State == words.Leaving) && a.Seq != 0:
		n = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.State == words.Amber || n > 0 && a.Brought == 0 {
		c.opens()
	}
	if n == 0 {
		return
	}
	c.add(sum{scans: uint64(n)})
}

// opens notes that a decision has opened the door. One that follows before anybody went
// through is the same opening.
func (c *Counter) opens() {
	if r := c.now(); c.o.Opens > 0 && !c.open && c.until == 0 {
		c.until = r.Since + c.o.Opens.Milliseconds()
	}
}

// Press counts one person, as a guard's key says.
func (c *Counter) Press() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(sum{people: 1})
}

// Feel takes one change of a contact.
func (c *Counter) Feel(e panel.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Kind == panel.Door {
		c.now()
		if c.open = e.Active; c.open {
			c.until = 0
		}
	}
	if !e.Active || e.Kind != panel.Tally && e.Kind != panel.Inner {
		return
	}
	if !c.o.Two {
		if e.Kind == panel.Tally && e.Count > c.felt { // events may be lost, counts are not
			c.add(sum{people: e.Count - c.felt})
			c.felt = e.Count
		}
		return
	}
	// Whoever comes in breaks the outer beam first.
	own, other, way := &c.outer, &c.inner, wire.Out
	if e.Kind == panel.Inner {
		own, other, way = &c.inner, &c.outer, wire.In
	}
	for _, q := range []*[]time.Time{own, other} {
		for len(*q) > 0 && e.At.Sub((*q)[0]) > through {
			*q = (*q)[1:]
		}
	}
	if len(*other) == 0 {
		if len(*own) < waiting {
			*own = append(*own, e.At)
		}
		return
	}
	*other = (*other)[1:]
	if way == c.o.Lane().Direction {
		c.add(sum{people: 1})
	} else {
		c.add(sum{against: 1})
	}
}

// Part tells the agent what to say in beats.
func (c *Counter) Part() agent.Part {
	return agent.Part{Fill: func(b *wire.Beat) { b.Passage = c.Beat() }}
}

// Beat returns what a beat says.
func (c *Counter) Beat() *wire.PassageBeat {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.now()
	b := &wire.PassageBeat{
		People: c.since.people, Against: c.since.against, Scans: c.since.scans, Shut: c.since.shut, For: min(r.Since-c.began, wire.LatelyTime.Milliseconds()), Last: c.last,
	}
	var lately sum
	for _, s := range c.slots {
		lately.add(s)
	}
	b.Lately, b.LatelyScans = count(lately.people), count(lately.scans)
	b.Broken = c.o.Faulty != nil && c.o.Faulty()
	return b
}
