package scan

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"
)

// A Line is an open device that delivers bytes. A Line that is an io.Writer
// too can be probed; one with a method Stuck() bool says whether it hangs.
type Line interface {
	// Read waits about a tenth of a second for bytes. It returns 0 and nil when
	// none came, and an error only when the device is gone.
	Read(p []byte) (int, error)
	Close() error
}

// How a Stream dials, and how it knows that a scanner is dead.
const (
	dialFirst  = 200 * time.Millisecond // pause after the first failed dial
	dialMax    = 2 * time.Second        // longest pause: a guard who plugs a scanner in watches it
	settled    = time.Second            // a line that lived so long is in order
	probeEvery = 4 * time.Second
	probeTries = 2 // probes without an answer before the scanner counts as silent
)

// A Stream is a Source over one byte device. It dials, frames and measures,
// and dials again, with growing pauses, after the device has gone.
type Stream struct {
	name   string
	dial   func() (Line, error)
	framer *Framer
	probe  []byte
	log    *slog.Logger
	meter  *Meter

	line    Line
	opened  time.Time
	pause   time.Duration // before the next dial; 0 = dial at once
	buf     []byte
	waiting []Scan // framed in one read, not yet returned

	ready   bool            // has been logged, and still is so
	reasons map[string]bool // for its absence, logged since it was ready

	heard  time.Time // newest byte or probe
	probes int       // since the newest byte
}

var errClosed = errors.New("closed")

// NewStream returns the Source called name over the lines that dial opens.
// dial must be quick; its error is taken to be curable by waiting.
func NewStream(name string, dial func() (Line, error), p Profile, log *slog.Logger) (*Stream, error) {
	framer, err := NewFramer(p)
	if err != nil {
		return nil, err
	}
	return &Stream{
		name:    name,
		dial:    dial,
		framer:  framer,
		probe:   []byte(p.Probe),
		log:     log.With("source", name),
		meter:   NewMeter(name),
		buf:     make([]byte, 4096),
		reasons: make(map[string]bool),
	}, nil
}

// Next implements Source. It notices the end of ctx within a tenth of a
// second; the device stays open until Close. It never fails for any other reason.
func (s *Stream) Next(ctx context.Context) (Scan, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Scan{}, err
		}
		if len(s.waiting) > 0 {
			next := s.waiting[0]
			s.waiting = s.waiting[1:]
			return next, nil
		}
		if s.line == nil {
			s.redial(ctx)
			continue
		}
		s.read()
	}
}

// Health implements Checker.
func (s *Stream) Health() Health { return s.meter.Health() }

// Close closes the device, if one is open, and drops an unfinished code. It
// must not be called during Next; a later Next opens the device again.
func (s *Stream) Close() error {
	if s.line == nil {
		return nil
	}
	err := s.line.Close()
	s.line = nil
	s.deliver(s.framer.Drop(time.Now()))
	s.meter.Unplug(time.Now(), errClosed)
	return err
}

func (s *Stream) redial(ctx context.Context) {
	if s.pause > 0 {
		// Spread, so that several sources do not all knock at the same time.
		wait := s.pause*3/4 + rand.N(s.pause/2)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
	s.pause = min(max(2*s.pause, dialFirst), dialMax)
	line, err := s.dial()
	now := time.Now()
	if err != nil {
		s.absent(err, now)
		return
	}
	s.line, s.opened = line, now
	s.heard, s.probes = now, 0
	s.meter.Plug(now)
}

func (s *Stream) read() {
	n, err := s.line.Read(s.buf)
	now := time.Now()
	if n > 0 {
		s.deliver(s.framer.Feed(s.buf[:n], now))
		s.heard, s.probes = now, 0
		s.meter.Silence(false)
		if s.framer.Overlong() {
			s.meter.Babble(now)
		}
	} else if err == nil {
		s.deliver(s.framer.Idle(now))
		s.ask(now)
	}
	if err != nil {
		s.lost(err, now)
		return
	}
	if l, ok := s.line.(interface{ Stuck() bool }); ok && l.Stuck() {
		s.meter.Stick(now)
	}
	if n > 0 || now.Sub(s.opened) >= settled {
		s.settle()
	}
}

// lost drops the line. A line that dies as soon as it is opened leaves the
// pause as it has grown, and nothing new in the log.
func (s *Stream) lost(err error, now time.Time) {
	s.line.Close() // the device is gone, and so is what Close could tell
	s.line = nil
	s.deliver(s.framer.Drop(now))
	s.absent(err, now)
}

// ask probes a scanner that has been quiet for a while.
func (s *Stream) ask(now time.Time) {
	w, ok := s.line.(io.Writer)
	if !ok || len(s.probe) == 0 || now.Sub(s.heard) < probeEvery {
		return
	}
	if s.probes >= probeTries {
		s.meter.Silence(true)
	}
	s.probes++
	s.heard = now
	// A failed write shows as a missing answer, and an absent device in Read.
	_, _ = w.Write(s.probe)
}

func (s *Stream) deliver(frames []Frame) {
	for _, f := range frames {
		if f.Err != nil {
			s.meter.Drop(f.At, f.Err)
			continue
		}
		s.meter.Scan(f.Text, f.At)
		s.waiting = append(s.waiting, Scan{Text: f.Text, At: f.At, Source: s.name, Symbology: f.AIM})
	}
}

// settle notes that the line is in order.
func (s *Stream) settle() {
	s.pause = 0
	if !s.ready {
		s.ready = true
		clear(s.reasons)
		s.log.Info("scanner ready")
	}
}

// absent notes that there is no line. Each reason is logged once until the
// line is in order again, however often a loose plug comes and goes.
func (s *Stream) absent(err error, now time.Time) {
	s.meter.Unplug(now, err)
	s.ready = false
	if reason := err.Error(); !s.reasons[reason] {
		s.reasons[reason] = true
		s.log.Warn("scanner absent", "err", reason)
	}
}
