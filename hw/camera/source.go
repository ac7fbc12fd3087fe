package camera

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/hw/scan"
)

// When a camera is opened again.
const (
	reopenFirst = 200 * time.Millisecond // pause after the first failure
	reopenMax   = 5 * time.Second        // longest pause
	settled     = 2 * time.Second        // a camera that has delivered for so long is in order
	badFor      = 5 * time.Second        // bad frames and no good one for so long
	frozenFor   = time.Minute            // least time between two openings of a frozen one
)

const maxReasons = 8

var (
	errClosed = errors.New("closed")
	errFrozen = errors.New("camera: picture is frozen")
)

// A Source reads codes from the frames of one camera. It hands out a code in
// every frame in which it is seen: the door's filter of repeats decides how
// long it is one showing.
type Source struct {
	name   string
	open   func() (Frames, error)
	opt    qrread.Options
	reader *qrread.Reader
	meter  *scan.Meter
	log    *slog.Logger
	sight  *sight
	hints  hints
	hint   atomic.Value // qrread.Hint; what to show now
	told   func(qrread.Hint)

	glimpse atomic.Pointer[chan *image.Gray] // who waits for a picture

	frames  Frames
	still   bool          // the frames come from files, whose pictures have no noise
	opened  time.Time     // when frames was
	good    time.Time     // newest frame that was in order, or opened
	pause   time.Duration // before the next opening; 0 = at once
	waiting []scan.Scan   // read in one frame, not yet returned

	ready   bool            // has been logged, and still is so
	reasons map[string]bool // for its absence, logged since it was ready
}

// NewSource returns the source called "camera:" and name over the frames that
// open delivers. A camera that ends, by unplugging or by a fault, is opened
// again, with growing pauses. Its frames are read as a video, whatever o says.
// Nothing is opened before Next; the caller calls Close after the last Next.
func NewSource(name string, open func() (Frames, error), o qrread.Options, log *slog.Logger) *Source {
	name = "camera:" + name
	o.Video = true
	return &Source{
		name: name, open: open, opt: o, reader: qrread.New(o), meter: scan.NewMeter(name),
		log: log.With("source", name), sight: newSight(), reasons: make(map[string]bool),
	}
}

// Next implements scan.Source. It fails when ctx ends, and with io.EOF when
// there is nothing more to come from pictures that are played once.
func (s *Source) Next(ctx context.Context) (scan.Scan, error) {
	for len(s.waiting) == 0 {
		if s.frames == nil {
			if err := s.dial(ctx); err != nil {
				return scan.Scan{}, err
			}
			continue
		}
		img, at, err := s.frames.Next(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return scan.Scan{}, ctx.Err()
		case err == nil:
			s.look(img, at)
		case errors.Is(err, io.EOF):
			return scan.Scan{}, fmt.Errorf("camera: %w", err)
		case errors.Is(err, ErrFrame):
			s.meter.Drop(now, err)
			if now.Sub(s.good) >= badFor {
				s.lost(err, now)
			}
		default:
			s.lost(err, now)
		}
	}
	next := s.waiting[0]
	s.waiting = s.waiting[1:]
	return next, nil
}

