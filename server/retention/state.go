package retention

import (
	"context"
	"errors"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/rights"
)

// A State says what is held and what was dropped.
type State struct {
	Clock   Clock        // by which days end
	Days    int          // how long check-ins are kept
	Oldest  qrgate.Day   // the oldest day that is kept today
	Held    []qrgate.Day // days of which there are check-ins
	Keyed   []qrgate.Day // days that have a key
	Dropped []DayState   // the latest first
	Waiting Waiting      // who may still hold something of what was dropped
}

// A DayState is a day that was dropped, and its newest certificate.
type DayState struct {
	rights.Drop
	Version int // of the certificate; 0 if there is none yet
	Waiting int // how many have not confirmed, as it says
}

// Overdue returns the days that should have been dropped.
func (s *State) Overdue() (all []qrgate.Day) {
	for _, d := range s.Held {
		if d < s.Oldest {
			all = append(all, d)
		}
	}
	return all
}

// State returns what is held, and the newest of the days that were dropped.
func (k *Keeper) State(ctx context.Context, most int) (*State, error) {
	s, err := k.state(ctx, most)
	if err != nil {
		return nil, fmt.Errorf("retention: state: %w", err)
	}
	return s, nil
}

func (k *Keeper) state(ctx context.Context, most int) (*State, error) {
	clock, err := k.Clock(ctx)
	if err != nil {
		return nil, err
	}
	s := &State{Clock: clock, Days: k.o.Days, Oldest: k.oldest(clock.Time())}
	if s.Held, err = k.Store.Days(ctx); err != nil {
		return nil, err
	}
	if s.Keyed, err = k.Vault.Days(); err != nil {
		return nil, err
	}
	drops, err := k.Rights.Drops(ctx, most)
	if err != nil {
		return nil, err
	}
	certificates, err := k.Rights.Certificates(ctx, most)
	if err != nil {
		return nil, err
	}
	byDay := map[qrgate.Day]rights.Certificate{}
	for _, c := range certificates {
		byDay[c.Day] = c
	}
	for _, d := range drops {
		s.Dropped = append(s.Dropped, DayState{d, byDay[d.Day].Version, byDay[d.Day].Waiting})
	}
	for _, d := range drops {
		c, err := k.certificate(ctx, d.Day)
		if errors.Is(err, qrgate.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.Waiting.add(&c.Waiting)
	}
	return s, nil
}

// add adds those who are in another list and not yet in this one.
func (w *Waiting) add(other *Waiting) {
	seen := map[string]bool{}
	for _, b := range w.Backups {
		seen["b"+b.ID] = true
	}
	for _, c := range w.Copies {
		seen["c"+c] = true
	}
	for _, k := range w.Kiosks {
		seen["k"+k.ID] = true
	}
	for _, b := range other.Backups {
		if !seen["b"+b.ID] {
			w.Backups = append(w.Backups, b)
		}
	}
	for _, c := range other.Copies {
		if !seen["c"+c] {
			w.Copies = append(w.Copies, c)
		}
	}
	for _, k := range other.Kiosks {
		if !seen["k"+k.ID] {
			w.Kiosks = append(w.Kiosks, k)
		}
	}
}
