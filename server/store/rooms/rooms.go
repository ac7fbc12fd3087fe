// Package rooms keeps what the kiosks of each place have counted of the people inside,
// and shares out the rights to let more in (package quota). It is a room of package
// store, whose transactions it uses.
//
//	grants, err := rooms.Exchange(ctx, kiosk, place, counts, limits, connected)
//
// The promise: what a kiosk is granted is on disk before it is told, and all that was
// granted at a place is never more than the limit, whichever kiosks are cut off. A
// database that was restored from a backup knows no grant that came after it: until
// each kiosk has been heard of once, the limit may be passed by those.
package rooms

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

// Rooms is the counts. It is safe for concurrent use, also by several servers.
type Rooms struct {
	s   *store.Store
	now func() time.Time
}

// New returns the counts in s.
func New(s *store.Store, now func() time.Time) *Rooms { return &Rooms{s, now} }

// Limits says how many people may be inside a scope of a place; 0 is no limit.
type Limits func(wire.Scope) uint64

// Exchange takes in what a kiosk at a place tells, and returns what it is granted in
// each scope that has a limit. A kiosk that is heard of within connected is not cut off.
func (r *Rooms) Exchange(ctx context.Context, kiosk string, place uint32, counts []wire.CountBeat, limit Limits, connected time.Duration) ([]wire.GrantAnswer, error) {
	var grants []wire.GrantAnswer
	err := r.s.Write(ctx, func(t store.Tx) error {
		grants = grants[:0]
		if err := t.Lock("room_counts"); err != nil {
			return err
		}
		own := int64(0)
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&own) }, "SELECT no FROM kiosks WHERE id = ? AND place_no = ?", kiosk, int64(place))
		if err != nil || own == 0 {
			return err // it has just been moved
		}
		// A kiosk that stands elsewhere now holds no right here.
		_, err = t.Exec("DELETE FROM room_counts WHERE place = ? AND kiosk_no NOT IN (SELECT no FROM kiosks WHERE place_no = ?)", int64(place), int64(place))
		if err != nil {
			return err
		}
		for _, c := range counts {
			most := limit(c.Scope)
			if most == 0 {
				continue
			}
			g, err := r.exchange(t, own, place, c, most, connected)
			if err != nil {
				return err
			}
			grants = append(grants, wire.GrantAnswer{Scope: c.Scope, Period: c.Period, Grant: g})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rooms: exchange: %w", err)
	}
	return grants, nil
}

func (r *Rooms) exchange(t store.Tx, own int64, place uint32, c wire.CountBeat, limit uint64, connected time.Duration) (quota.Grant, error) {
	now := r.now()
	tallies, heard := map[int64]quota.Tally{own: {}}, map[int64]time.Time{}
	err := t.Each(func(rows *sql.Rows) error {
		var no int64
		var known quota.Tally
		var told time.Time
		err := rows.Scan(&no, &known.Period, &known.Granted, &known.Returned, &known.In, &known.Out, (*store.Milli)(&told))
		tallies[no], heard[no] = known, told
		return err
	}, "SELECT kiosk_no, period, granted, returned, ins, outs, told FROM room_counts WHERE place = ? AND event = ? AND category = ?",
		int64(place), int64(c.Scope.Event), int64(c.Scope.Category))
	if err != nil {
		return quota.Grant{}, err
	}
	mine := tallies[own].Merge(quota.Tally{Period: c.Period, Count: c.Count})
	tallies[own] = mine
	gates := map[string]quota.Gate{}
	for no, known := range tallies {
		gates[fmt.Sprint(no)] = quota.Gate{Count: known.Roll(mine.Period).Count, Connected: now.Sub(heard[no]) < connected}
	}
	g := quota.Share(limit, gates, fmt.Sprint(own))
	mine.Granted = g.Granted
	_, err = t.Exec(`INSERT INTO room_counts (place, event, category, kiosk_no, period, granted, returned, ins, outs, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (place, event, category, kiosk_no) DO UPDATE SET period = excluded.period, granted = excluded.granted, returned = excluded.returned,
		ins = excluded.ins, outs = excluded.outs, told = excluded.told`,
		int64(place), int64(c.Scope.Event), int64(c.Scope.Category), own, mine.Period, int64(mine.Granted), int64(mine.Returned), int64(mine.In), int64(mine.Out), now.UnixMilli())
	return g, err
}

// A Count is what is known of the people inside one scope of a place.
type Count struct {
	Inside int64 // as far as kiosks have told
	In     int64 // who came in, in this period
	Told   time.Time
	Silent int // kiosks that have not told lately
}

// Inside returns what is known of a scope in a period.
func (r *Rooms) Inside(ctx context.Context, place uint32, s wire.Scope, period int64, connected time.Duration) (c Count, err error) {
	now := r.now()
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var t quota.Tally
		var told time.Time
		if err := rows.Scan(&t.Period, &t.In, &t.Out, (*store.Milli)(&told)); err != nil {
			return err
		}
		if now.Sub(told) >= connected {
			c.Silent++
		}
		if told.After(c.Told) {
			c.Told = told
		}
		if t.Period == period {
			c.Inside, c.In = c.Inside+t.Inside(), c.In+int64(t.In)
		}
		return nil
	}, "SELECT period, ins, outs, told FROM room_counts WHERE place = ? AND event = ? AND category = ?", int64(place), int64(s.Event), int64(s.Category))
	if err != nil {
		return Count{}, fmt.Errorf("rooms: inside: %w", err)
	}
	return c, nil
}

// DropEvents forgets what was counted of events that ended before a time.
func (r *Rooms) DropEvents(ctx context.Context, before time.Time) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("DELETE FROM room_counts WHERE event IN (SELECT no FROM events WHERE ends < ?)", before.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("rooms: drop events: %w", err)
	}
	return nil
}
