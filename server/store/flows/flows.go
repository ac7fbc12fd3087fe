// Package flows keeps what was counted of movement: the SQL of package movement,
// in one set of statements for both engines.
//
//	f := flows.New(s)
//	days, err := f.Days(ctx, from, to)
//	crowd, err := f.Crowd(ctx, place, day)
//
// It keeps figures alone, as package movement returns them: nothing here is of a
// person, and what is hidden is not here. A run is stored whole or not at all,
// once, whichever servers count.
package flows

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

// Flows keeps figures in a store.
type Flows struct {
	s      *store.Store
	now    func() time.Time
	holder string // of turns
}

// New returns what keeps figures in s.
func New(s *store.Store, now func() time.Time) *Flows { return &Flows{s, now, rand.Text()} }

// Turn reports whether it is this server's turn to count, which it then is until
// the time given, or until EndTurn.
func (f *Flows) Turn(ctx context.Context, until time.Time) (mine bool, err error) {
	err = f.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE movement_turns SET holder = ?, until = ? WHERE no = 1 AND (holder = ? OR until < ?)",
			f.holder, until.UnixMilli(), f.holder, f.now().UnixMilli())
		mine = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("flows: turn: %w", err)
	}
	return mine, nil
}

// EndTurn ends this server's turn, if it has one.
func (f *Flows) EndTurn(ctx context.Context) error {
	err := f.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("UPDATE movement_turns SET holder = '', until = 0 WHERE no = 1 AND holder = ?", f.holder)
		return err
	})
	if err != nil {
		return fmt.Errorf("flows: end turn: %w", err)
	}
	return nil
}

// Seen returns how many check-ins were admitted at registered places on each day
// that has any, of those from one day to another.
func (f *Flows) Seen(ctx context.Context, from, to qrgate.Day) (map[qrgate.Day]int64, error) {
	seen := map[qrgate.Day]int64{}
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var day qrgate.Day
		var n int64
		err := r.Scan(&day, &n)
		seen[day] = n
		return err
	}, "SELECT day, CAST(SUM(ins) + SUM(outs) AS BIGINT) FROM tallies WHERE day BETWEEN ? AND ? GROUP BY day", int64(from), int64(to))
	if err != nil {
		return nil, fmt.Errorf("flows: seen: %w", err)
	}
	return seen, nil
}

// Runs returns the last run of each day that has one, of those from one day to
// another.
func (f *Flows) Runs(ctx context.Context, from, to qrgate.Day) (map[qrgate.Day]movement.Run, error) {
	runs := map[qrgate.Day]movement.Run{}
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var run movement.Run
		err := r.Scan(&run.Day, &run.No, &run.Upto, &run.Seen, (*store.Milli)(&run.Made))
		runs[run.Day] = run // the last of its day comes last
		return err
	}, "SELECT day, run, upto, seen, made FROM movements WHERE day BETWEEN ? AND ? ORDER BY day, run", int64(from), int64(to))
	if err != nil {
		return nil, fmt.Errorf("flows: runs: %w", err)
	}
	return runs, nil
}

// degree is one in the columns of places.
const degree = 1e6

// Places returns every place that there ever was: of a deleted one the check-ins
// are still there.
func (f *Flows) Places(ctx context.Context) (map[uint32]movement.Place, error) {
	places := map[uint32]movement.Place{}
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var no uint32
		var p movement.Place
		var hours string
		var lat, lon sql.NullInt64
		if err := r.Scan(&no, &p.Area, &p.Sector, &p.Kind, &hours, &lat, &lon); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(hours), &p.Hours); err != nil {
			return fmt.Errorf("hours of %d: %w", no, err)
		}
		if lat.Valid && lon.Valid {
			p.At = &qrgate.Point{Lat: float64(lat.Int64) / degree, Lon: float64(lon.Int64) / degree}
		}
		places[no] = p
		return nil
	}, "SELECT no, area_now, sector, kind, hours, lat, lon FROM places")
	if err != nil {
		return nil, fmt.Errorf("flows: places: %w", err)
	}
	return places, nil
}

// crowdsAtOnce is how many crowds are written in one transaction, so that check-ins
// do not wait for all of a province's places.
const crowdsAtOnce = 100

// Save keeps what a run counted. The crowds of its day are replaced in steps; the
// run is there with the last one. It fails with [qrgate.ErrConflict] if there is
// such a run.
func (f *Flows) Save(ctx context.Context, run movement.Run, d *movement.Day) error {
	if err := f.save(ctx, run, d); err != nil {
		return fmt.Errorf("flows: save %s, run %d: %w", run.Day, run.No, err)
	}
	return nil
}

