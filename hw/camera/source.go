package camera

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/hw/scan"
)

// How long to wait before opening a camera again.
const (
	reopenFirst = 200 * time.Millisecond
	reopenMax   = 5 * time.Second
)

// A Source reads codes from the frames of one camera. It hands out a code in
// every frame in which it is seen: the door's filter of repeats decides how
// long it is one showing.
type Source struct {
	name    string
	open    func() (Frames, error)
	reader  *qrread.Reader
	meter   *scan.Meter
	log     *slog.Logger
	frames  Frames
	pause   time.Duration
	waiting []scan.Scan
}

// NewSource returns the source called "camera:" and name over the frames that
// open delivers. A camera that ends, by unplugging or by a fault, is opened
// again. The caller calls Close after the last Next.
func NewSource(name string, open func() (Frames, error), o qrread.Options, log *slog.Logger) *Source {
	name = "camera:" + name
	return &Source{name: name, open: open, reader: qrread.New(o), meter: scan.NewMeter(name), log: log.With("source", name)}
}

// Next implements scan.Source.
func (s *Source) Next(ctx context.Context) (scan.Scan, error) {
	for len(s.waiting) == 0 {
		if s.frames == nil {
			if err := s.dial(ctx); err != nil {
				return scan.Scan{}, err
			}
			continue
		}
		img, at, err := s.frames.Next(ctx)
		if ctx.Err() != nil {
			return scan.Scan{}, ctx.Err()
		}
		if err != nil {
			s.log.Warn("camera lost", "err", err)
			s.meter.Unplug(time.Now(), err)
			s.Close()
			continue
		}
		s.pause = 0
		for _, code := range s.reader.Read(img) {
			s.meter.Scan(code.Text, at)
			s.waiting = append(s.waiting, scan.Scan{Text: code.Text, At: at, Source: s.name})
		}
	}
	next := s.waiting[0]
	s.waiting = s.waiting[1:]
	return next, nil
}

// dial waits out the pause and opens the camera. It fails only when ctx ends.
func (s *Source) dial(ctx context.Context) error {
	if s.pause > 0 {
		timer := time.NewTimer(s.pause/2 + rand.N(s.pause/2+1))
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	s.pause = min(max(2*s.pause, reopenFirst), reopenMax)
	frames, err := s.open()
	if err != nil {
		if s.pause == reopenFirst { // the first of a row: say it once
			s.log.Warn("camera does not open", "err", err)
		}
		s.meter.Unplug(time.Now(), err)
		return nil
	}
	s.frames = frames
	s.meter.Plug(time.Now())
	s.log.Info("camera ready")
	return nil
}

// Health implements scan.Checker.
func (s *Source) Health() scan.Health { return s.meter.Health() }

// Close ends the camera, if it is open.
func (s *Source) Close() error {
	if s.frames == nil {
		return nil
	}
	err := s.frames.Close()
	s.frames = nil
	return err
}
