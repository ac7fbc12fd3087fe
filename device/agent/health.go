package agent

import (
	"time"

	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A trip is what the last answered beat taught of the link and of the clock.
type trip struct {
	known  bool
	took   time.Duration
	offset int64 // milliseconds by which our clock was behind the server's
}

// tripOf returns what an answer that came at at teaches, which says the server's
// time. now is what the clock believed when it was looked at, before it learnt.
func (a *Agent) tripOf(at time.Duration, server int64, now when.Reading) trip {
	took := max(at-a.sent, 0)
	ours := now.Wall - (now.Since - at.Milliseconds())
	return trip{true, took, server + (took / 2).Milliseconds() - ours}
}

// fill puts into a beat what the agent knows of the link, the clock and the
// outbox beside what [Agent.condition] has from them.
func (a *Agent) fill(b *wire.Beat) {
	s := a.queue.Stats()
	b.Opened, b.Moved, b.Lost = s.By, s.Moved, s.Lost
	b.Links = a.links.Load()
	if a.trip.known {
		offset := a.trip.offset
		b.RoundTrip, b.Offset = max(a.trip.took.Microseconds(), 1), &offset
	}
	if a.oldest.forget(s.Epoch); s.Unsent > 0 {
		b.Oldest = a.oldest.age(a.queue.Peek, s.Through+1, when.Reading{Boot: b.Boot, Since: b.Since, Wall: b.Wall, State: b.State})
	}
}
