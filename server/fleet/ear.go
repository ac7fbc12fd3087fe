package fleet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

// A Historian keeps what an [Ear] heard: package store/fleet.
type Historian interface {
	// SaveSamples adds samples to those of their slots.
	SaveSamples(ctx context.Context, samples []Recorded) error
	// Begin begins alarms of kiosks that have none of that kind, and notes of the
	// others that they last.
	Begin(ctx context.Context, kind Kind, kiosks []string, now time.Time) error
}

// An Ear hears every beat that a server verifies, and makes history of them. What a
// server that dies has heard of the current slots is lost.
type Ear struct {
	// Cloned is told of a kiosk of which there are two, beside the alarm; nil is nobody.
	// It is set before Run.
	Cloned func(ctx context.Context, kiosk string) error

	keep Historian
	now  func() time.Time
	log  *slog.Logger

	mu       sync.Mutex
	recorder Recorder
	lives    Lives
	done     []Recorded
	cloned   map[string]bool
}

// NewEar returns an ear that keeps what it hears with k.
func NewEar(k Historian, now func() time.Time, log *slog.Logger) *Ear {
	return &Ear{keep: k, now: now, log: log, cloned: map[string]bool{}}
}

// Beat hears a beat, as ingest.Parts.Beats has it. It does not wait.
func (e *Ear) Beat(kiosk string, b *wire.Beat, _ *wire.BeatAnswer) {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if done, ok := e.recorder.Take(kiosk, b, now); ok && len(e.done) < maxRecorded {
		e.done = append(e.done, done)
	}
	if e.lives.Cloned(kiosk, b, now) {
		e.cloned[kiosk] = true
	}
}

const (
	earEvery = 2 * time.Second
	// samplesAtOnce is how many samples one transaction holds, so that check-ins do
	// not wait for those of ten thousand kiosks.
	samplesAtOnce = 250
)

// Run keeps what was heard until ctx ends.
func (e *Ear) Run(ctx context.Context) error {
	tick := time.NewTicker(earEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), earEvery)
			defer cancel()
			e.Keep(last, true)
			return nil
		case <-tick.C:
			e.Keep(ctx, false)
		}
	}
}

// Keep keeps what was heard and is whole, or with all everything. What a database
// does not take is tried again.
func (e *Ear) Keep(ctx context.Context, all bool) {
	now := e.now()
	e.mu.Lock()
	samples := append(e.done, e.recorder.Over(now, all)...)
	e.done = nil
	var cloned []string
	for id := range e.cloned {
		cloned = append(cloned, id)
	}
	clear(e.cloned)
	e.mu.Unlock()

	if len(cloned) > 0 {
		if err := e.keep.Begin(ctx, IsCloned, cloned, now); err != nil && ctx.Err() == nil {
			e.log.Warn("kiosks of which there are two not alarmed", "err", err, "kiosks", len(cloned))
		}
		for _, id := range cloned {
			if e.Cloned == nil {
				break
			}
			if err := e.Cloned(ctx, id); err != nil && ctx.Err() == nil {
				e.log.Warn("kiosk of which there are two not noted", "kiosk", id, "err", err)
			}
		}
	}
	for len(samples) > 0 {
		some := samples[:min(len(samples), samplesAtOnce)]
		if err := e.keep.SaveSamples(ctx, some); err != nil {
			if ctx.Err() == nil {
				e.log.Warn("history not stored", "err", err, "samples", len(samples))
			}
			e.mu.Lock()
			if len(e.done) < maxRecorded {
				e.done = append(samples, e.done...)
			}
			e.mu.Unlock()
			return
		}
		samples = samples[len(some):]
	}
}
