package panel

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"

	// Only the character device. The whole of periph's host would put its
	// Broadcom driver in front, which writes registers through a memory map:
	// the kernel then knows of no line to release when the program dies. The
	// sysfs driver, which package board brings with I²C, comes behind.
	_ "periph.io/x/host/v3/gpioioctl"
)

// eventBacklog is more than a guard's button and a beam give in the seconds
// that a reader may be busy with a disk.
const eventBacklog = 64

// A GPIO is the panel of lamps, buzzer, relay and contacts on GPIO lines.
type GPIO struct {
	log      *slog.Logger
	wake     chan struct{}
	events   chan Event
	contacts []*contact

	mu      sync.Mutex
	face    face
	outputs []*output // in the order of Config.outputs, nil where not fitted
	last    outputs
	lost    uint64
	faults  map[string]error // by part
}

// An output is one line that the panel drives. Its level is remembered, never
// read back: gpioioctl's Read turns an output into an input.
type output struct {
	part      string
	pin       gpio.PinOut
	activeLow bool
	known     bool // the last write worked
	on        bool
}

// Open finds this machine's GPIO lines and returns the panel that c
// describes. Lines that appear after the first Open of a process are not found.
// See New for what it does to the lines.
func Open(c Config, log *slog.Logger) (*GPIO, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if _, err := driverreg.Init(); err != nil {
		return nil, fmt.Errorf("panel: gpio drivers: %w", err)
	}
	return New(c, log)
}

// New returns the panel that c describes on the lines already registered with
// gpioreg. It switches lamps and buzzer off and takes the current from the
// coil. An unknown line is an error that names it; a line that is there but
// cannot be had is a fault in Health, tried again for as long as Run runs.
func New(c Config, log *slog.Logger) (*GPIO, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	g := &GPIO{
		log:    log,
		wake:   make(chan struct{}, 1),
		events: make(chan Event, eventBacklog),
		face:   newFace(c),
		faults: make(map[string]error),
	}
	for _, o := range c.outputs() {
		if o.Pin == "" {
			g.outputs = append(g.outputs, nil)
			continue
		}
		pin, err := byName(o.part, o.Pin)
		if err != nil {
			return nil, err
		}
		g.outputs = append(g.outputs, &output{part: o.part, pin: pin, activeLow: o.ActiveLow})
	}
	for _, in := range c.contacts() {
		if in.Pin == "" {
			continue
		}
		pin, err := byName(string(in.kind), in.Pin)
		if err != nil {
			return nil, err
		}
		g.contacts = append(g.contacts, newContact(in, pin))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.write(outputs{})
	for _, in := range g.contacts {
		g.request(in)
	}
	return g, nil
}

// Release takes the current from the coil of c's relay and returns: what a
// panel does when it ends, for a unit to call after its program was killed.
func Release(c Config) error {
	if c.Relay.Pin == "" {
		return nil
	}
	if _, err := driverreg.Init(); err != nil {
		return fmt.Errorf("panel: gpio drivers: %w", err)
	}
	pin, err := byName("relay", c.Relay.Pin)
	if err != nil {
		return err
	}
	if err := pin.Out(gpio.Level(c.Relay.ActiveLow)); err != nil {
		return fmt.Errorf("panel: relay: %w", err)
	}
	return nil
}

func byName(part, pin string) (gpio.PinIO, error) {
	if p := gpioreg.ByName(pin); p != nil {
		return p, nil
	}
	if len(gpioreg.All()) == 0 {
		return nil, fmt.Errorf("panel: %s: no pin %q: no GPIO lines on this machine, or no right to open them", part, pin)
	}
	return nil, fmt.Errorf("panel: %s: no pin %q on this machine", part, pin)
}

// Adjust changes how long an answer is shown and whether people leave through the
// door, between two signals. The error is [ErrEgressWiring] for a way out whose relay
// energises to open; nothing changes then.
func (g *GPIO) Adjust(reset time.Duration, egress bool) (err error) {
	g.change(func(time.Time) { err = g.face.adjust(reset, egress) })
	return err
}

// Show implements Panel.
func (g *GPIO) Show(s Signal) {
	g.change(func(now time.Time) { g.face.show(s, now) })
	g.log.Debug("signal", "signal", s.String())
}

// Pulse implements Panel.
func (g *GPIO) Pulse() {
	g.change(g.face.pulse)
}

// Light implements Panel.
func (g *GPIO) Light(on bool) {
	g.change(func(time.Time) { g.face.light = on })
}

// Events implements Panel.
func (g *GPIO) Events() <-chan Event { return g.events }

// change alters the face, switches what follows from it, and has Run plan anew.
func (g *GPIO) change(alter func(now time.Time)) {
	g.mu.Lock()
	now := time.Now()
	alter(now)
	out, _ := g.face.at(now)
	g.write(out)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Run implements Panel. When ctx ends the coil is without current at once;
// Run returns when the last contact has been let go, within MaxDebounce.
func (g *GPIO) Run(ctx context.Context) error {
	g.change(func(time.Time) { g.face.running = true })
	var watchers sync.WaitGroup
	defer watchers.Wait()
	// Deferred last, so run first, and even if something here panics.
	defer g.rest()
	for _, in := range g.contacts {
		watchers.Go(func() { g.watch(ctx, in) })
	}
	drive(ctx, g.wake, func(now time.Time) time.Time {
		g.mu.Lock()
		defer g.mu.Unlock()
		out, next := g.face.at(now)
		if g.write(out) {
			return next
		}
		if again := now.Add(retryAfter); next.IsZero() || again.Before(next) {
			return again
		}
		return next
	})
	return nil
}

func (g *GPIO) rest() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.face.running = false
	g.write(outputs{})
}

// write switches the lines whose state differs from out or is unknown, the
// relay first, and reports whether all of them obeyed. g.mu is held.
//
// gpioioctl's first write drives a line low for some microseconds before it
// takes its level. No relay moves so fast.
func (g *GPIO) write(out outputs) bool {
	g.last = out
	want := []bool{out.lamps&red != 0, out.lamps&amber != 0, out.lamps&green != 0, out.buzzer, out.light, out.energised}
	ok := true
	for i, o := range slices.Backward(g.outputs) {
		if o == nil || o.known && o.on == want[i] {
			continue
		}
		err := o.pin.Out(gpio.Level(want[i] != o.activeLow))
		o.known, o.on = err == nil, want[i]
		ok = ok && o.known
		g.fault(o.part, err)
	}
	return ok
}

// fault remembers that a part does not work, or with nil that it does, and
// logs the change. g.mu is held.
func (g *GPIO) fault(part string, err error) {
	_, was := g.faults[part]
	switch {
	case err == nil && was:
		delete(g.faults, part)
		g.log.Info("panel part works again", "part", part)
	case err != nil:
		g.faults[part] = err
		if !was {
			g.log.Warn("panel part does not work", "part", part, "err", err)
		}
	}
}

// Health implements Panel.
func (g *GPIO) Health() Health {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := Health{Signal: g.face.signal, Energised: g.last.energised, Lit: g.last.light, Lost: g.lost}
	for _, in := range g.contacts {
		h.Contacts = append(h.Contacts, in.state)
	}
	for part, err := range g.faults {
		h.Faults = append(h.Faults, part+": "+err.Error())
	}
	slices.Sort(h.Faults)
	return h
}
