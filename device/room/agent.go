package room

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

// Beat returns what a beat says of the room.
func (r *Room) Beat() *wire.RoomBeat {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := new(wire.RoomBeat)
	for _, no := range slices.Sorted(maps.Keys(r.events)) {
		b.Events = append(b.Events, wire.EventBeat{No: no, Stamp: r.events[no].Stamp})
	}
	r.of(wire.Scope{}) // whose limit the server may have
	for _, s := range slices.SortedFunc(maps.Keys(r.tally), compareScopes) {
		if s.Event == 0 || r.limited(s) {
			b.Counts = append(b.Counts, wire.CountBeat{Scope: s, Period: r.tally[s].Period, Count: r.tally[s].Count})
		}
	}
	b.Counts = b.Counts[:min(len(b.Counts), wire.MaxCounts)]
	return b
}

func compareScopes(a, b wire.Scope) int {
	return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Category, b.Category))
}

// News reports whether the server should hear of the room before the next beat: a limit
// is near and somebody has come or gone since.
func (r *Room) News() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told {
		return false
	}
	for s, t := range r.tally {
		if r.limited(s) && t.Left() <= low {
			return true
		}
	}
	return false
}

// low is how many rights are so few that the server is asked for more at once.
const low = 5

// Answer takes in what the server answered to a beat at a time of its own, and drops
// events that are long over.
func (r *Room) Answer(grants []wire.GrantAnswer, at time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told, r.heard = true, time.Now()
	var over []uint32
	for no, e := range r.events {
		if at.Sub(time.UnixMilli(e.To)) > keptAfter {
			over = append(over, no)
		}
	}
	if len(grants) == 0 && len(over) == 0 {
		return nil
	}
	var scopes []wire.Scope
	for _, g := range grants {
		// What the server tells of a period that is over is no news of this one.
		if t := r.of(g.Scope); g.Period == t.Period {
			t.Count = t.Merge(quota.Tally{Period: t.Period, Count: quota.Count{Granted: g.Grant.Granted}}).Count
			t.Return(g.Grant.Return)
			scopes = append(scopes, g.Scope)
			r.told = r.told && g.Grant.Return == 0 // what was given back is told soon
		}
		r.grants[g.Scope] = grant{g.Period, g.Grant, at.UnixMilli()}
	}
	err := r.save(scopes)
	err = errors.Join(err, r.update(func(tx *bbolt.Tx) error {
		for _, g := range grants {
			if err := tx.Bucket(grantsBucket).Put(scopeKey(g.Scope), wire.Encode(r.grants[g.Scope])); err != nil {
				return err
			}
		}
		for _, no := range over {
			if err := r.forget(tx, no); err != nil {
				return err
			}
		}
		return nil
	}))
	if err != nil {
		return fmt.Errorf("room: answer: %w", err)
	}
	return nil
}

// forget drops all that is held of an event.
func (r *Room) forget(tx *bbolt.Tx, no uint32) error {
	delete(r.events, no)
	if err := tx.Bucket(eventsBucket).Delete(scopeKey(wire.Scope{Event: no})); err != nil {
		return err
	}
	for s := range r.tally {
		if s.Event == no {
			delete(r.tally, s)
			delete(r.grants, s)
			if err := errors.Join(tx.Bucket(talliesBucket).Delete(scopeKey(s)), tx.Bucket(grantsBucket).Delete(scopeKey(s))); err != nil {
				return err
			}
		}
	}
	for k := range r.passes {
		if k.event == no {
			delete(r.passes, k)
			if err := tx.Bucket(passesBucket).Delete(k.bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Drop forgets every event, on disk too: its passes are refused until the server has sent
// it again. What was counted of it stays, so that neither a limit nor a pass is forgotten.
func (r *Room) Drop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.events)
	clear(r.early)
	err := r.update(func(tx *bbolt.Tx) error {
		if err := tx.DeleteBucket(eventsBucket); err != nil {
			return err
		}
		_, err := tx.CreateBucket(eventsBucket)
		return err
	})
	if err != nil {
		return fmt.Errorf("room: drop: %w", err)
	}
	return nil
}

// ErrOld is returned for an event that is held in this version or a newer one.
var ErrOld = errors.New("not newer than what is held")

// ErrMany is returned where as many events are held as a beat can tell of.
var ErrMany = errors.New("too many events are held")

// Take holds an event whose signature was verified. Once it returns nil the event is on
// disk and in force.
func (r *Room) Take(e *wire.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.events[e.No]
	switch {
	case held != nil && !e.Stamp.Newer(held.Stamp):
		return fmt.Errorf("room: event %d: %w", e.No, ErrOld)
	case held == nil && len(r.events) >= wire.MaxHeldEvents:
		return fmt.Errorf("room: event %d: %w", e.No, ErrMany)
	}
	err := r.update(func(tx *bbolt.Tx) error {
		return tx.Bucket(eventsBucket).Put(scopeKey(wire.Scope{Event: e.No}), wire.SealEvent(e, 0, r.key))
	})
	if err != nil {
		return fmt.Errorf("room: event %d: %w", e.No, err)
	}
	r.events[e.No], r.told = e, false
	r.of(wire.Scope{Event: e.No})
	for _, c := range e.Categories {
		r.of(wire.Scope{Event: e.No, Category: c.No})
	}
	return nil
}