func (f *Flows) save(ctx context.Context, run movement.Run, d *movement.Day) error {
	runs, err := f.Runs(ctx, run.Day, run.Day)
	if err != nil {
		return err
	}
	if last, ok := runs[run.Day]; ok && last.No >= run.No {
		return qrgate.ErrConflict
	}
	err = f.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("DELETE FROM crowds WHERE day = ?", int64(run.Day))
		return err
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(d.Crowds, crowdsAtOnce) {
		var args []any
		for i := range some {
			c := &some[i]
			peak, _ := c.Peak()
			args = append(args, int64(run.Day), int64(c.Place), int64(peak), c.Encode())
		}
		err := f.s.Write(ctx, func(t store.Tx) error {
			_, err := t.Exec(`INSERT INTO crowds (day, place_no, peak, body) VALUES (?, ?, ?, ?)`+strings.Repeat(", (?, ?, ?, ?)", len(some)-1)+
				" ON CONFLICT (day, place_no) DO UPDATE SET peak = excluded.peak, body = excluded.body", args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return f.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO movements (day, run, upto, seen, made, body) VALUES (?, ?, ?, ?, ?, ?)",
			int64(run.Day), run.No, run.Upto, run.Seen, run.Made.UnixMilli(), d.Encode())
		return err
	})
}

// Forget drops the figures of the days before one.
func (f *Flows) Forget(ctx context.Context, before qrgate.Day) error {
	err := f.s.Write(ctx, func(t store.Tx) error {
		for _, statement := range []string{"DELETE FROM movements WHERE day < ?", "DELETE FROM crowds WHERE day < ?"} {
			if _, err := t.Exec(statement, int64(before)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("flows: forget: %w", err)
	}
	return nil
}

// Days returns what was counted, run by run, of the days from one to another,
// without crowds. A day that was not counted has none.
func (f *Flows) Days(ctx context.Context, from, to qrgate.Day) ([]*movement.Day, error) {
	var all []*movement.Day
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		d := new(movement.Day)
		var body []byte
		if err := r.Scan(&d.Day, &body); err != nil {
			return err
		}
		all = append(all, d)
		return d.Decode(body)
	}, "SELECT day, body FROM movements WHERE day BETWEEN ? AND ? ORDER BY day, run", int64(from), int64(to))
	if err != nil {
		return nil, fmt.Errorf("flows: days: %w", err)
	}
	return all, nil
}

// Bounds returns the first and the last day that were counted, and false if none
// was.
func (f *Flows) Bounds(ctx context.Context) (first, last qrgate.Day, ok bool, err error) {
	err = f.s.Read(ctx, func(r *sql.Rows) error {
		var from, to sql.NullInt64
		err := r.Scan(&from, &to)
		first, last, ok = qrgate.Day(from.Int64), qrgate.Day(to.Int64), from.Valid
		return err
	}, "SELECT MIN(day), MAX(day) FROM movements")
	if err != nil {
		return 0, 0, false, fmt.Errorf("flows: bounds: %w", err)
	}
	return first, last, ok, nil
}

// Crowd returns how full a place was on a day. If it never held enough people for
// a figure, or the day was not counted, that is [qrgate.ErrNotFound].
func (f *Flows) Crowd(ctx context.Context, place uint32, day qrgate.Day) (*movement.Crowd, error) {
	var c *movement.Crowd
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var body []byte
		if err := r.Scan(&body); err != nil {
			return err
		}
		c = &movement.Crowd{Place: place}
		return c.Decode(body)
	}, "SELECT body FROM crowds WHERE day = ? AND place_no = ?", int64(day), int64(place))
	if err == nil && c == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("flows: crowd of %d: %w", place, err)
	}
	return c, nil
}

// CrowdDays returns the greatest figure of a place on each day that has one, of
// those from one day to another.
func (f *Flows) CrowdDays(ctx context.Context, place uint32, from, to qrgate.Day) (map[qrgate.Day]int, error) {
	peaks := map[qrgate.Day]int{}
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var day qrgate.Day
		var peak int
		err := r.Scan(&day, &peak)
		peaks[day] = peak
		return err
	}, "SELECT day, peak FROM crowds WHERE place_no = ? AND day BETWEEN ? AND ?", int64(place), int64(from), int64(to))
	if err != nil {
		return nil, fmt.Errorf("flows: days of %d: %w", place, err)
	}
	return peaks, nil
}

var _ movement.Keeper = (*Flows)(nil)

// A Busy is a place and the greatest figure of its crowd on a day.
type Busy struct {
	No       uint32
	Name     string
	Kind     string
	Capacity int // 0 if nobody has said
	Peak     int
}

// Busiest returns the places, of those that somebody may know of, that were
// fullest on a day, the fullest first.
func (f *Flows) Busiest(ctx context.Context, within register.Within, day qrgate.Day, most int) ([]Busy, error) {
	where, args := whereWithin(within)
	var all []Busy
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var b Busy
		err := r.Scan(&b.No, &b.Name, &b.Kind, &b.Capacity, &b.Peak)
		all = append(all, b)
		return err
	}, `SELECT p.no, p.name, p.kind, p.capacity, c.peak FROM crowds c JOIN places p ON p.no = c.place_no
		WHERE c.day = ? AND p.deleted IS NULL AND `+where+` ORDER BY c.peak DESC, p.no LIMIT ?`, append(append([]any{int64(day)}, args...), most)...)
	if err != nil {
		return nil, fmt.Errorf("flows: busiest: %w", err)
	}
	return all, nil
}

// whereWithin returns the condition on places, as p, and its arguments.
func whereWithin(w register.Within) (string, []any) {
	if w.All {
		return "1 = 1", nil
	}
	var terms []string
	var args []any
	for _, in := range []struct {
		column string
		ids    []string
	}{{"p.organisation", w.Organisations}, {"p.sector", w.Sectors}, {"p.area_now", w.Areas}} {
		if len(in.ids) == 0 {
			continue
		}
		terms = append(terms, in.column+" IN (?"+strings.Repeat(", ?", len(in.ids)-1)+")")
		for _, id := range in.ids {
			args = append(args, id)
		}
	}
	if terms == nil {
		return "1 = 0", nil
	}
	return "(" + strings.Join(terms, " OR ") + ")", args
}
