package progress

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	"github.com/qrgate/qrgate/server/store/register"
)

// reportsWithin is how long a kiosk that was heard of is a door that works.
const reportsWithin = report.ActiveDays * 24 * time.Hour

// Survey returns the facts of the places that a query asks for, and of what is
// listed and has not registered, for each of the moments.
func (p *Progress) Survey(ctx context.Context, q Query, moments ...qrgate.Day) (report.Survey, error) {
	s := report.Survey{Moments: moments}
	fail := func(err error) (report.Survey, error) {
		return report.Survey{}, fmt.Errorf("progress: survey: %w", err)
	}
	doors, err := p.doors(ctx)
	if err != nil {
		return fail(err)
	}
	named, unregistered, err := p.listed(ctx, q)
	if err != nil {
		return fail(err)
	}
	where := q.condition(ofPlaces)
	where.add("p.deleted IS NULL")
	// Each is one step into an index, however many days a place has been in use.
	last := strings.Repeat(", COALESCE((SELECT MAX(t.day) FROM tallies t WHERE t.place_no = p.no AND t.day <= ?), 0)", len(moments))
	var args []any
	for _, m := range moments {
		args = append(args, int64(m))
	}
	districts := map[[2]string]string{}
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		f := report.Facts{Last: make([]qrgate.Day, len(moments))}
		var chosen string
		var created, printed int64
		into := []any{&f.Place, &f.Sector, &f.Kind, &chosen, &f.Area, &created, &printed, &f.Scanned}
		for i := range f.Last {
			into = append(into, &f.Last[i])
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		f.Registered, f.Printed, f.Live = dayOf(created), dayOf(printed), doors[f.Place]
		_, f.Listed = named[f.Place]
		f.District = districtOf(districts, chosen, f.Area)
		s.Places = append(s.Places, f)
		return nil
	}, `SELECT p.no, p.sector, p.kind, p.area, p.area_now, p.created, COALESCE((SELECT MIN(o.printed) FROM posters o WHERE o.place = p.no), 0),
			COALESCE((SELECT MIN(t.day) FROM tallies t WHERE t.place_no = p.no), 0)`+last+` FROM places p WHERE `+where.String()+" ORDER BY p.no",
		append(args, where.args...)...)
	if err != nil {
		return fail(err)
	}
	for _, l := range unregistered {
		l.District = districtOf(districts, l.District, l.Area)
		s.Places = append(s.Places, l)
	}
	return s, nil
}

func dayOf(ms int64) qrgate.Day {
	if ms == 0 {
		return 0
	}
	return qrgate.DayOfMilli(ms)
}

func districtOf(known map[[2]string]string, chosen, now string) string {
	key := [2]string{chosen, now}
	d, ok := known[key]
	if !ok {
		d = report.DistrictOf(chosen, now)
		known[key] = d
	}
	return d
}

// doors returns since when there has been a door that works, by place: a kiosk
// that reports, or a poster that an inspector saw hang when somebody was there
// last.
func (p *Progress) doors(ctx context.Context) (map[uint32]qrgate.Day, error) {
	doors := map[uint32]qrgate.Day{}
	err := p.s.Read(ctx, func(rows *sql.Rows) error {
		var no uint32
		var added int64
		err := rows.Scan(&no, &added)
		doors[no] = dayOf(added)
		return err
	}, `SELECT k.place_no, MIN(k.added) FROM kiosks k JOIN presences r ON r.kiosk_no = k.no
		WHERE k.kind = 0 AND k.place_no > 0 AND k.state = ? AND (r.up = 1 OR r.contact > ?) GROUP BY k.place_no`,
		int64(qrgate.KioskActive), p.now().Add(-reportsWithin).UnixMilli())
	if err != nil {
		return nil, err
	}
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		var no uint32
		var at int64
		err := rows.Scan(&no, &at)
		if d, ok := doors[no]; !ok || dayOf(at) < d {
			doors[no] = dayOf(at)
		}
		return err
	}, `SELECT i.place, MIN(i.at) FROM inspections i WHERE i.poster = 1
		AND 1 = (SELECT j.poster FROM inspections j WHERE j.place = i.place ORDER BY j.at DESC, j.id DESC LIMIT 1) GROUP BY i.place`)
	return doors, err
}

