package register

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/store"
)

// An AuditRow says that somebody did something. It names accounts and things by
// their ids alone.
type AuditRow struct {
	At     time.Time
	Action string
	Object string // "place 12", "organisation x", the id of an account or a kiosk
	Actor  string // id of an account, empty for a command at the server
	Note   string
}

// An AuditQuery says which rows to read. Its zero value reads all.
type AuditQuery struct {
	Action string
	Object string
	Actor  string    // id of an account
	From   time.Time // first moment
	To     time.Time // moment after the last

	// Own, an account's id, leaves only what that account did or what one of
	// Settings is about.
	Own      string
	Settings []string // actions
}

func (q AuditQuery) where() (string, []any) {
	where, args := "1 = 1", []any{}
	add := func(term string, values ...any) { where, args = where+" AND "+term, append(args, values...) }
	if q.Action != "" {
		add("e.action = ?", q.Action)
	}
	if q.Object != "" {
		add("e.object = ?", q.Object)
	}
	if q.Actor != "" {
		add("e.actor = ?", q.Actor)
	}
	if !q.From.IsZero() {
		add("e.at >= ?", q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		add("e.at < ?", q.To.UnixMilli())
	}
	if q.Own != "" {
		in, values := isIn("e.action", q.Settings)
		add("(e.actor = ? OR "+in+")", append([]any{q.Own}, values...)...)
	}
	return where, args
}

// Audit calls fn with the rows that a query asks for, the latest first, from the
// skip-th on, until there are most of them.
func (r *Register) Audit(ctx context.Context, q AuditQuery, skip, most int, fn func(AuditRow) error) error {
	where, args := q.where()
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var a AuditRow
		if err := rows.Scan((*store.Milli)(&a.At), &a.Action, &a.Object, &a.Actor, &a.Note); err != nil {
			return err
		}
		return fn(a)
	}, "SELECT e.at, e.action, e.object, e.actor, e.note FROM audit e WHERE "+where+" ORDER BY e.at DESC, e.id LIMIT ? OFFSET ?", append(args, most, skip)...)
	if err != nil {
		return fmt.Errorf("register: audit: %w", err)
	}
	return nil
}

// CountAudit returns how many rows a query asks for.
func (r *Register) CountAudit(ctx context.Context, q AuditQuery) (n int, err error) {
	where, args := q.where()
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&n) }, "SELECT COUNT(*) FROM audit e WHERE "+where, args...)
	if err != nil {
		return 0, fmt.Errorf("register: count audit: %w", err)
	}
	return n, nil
}

// AuditActions returns every action in the rows that a query asks for, sorted.
func (r *Register) AuditActions(ctx context.Context, q AuditQuery) ([]string, error) {
	where, args := q.where()
	var all []string
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var a string
		err := rows.Scan(&a)
		all = append(all, a)
		return err
	}, "SELECT DISTINCT e.action FROM audit e WHERE "+where+" ORDER BY e.action", args...)
	if err != nil {
		return nil, fmt.Errorf("register: audit actions: %w", err)
	}
	return all, nil
}

// Looked writes down that somebody has read what is watched: an export of the
// audit rows is one of them.
func (r *Register) Looked(ctx context.Context, by, action, object string) error {
	err := r.s.Write(ctx, func(t store.Tx) error { return t.Audit(by, action, object, "") })
	if err != nil {
		return fmt.Errorf("register: %s: %w", action, err)
	}
	return nil
}
