// Package panel owns what a kiosk switches and what it feels: lamps, buzzer,
// light, the relay of the door, and the contacts of door, beam, guard's button and
// fire alarm.
//
// Its promise: a person is never held in. The coil of the relay has current
// only while [GPIO.Run] runs, and a door that people leave through locks only
// by current, so the end of Run frees it.
//
// After SIGKILL it is the kernel that must let go of the line. The Raspberry
// Pi's kernel does so only with dtparam=strict_gpiod in config.txt; without
// it an output keeps its level when its program is gone. [Release] does the
// same from outside, for a launcher and for ExecStopPost of a service unit. A contact of the fire
// alarm in series with the coil needs no program at all and belongs to every
// escape route.
//
//	p, err := panel.Open(cfg, log) // or panel.NewRecorder(os.Stdout, cfg, log)
//	go p.Run(ctx)
//	p.Show(panel.Admitted) // the lamp is lit, the door is open
//
// One table maps a signal to lamps, rhythm, buzzer and pulse; a signal can be
// told from any other without seeing colours and without hearing.
//
// It leaves out when to show what (the kiosk's rules), what a screen and a
// voice say, and what the counts mean.
package panel

import (
	"context"
	"time"
)

// A Panel shows signals and reports what its contacts feel. Its methods may
// be called from several goroutines.
type Panel interface {
	// Show switches lamps, buzzer and relay to s before it returns, if Run
	// runs; a signal shown earlier appears once it does. What does not work
	// is found in Health; Show never waits for it. s must be one of Signals.
	Show(s Signal)

	// Pulse opens the door once, without a signal, as a door order asks.
	// Pulses do not add up: the door closes one open time after the last.
	Pulse()

	// Light switches the light that a camera sees by. It is dark while Run does
	// not run.
	Light(on bool)

	// Events carries what contacts feel while Run runs. It is nil where no
	// contact can be. A reader that falls behind loses events, never counts.
	Events() <-chan Event

	// Health returns what the panel shows, feels and cannot do now.
	Health() Health

	// Run drives the panel until ctx ends, then darkens it, takes the coil's
	// current away and returns nil. It is called once.
	Run(ctx context.Context) error
}

// A Kind names a contact.
type Kind string

// The contacts.
const (
	Door   Kind = "door"
	Tally  Kind = "tally"
	Inner  Kind = "inner"
	Button Kind = "button"
	Fire   Kind = "fire"
)

// An Event is one change of a contact, after debouncing.
type Event struct {
	Kind   Kind
	Active bool
	At     time.Time // when the change was accepted, by this machine's clock
	Count  uint64    // activations since the program started, this one included
}

// Health is the state of a panel.
type Health struct {
	Signal    Signal // what is shown; Ready before the first Show
	Energised bool   // the relay's coil has current
	Lit       bool   // the light is on
	Contacts  []ContactState
	Lost      uint64   // events that nobody took in time
	Faults    []string // what does not work, one sentence each, sorted; empty when all is well
}

// A ContactState is a fitted contact. It stays at its last value while the
// contact has a fault.
type ContactState struct {
	Kind   Kind
	Active bool
	Since  time.Time // when it became so; zero until its first change
	Count  uint64    // activations since the program started
}
