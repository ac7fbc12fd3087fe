package panel

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// A Recorder is the panel of a machine without lamps: it keeps the time of a
// real one and writes what it would show. Its contacts are moved by [Recorder.Touch].
type Recorder struct {
	log    *slog.Logger
	wake   chan struct{}
	events chan Event

	mu       sync.Mutex
	w        io.Writer
	face     face
	shown    Signal
	last     outputs
	contacts []ContactState
	lost     uint64
	err      error

	coil func(current bool) // nil as a rule; see HoldCoil
	held bool
}

// A Line is what a Recorder writes for each signal, as one line of JSON in one
// Write: when a signal is shown, and when the panel goes back to the standing
// one.
type Line struct {
	At     time.Time `json:"at"`
	Signal string    `json:"signal"` // Signal.String, or PulseLine
	Green  bool      `json:"green"`  // the green lamp is on
	Pulse  bool      `json:"pulse"`  // the signal opens the door
}

// NewRecorder returns a panel that writes a Line for each signal to w, for
// example io.Discard, and logs it at debug level. Of c only Egress, Reset and Relay
// matter; c must be valid.
func NewRecorder(w io.Writer, c Config, log *slog.Logger) *Recorder {
	return &Recorder{
		log:    log,
		wake:   make(chan struct{}, 1),
		events: make(chan Event, eventBacklog),
		w:      w,
		face:   newFace(c.withDefaults()),
	}
}

// Touch moves a contact, as if it were fitted and had been quiet for its time. The
// first touch fits it.
func (r *Recorder) Touch(k Kind, active bool) {
	r.change(func(now time.Time) {
		i := slices.IndexFunc(r.contacts, func(c ContactState) bool { return c.Kind == k })
		if i < 0 {
			i, r.contacts = len(r.contacts), append(r.contacts, ContactState{Kind: k})
		}
		c := &r.contacts[i]
		if c.Active == active {
			return
		}
		c.Active, c.Since = active, now
		if active {
			c.Count++
		}
		if k == Fire {
			r.face.fire = active
		}
		select {
		case r.events <- Event{Kind: k, Active: active, At: now, Count: c.Count}:
		default:
			r.lost++
		}
	})
}

// Adjust is as [GPIO.Adjust].
func (r *Recorder) Adjust(reset time.Duration, egress bool) (err error) {
	r.change(func(time.Time) { err = r.face.adjust(reset, egress) })
	return err
}

// Show implements Panel. The line is written before it returns.
func (r *Recorder) Show(s Signal) {
	r.change(func(now time.Time) {
		r.face.show(s, now)
		r.record(now)
	})
}

// Pulse implements Panel. It writes a line of its own.
func (r *Recorder) Pulse() {
	r.change(func(now time.Time) {
		r.face.pulse(now)
		r.write(Line{At: now.UTC(), Signal: PulseLine, Pulse: true})
	})
}

// Light implements Panel. It writes nothing: a light is no answer.
func (r *Recorder) Light(on bool) {
	r.change(func(time.Time) { r.face.light = on })
}

// PulseLine is the Signal of a line that says that the door was opened without one.
const PulseLine = "pulse"

// Events implements Panel.
func (r *Recorder) Events() <-chan Event { return r.events }

func (r *Recorder) change(alter func(now time.Time)) {
	r.mu.Lock()
	now := time.Now()
	alter(now)
	r.last, _ = r.face.at(now)
	r.switchCoil()
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// switchCoil gives the coil current or takes it away. r.mu is held.
func (r *Recorder) switchCoil() {
	if r.coil != nil && r.held != r.last.energised {
		r.coil(r.last.energised)
	}
}

// record writes and logs the signal of the face. r.mu is held.
func (r *Recorder) record(now time.Time) {
	s := r.face.signal
	r.shown = s
	r.write(Line{
		At:     now.UTC(),
		Signal: s.String(),
		Green:  looks[s].lamps&green != 0,
		Pulse:  r.face.opens(s),
	})
	r.log.Debug("signal", "signal", s.String())
}

func (r *Recorder) write(l Line) {
	line, err := json.Marshal(l)
	if err == nil {
		_, err = r.w.Write(append(line, '\n'))
	}
	r.err = err
}

// Run implements Panel.
func (r *Recorder) Run(ctx context.Context) error {
	r.change(func(time.Time) { r.face.running = true })
	defer r.change(func(time.Time) { r.face.running = false })
	drive(ctx, r.wake, func(now time.Time) (next time.Time) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last, next = r.face.at(now)
		r.switchCoil()
		if r.face.signal != r.shown {
			r.record(now)
		}
		return next
	})
	return nil
}

// Health implements Panel. Its one fault is a writer that fails.
func (r *Recorder) Health() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := Health{Signal: r.face.signal, Energised: r.last.energised, Lit: r.last.light, Contacts: slices.Clone(r.contacts), Lost: r.lost}
	if r.err != nil {
		h.Faults = []string{"recorder: " + r.err.Error()}
	}
	return h
}
