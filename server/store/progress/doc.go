// Package progress keeps how the roll-out goes: what ought to register, targets,
// inspectors' visits and reports; and it collects what package report counts. It
// is a room of package store, over whose transactions all its SQL runs, the same
// for SQLite and PostgreSQL.
//
//	p := progress.New(s, time.Now)
//	survey, err := p.Survey(ctx, progress.Query{Within: within}, today)
//	err = p.SaveReport(ctx, by, draft) // ErrConflict: somebody else was faster
//
// The promise: each change is one durable transaction with its audit row; a change
// of what somebody has changed meanwhile is refused with [qrgate.ErrConflict] and
// loses nothing; every version of a report is kept, and one that was issued does
// not change.
//
// It decides no access. Deleted places count nowhere, nor did they before. What
// may be published of the numbers of people that it returns is package report's
// matter.
package progress

import (
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

// A Progress is the tables. It is safe for concurrent use, also by several
// servers.
type Progress struct {
	s   *store.Store
	now func() time.Time
}

// New returns the tables in s.
func New(s *store.Store, now func() time.Time) *Progress { return &Progress{s, now} }

// A Query says which places to count: of those that somebody may know of, the ones
// of these sectors, communes of today and kind. Nil and empty ask for nothing, but
// Within, whose zero value is no place.
type Query struct {
	Within  register.Within
	Sectors []string
	Areas   []string
	Kind    string
}

// A condition is put together of terms.
type condition struct {
	terms []string
	args  []any
}

func (c *condition) add(term string, args ...any) {
	c.terms, c.args = append(c.terms, term), append(c.args, args...)
}

// in returns the term that a column has one of the values.
func in(column string, values []string) (string, []any) {
	if len(values) == 0 {
		return "1 = 0", nil
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")", args
}

// columns are where rows of a table have what a [Query] asks about; an empty
// organisation is of rows that have none.
type columns struct{ organisation, sector, area, kind string }

var (
	ofPlaces       = columns{"p.organisation", "p.sector", "p.area_now", "p.kind"}
	ofListed       = columns{"", "l.sector", "l.area_now", "l.kind"}
	ofDifficulties = columns{"p.organisation", "d.sector", "d.area", "p.kind"}
)

func (q Query) condition(of columns) *condition {
	c := new(condition)
	if !q.Within.All {
		var any []string
		for _, w := range []struct {
			column string
			values []string
		}{{of.organisation, q.Within.Organisations}, {of.sector, q.Within.Sectors}, {of.area, q.Within.Areas}} {
			if w.column != "" && len(w.values) > 0 {
				term, args := in(w.column, w.values)
				any, c.args = append(any, term), append(c.args, args...)
			}
		}
		if any == nil {
			any = []string{"1 = 0"}
		}
		c.terms = append(c.terms, "("+strings.Join(any, " OR ")+")")
	}
	for _, f := range []struct {
		column string
		values []string
	}{{of.sector, q.Sectors}, {of.area, q.Areas}} {
		if f.values != nil {
			term, args := in(f.column, f.values)
			c.add(term, args...)
		}
	}
	if q.Kind != "" {
		c.add(of.kind+" = ?", q.Kind)
	}
	if c.terms == nil {
		c.terms = []string{"1 = 1"}
	}
	return c
}

func (c *condition) String() string { return strings.Join(c.terms, " AND ") }
