package panel

import (
	"errors"
	"fmt"
	"time"
)

// Limits and defaults of a Config.
const (
	DefaultReset    = 3 * time.Second
	MaxReset        = 30 * time.Second
	DefaultOpen     = 3 * time.Second
	MaxOpen         = 10 * time.Second
	DefaultDebounce = 30 * time.Millisecond
	DefaultGap      = 200 * time.Millisecond
	MaxDebounce     = time.Second
)

// ErrEgressWiring is returned for a door that people leave through and whose
// relay would have to be energised to let them out: such a door would hold
// people in whenever the kiosk has no power.
var ErrEgressWiring = errors.New("a door that people leave through must be wired so that the relay energises to lock")

// An Output is a lamp, a buzzer or a light. An empty Pin means that it is not fitted.
type Output struct {
	Pin       string // name of the GPIO line, for example "GPIO17"
	ActiveLow bool   // on is low
}

// A Relay moves the lock of a door or the arm of a turnstile.
//
// On a Raspberry Pi choose GPIO9 to GPIO27 unless ActiveLow, and GPIO0 to
// GPIO8 if ActiveLow: while no program has the line, their resistors then
// keep the coil without current.
type Relay struct {
	Pin            string        // empty: not fitted
	ActiveLow      bool          // low on the pin is current in the coil
	EnergiseToOpen bool          // current opens; only for an entrance that is no way out
	Open           time.Duration // how long one decision opens; 0 is DefaultOpen, at most MaxOpen
}

// A Contact is an input: a switch, a beam, a button, a fire panel. An empty Pin
// means that it is not fitted.
//
// The line is pulled by the processor's resistor to the level that means inactive, so that
// a loose cable is silent. The fire contact is pulled to active, so that a
// loose cable opens the door.
type Contact struct {
	Pin       string
	ActiveLow bool          // active is low
	Debounce  time.Duration // active must last so long to count; 0 is DefaultDebounce
	Gap       time.Duration // inactive must last so long to count; 0 is Debounce, for the beams DefaultGap
}

// Config says what is fitted and how it is wired. The zero value is a panel
// without parts.
type Config struct {
	Red, Amber, Green, Buzzer Output
	Light                     Output // that a camera sees by
	Relay                     Relay

	// Egress says that people leave through this door: an exit lane, a lane
	// used both ways, a door on an escape route. Its relay must energise to
	// lock. Every answer to a scan opens it, a refusal too, and it stays open
	// for as long as Fault or Locked stands.
	Egress bool

	Door   Contact // active: the door stands open
	Tally  Contact // beam, turnstile or guard's key: active once for each person who passes
	Inner  Contact // a second beam, behind that of Tally as seen from outside: their order tells which way
	Button Contact // the guard's button
	Fire   Contact // active: fire alarm, the coil gets no current

	Reset time.Duration // how long an answer is shown; 0 is DefaultReset, at most MaxReset
}

// Validate returns nil if a panel can be built from c on a machine that has
// its pins, and otherwise an error that names the part. It wraps
// ErrEgressWiring for the wiring that would hold people in.
func (c Config) Validate() error {
	if c.Egress && c.Relay.EnergiseToOpen {
		return fmt.Errorf("panel: relay: %w", ErrEgressWiring)
	}
	if c.Relay.Open < 0 || c.Relay.Open > MaxOpen {
		return fmt.Errorf("panel: relay: open time %v is not between 0 and %v", c.Relay.Open, MaxOpen)
	}
	if c.Reset < 0 || c.Reset > MaxReset {
		return fmt.Errorf("panel: reset time %v is not between 0 and %v", c.Reset, MaxReset)
	}
	taken := make(map[string]string)
	claim := func(part, pin string) error {
		if pin == "" {
			return nil
		}
		if other, ok := taken[pin]; ok {
			return fmt.Errorf("panel: %s and %s are both on pin %q", other, part, pin)
		}
		taken[pin] = part
		return nil
	}
	for _, o := range c.outputs() {
		if err := claim(o.part, o.Pin); err != nil {
			return err
		}
	}
	if c.Inner.Pin != "" && c.Tally.Pin == "" {
		return errors.New("panel: inner: a second beam needs a first, tally")
	}
	for _, in := range c.contacts() {
		if err := claim(string(in.kind), in.Pin); err != nil {
			return err
		}
		if in.Debounce < 0 || in.Debounce > MaxDebounce || in.Gap < 0 || in.Gap > MaxDebounce {
			return fmt.Errorf("panel: %s: debounce %v or gap %v is not between 0 and %v", in.kind, in.Debounce, in.Gap, MaxDebounce)
		}
	}
	return nil
}

type namedOutput struct {
	part string
	Output
}

func (c Config) outputs() []namedOutput {
	return []namedOutput{
		{"red lamp", c.Red},
		{"amber lamp", c.Amber},
		{"green lamp", c.Green},
		{"buzzer", c.Buzzer},
		{"light", c.Light},
		{"relay", Output{c.Relay.Pin, c.Relay.ActiveLow}},
	}
}

type namedContact struct {
	kind Kind
	Contact
}

func (c Config) contacts() []namedContact {
	return []namedContact{
		{Door, c.Door},
		{Tally, c.Tally},
		{Inner, c.Inner},
		{Button, c.Button},
		{Fire, c.Fire},
	}
}

// withDefaults returns c with its zero durations filled in.
func (c Config) withDefaults() Config {
	or := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	or(&c.Reset, DefaultReset)
	or(&c.Relay.Open, DefaultOpen)
	or(&c.Tally.Gap, DefaultGap)
	or(&c.Inner.Gap, DefaultGap)
	for _, in := range []*Contact{&c.Door, &c.Tally, &c.Inner, &c.Button, &c.Fire} {
		or(&in.Debounce, DefaultDebounce)
		or(&in.Gap, in.Debounce)
	}
	return c
}
