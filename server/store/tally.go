package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// Check-ins of registered places are counted where they are stored, in the same
// transaction, once each: a place's page reads some rows of tallies, however many
// check-ins there are, filed or not. The counts outlive the check-ins: they name
// nobody.

type tallyKey struct {
	place uint32
	day   qrgate.Day
	kiosk int64
}

// A tallied is what an intake adds to one row of tallies.
type tallied struct{ ins, outs, first, last int64 }

// tally counts a row that is stored now, and was not before.
func (t *Intake) tally(r *Row) {
	at := r.Where.No
	if r.Where == (Where{}) {
		at = r.Under.Book.PlaceNo
	}
	if at == 0 || r.Header.Verdict != wire.Admitted {
		return
	}
	k, received := tallyKey{at, r.Day, r.Under.Book.no}, r.Received.UnixMilli()
	n := t.tallies[k]
	if n == nil {
		n = &tallied{first: received, last: received}
		t.tallies[k] = n
	}
	if r.Header.Direction == wire.Out {
		n.outs++
	} else {
		n.ins++
	}
	n.first, n.last = min(n.first, received), max(n.last, received)
}

var saveTallies = insertOf("tallies", "place_no, day, kiosk_no, ins, outs, first, last",
	`ON CONFLICT (place_no, day, kiosk_no) DO UPDATE SET ins = tallies.ins + excluded.ins, outs = tallies.outs + excluded.outs,
		first = CASE WHEN excluded.first < tallies.first THEN excluded.first ELSE tallies.first END,
		last = CASE WHEN excluded.last > tallies.last THEN excluded.last ELSE tallies.last END`)

func (t *Intake) tallyValues() (values []any) {
	keys := make([]tallyKey, 0, len(t.tallies))
	for k := range t.tallies {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b tallyKey) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.day, b.day), cmp.Compare(a.kiosk, b.kiosk))
	})
	for _, k := range keys {
		n := t.tallies[k]
		values = append(values, int64(k.place), int64(k.day), k.kiosk, n.ins, n.outs, n.first, n.last)
	}
	return values
}

// A Tally is how many check-ins one place had on one day.
type Tally struct {
	Place   uint32
	Day     qrgate.Day
	In, Out int64
}

// Tallies returns what was counted at the given places from one day to another,
// both included, by place and day; days without a check-in are left out.
func (s *Store) Tallies(ctx context.Context, from, to qrgate.Day, places ...uint32) ([]Tally, error) {
	var all []Tally
	err := s.eachPlace(ctx, places, func(r *sql.Rows) error {
		var t Tally
		err := r.Scan(&t.Place, &t.Day, &t.In, &t.Out)
		all = append(all, t)
		return err
	}, `SELECT place_no, day, CAST(SUM(ins) AS BIGINT), CAST(SUM(outs) AS BIGINT) FROM tallies
		WHERE day BETWEEN ? AND ? AND place_no IN (`, ") GROUP BY place_no, day ORDER BY place_no, day", int64(from), int64(to))
	if err != nil {
		return nil, fmt.Errorf("store: tallies: %w", err)
	}
	return all, nil
}

// Counts are the figures of one place.
type Counts struct {
	In, Out int64 // today
	// Inside is how many came in today and have not gone out. Whoever does not
	// check out is inside until midnight.
	Inside int64
	Week   int64     // who came in within seven days, today included
	Weeks  int64     // and within 21
	First  time.Time // when the place's first check-in was received; zero if there was none
	Last   time.Time
	Days   int64 // days of those 21 with a check-in
}

// Days of Counts.
const (
	week  = 7
	weeks = 21
)

// Counts returns the figures of the given places as of a day. A place that never
// had a check-in is not among them.
func (s *Store) Counts(ctx context.Context, today qrgate.Day, places ...uint32) (map[uint32]Counts, error) {
	all := map[uint32]Counts{}
	d := int64(today)
	err := s.eachPlace(ctx, places, func(r *sql.Rows) error {
		var place uint32
		var c Counts
		var first, last int64
		if err := r.Scan(&place, &c.In, &c.Out, &c.Week, &c.Weeks, &c.Days, &first, &last); err != nil {
			return err
		}
		c.Inside, c.First, c.Last = max(c.In-c.Out, 0), milli(first), milli(last)
		all[place] = c
		return nil
	}, `SELECT place_no, CAST(SUM(CASE WHEN day = ? THEN ins ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN day = ? THEN outs ELSE 0 END) AS BIGINT),
			CAST(SUM(CASE WHEN day > ? AND day <= ? THEN ins ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN day > ? AND day <= ? THEN ins ELSE 0 END) AS BIGINT),
			COUNT(DISTINCT CASE WHEN day > ? AND day <= ? THEN day END), MIN(first), MAX(last)
		FROM tallies WHERE place_no IN (`, ") GROUP BY place_no", d, d, d-week, d, d-weeks, d, d-weeks, d)
	if err != nil {
		return nil, fmt.Errorf("store: counts: %w", err)
	}
	return all, nil
}

// placesAtOnce is how many places one query asks about.
const placesAtOnce = 500

// eachPlace runs a query whose list of places stands between head and tail,
// several times if there are many, in the order of their numbers.
func (s *Store) eachPlace(ctx context.Context, places []uint32, scan func(*sql.Rows) error, head, tail string, args ...any) error {
	places = slices.Compact(slices.Sorted(slices.Values(places)))
	for some := range slices.Chunk(places, placesAtOnce) {
		values := slices.Clone(args)
		for _, p := range some {
			values = append(values, int64(p))
		}
		if err := s.each(ctx, scan, head+"?"+strings.Repeat(", ?", len(some)-1)+tail, values...); err != nil {
			return err
		}
	}
	return nil
}
