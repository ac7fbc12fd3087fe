package register

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

const placeColumns = `p.no, p.organisation, p.name, p.sector, p.kind, p.area, p.area_now, p.street, p.lat, p.lon, p.person, p.phones, p.email,
	p.capacity, p.hours, p.doors, p.version, p.poster, p.created, p.changed, p.deleted`

// degrees is how many parts a degree is stored in: 0.1 m.
const degrees = 1e6

func scanPlace(rows *sql.Rows) (*qrgate.Place, error) {
	var p qrgate.Place
	var lat, lon sql.NullInt64
	var phones, hours string
	err := rows.Scan(&p.No, &p.Organisation, &p.Name, &p.Sector, &p.Kind, &p.Area, &p.AreaNow, &p.Street, &lat, &lon, &p.Person, &phones, &p.Email,
		&p.Capacity, &hours, &p.Doors, &p.Version, &p.Poster, (*milli)(&p.Created), (*milli)(&p.Changed), (*milli)(&p.Deleted))
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

// AddPlace adds a place and gives it the next number, which it sets in p.
func (r *Register) AddPlace(ctx context.Context, by string, p *qrgate.Place) error {
	now := r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("places"); err != nil {
			return err
		}
		no := int64(0)
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&no) }, "SELECT COALESCE(MAX(no), 0) + 1 FROM places")
		if err != nil {
			return err
		}
		p.No, p.Version, p.Created, p.Changed = uint32(no), 1, now.Truncate(time.Millisecond), now.Truncate(time.Millisecond)
		_, err = t.Exec(`INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, lat, lon, person, phones, email,
			capacity, hours, doors, version, poster, created, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?)`,
			append(append([]any{no, p.Organisation}, placeValues(p)...), now.UnixMilli(), now.UnixMilli())...)
		if err != nil {
			return err
		}
		return t.Audit(by, "add place", fmt.Sprintf("place %d", no), "")
	})
	if err != nil {
		return fmt.Errorf("register: add place: %w", err)
	}
	return nil
}
