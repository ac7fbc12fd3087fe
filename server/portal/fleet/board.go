package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/area"
	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	kept "github.com/qrgate/qrgate/server/store/fleet"
	"github.com/qrgate/qrgate/server/store/register"
)

// fresh is how long one read of the kiosks serves every page and stream.
const fresh = 2 * time.Second

// readTimeout is how long the database may take to tell how kiosks are.
const readTimeout = 5 * time.Second

// A board is the kiosks as they were less than [fresh] ago.
type board struct {
	fleet  *kept.Fleet
	now    func() time.Time
	linked func() time.Time
	fresh  time.Duration

	turn  chan struct{} // holds one value; whoever has taken it may touch the rest
	last  *snapshot
	read  time.Time
	took  time.Duration     // by the last read
	names map[string]string // folded, of places
}

func newBoard(f *kept.Fleet, now, linked func() time.Time, fresh time.Duration) *board {
	b := &board{fleet: f, now: now, linked: linked, fresh: fresh, turn: make(chan struct{}, 1), names: map[string]string{}}
	b.turn <- struct{}{}
	return b
}

// A snapshot is shared and does not change.
type snapshot struct {
	at     time.Time
	linked time.Time
	kiosks []*judge.Kiosk
	states []judge.State // of each kiosk
	folded []string      // name of each kiosk's place, to search in
	alarms map[int64][]judge.Alarm
	outage *judge.Alarm
}

// get returns the kiosks as they are, or were a moment ago.
func (b *board) get(ctx context.Context) (*snapshot, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.turn:
	}
	defer func() { b.turn <- struct{}{} }()
	// Of ten thousand kiosks a read takes a part of a second: it is not done more often
	// than it takes an eighth of the time.
	began := time.Now()
	if b.last != nil && began.Sub(b.read) < max(b.fresh, 8*b.took) {
		return b.last, nil
	}
	// Others wait for the answer, so it does not end with whoever asked.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	s, err := b.ask(ctx)
	if err != nil {
		return nil, err
	}
	b.last, b.read = s, time.Now()
	b.took = b.read.Sub(began)
	return s, nil
}

func (b *board) ask(ctx context.Context) (*snapshot, error) {
	s := &snapshot{at: b.now(), linked: b.linked(), alarms: map[int64][]judge.Alarm{}}
	var err error
	if s.kiosks, err = b.fleet.Kiosks(ctx); err != nil {
		return nil, err
	}
	open, err := b.fleet.Open(ctx)
	if err != nil {
		return nil, err
	}
	for i, a := range open {
		if a.No == 0 {
			s.outage = &open[i]
			continue
		}
		s.alarms[a.No] = append(s.alarms[a.No], a)
	}
	for _, all := range s.alarms {
		slices.SortFunc(all, judge.Compare)
	}
	if len(b.names) > 2*len(s.kiosks) {
		clear(b.names)
	}
	for _, k := range s.kiosks {
		s.states = append(s.states, judge.StateOf(k, s.at, s.linked))
		name, ok := b.names[k.Place.Name]
		if !ok {
			name = area.Fold(k.Place.Name)
			b.names[k.Place.Name] = name
		}
		s.folded = append(s.folded, name)
	}
	return s, nil
}

// forget makes the next page read the kiosks anew: its viewer has just changed
// something.
func (b *board) forget() {
	<-b.turn
	b.last = nil
	b.turn <- struct{}{}
}

// within reports of a place whether a viewer may know of its kiosks. It asks what
// [page.View.May] does, quickly for ten thousand.
func within(w register.Within) func(*judge.Place) bool {
	if w.All {
		return func(*judge.Place) bool { return true }
	}
	set := func(ids []string) map[string]bool {
		m := map[string]bool{}
		for _, id := range ids {
			m[id] = true
		}
		delete(m, "")
		return m
	}
	orgs, sectors, areas := set(w.Organisations), set(w.Sectors), set(w.Areas)
	return func(p *judge.Place) bool { return orgs[p.Organisation] || sectors[p.Sector] || areas[p.Area] }
}

// may reports whether a viewer holds one of the roles for a kiosk's place.
func may(v *page.View, p *judge.Place, roles ...qrgate.Role) bool {
	return within(v.Places(roles...))(p)
}
