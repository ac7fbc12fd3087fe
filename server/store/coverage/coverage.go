// Package coverage tells how many of those who passed a place's doors have checked in, as
// beams, turnstiles and guards' keys have counted them. It is a room of package store,
// whose transactions it uses; what it reads has come by [store.Intake.Passage].
//
//	c := coverage.New(s)
//	days, err := c.OfPlace(ctx, place, from, to)
//
// The promise: each hour of each kiosk counts once, however often and late it came, and
// is compared with the check-ins of the same time alone.
//
// It names nobody, and decides no access.
package coverage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// Kept is how long counts are kept: the same weeks of two years can be compared.
const Kept = 400 * 24 * time.Hour

// A Coverage is the counts. It is safe for concurrent use.
type Coverage struct{ s *store.Store }

// New returns the counts in s.
func New(s *store.Store) *Coverage { return &Coverage{s} }

// A Sum is what was counted of some hours together.
type Sum struct {
	People  int64 // who went the lane's way
	Against int64 // who went the other way
	Scans   int64 // who were recorded meanwhile
}

// Add adds what another sum has.
func (s *Sum) Add(t Sum) {
	s.People, s.Against, s.Scans = s.People+t.People, s.Against+t.Against, s.Scans+t.Scans
}

// Percent returns how many of a hundred who passed were recorded, and false if nobody
// passed.
func (s Sum) Percent() (int, bool) {
	if s.People <= 0 {
		return 0, false
	}
	return int(min(s.Scans, s.People) * 100 / s.People), true
}

// A Lane is a way through a gate.
type Lane struct {
	Gate      string
	No        uint8
	Direction wire.Direction
}

// An Hour is what one lane of a kiosk counted in an hour.
type Hour struct {
	At   time.Time
	Lane Lane
	Sum
}

// OfKiosk returns the hours of a kiosk from one time until before another, the newest
// first.
func (c *Coverage) OfKiosk(ctx context.Context, kiosk string, from, to time.Time) (all []Hour, err error) {
	err = c.s.Read(ctx, func(rows *sql.Rows) error {
		var h Hour
		err := rows.Scan((*store.Milli)(&h.At), &h.Lane.Gate, &h.Lane.No, &h.Lane.Direction, &h.People, &h.Against, &h.Scans)
		all = append(all, h)
		return err
	}, `SELECT hour, gate, lane, direction, CAST(SUM(people) AS BIGINT), CAST(SUM(against) AS BIGINT), CAST(SUM(scans) AS BIGINT) FROM passages
		WHERE kiosk_no = (SELECT no FROM kiosks WHERE id = ?) AND hour >= ? AND hour < ? GROUP BY hour, gate, lane, direction ORDER BY hour DESC, gate, lane, direction`,
		kiosk, from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("coverage: of a kiosk: %w", err)
	}
	return all, nil
}

// A Day is what one lane of a place counted in a day.
type Day struct {
	Day  qrgate.Day
	Lane Lane
	Sum
}

// OfPlace returns the days of a place's lanes, both included, the newest first.
func (c *Coverage) OfPlace(ctx context.Context, place uint32, from, to qrgate.Day) ([]Day, error) {
	var all []Day
	err := c.s.Read(ctx, func(rows *sql.Rows) error {
		var d Day
		var hour int64
		if err := rows.Scan(&hour, &d.Lane.Gate, &d.Lane.No, &d.Lane.Direction, &d.People, &d.Against, &d.Scans); err != nil {
			return err
		}
		d.Day = qrgate.DayOfMilli(hour)
		all = append(all, d)
		return nil
	}, `SELECT MIN(hour), gate, lane, direction, CAST(SUM(people) AS BIGINT), CAST(SUM(against) AS BIGINT), CAST(SUM(scans) AS BIGINT) FROM passages
		WHERE place_no = ? AND hour >= ? AND hour < ? GROUP BY (hour + 25200000) / 86400000, gate, lane, direction
		ORDER BY (hour + 25200000) / 86400000 DESC, gate, lane, direction`,
		int64(place), from.Start().UnixMilli(), (to + 1).Start().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("coverage: of a place: %w", err)
	}
	return all, nil
}

// Prune drops what is older than it is kept.
func (c *Coverage) Prune(ctx context.Context, now time.Time) error {
	err := c.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("DELETE FROM passages WHERE hour < ?", now.Add(-Kept).UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("coverage: prune: %w", err)
	}
	return nil
}
