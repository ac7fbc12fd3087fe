package register

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

const placeColumns = `p.no, p.organisation, p.name, p.sector, p.kind, p.area, p.area_now, p.street, p.lat, p.lon, p.person, p.phones, p.email,
	p.capacity, p.hours, p.doors, p.version, p.poster, p.created, p.changed, p.deleted`

// degrees is how many parts a degree is stored in: 0.1 m.
const degrees = 1e6

func scanPlace(rows *sql.Rows) (*qrgate.Place, error) { return scanPlaceAnd(rows) }

// scanPlaceAnd is scanPlace for rows that have more columns after those of the
// place.
func scanPlaceAnd(rows *sql.Rows, more ...any) (*qrgate.Place, error) {
	var p qrgate.Place
	var lat, lon sql.NullInt64
	var phones, hours string
	err := rows.Scan(append([]any{
		&p.No, &p.Organisation, &p.Name, &p.Sector, &p.Kind, &p.Area, &p.AreaNow, &p.Street, &lat, &lon, &p.Person, &phones, &p.Email,
		&p.Capacity, &hours, &p.Doors, &p.Version, &p.Poster, (*store.Milli)(&p.Created), (*store.Milli)(&p.Changed), (*store.Milli)(&p.Deleted),
	}, more...)...)
	if err != nil {
		return nil, err
	}
	if lat.Valid && lon.Valid {
		p.At = &qrgate.Point{Lat: float64(lat.Int64) / degrees, Lon: float64(lon.Int64) / degrees}
	}
	if err := json.Unmarshal([]byte(phones), &p.Phones); err != nil {
		return nil, fmt.Errorf("phones: %w", err)
	}
	if err := json.Unmarshal([]byte(hours), &p.Hours); err != nil {
		return nil, fmt.Errorf("hours: %w", err)
	}
	return &p, nil
}

// placeValues returns what is stored of a place in the order from name to doors.
func placeValues(p *qrgate.Place) []any {
	var lat, lon any
	if p.At != nil {
		lat, lon = int64(math.Round(p.At.Lat*degrees)), int64(math.Round(p.At.Lon*degrees))
	}
	return []any{
		p.Name, area.Fold(p.Name), p.Sector, p.Kind, p.Area, p.AreaNow, p.Street, lat, lon, p.Person, jsonOf(p.Phones), p.Email,
		p.Capacity, jsonOf(p.Hours), p.Doors,
	}
}

// jsonOf encodes what cannot fail: strings and numbers.
func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Place returns the place with this number, deleted or not.
func (r *Register) Place(ctx context.Context, no uint32) (*qrgate.Place, error) {
	var p *qrgate.Place
	err := r.s.Read(ctx, func(rows *sql.Rows) (err error) { p, err = scanPlace(rows); return err },
		"SELECT "+placeColumns+" FROM places p WHERE p.no = ?", int64(no))
	if err == nil && p == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: place %d: %w", no, err)
	}
	return p, nil
}

// PlacesOf returns the places of these numbers. Those that there are not are left
// out.
func (r *Register) PlacesOf(ctx context.Context, nos ...uint32) (map[uint32]*qrgate.Place, error) {
	all := make(map[uint32]*qrgate.Place, len(nos))
	for some := range slices.Chunk(nos, portion) {
		args := make([]any, len(some))
		for i, no := range some {
			args[i] = int64(no)
		}
		err := r.s.Read(ctx, func(rows *sql.Rows) error {
			p, err := scanPlace(rows)
			if err == nil {
				all[p.No] = p
			}
			return err
		}, "SELECT "+placeColumns+" FROM places p WHERE p.no IN ("+marksOf(len(args))+")", args...)
		if err != nil {
			return nil, fmt.Errorf("register: places: %w", err)
		}
	}
	return all, nil
}

// AddPlace adds a place and gives it the next number, which it sets in p.
func (r *Register) AddPlace(ctx context.Context, by string, p *qrgate.Place) error {
	if err := r.addPlaces(ctx, by, "", []*qrgate.Place{p}, func(store.Tx) error { return nil }); err != nil {
		return fmt.Errorf("register: add place: %w", err)
	}
	return nil
}

// ImportPlaces adds all places of an upload, or none, and ends the upload. A
// second time is [qrgate.ErrConflict] and adds nothing.
func (r *Register) ImportPlaces(ctx context.Context, by, upload string, places []*qrgate.Place) error {
	err := r.addPlaces(ctx, by, "import", places, func(t store.Tx) error { return takeUpload(t, by, upload) })
	if err != nil {
		return fmt.Errorf("register: import places: %w", err)
	}
	return nil
}

func (r *Register) addPlaces(ctx context.Context, by, note string, places []*qrgate.Place, first func(store.Tx) error) error {
	now := r.now()
	return r.s.Write(ctx, func(t store.Tx) error {
		if err := first(t); err != nil {
			return err
		}
		if err := t.Lock("places"); err != nil {
			return err
		}
		no := int64(0)
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&no) }, "SELECT COALESCE(MAX(no), 0) FROM places")
		if err != nil {
			return err
		}
		for _, p := range places {
			no++
			p.No, p.Version, p.Created, p.Changed = uint32(no), 1, now.Truncate(time.Millisecond), now.Truncate(time.Millisecond)
			_, err = t.Exec(`INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, lat, lon, person, phones, email,
				capacity, hours, doors, version, poster, created, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?)`,
				append(append([]any{no, p.Organisation}, placeValues(p)...), now.UnixMilli(), now.UnixMilli())...)
			if err != nil {
				return err
			}
			if err := t.Audit(by, "add place", placeObject(p.No), note); err != nil {
				return err
			}
		}
		return nil
	})
}

