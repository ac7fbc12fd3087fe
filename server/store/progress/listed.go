package progress

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Listed is a place that ought to register.
type Listed struct {
	ID        string
	Name      string
	Sector    string
	Kind      string
	Area      string // the commune as it was named
	AreaNow   string // and the one of today
	Street    string
	Phone     string
	Place     uint32 // that it is, 0 if it has not registered
	PlaceName string
	MadeBy    string
	Made      time.Time
}

func listedObject(id string) string { return "listed " + id }

// TakeList takes in an upload of by's: what is listed already, by sector, commune
// and name, gets the street, the kind and the number that are said now. A second
// time is [qrgate.ErrConflict].
func (p *Progress) TakeList(ctx context.Context, by, upload string, list []Listed) (added int, err error) {
	err = p.s.Write(ctx, func(t store.Tx) error {
		added = 0
		n, err := t.Exec("DELETE FROM uploads WHERE id = ? AND account = ?", upload, by)
		if err == nil && n == 0 {
			err = fmt.Errorf("upload is gone: %w", qrgate.ErrConflict)
		}
		if err != nil {
			return err
		}
		for _, l := range list {
			n, err := t.Exec("UPDATE listed SET name = ?, kind = ?, area = ?, street = ?, phone = ? WHERE sector = ? AND area_now = ? AND folded = ?",
				l.Name, l.Kind, l.Area, l.Street, l.Phone, l.Sector, l.AreaNow, area.Fold(l.Name))
			if err == nil && n == 0 {
				added++
				_, err = t.Exec("INSERT INTO listed (id, name, folded, sector, kind, area, area_now, street, phone, made_by, made) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
					store.NewID(), l.Name, area.Fold(l.Name), l.Sector, l.Kind, l.Area, l.AreaNow, l.Street, l.Phone, by, p.now().UnixMilli())
			}
			if err != nil {
				return err
			}
		}
		return t.Audit(by, "take list", "listed", fmt.Sprintf("%d rows, %d new", len(list), added))
	})
	if err != nil {
		return 0, fmt.Errorf("progress: take list: %w", err)
	}
	return added, nil
}

const listedColumns = "l.id, l.name, l.sector, l.kind, l.area, l.area_now, l.street, l.phone, " + matched + ", COALESCE((SELECT n.name FROM places n WHERE n.no = " + matched + "), ''), l.made_by, l.made"

// ListedPlaces returns one page of what is listed, or only of what has not
// registered, in the order of names, and how much there is in all.
func (p *Progress) ListedPlaces(ctx context.Context, q Query, missing bool, page, size int) (list []Listed, total int, err error) {
	where := q.condition(ofListed)
	if missing {
		where.add(matched + " = 0")
	}
	err = p.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&total) }, "SELECT COUNT(*) FROM listed l WHERE "+where.String(), where.args...)
	if err == nil && total > 0 {
		list, err = p.listedRows(ctx, where.String()+" ORDER BY l.folded, l.id LIMIT ? OFFSET ?", append(where.args, size, max(0, page)*size)...)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("progress: listed places: %w", err)
	}
	return list, total, nil
}

func (p *Progress) listedRows(ctx context.Context, where string, args ...any) (list []Listed, err error) {
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		var l Listed
		err := rows.Scan(&l.ID, &l.Name, &l.Sector, &l.Kind, &l.Area, &l.AreaNow, &l.Street, &l.Phone, &l.Place, &l.PlaceName, &l.MadeBy, (*store.Milli)(&l.Made))
		list = append(list, l)
		return err
	}, "SELECT "+listedColumns+" FROM listed l WHERE "+where, args...)
	return list, err
}

// ListedPlace returns the one with this id.
func (p *Progress) ListedPlace(ctx context.Context, id string) (*Listed, error) {
	list, err := p.listedRows(ctx, "l.id = ?", id)
	if err == nil && len(list) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("progress: listed place: %w", err)
	}
	return &list[0], nil
}

// Match says which place a listed one is; 0 says that nobody knows.
func (p *Progress) Match(ctx context.Context, by, id string, place uint32) error {
	var no any
	if place > 0 {
		no = int64(place)
	}
	return p.change(ctx, by, "match listed", listedObject(id), fmt.Sprintf("place %d", place), "UPDATE listed SET place = ? WHERE id = ?", no, id)
}

// Unlist takes a place from the list: it was there by mistake, or has closed.
func (p *Progress) Unlist(ctx context.Context, by, id string) error {
	return p.change(ctx, by, "unlist", listedObject(id), "", "DELETE FROM listed WHERE id = ?", id)
}

// errNoRow is of a change that has found nothing to change.
var errNoRow = errors.New("no such row")

// change runs a statement that changes one row, with its audit row.
func (p *Progress) change(ctx context.Context, by, action, object, note, statement string, args ...any) error {
	err := p.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec(statement, args...)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: %w", errNoRow, qrgate.ErrConflict)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, action, object, note)
	})
	if err != nil {
		return fmt.Errorf("progress: %s: %w", action, err)
	}
	return nil
}