// dial waits out the pause and opens the camera. It fails only when ctx ends.
func (s *Source) dial(ctx context.Context) error {
	// Spread, so that several cameras on one bus do not all start at once.
	timer := time.NewTimer(s.pause*3/4 + rand.N(s.pause/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	s.pause = min(max(2*s.pause, reopenFirst), reopenMax)
	frames, err := s.open()
	now := time.Now()
	if err != nil {
		s.absent(err, now)
		return nil
	}
	s.frames, s.opened, s.good = frames, now, now
	_, s.still = frames.(*Files)
	s.meter.Plug(now)
	return nil
}

// look reads one frame and judges it.
func (s *Source) look(img *image.Gray, at time.Time) {
	s.good = at
	s.show(img)
	if s.still || at.Sub(s.opened) >= settled {
		s.settle()
	}
	blind := s.sight.look(img, at)
	if blind == Frozen && s.still {
		blind = ""
	}
	s.meter.Frame(blind)
	codes := s.read(img)
	s.tell(s.hints.look(s.reader.Hint(), len(codes) > 0, at))
	for _, code := range codes {
		s.meter.Scan(code.Text, at)
		s.waiting = append(s.waiting, scan.Scan{Text: code.Text, At: at, Source: s.name})
	}
	if blind == Frozen && at.Sub(s.opened) >= frozenFor {
		s.lost(errFrozen, at)
	}
}

// read reads the codes in img. Should the reader panic, the frame is lost and
// the reader, whose buffers may be in any state, replaced.
func (s *Source) read(img *image.Gray) (codes []qrread.Code) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("reader panicked", "panic", p)
			s.meter.Drop(time.Now(), errors.New("camera: reader panicked"))
			s.reader = qrread.New(s.opt)
			codes = nil
		}
	}()
	return s.reader.Read(img)
}

// lost ends the frames. A camera that hangs is still there: it stays present.
func (s *Source) lost(err error, now time.Time) {
	s.hints = hints{}
	s.tell(qrread.NoHint)
	// What Close could tell is what err has told.
	s.frames.Close()
	s.frames = nil
	switch {
	case errors.Is(err, ErrSilent), errors.Is(err, ErrFrame):
		s.meter.Silence(true)
		s.say(err)
	case errors.Is(err, errFrozen):
		s.say(err)
	default:
		s.absent(err, now)
	}
}

// settle notes that the camera is in order.
func (s *Source) settle() {
	s.pause = 0
	if s.ready {
		return
	}
	s.ready = true
	clear(s.reasons)
	if f, ok := s.frames.(fmt.Stringer); ok {
		s.log.Info("camera ready", "frames", f)
		return
	}
	s.log.Info("camera ready")
}

func (s *Source) absent(err error, now time.Time) {
	s.meter.Unplug(now, err)
	s.say(err)
}

// say logs each reason once until the camera is in order again, however often
// a loose plug comes and goes, and of reasons that are never the same only the
// first few: camera programs begin their last words with the time.
func (s *Source) say(err error) {
	s.ready = false
	reason := err.Error()
	if s.reasons[reason] || len(s.reasons) == maxReasons {
		return
	}
	s.reasons[reason] = true
	s.log.Warn("camera lost", "err", reason)
}

// Hint returns what to tell who holds a card before the camera that is not read.
// It may be called from any goroutine.
func (s *Source) Hint() qrread.Hint {
	h, _ := s.hint.Load().(qrread.Hint)
	return h
}

// OnHint has fn called with each hint that differs from the one before it, and
// with none at the end of the frames. It is called before the first Next; fn is
// called by Next and Close and must not wait.
func (s *Source) OnHint(fn func(qrread.Hint)) { s.told = fn }

func (s *Source) tell(h qrread.Hint) {
	if h == s.Hint() {
		return
	}
	s.hint.Store(h)
	if h != qrread.NoHint {
		s.meter.Hint(string(h))
	}
	if s.told != nil {
		s.told(h)
	}
}

// Dark reports whether there is too little light before the camera, for a card
// that is held up or for anything at all. It may be called from any goroutine.
func (s *Source) Dark() bool {
	blind := s.Health().Blind
	return blind == Dark || blind == Black || s.Hint() == qrread.Light
}

// Health implements scan.Checker.
func (s *Source) Health() scan.Health { return s.meter.Health() }

// Close ends the camera, if it is open. It must not be called during Next; a
// later Next opens the camera again.
func (s *Source) Close() error {
	if s.frames == nil {
		return nil
	}
	err := s.frames.Close()
	s.frames, s.hints = nil, hints{}
	s.tell(qrread.NoHint)
	s.meter.Unplug(time.Now(), errClosed)
	return err
}
