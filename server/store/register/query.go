package register

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A PlaceState is a state of places that can be asked for.
type PlaceState string

// The states. The zero state is of every place that is not deleted.
const (
	PlaceUnprinted PlaceState = "unprinted" // no poster was printed yet
	PlacePrinted   PlaceState = "printed"
	PlaceDeleted   PlaceState = "deleted"
)

// A PlaceSort is an order of places.
type PlaceSort string

// The orders. The zero order is by name.
const (
	PlaceNewest  PlaceSort = "newest"
	PlaceChanged PlaceSort = "changed"
	PlaceNumber  PlaceSort = "number"
)

// A Query says which places to find. Its zero fields ask for nothing, but
// Within, whose zero value is no place.
type Query struct {
	Within       Within
	Text         string // in the name, with marks or without, or a number
	Organisation string
	Kind         string
	Sectors      []string
	Areas        []string // of today
	State        PlaceState
	Sort         PlaceSort
	Page         int // from 0
	Size         int // places a page; 0 for all
}

const isPrinted = "EXISTS (SELECT 1 FROM posters q WHERE q.place = p.no AND q.printed IS NOT NULL)"

// Places returns one page of the places that a query asks for, and how many
// there are in all.
func (r *Register) Places(ctx context.Context, q Query) (places []*qrgate.Place, total int, err error) {
	where, args := q.where()
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&total) }, "SELECT COUNT(*) FROM places p WHERE "+where, args...)
	if err == nil && total > 0 {
		query := "SELECT " + placeColumns + " FROM places p WHERE " + where + " ORDER BY " + q.order()
		if q.Size > 0 {
			query, args = query+" LIMIT ? OFFSET ?", append(args, q.Size, max(0, q.Page)*q.Size)
		}
		err = r.s.Read(ctx, func(rows *sql.Rows) error {
			p, err := scanPlace(rows)
			places = append(places, p)
			return err
		}, query, args...)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("register: places: %w", err)
	}
	return places, total, nil
}

func (q Query) order() string {
	switch q.Sort {
	case PlaceNewest:
		return "p.created DESC, p.no DESC"
	case PlaceChanged:
		return "p.changed DESC, p.no DESC"
	case PlaceNumber:
		return "p.no"
	}
	return "p.folded, p.no"
}

// where returns the condition on places, as p, and its arguments.
func (q Query) where() (string, []any) {
	within, args := q.Within.where()
	terms := []string{within}
	add := func(term string, values ...any) { terms, args = append(terms, term), append(args, values...) }
	switch q.State {
	case PlaceDeleted:
		add("p.deleted IS NOT NULL")
	case PlacePrinted:
		add("p.deleted IS NULL AND " + isPrinted)
	case PlaceUnprinted:
		add("p.deleted IS NULL AND NOT " + isPrinted)
	default:
		add("p.deleted IS NULL")
	}
	if q.Organisation != "" {
		add("p.organisation = ?", q.Organisation)
	}
	if q.Kind != "" {
		add("p.kind = ?", q.Kind)
	}
	for _, in := range []struct {
		column string
		values []string
	}{{"p.sector", q.Sectors}, {"p.area_now", q.Areas}} {
		if in.values != nil {
			term, values := isIn(in.column, in.values)
			add(term, values...)
		}
	}
	if no, err := strconv.ParseUint(strings.TrimSpace(q.Text), 10, 32); err == nil {
		add("(p.no = ? OR p.folded LIKE ? ESCAPE '\\')", int64(no), holds(area.Fold(q.Text)))
		return strings.Join(terms, " AND "), args
	}
	for _, word := range strings.Fields(area.Fold(q.Text)) {
		add("p.folded LIKE ? ESCAPE '\\'", holds(word))
	}
	return strings.Join(terms, " AND "), args
}

// holds returns the pattern of LIKE for what holds text anywhere.
func holds(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%"
}

// PlaceCounts are how many places there are of one sector in one area.
type PlaceCounts struct {
	Sector, Area             string // Area is of today
	Places, Printed, Deleted int    // Places are not deleted, and Printed of them
}

// CountPlaces returns how many places there are, by sector and area.
func (r *Register) CountPlaces(ctx context.Context, within Within) ([]PlaceCounts, error) {
	where, args := within.where()
	var all []PlaceCounts
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var c PlaceCounts
		err := rows.Scan(&c.Sector, &c.Area, &c.Places, &c.Printed, &c.Deleted)
		all = append(all, c)
		return err
	}, `SELECT p.sector, p.area_now, SUM(CASE WHEN p.deleted IS NULL THEN 1 ELSE 0 END),
		SUM(CASE WHEN p.deleted IS NULL AND `+isPrinted+` THEN 1 ELSE 0 END), SUM(CASE WHEN p.deleted IS NULL THEN 0 ELSE 1 END)
		FROM places p WHERE `+where+" GROUP BY p.sector, p.area_now ORDER BY p.sector, p.area_now", args...)
	if err != nil {
		return nil, fmt.Errorf("register: count places: %w", err)
	}
	return all, nil
}

// Printed returns which of these places have a poster that was printed.
func (r *Register) Printed(ctx context.Context, places ...uint32) (map[uint32]bool, error) {
	printed := map[uint32]bool{}
	if len(places) == 0 {
		return printed, nil
	}
	args := make([]any, len(places))
	for i, no := range places {
		args[i] = int64(no)
	}
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var no uint32
		err := rows.Scan(&no)
		printed[no] = true
		return err
	}, "SELECT DISTINCT place FROM posters WHERE printed IS NOT NULL AND place IN (?"+strings.Repeat(", ?", len(places)-1)+")", args...)
	if err != nil {
		return nil, fmt.Errorf("register: printed: %w", err)
	}
	return printed, nil
}

// SameName returns the number of another place of the organisation with the same
// name, but for marks and case, in the same commune of today; 0 if there is none.
func (r *Register) SameName(ctx context.Context, p *qrgate.Place) (uint32, error) {
	var no uint32
	err := r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&no) },
		"SELECT no FROM places WHERE organisation = ? AND folded = ? AND area_now = ? AND no <> ? AND deleted IS NULL ORDER BY no LIMIT 1",
		p.Organisation, area.Fold(p.Name), p.AreaNow, int64(p.No))
	if err != nil {
		return 0, fmt.Errorf("register: same name: %w", err)
	}
	return no, nil
}

// A Behalf is a change of a place by an officer who helped.
type Behalf struct {
	At      time.Time
	Role    qrgate.Role
	Display string // empty if the account is gone
}

// OnBehalf returns the last changes of a place by officers, the latest first.
func (r *Register) OnBehalf(ctx context.Context, no uint32, most int) ([]Behalf, error) {
	var all []Behalf
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var b Behalf
		var role string
		err := rows.Scan((*store.Milli)(&b.At), &role, &b.Display)
		b.Role = qrgate.Role(role)
		all = append(all, b)
		return err
	}, "SELECT e.at, e.note, COALESCE(a.display, '') FROM audit e LEFT JOIN accounts a ON a.id = e.actor WHERE e.object = ? AND e.action = ? ORDER BY e.at DESC LIMIT ?",
		placeObject(no), actionBehalf, most)
	if err != nil {
		return nil, fmt.Errorf("register: on behalf: %w", err)
	}
	return all, nil
}
