package panel

import (
	"context"
	"time"
)

// A face is the rule of what is on at which time. It does no input or output
// and reads no clock; the panels drive it under their own locks.
type face struct {
	reset          time.Duration
	open           time.Duration
	egress         bool
	energiseToOpen bool

	running bool // Run runs; else all is dark and the coil without current
	shown   bool // a signal was shown; until then likewise

	signal   Signal
	since    time.Time
	back     bool // signal was gone back to, not shown: it does not sound again
	standing Signal

	light bool // is asked for

	fire      bool
	openUntil time.Time
}

// outputs is everything a panel switches.
type outputs struct {
	lamps     lamps
	buzzer    bool
	light     bool
	energised bool
}

func newFace(c Config) face {
	return face{reset: c.Reset, open: c.Relay.Open, egress: c.Egress, energiseToOpen: c.Relay.EnergiseToOpen}
}

func (f *face) adjust(reset time.Duration, egress bool) error {
	c := Config{Reset: reset, Egress: egress, Relay: Relay{EnergiseToOpen: f.energiseToOpen}}
	if err := c.Validate(); err != nil {
		return err
	}
	f.reset, f.egress = c.withDefaults().Reset, egress
	return nil
}

func (f *face) show(s Signal, now time.Time) {
	f.shown, f.signal, f.since, f.back = true, s, now, false
	if looks[s].standing {
		f.standing = s
	}
	if f.opens(s) {
		f.pulse(now)
	}
}

// opens says whether s is a decision that opens the door. A way out is opened
// by every answer: whatever is wrong with a code, nobody is held in for it.
func (f *face) opens(s Signal) bool {
	return looks[s].pulse || f.egress && s != Ready && s != Reading
}

// pulse never adds to a running pulse: one decision that follows another
// moves the end, so that two decisions in a second do not hold a door for two
// open times.
func (f *face) pulse(now time.Time) {
	f.openUntil = now.Add(f.open)
}

// at goes on to now and returns what is on, and when it has to be asked
// again; next is zero if nothing changes by itself.
func (f *face) at(now time.Time) (out outputs, next time.Time) {
	if !f.shown {
		return out, next
	}
	until := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if end := f.since.Add(f.reset); !looks[f.signal].standing {
		if now.Before(end) {
			until(end)
		} else {
			f.signal, f.since, f.back = f.standing, end, true
		}
	}
	open := now.Before(f.openUntil)
	if open {
		until(f.openUntil)
	}
	if !f.running {
		return out, next
	}
	out.light = f.light
	look, age := looks[f.signal], now.Sub(f.since)
	lit := true
	if len(look.blink) > 0 {
		var left time.Duration
		lit, left = phase(look.blink, true, age)
		until(now.Add(left))
	}
	if lit {
		out.lamps = look.lamps
	}
	if !f.back {
		var left time.Duration
		if out.buzzer, left = phase(look.beep, false, age); left > 0 {
			until(now.Add(left))
		}
	}
	out.energised = !f.fire && f.current(open)
	return out, next
}

// current says whether the coil wants current while the door is to be open
// or not. Fault, Locked and the signals of a first start hold a way out open, also
// while an answer covers them: none of them ever ends by itself.
func (f *face) current(open bool) bool {
	if f.energiseToOpen {
		return open
	}
	return !open && !(f.egress && looks[f.standing].frees)
}

// drive calls step at once, after every wake and at every time that step asks
// for, until ctx ends.
func drive(ctx context.Context, wake <-chan struct{}, step func(now time.Time) (next time.Time)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-timer.C:
		}
		if next := step(time.Now()); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}
