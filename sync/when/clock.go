package when

import (
	"sync"
	"time"
)

const (
	// MaxRoundTrip is the longest wait for an answer that [Clock.Sample] takes:
	// a kiosk asks again after it.
	MaxRoundTrip = 30 * time.Second

	// fresh is how long after its sample a clock is Synced and not Holding; a
	// kiosk with a link asks each half minute.
	fresh = 10 * time.Minute

	// anchorEvery is the longest time between two anchors of a boot: drift
	// alone widens an interval by two seconds in it.
	anchorEvery = 6 * time.Hour

	// maxAhead is how far over the floor an unproven clock is believed. A
	// kiosk that lay in a store for longer shows the floor until it syncs.
	maxAhead = 5 * 365 * 24 * time.Hour
)

// A Clock is a kiosk's belief about the time in one boot. It is safe for
// concurrent use.
type Clock struct {
	boot  Boot
	since func() time.Duration
	wall  func() time.Time

	mu      sync.Mutex
	floor   time.Time
	floorAt time.Duration // since boot, when floor was certainly past
	best    *Anchor       // the tightest sample; nil before the first
	written Anchor        // the last sample that was due for the ledger
}

// NewClock returns the clock of one boot. since is the time since boot with
// suspended time (CLOCK_BOOTTIME) and never goes back; wall is what the system
// believes and may jump. floor is the later of the program's build time and the
// last [Clock.Floor] that was stored.
func NewClock(boot Boot, since func() time.Duration, wall func() time.Time, floor time.Time) *Clock {
	return &Clock{boot: boot, since: since, wall: wall, floor: floor, floorAt: since()}
}

// Sample takes the server's time from an answer that is proven to belong to a
// question sent at sent and answered at received, both since boot. Only an
// answer that carries the question's nonce under the server's signature may
// come here; for any other signed time see [Clock.AtLeast].
//
// It returns the sample as an anchor, and whether the ledger should have it: the
// first of a boot, one that is much better or contradicts the last, and one
// every six hours. A round trip over [MaxRoundTrip] is no sample.
func (c *Clock) Sample(sent, received time.Duration, server time.Time) (a Anchor, due bool) {
	trip := received - sent
	if trip < 0 || trip > MaxRoundTrip {
		return Anchor{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raise(server, received)
	// Two milliseconds for times cut to the millisecond on both sides, and the
	// crystal's error over the round trip.
	half := (trip / 2).Milliseconds()
	a = Anchor{
		Boot:   c.boot,
		Since:  (sent + trip/2).Milliseconds(),
		Server: server.UnixMilli(),
		Error:  half + 2 + slack(half),
	}
	if c.best == nil {
		c.best, c.written = &a, a
		return a, true
	}
	held, err := c.best.at(a.Since)
	off := a.Server - held
	contradicts := max(off, -off) > err+a.Error
	if contradicts || a.Error <= err {
		c.best = &a
	}
	due = contradicts || 2*a.Error <= c.written.Error || a.Since-c.written.Since >= anchorEvery.Milliseconds()
	if due {
		c.written = a
	}
	return a, due
}

// at returns the time that an anchor gives for another moment of its boot, and
// the error bound.
func (a Anchor) at(since int64) (server, err int64) {
	d := since - a.Since
	return a.Server + d, a.Error + slack(d)
}

// AtLeast raises the floor to a time that the server has signed, whenever it
// did so. An earlier time changes nothing.
func (c *Clock) AtLeast(server time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raise(server, c.since())
}

// Floor returns a time that is certainly past. It only rises; the caller stores
// it for the next boot.
func (c *Clock) Floor() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.low(c.since())
}

func (c *Clock) raise(to time.Time, since time.Duration) {
	if to.After(c.low(since)) {
		c.floor, c.floorAt = to, since
	}
}

// low returns the floor grown by the time that has certainly passed since.
func (c *Clock) low(since time.Duration) time.Time {
	d := since - c.floorAt
	return c.floor.Add(max(d-time.Duration(slack(int64(d))), 0))
}

// Read returns what the clock knows now.
func (c *Clock) Read() Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.since()
	low := c.low(now)
	since := now.Milliseconds()
	r := Reading{Boot: c.boot, Since: since}
	if c.best == nil {
		// The system's clock is believed only where it contradicts nothing.
		r.Wall, r.State = low.UnixMilli(), Floor
		if wall := c.wall(); !wall.Before(low) && wall.Sub(low) <= maxAhead {
			r.Wall, r.State = wall.UnixMilli(), Chip
		}
		return r
	}
	r.State = Synced
	if since-c.best.Since > fresh.Milliseconds() {
		r.State = Holding
	}
	r.Wall, r.Error = c.best.at(since)
	// A receipt may have come from a server whose clock is ahead of the one
	// that answered: the later word of the two is the floor.
	if ms := low.UnixMilli(); r.Wall < ms {
		r.Error += ms - r.Wall
		r.Wall = ms
	}
	return r
}

// Now returns the best belief about the time, never below the floor.
func (c *Clock) Now() time.Time { return time.UnixMilli(c.Read().Wall) }

// TLSTime returns the time at which to judge a certificate of our own CA that is
// valid from notBefore. Unless the clock was synced in this boot it is a time
// that is certainly past, and never before notBefore: a wrong clock can neither
// call a certificate new nor expired.
func (c *Clock) TLSTime(notBefore time.Time) time.Time {
	r := c.Read()
	if r.State == Synced || r.State == Holding {
		return time.UnixMilli(r.Wall)
	}
	if low := c.Floor(); low.After(notBefore) {
		return low
	}
	return notBefore
}
