package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
)

// On SQLite an intake appends its check-ins to the table arrivals, encoded in one
// row. They are held then. A check-in inserted into its own place would write
// a page of each index, so they are filed there later, many at a time and in the
// order of the tables; see filing. Until then every reader looks at both.

// A tray is what arrivals holds of each epoch, in memory: enough to know a
// check-in again. It may name some that are filed already.
type tray struct {
	last   int64 // number of the newest arrival
	count  int
	epochs map[int64][]arrived // by number of the epoch in which they were written
}

// An arrived is a check-in in the tray.
type arrived struct {
	no          int64 // of its arrival
	seq, digest int64
	own         bool // it came under the epoch in which it was written
}

func (y *tray) put(no int64, c *checkin) {
	e := c.n[epochNo]
	y.epochs[e] = append(y.epochs[e], arrived{no, c.n[seq], c.n[digest], c.n[underNo] == e})
	y.count++
}

// drop forgets arrivals before the given number.
func (y *tray) drop(before int64) {
	for e, all := range y.epochs {
		kept := all[:0]
		for _, a := range all {
			if a.no >= before {
				kept = append(kept, a)
			}
		}
		y.count -= len(all) - len(kept)
		if y.epochs[e] = kept; len(kept) == 0 {
			delete(y.epochs, e)
		}
	}
}

// trayMax is about how many check-ins the tray names needlessly.
const trayMax = 1 << 20

// read brings the tray up to date with what other processes, or this one in a
// commit whose result it did not learn, have put into arrivals, whose first and
// last number are given.
func (y *tray) read(t *tx, first, last int64) error {
	switch {
	case first == 0:
		y.drop(math.MaxInt64)
	case y.count > trayMax:
		y.drop(first)
	}
	if last <= y.last {
		return nil
	}
	err := t.each(func(r *sql.Rows) error {
		var no int64
		var rows []byte
		if err := r.Scan(&no, &rows); err != nil {
			return err
		}
		return decode(rows, func(c *checkin) { y.put(no, c) })
	}, "SELECT no, rows FROM arrivals WHERE no > ? ORDER BY no", y.last)
	if err != nil {
		*y = tray{epochs: map[int64][]arrived{}}
		return fmt.Errorf("arrivals: %w", err)
	}
	y.last = last
	return nil
}

// An arrival is what an intake puts into arrivals.
type arrival struct {
	no   int64
	rows []checkin
}

var storedOf = func() *bulk {
	b := bulkOf("SELECT c.epoch_no, c.seq, c.digest FROM (VALUES ", "(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
		") AS v JOIN checkins c ON c.epoch_no = v.column1 AND c.seq = v.column2 AND c.digest = v.column3")
	b.fill = true
	return b
}()

// saveArrival puts the check-ins that are not stored yet into arrivals.
func (t *Intake) saveArrival() error {
	held, err := t.stored()
	if err != nil {
		return err
	}
	for i := range t.rows {
		r := &t.rows[i]
		c := r.checkin()
		if held != nil {
			if r.Twice && held[c.key()] {
				t.Held[r.Under.Book.Kiosk]++
				continue
			}
			held[c.key()] = true
		}
		r.Under.checkins++
		t.tally(r)
		t.arrival.rows = append(t.arrival.rows, c)
	}
	if len(t.arrival.rows) == 0 {
		return nil
	}
	return t.each(func(r *sql.Rows) error { return r.Scan(&t.arrival.no) },
		"INSERT INTO arrivals (received, checkins, rows) VALUES (?, ?, ?) RETURNING no",
		t.arrival.rows[0].n[received], len(t.arrival.rows), encode(t.arrival.rows))
}

// stored returns which of the rows that may be stored already are; nil if there
// are no such rows.
func (t *Intake) stored() (held map[rowKey]bool, err error) {
	var keys []any
	for i := range t.rows {
		r := &t.rows[i]
		if !r.Twice {
			continue
		}
		if held == nil {
			held = map[rowKey]bool{}
		}
		k := rowKey{r.Written.no, int64(r.Header.Seq), digestInt(r.Digest)}
		keys = append(keys, k.epoch, k.seq, k.digest)
	}
	for i := 0; i < len(keys); i += 3 {
		e := keys[i].(int64)
		if i > 0 && e == keys[i-3] {
			continue
		}
		for _, a := range t.s.tray.epochs[e] {
			held[rowKey{e, a.seq, a.digest}] = true
		}
	}
	_, err = t.run(storedOf, keys, func(r *sql.Rows) error {
		var k rowKey
		err := r.Scan(&k.epoch, &k.seq, &k.digest)
		held[k] = true
		return err
	})
	return held, err
}

// arrived calls fn with the check-ins of each arrival, the last arrival first if
// asked so, until it returns false.
func (s *Store) arrived(ctx context.Context, in querier, backwards bool, fn func([]checkin) bool) error {
	if s.dialect == postgres {
		return nil
	}
	order := " ORDER BY no"
	if backwards {
		order += " DESC"
	}
	enough := errors.New("enough")
	err := s.eachIn(ctx, in, func(r *sql.Rows) error {
		var b []byte
		if err := r.Scan(&b); err != nil {
			return err
		}
		var rows []checkin
		if err := decode(b, func(c *checkin) { rows = append(rows, *c) }); err != nil {
			return err
		}
		if !fn(rows) {
			return enough
		}
		return nil
	}, "SELECT rows FROM arrivals"+order)
	if err != nil && err != enough {
		return fmt.Errorf("arrivals: %w", err)
	}
	return nil
}
