package room

import (
	"errors"
	"time"

	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Told is what a kiosk tells the other kiosks of its place of the people whom it has
// counted. Both counts only rise.
type Told struct {
	Life   [8]byte `cbor:"1,keyasint"` // of its counts: a kiosk that has lost them begins another
	Period int64   `cbor:"2,keyasint"`
	In     uint64  `cbor:"3,keyasint,omitempty"`
	Out    uint64  `cbor:"4,keyasint,omitempty"`
}

// Bounds of what a neighbour may tell, so that no sum overflows.
const (
	maxTold   = 1 << 40
	maxPeriod = 1 << 32

	// maxLives is how many times in a day a neighbour may have lost its counts.
	maxLives = 8
	// nearFor is how long after it was heard a neighbour's counts are those of now.
	nearFor = 5 * time.Second
)

// Sound reports whether t says what can be.
func (t Told) Sound() bool {
	return t.Life != [8]byte{} && t.Period >= 0 && t.Period < maxPeriod && t.In <= maxTold && t.Out <= maxTold
}

// ErrLives is returned where a neighbour has lost its counts too often to be believed.
var ErrLives = errors.New("room: a neighbour has lost its counts too often")

// ErrNeighbour is returned for a kiosk that is no neighbour.
var ErrNeighbour = errors.New("room: not a neighbour")

// A neighbour is another kiosk of the place, as it told of itself over the local network.
type neighbour struct {
	period int64
	lives  map[[8]byte]quota.Count
	at     time.Time // when it was last heard; zero if never
}

// Neighbours says which other kiosks count people of the place: all of them, for who is
// inside is known from them only together.
func (r *Room) Neighbours(kiosks ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.near = map[string]*neighbour{}
	for _, k := range kiosks {
		r.near[k] = &neighbour{}
	}
}

// Tell returns what neighbours are told.
func (r *Room) Tell(now time.Time) Told {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.of(wire.Scope{}).Roll(dayOf(now))
	return Told{Life: r.life, Period: t.Period, In: t.In, Out: t.Out}
}

// Hear takes what a neighbour tells, in any order and any number of times.
func (r *Room) Hear(kiosk string, t Told) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.near[kiosk]
	switch {
	case n == nil:
		return ErrNeighbour
	case t.Period < n.period && time.Since(n.at) <= nearFor:
		return nil // of a day that is over, or it was the other one that was wrong
	case t.Period != n.period:
		n.period, n.lives = t.Period, nil
	}
	if _, known := n.lives[t.Life]; !known && len(n.lives) >= maxLives {
		return ErrLives
	}
	if n.lives == nil {
		n.lives = map[[8]byte]quota.Count{}
	}
	n.lives[t.Life] = n.lives[t.Life].Merge(quota.Count{In: t.In, Out: t.Out})
	n.at = time.Now()
	return nil
}

// together returns how many more came in by all neighbours than went out today, and
// false if some of them are not heard.
func (r *Room) together(day int64) (inside int64, all bool) {
	for _, n := range r.near {
		if n.at.IsZero() || time.Since(n.at) > nearFor || n.period != day {
			return 0, false
		}
		for _, c := range n.lives {
			inside += c.Inside()
		}
	}
	return inside, len(r.near) > 0
}
