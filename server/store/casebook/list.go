package casebook

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Query says which cases to find. Its zero value finds all that somebody may know
// of.
type Query struct {
	States []State
	Number string    // CB-2026-000123, or 123
	Mine   bool      // opened by who asks
	Late   bool      // check-ins came that the last run did not know
	Before time.Time // that end before; zero for whenever
	Page   int       // from 0
	Size   int       // cases a page; 0 for all
}

// Cases returns one page of the cases of where an account is a health officer, the
// latest first, and how many there are. Nothing that is sealed is among it.
func (b *Book) Cases(ctx context.Context, by string, l Query) (page []Case, total int, err error) {
	q := b.reading(ctx)
	where, args, err := b.within(q, by, qrgate.HealthOfficer)
	if err == nil {
		add := func(term string, values ...any) { where, args = where+" AND "+term, append(args, values...) }
		l.add(by, add)
		err = q(func(rows *sql.Rows) error { return rows.Scan(&total) }, "SELECT COUNT(*) FROM cases c WHERE "+where, args...)
	}
	if err == nil && total > 0 {
		if where += " ORDER BY c.opened DESC, c.id"; l.Size > 0 {
			where, args = where+" LIMIT ? OFFSET ?", append(args, l.Size, max(0, l.Page)*l.Size)
		}
		page, err = b.cases(q, where, args...)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("casebook: cases: %w", err)
	}
	return page, total, nil
}

func (l *Query) add(by string, add func(term string, values ...any)) {
	if len(l.States) > 0 {
		var values []any
		for _, s := range l.States {
			values = append(values, string(s))
		}
		add("c.state IN (?"+strings.Repeat(", ?", len(values)-1)+")", values...)
	}
	if l.Number != "" {
		year, no, ok := parseNumber(l.Number)
		switch {
		case !ok:
			add("1 = 0")
		case year == 0:
			add("c.no = ?", no)
		default:
			add("c.year = ? AND c.no = ?", year, no)
		}
	}
	if l.Mine {
		add("c.opened_by = ?", by)
	}
	if l.Late {
		add("c.late IS NOT NULL")
	}
	if !l.Before.IsZero() {
		add("c.ends < ? AND c.wrapped IS NOT NULL", l.Before.UnixMilli())
	}
}

// parseNumber reads a case's number as people type it. The year is 0 if they did
// not.
func parseNumber(s string) (year, no int, ok bool) {
	s = strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(s)), "CB-")
	if y, n, found := strings.Cut(s, "-"); found {
		v, err := strconv.ParseUint(y, 10, 16)
		if err != nil {
			return 0, 0, false
		}
		year, s = int(v), n
	}
	v, err := strconv.ParseUint(s, 10, 31)
	return year, int(v), err == nil
}

// Waiting returns the cases that an approver may approve, the oldest first, with
// what they need to know: not the person.
func (b *Book) Waiting(ctx context.Context, by string) ([]Case, error) {
	q := b.reading(ctx)
	where, args, err := b.within(q, by, qrgate.Approver)
	var all []Case
	if err == nil {
		all, err = b.cases(q, where+" AND c.approval = ? AND c.opened_by <> ? AND c.ends > ? AND c.state IN (?, ?) ORDER BY c.opened, c.id",
			append(args, string(Asked), by, b.now().UnixMilli(), string(Suspected), string(Confirmed))...)
	}
	for i := range all {
		if err != nil {
			break
		}
		var f *file
		if f, err = b.load(q, by, all[i].ID, qrgate.Approver); err == nil {
			all[i] = f.Case
		}
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: waiting: %w", err)
	}
	return all, nil
}

func (b *Book) cases(q query, where string, args ...any) (all []Case, err error) {
	err = q(func(rows *sql.Rows) error {
		var c Case
		err := c.scan(rows)
		all = append(all, c)
		return err
	}, "SELECT "+caseColumns+" FROM cases c WHERE "+where, args...)
	return all, err
}

// within returns the condition on cases, as c, that an account holds a role where
// they are, and its arguments.
func (b *Book) within(q query, by string, role qrgate.Role) (string, []any, error) {
	scopes, err := held(q, by, role)
	if err != nil || slices.Contains(scopes, qrgate.All) {
		return "1 = 1", nil, err
	}
	var in []any
	err = q(func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		s, err := qrgate.ParseScope(text)
		if covers(scopes, s) {
			in = append(in, text)
		}
		return err
	}, "SELECT DISTINCT scope FROM cases")
	if err != nil || len(in) == 0 {
		return "1 = 0", nil, err
	}
	return "c.scope IN (?" + strings.Repeat(", ?", len(in)-1) + ")", in, nil
}

// Expire closes the cases whose end has passed and erases all that was sealed of
// them, and the keys. It returns how many there were.
func (b *Book) Expire(ctx context.Context) (n int, err error) {
	now := b.now().UnixMilli()
	var ids []string
	err = b.s.Read(ctx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM cases WHERE wrapped IS NOT NULL AND ends <= ? ORDER BY ends", now)
	if err != nil {
		return 0, fmt.Errorf("casebook: expire: %w", err)
	}
	for _, id := range ids {
		erased := false
		err := b.write(ctx, "expire", func(t store.Tx) error {
			done, err := t.Exec(`UPDATE cases SET wrapped = NULL, sealed = NULL, late = NULL, changed = ?, version = version + 1,
				state = CASE WHEN state = ? THEN state ELSE ? END WHERE id = ? AND wrapped IS NOT NULL AND ends <= ?`,
				now, string(RuledOut), string(Closed), id, now)
			if erased = done > 0; err != nil || !erased {
				return err
			}
			for _, query := range []string{
				"DELETE FROM case_runs WHERE case_id = ?", "DELETE FROM case_calls WHERE case_id = ?", "UPDATE case_glasses SET sealed = NULL WHERE case_id = ?",
			} {
				if _, err := t.Exec(query, id); err != nil {
					return err
				}
			}
			return t.Audit("", "erase case", object(id), "")
		})
		if err != nil {
			return n, err
		}
		n += int(flag(erased))
	}
	return n, nil
}
