package progress

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Check is what an inspector looks at.
type Check string

// Checks returns every check, in the order in which somebody walks in.
func Checks() []Check { return []Check{"poster", "readable", "kiosk", "staff"} }

// An Answer is what was found.
type Answer string

// The answers. Not every place has a kiosk.
const (
	Yes  Answer = "yes"
	No   Answer = "no"
	None Answer = "none" // there is nothing to look at
)

// Answers returns every answer.
func Answers() []Answer { return []Answer{Yes, No, None} }

// A Result is what comes of a visit.
type Result string

// The results.
const (
	Good Result = "good"
	Fix  Result = "fix" // something is to be put right
	Bad  Result = "bad" // the place can not be traced
)

// Results returns every result, the best first.
func Results() []Result { return []Result{Good, Fix, Bad} }

// An Inspection is one visit.
type Inspection struct {
	ID        string
	Place     uint32
	PlaceName string
	Area      string // of today, of the place
	At        time.Time
	MadeBy    string // id of an account
	Inspector string // as they are called, empty if the account is gone
	Checks    map[Check]Answer
	People    int // who went in while somebody counted, 0 if nobody did
	Scanned   int // of them, who checked in
	Result    Result
	Note      string
	Due       qrgate.Day // by which something is to be put right, 0 if nothing is
	Settled   time.Time  // zero until it was
	SettledBy string
}

// Open reports whether something is still to be put right.
func (i *Inspection) Open() bool { return i.Due > 0 && i.Settled.IsZero() }

func inspectionObject(id string) string { return "inspection " + id }

// AddInspection keeps a visit and sets its id and time. A visit with a good result
// settles what earlier ones of the place left open.
func (p *Progress) AddInspection(ctx context.Context, by string, i *Inspection) error {
	checks, err := json.Marshal(i.Checks)
	if err != nil || i.Scanned > i.People {
		return fmt.Errorf("progress: add inspection: %w", qrgate.ErrInvalid)
	}
	id, now, poster := store.NewID(), p.now(), 0
	if i.Checks["poster"] == Yes {
		poster = 1
	}
	var due any
	if i.Due > 0 {
		due = int64(i.Due)
	}
	err = p.s.Write(ctx, func(t store.Tx) error {
		if i.Result == Good {
			if _, err := t.Exec("UPDATE inspections SET settled = ?, settled_by = ? WHERE place = ? AND due IS NOT NULL AND settled IS NULL",
				now.UnixMilli(), by, int64(i.Place)); err != nil {
				return err
			}
		}
		_, err := t.Exec("INSERT INTO inspections (id, place, at, made_by, poster, checks, people, scanned, result, note, due, settled_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
			id, int64(i.Place), now.UnixMilli(), by, poster, string(checks), i.People, i.Scanned, string(i.Result), i.Note, due)
		if err != nil {
			return err
		}
		return t.Audit(by, "inspect", fmt.Sprintf("place %d", i.Place), string(i.Result))
	})
	if err != nil {
		return fmt.Errorf("progress: add inspection: %w", err)
	}
	i.ID, i.At, i.MadeBy = id, now.Truncate(time.Millisecond), by
	return nil
}

// Settle says that what a visit left to be put right has been. If somebody has said
// so before the error is [qrgate.ErrConflict].
func (p *Progress) Settle(ctx context.Context, by, id string) error {
	return p.change(ctx, by, "settle inspection", inspectionObject(id), "",
		"UPDATE inspections SET settled = ?, settled_by = ? WHERE id = ? AND due IS NOT NULL AND settled IS NULL", p.now().UnixMilli(), by, id)
}

const inspectionColumns = `i.id, i.place, p.name, p.area_now, i.at, i.made_by, COALESCE(a.display, ''), i.checks, i.people, i.scanned, i.result, i.note,
	COALESCE(i.due, 0), i.settled, i.settled_by`

const inspectionTables = " FROM inspections i JOIN places p ON p.no = i.place LEFT JOIN accounts a ON a.id = i.made_by WHERE "

func (p *Progress) inspections(ctx context.Context, where string, args ...any) (all []Inspection, err error) {
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		var i Inspection
		var checks string
		err := rows.Scan(&i.ID, &i.Place, &i.PlaceName, &i.Area, (*store.Milli)(&i.At), &i.MadeBy, &i.Inspector, &checks, &i.People, &i.Scanned, &i.Result, &i.Note,
			&i.Due, (*store.Milli)(&i.Settled), &i.SettledBy)
		if err == nil {
			err = json.Unmarshal([]byte(checks), &i.Checks)
		}
		all = append(all, i)
		return err
	}, "SELECT "+inspectionColumns+inspectionTables+where, args...)
	return all, err
}

