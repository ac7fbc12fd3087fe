package ingest

import (
	"sync"
	"time"
)

// share is how many batches of one kiosk may wait while there are many: twice what a
// kiosk has under way, for after a lost link it sends all of that again.
const share = 8

// A line is a queue of batches in which no kiosk takes the others' room.
type line struct {
	messages chan message
	many     int // when so many wait, a kiosk has no more than its share

	mu sync.Mutex
	of map[string]int // how many of each kiosk wait
}

func newLine(room int) *line {
	return &line{messages: make(chan message, room), many: room / 8, of: map[string]int{}}
}

// put reports whether there was room.
func (l *line) put(m message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[m.kiosk] >= share && len(l.messages) >= l.many {
		return false
	}
	select {
	case l.messages <- m:
		l.of[m.kiosk]++
		return true
	default:
		return false
	}
}

// took notes that m waits no more.
func (l *line) took(m message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[m.kiosk]--; l.of[m.kiosk] == 0 {
		delete(l.of, m.kiosk)
	}
}

// A newest is a queue of beats in which of each kiosk the newest waits: the answer to
// an earlier one comes too late.
type newest struct {
	kiosks chan string

	mu sync.Mutex
	of map[string]message
}

func newNewest(room int) *newest {
	return &newest{kiosks: make(chan string, room), of: map[string]message{}}
}

// put reports whether there was room and no beat had to give way.
func (n *newest) put(m message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, waits := n.of[m.kiosk]; waits {
		n.of[m.kiosk] = m
		return false
	}
	select {
	case n.kiosks <- m.kiosk:
		n.of[m.kiosk] = m
		return true
	default:
		return false
	}
}

// take returns the beat of a kiosk that was received from kiosks.
func (n *newest) take(kiosk string) message {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.of[kiosk]
	delete(n.of, kiosk)
	return m
}

// How often the beats of one kiosk are answered. It sends one each half minute, one in
// two seconds at most while something about it changes, and one with each connection.
const (
	beatPause  = time.Second
	beatsAhead = 32 * beatPause
)

// A pace holds each kiosk to one beat in a beatPause, but for some in a row. Only kiosks
// of ours are in it.
type pace map[string]time.Time

// allows reports whether it is not too soon for another beat.
func (p pace) allows(kiosk string, now time.Time) bool {
	next := p[kiosk]
	if next.Before(now) {
		next = now
	}
	if next.Sub(now) >= beatsAhead {
		return false
	}
	p[kiosk] = next.Add(beatPause)
	return true
}

// grudges are the refusals that no line of the log has told yet: a line a minute says
// enough of one kiosk.
type grudges struct {
	mu sync.Mutex
	of map[grudge]told
}

type grudge struct{ kiosk, what string }

type told struct {
	at     time.Time
	untold int
}

const (
	grudgeEvery = time.Minute
	maxGrudges  = 10_000
)

// add reports whether a line is due, and how many had none before it.
func (g *grudges) add(of grudge, now time.Time) (untold int, due bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, known := g.of[of]
	if known && now.Sub(last.at) < grudgeEvery {
		last.untold++
		g.of[of] = last
		return 0, false
	}
	if len(g.of) >= maxGrudges {
		clear(g.of)
	}
	g.of[of] = told{at: now}
	return last.untold, true
}
