package register

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// Figures are how far a set of places has come, and what they have seen today.
type Figures struct {
	Organisations int
	Places        int
	Printed       int // of Places, with a poster that was printed
	Seen          int // of Places, that had a check-in at any time
	In, Out       int64
}

// Figures returns the figures of the places of which somebody may know. Deleted
// places do not count.
func (r *Register) Figures(ctx context.Context, within Within, today qrgate.Day) (f Figures, err error) {
	where, args := within.where()
	where += " AND p.deleted IS NULL"
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&f.Organisations, &f.Places, &f.Printed, &f.Seen) },
		`SELECT COUNT(DISTINCT p.organisation), COUNT(*), COALESCE(SUM(CASE WHEN `+isPrinted+` THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN EXISTS (SELECT 1 FROM tallies t WHERE t.place_no = p.no) THEN 1 ELSE 0 END), 0) FROM places p WHERE `+where, args...)
	if err == nil && f.Seen > 0 {
		err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&f.In, &f.Out) },
			`SELECT CAST(COALESCE(SUM(t.ins), 0) AS BIGINT), CAST(COALESCE(SUM(t.outs), 0) AS BIGINT)
			FROM places p JOIN tallies t ON t.place_no = p.no AND t.day = ? WHERE `+where, append([]any{int64(today)}, args...)...)
	}
	if err != nil {
		return Figures{}, fmt.Errorf("register: figures: %w", err)
	}
	return f, nil
}

// A PlaceFigures is one place's part of [Figures].
type PlaceFigures struct {
	No      uint32
	Name    string
	Poster  int // version of the latest poster, 0 if none was made
	Printed bool
	First   time.Time // when its first check-in was received; zero if there was none
	In, Out int64     // today
}

// PlaceFigures returns the figures of the places of which somebody may know:
// those with the most check-ins today, then the oldest, at most most of them.
func (r *Register) PlaceFigures(ctx context.Context, within Within, today qrgate.Day, most int) ([]PlaceFigures, error) {
	where, args := within.where()
	var all []PlaceFigures
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var f PlaceFigures
		var printed int64
		err := rows.Scan(&f.No, &f.Name, &f.Poster, &printed, (*store.Milli)(&f.First), &f.In, &f.Out)
		f.Printed = printed != 0
		all = append(all, f)
		return err
	}, `SELECT p.no, p.name, p.poster, CASE WHEN `+isPrinted+` THEN 1 ELSE 0 END, MIN(t.first),
			CAST(SUM(CASE WHEN t.day = ? THEN t.ins ELSE 0 END) AS BIGINT) AS came, CAST(SUM(CASE WHEN t.day = ? THEN t.outs ELSE 0 END) AS BIGINT)
		FROM places p LEFT JOIN tallies t ON t.place_no = p.no WHERE `+where+` AND p.deleted IS NULL
		GROUP BY p.no, p.name, p.poster ORDER BY came DESC, p.no LIMIT ?`,
		append(append([]any{int64(today), int64(today)}, args...), most)...)
	if err != nil {
		return nil, fmt.Errorf("register: figures of places: %w", err)
	}
	return all, nil
}
