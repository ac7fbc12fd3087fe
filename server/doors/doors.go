// Package doors tells kiosks what they need to know of the place where they stand: its
// events, and how many people more they may let in.
//
//	d := doors.New(store, events, rooms, wire.Signer{ID: id, Key: key}, doors.Options{})
//	go d.Run(ctx)
//	bundles := d.Lacks(kiosk, beat.Room.Events)         // in package ingest, with each beat
//	grants, err := d.Grant(ctx, kiosk, beat.Room.Counts)
//
// The promise: a kiosk that has what it needs costs a look into memory. A bundle is
// read and signed once a version, whichever of the place's kiosks asks; only a kiosk of
// a place or event with a limit costs a transaction.
//
// Several servers on one database hand out the same versions.
package doors

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/rooms"
	"github.com/qrgate/qrgate/sync/wire"
)

// Connected is how long after its last beat a kiosk counts as connected: three beats.
const Connected = 95 * time.Second

// lacksAtOnce is how many bundles a kiosk gets for one beat, so that large events do not
// fill a slow line.
const lacksAtOnce = 2

// Options are the optional parts of a Doors. The zero value is right.
type Options struct {
	Every time.Duration // between two looks into the database; default 5 s
	Log   *slog.Logger  // default: nothing is logged
}

// A Doors is what kiosks are told now. It is safe for concurrent use.
type Doors struct {
	store  *store.Store
	events *events.Events
	rooms  *rooms.Rooms
	sign   wire.Signer
	o      Options
	is     atomic.Pointer[state]
}

// A state does not change.
type state struct {
	generation uint64
	places     map[string]uint32 // by kiosk
	at         map[uint32]place
	bundles    map[uint32]*bundle // by event
}

// A place is what its kiosks are told.
type place struct {
	capacity uint64
	events   []uint32
}

// A bundle is an event, signed.
type bundle struct {
	stamp  wire.Stamp
	from   int64 // Unix milliseconds: when its doors open
	data   []byte
	limits map[wire.Scope]uint64
}

// New returns a Doors that tells nothing before [Doors.Refresh] or [Doors.Run].
func New(s *store.Store, e *events.Events, r *rooms.Rooms, sign wire.Signer, o Options) *Doors {
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Doors{store: s, events: e, rooms: r, sign: sign, o: o}
	d.is.Store(&state{})
	return d
}

// Run keeps what kiosks are told up to date until ctx ends, and then returns nil.
func (d *Doors) Run(ctx context.Context) error {
	tick := time.NewTicker(d.o.Every)
	defer tick.Stop()
	failed := false
	for {
		err := d.Refresh(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !failed {
			d.o.Log.Warn("events and limits are not read", "err", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Refresh reads what has changed in the database. It is not for concurrent use.
func (d *Doors) Refresh(ctx context.Context) error {
	was := d.is.Load()
	is := &state{places: map[string]uint32{}, at: map[uint32]place{}, bundles: map[uint32]*bundle{}}
	var err error
	if is.generation, err = d.store.Generation(ctx); err != nil {
		return fmt.Errorf("doors: %w", err)
	}
	err = d.store.Read(ctx, func(rows *sql.Rows) error {
		var kiosk string
		var no uint32
		var capacity uint64
		err := rows.Scan(&kiosk, &no, &capacity)
		is.places[kiosk], is.at[no] = no, place{capacity: capacity}
		return err
	}, `SELECT k.id, k.place_no, COALESCE(p.capacity, 0) FROM kiosks k LEFT JOIN places p ON p.no = k.place_no AND p.deleted IS NULL
		WHERE k.place_no > 0 AND k.kind = 0`)
	if err != nil {
		return fmt.Errorf("doors: %w", err)
	}
	held, err := d.events.Held(ctx)
	if err != nil {
		return fmt.Errorf("doors: %w", err)
	}
	for no, of := range held {
		at, ok := is.at[no]
		if !ok {
			continue // nobody asks
		}
		for event, version := range of {
			b := was.bundles[event]
			if b == nil || b.stamp != (wire.Stamp{Generation: is.generation, Version: version}) {
				if b, err = d.read(ctx, is.generation, event); err != nil {
					return fmt.Errorf("doors: %w", err)
				}
			}
			is.bundles[event] = b
		}
		// A kiosk that cannot hold them all gets those that begin first.
		at.events = slices.SortedFunc(maps.Keys(of), func(a, b uint32) int {
			return cmp.Or(cmp.Compare(is.bundles[a].from, is.bundles[b].from), cmp.Compare(a, b))
		})
		is.at[no] = at
	}
	d.is.Store(is)
	return nil
}

func (d *Doors) read(ctx context.Context, generation uint64, no uint32) (*bundle, error) {
	e, err := d.events.Bundle(ctx, no)
	if err != nil {
		return nil, err
	}
	e.Stamp.Generation = generation
	b := &bundle{stamp: e.Stamp, from: e.From, data: wire.SealEvent(e, d.sign.ID, d.sign.Key), limits: map[wire.Scope]uint64{{Event: no}: uint64(e.Capacity)}}
	for _, c := range e.Categories {
		b.limits[wire.Scope{Event: no, Category: c.No}] = uint64(c.Quota)
	}
	return b, nil
}

// Lacks returns the signed events that a kiosk should hold and does not, at most
// some of them: those that begin first.
func (d *Doors) Lacks(kiosk string, held []wire.EventBeat) [][]byte {
	return d.lacks(kiosk, held, lacksAtOnce)
}

// Whole returns the signed events that a kiosk should hold whatever it holds, as many as
// it can: for one that cannot be asked.
func (d *Doors) Whole(kiosk string) [][]byte { return d.lacks(kiosk, nil, wire.MaxHeldEvents) }

func (d *Doors) lacks(kiosk string, held []wire.EventBeat, most int) [][]byte {
	is := d.is.Load()
	no, ok := is.places[kiosk]
	if !ok {
		return nil
	}
	var lacks [][]byte
	for _, event := range is.at[no].events {
		b := is.bundles[event]
		known := slices.ContainsFunc(held, func(h wire.EventBeat) bool { return h.No == event && !b.stamp.Newer(h.Stamp) })
		if !known && len(lacks) < most {
			lacks = append(lacks, b.data)
		}
	}
	return lacks
}

// Grant takes in what a kiosk has counted and returns what it is granted where there is
// a limit.
func (d *Doors) Grant(ctx context.Context, kiosk string, counts []wire.CountBeat) ([]wire.GrantAnswer, error) {
	is := d.is.Load()
	no, ok := is.places[kiosk]
	if !ok {
		return nil, nil
	}
	limit := func(s wire.Scope) uint64 {
		if s.Event == 0 {
			return is.at[no].capacity
		}
		if !slices.Contains(is.at[no].events, s.Event) {
			return 0
		}
		return is.bundles[s.Event].limits[s]
	}
	if !slices.ContainsFunc(counts, func(c wire.CountBeat) bool { return limit(c.Scope) > 0 }) {
		return nil, nil
	}
	grants, err := d.rooms.Exchange(ctx, kiosk, no, counts, limit, Connected)
	if err != nil {
		return nil, fmt.Errorf("doors: %w", err)
	}
	return grants, nil
}