// listed returns which places are on a list, and what is listed and is no place
// yet: their District is the commune as it was named.
func (p *Progress) listed(ctx context.Context, q Query) (named map[uint32]bool, unregistered []report.Facts, err error) {
	named = map[uint32]bool{}
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		var no uint32
		err := rows.Scan(&no)
		named[no] = true
		return err
	}, "SELECT DISTINCT "+matched+" FROM listed l")
	if err != nil {
		return nil, nil, err
	}
	where := q.condition(ofListed)
	where.add(matched + " = 0")
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		f := report.Facts{Listed: true}
		err := rows.Scan(&f.Sector, &f.Kind, &f.District, &f.Area)
		unregistered = append(unregistered, f)
		return err
	}, "SELECT l.sector, l.kind, l.area, l.area_now FROM listed l WHERE "+where.String()+" ORDER BY l.id", where.args...)
	return named, unregistered, err
}

// matched is the place that a listed one is: the one that somebody has said, or the
// one of that name in that commune; 0 if there is none.
const matched = `COALESCE((SELECT m.no FROM places m WHERE m.no = l.place AND m.deleted IS NULL),
	(SELECT MIN(m.no) FROM places m WHERE m.folded = l.folded AND m.area_now = l.area_now AND m.deleted IS NULL), 0)`

// Cells returns how many people checked in, from one day to another, both included.
//
// Cells are numbered first and grouped by one number: grouped by their four columns
// SQLite takes five times as long. CROSS JOIN makes it begin with the places, which
// lie together in tallies.
func (p *Progress) Cells(ctx context.Context, q Query, from, to qrgate.Day) ([]report.Cell, error) {
	where := q.condition(ofPlaces)
	where.add("p.deleted IS NULL")
	var all []report.Cell
	err := p.s.Read(ctx, func(rows *sql.Rows) error {
		var c report.Cell
		err := rows.Scan(&c.Sector, &c.Kind, &c.Area, &c.Day, &c.People)
		all = append(all, c)
		return err
	}, `WITH c AS MATERIALIZED (SELECT p.no, DENSE_RANK() OVER (ORDER BY p.sector, p.kind, p.area_now) AS cell FROM places p WHERE `+where.String()+`)
		SELECT p.sector, p.kind, p.area_now, g.day, g.people FROM (
			SELECT MIN(c.no) AS no, MIN(t.day) AS day, CAST(SUM(t.ins) AS BIGINT) AS people FROM c CROSS JOIN tallies t WHERE t.place_no = c.no AND t.day BETWEEN ? AND ?
			GROUP BY c.cell * 100000 + t.day
		) g JOIN places p ON p.no = g.no ORDER BY p.sector, p.kind, p.area_now, g.day`, append(where.args, int64(from), int64(to))...)
	if err != nil {
		return nil, fmt.Errorf("progress: cells: %w", err)
	}
	return all, nil
}

// Kiosks are how many there are at some places, and how many of them are connected.
type Kiosks struct{ All, Up int }

// Kiosks counts the kiosks of the places that a query asks for.
func (p *Progress) Kiosks(ctx context.Context, q Query) (k Kiosks, err error) {
	where := q.condition(ofPlaces)
	err = p.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&k.All, &k.Up) },
		`SELECT COUNT(*), COALESCE(SUM(CASE WHEN r.up = 1 THEN 1 ELSE 0 END), 0)
		FROM kiosks k JOIN places p ON p.no = k.place_no AND p.deleted IS NULL LEFT JOIN presences r ON r.kiosk_no = k.no
		WHERE k.kind = 0 AND k.state = ? AND `+where.String(), append([]any{int64(qrgate.KioskActive)}, where.args...)...)
	if err != nil {
		return Kiosks{}, fmt.Errorf("progress: kiosks: %w", err)
	}
	return k, nil
}

// Difficulties counts the difficulties that were sent from one moment until before
// another, by category and state; those that there are none of are left out.
func (p *Progress) Difficulties(ctx context.Context, q Query, from, to time.Time) ([]register.DifficultyCount, error) {
	where := q.condition(ofDifficulties)
	where.add("d.at >= ? AND d.at < ?", from.UnixMilli(), to.UnixMilli())
	var all []register.DifficultyCount
	err := p.s.Read(ctx, func(rows *sql.Rows) error {
		var c register.DifficultyCount
		err := rows.Scan(&c.Category, &c.State, &c.Count)
		all = append(all, c)
		return err
	}, "SELECT d.category, d.state, COUNT(*) FROM difficulties d LEFT JOIN places p ON p.no = d.place WHERE "+where.String()+
		" GROUP BY d.category, d.state ORDER BY d.category, d.state", where.args...)
	if err != nil {
		return nil, fmt.Errorf("progress: difficulties: %w", err)
	}
	return all, nil
}
