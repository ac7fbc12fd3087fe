package panel

import (
	"context"
	"errors"
	"time"

	"periph.io/x/conn/v3/gpio"
)

const (
	// retryAfter is how long a line that does not obey is left alone.
	retryAfter = 5 * time.Second

	// pollEvery bounds how long a missed edge goes unseen and how long Run
	// waits for its watchers.
	pollEvery = 250 * time.Millisecond

	// chatter is the number of edges without a quiet moment after which a
	// contact counts as broken. A dense crowd in a beam stays far below.
	chatter = 200
)

var errChatters = errors.New("contact chatters and cannot be read")

// A contact is one input line.
type contact struct {
	pin           gpio.PinIn
	pull          gpio.Pull
	activeLow     bool
	debounce, gap time.Duration

	// Both are written by the contact's watcher alone; state under the panel's mu.
	requested bool // the line is ours
	state     ContactState
}

func newContact(c namedContact, pin gpio.PinIn) *contact {
	in := &contact{
		pin:       pin,
		pull:      gpio.PullDown,
		activeLow: c.ActiveLow,
		debounce:  c.Debounce,
		gap:       c.Gap,
		state:     ContactState{Kind: c.kind},
	}
	if c.ActiveLow != (c.kind == Fire) {
		in.pull = gpio.PullUp
	}
	return in
}

func (in *contact) active() bool { return bool(in.pin.Read()) != in.activeLow }

// request takes the line, and its state as it is found: that is no event. A
// fire contact that cannot be read counts as fire. g.mu is held.
func (g *GPIO) request(in *contact) {
	err := in.pin.In(in.pull, gpio.BothEdges)
	in.requested = err == nil
	g.fault(string(in.state.Kind), err)
	if in.requested {
		in.state.Active = in.active()
	}
	if in.state.Kind == Fire {
		g.face.fire = in.state.Active || !in.requested
	}
}

// watch turns edges of in into events until ctx ends.
func (g *GPIO) watch(ctx context.Context, in *contact) {
	for ctx.Err() == nil {
		if !in.requested {
			if !sleep(ctx, retryAfter) {
				return
			}
			g.change(func(time.Time) { g.request(in) })
			continue
		}
		began := time.Now()
		edge := in.pin.WaitForEdge(pollEvery)
		if !edge && in.active() == in.state.Active {
			// A line whose chip was unplugged returns at once.
			sleep(ctx, pollEvery-time.Since(began))
			continue
		}
		g.settle(ctx, in)
	}
}

// settle waits until in has been quiet for its debounce time, or for its gap
// if it is active, and takes the state that remains.
func (g *GPIO) settle(ctx context.Context, in *contact) {
	quiet := in.debounce
	if in.state.Active {
		quiet = in.gap
	}
	for edges := 1; in.pin.WaitForEdge(quiet); edges++ {
		if ctx.Err() != nil {
			return
		}
		if edges == chatter {
			g.change(func(time.Time) {
				g.fault(string(in.state.Kind), errChatters)
				g.face.fire = g.face.fire || in.state.Kind == Fire
			})
		}
	}
	active := in.active()
	g.change(func(now time.Time) {
		g.fault(string(in.state.Kind), nil)
		if in.state.Kind == Fire {
			g.face.fire = active
		}
		if active == in.state.Active {
			return
		}
		in.state.Active, in.state.Since = active, now
		if active {
			in.state.Count++
		}
		select {
		case g.events <- Event{Kind: in.state.Kind, Active: active, At: now, Count: in.state.Count}:
		default:
			g.lost++
		}
	})
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