// placeObject is a place as audit rows name it.
func placeObject(no uint32) string { return fmt.Sprintf("place %d", no) }

// actionBehalf is what audit rows say when somebody who is not of a place's
// organisation has changed it.
const actionBehalf = "save place on behalf"

// SavePlace changes a place. p is as it was read, with what is to change; its
// organisation and poster stay. If somebody has changed the place meanwhile, or
// deleted it, the error is [qrgate.ErrConflict]. behalf is empty, or the role of
// an officer who helps the organisation, which its owner gets to see.
func (r *Register) SavePlace(ctx context.Context, by string, p *qrgate.Place, behalf qrgate.Role) error {
	action := "save place"
	if behalf != "" {
		action = actionBehalf
	}
	now := r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec(`UPDATE places SET name = ?, folded = ?, sector = ?, kind = ?, area = ?, area_now = ?, street = ?, lat = ?, lon = ?, person = ?, phones = ?, email = ?,
			capacity = ?, hours = ?, doors = ?, changed = ?, version = version + 1 WHERE no = ? AND version = ? AND deleted IS NULL`,
			append(placeValues(p), now.UnixMilli(), int64(p.No), p.Version)...)
		if err == nil && n == 0 {
			err = lost(t, p.No)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, action, placeObject(p.No), string(behalf))
	})
	if err != nil {
		return fmt.Errorf("register: save place %d: %w", p.No, err)
	}
	p.Version, p.Changed = p.Version+1, now.Truncate(time.Millisecond)
	return nil
}

// lost says why a change found no place to change.
func lost(t store.Tx, no uint32) error {
	found := false
	err := t.Each(func(*sql.Rows) error { found = true; return nil }, "SELECT no FROM places WHERE no = ?", int64(no))
	switch {
	case err != nil:
		return err
	case found:
		return qrgate.ErrConflict
	}
	return qrgate.ErrNotFound
}

// DeletePlace deletes a place as it was in that version. It can be taken back
// for [qrgate.UndoFor]; its number never means another place.
func (r *Register) DeletePlace(ctx context.Context, by string, no uint32, version int) error {
	now := r.now().UnixMilli()
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE places SET deleted = ?, changed = ?, version = version + 1 WHERE no = ? AND version = ? AND deleted IS NULL", now, now, int64(no), version)
		if err == nil && n == 0 {
			err = lost(t, no)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "delete place", placeObject(no), "")
	})
	if err != nil {
		return fmt.Errorf("register: delete place %d: %w", no, err)
	}
	return nil
}

// UndeletePlace takes a place back that was deleted less than [qrgate.UndoFor]
// ago. It is [qrgate.ErrConflict] of one that was deleted longer ago or not at
// all.
func (r *Register) UndeletePlace(ctx context.Context, by string, no uint32) error {
	now := r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE places SET deleted = NULL, changed = ?, version = version + 1 WHERE no = ? AND deleted > ?",
			now.UnixMilli(), int64(no), now.Add(-qrgate.UndoFor).UnixMilli())
		if err == nil && n == 0 {
			err = lost(t, no)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "undelete place", placeObject(no), "")
	})
	if err != nil {
		return fmt.Errorf("register: undelete place %d: %w", no, err)
	}
	return nil
}

// PurgePlaces empties what places that can no longer be taken back say of
// persons, and drops their introductions. Their numbers and names stay, for old
// posters and for what was recorded there. It is called now and then.
func (r *Register) PurgePlaces(ctx context.Context) error {
	before := r.now().Add(-qrgate.UndoFor).UnixMilli()
	err := r.s.Write(ctx, func(t store.Tx) error {
		var nos []uint32
		err := t.Each(func(rows *sql.Rows) error {
			var no uint32
			err := rows.Scan(&no)
			nos = append(nos, no)
			return err
		}, `SELECT p.no FROM places p WHERE p.deleted <= ? AND (p.person <> '' OR p.email <> '' OR p.phones NOT IN ('[]', 'null')
			OR EXISTS (SELECT 1 FROM introductions i WHERE i.place = p.no) OR EXISTS (SELECT 1 FROM pictures i WHERE i.place = p.no))`, before)
		if err != nil {
			return err
		}
		for _, no := range nos {
			for _, query := range []string{
				"UPDATE places SET person = '', phones = '[]', email = '', version = version + 1 WHERE no = ?",
				"DELETE FROM introductions WHERE place = ?", "DELETE FROM pictures WHERE place = ?",
			} {
				if _, err := t.Exec(query, int64(no)); err != nil {
					return err
				}
			}
			if err := t.Audit("", "purge place", placeObject(no), ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("register: purge places: %w", err)
	}
	return nil
}