// Inspection returns the visit with this id.
func (p *Progress) Inspection(ctx context.Context, id string) (*Inspection, error) {
	all, err := p.inspections(ctx, "i.id = ?", id)
	if err == nil && len(all) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("progress: inspection: %w", err)
	}
	return &all[0], nil
}

// InspectionsOf returns the last visits to a place, the latest first.
func (p *Progress) InspectionsOf(ctx context.Context, place uint32, most int) ([]Inspection, error) {
	all, err := p.inspections(ctx, "i.place = ? ORDER BY i.at DESC, i.id LIMIT ?", int64(place), most)
	if err != nil {
		return nil, fmt.Errorf("progress: inspections of %d: %w", place, err)
	}
	return all, nil
}

// Inspections returns one page of the visits to places that a query asks for, the
// latest first, or only of those that left something open, the most urgent first,
// and how many there are in all.
func (p *Progress) Inspections(ctx context.Context, q Query, open bool, page, size int) (all []Inspection, total int, err error) {
	where := q.condition(ofPlaces)
	where.add("p.deleted IS NULL")
	order := " ORDER BY i.at DESC, i.id LIMIT ? OFFSET ?"
	if open {
		where.add("i.due IS NOT NULL AND i.settled IS NULL")
		order = " ORDER BY i.due, i.id LIMIT ? OFFSET ?"
	}
	err = p.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&total) }, "SELECT COUNT(*) FROM inspections i JOIN places p ON p.no = i.place WHERE "+where.String(), where.args...)
	if err == nil && total > 0 {
		all, err = p.inspections(ctx, where.String()+order, append(where.args, size, max(0, page)*size)...)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("progress: inspections: %w", err)
	}
	return all, total, nil
}

// Visits are the inspections of some days together.
type Visits struct {
	All, Good, Fix, Bad int
	Places              int   // that were visited
	Open                int   // that left something open, of any day
	Late                int   // of Open, whose day has passed
	People, Scanned     int64 // counted at doors
}

// Visits counts the visits to places that a query asks for, from one moment until
// before another.
func (p *Progress) Visits(ctx context.Context, q Query, from, to time.Time) (v Visits, err error) {
	where := q.condition(ofPlaces)
	where.add("p.deleted IS NULL")
	of := func(result Result) string {
		return "COALESCE(SUM(CASE WHEN i.result = '" + string(result) + "' THEN 1 ELSE 0 END), 0)"
	}
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		return rows.Scan(&v.All, &v.Places, &v.Good, &v.Fix, &v.Bad, &v.People, &v.Scanned)
	}, "SELECT COUNT(*), COUNT(DISTINCT i.place), "+of(Good)+", "+of(Fix)+", "+of(Bad)+`, CAST(COALESCE(SUM(i.people), 0) AS BIGINT), CAST(COALESCE(SUM(i.scanned), 0) AS BIGINT)
		FROM inspections i JOIN places p ON p.no = i.place WHERE `+where.String()+" AND i.at >= ? AND i.at < ?", append(where.args[:len(where.args):len(where.args)], from.UnixMilli(), to.UnixMilli())...)
	if err == nil {
		err = p.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&v.Open, &v.Late) },
			"SELECT COUNT(*), COALESCE(SUM(CASE WHEN i.due < ? THEN 1 ELSE 0 END), 0) FROM inspections i JOIN places p ON p.no = i.place WHERE "+where.String()+" AND i.due IS NOT NULL AND i.settled IS NULL",
			append([]any{int64(qrgate.DayOf(p.now()))}, where.args...)...)
	}
	if err != nil {
		return Visits{}, fmt.Errorf("progress: visits: %w", err)
	}
	return v, nil
}

// A Doors is what beams, turnstiles and guards' keys have counted at entrances.
type Doors struct {
	Places, Kiosks  int // that count
	People, Scanned int64
}

// Doors counts who went in at places that a query asks for, from one moment until before
// another.
func (p *Progress) Doors(ctx context.Context, q Query, from, to time.Time) (d Doors, err error) {
	where := q.condition(ofPlaces)
	where.add("p.deleted IS NULL")
	where.add("c.direction = ? AND c.hour >= ? AND c.hour < ?", int64(wire.In), from.UnixMilli(), to.UnixMilli())
	err = p.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&d.Places, &d.Kiosks, &d.People, &d.Scanned) },
		"SELECT COUNT(DISTINCT c.place_no), COUNT(DISTINCT c.kiosk_no), CAST(COALESCE(SUM(c.people), 0) AS BIGINT), CAST(COALESCE(SUM(c.scans), 0) AS BIGINT) FROM passages c JOIN places p ON p.no = c.place_no WHERE "+where.String(), where.args...)
	if err != nil {
		return Doors{}, fmt.Errorf("progress: doors: %w", err)
	}
	return d, nil
}
