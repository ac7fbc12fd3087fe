// Package void owns the list of cards that are void, in versions: what kiosks are
// told so that a lost or replaced card opens no door.
//
// Its promise: the version rises in the transaction that makes a card void, so
// whoever reads version n holds every card that was void by then, whichever server
// they ask. What one version added to another is exact, see [Change].
//
//	err := void.Add(t, number)            // in the transaction that revokes or replaces
//	change, err := list.Since(ctx, stamp) // what is new
//
// Why a card is void is the register's to know; how the list travels is package
// lists' business.
package void

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A List reads the cards that are void and keeps their versions.
type List struct {
	s   *store.Store
	now func() time.Time
}

// New returns the list of the cards in s.
func New(s *store.Store, now func() time.Time) *List { return &List{s, now} }

// A Card is one line of the list.
type Card struct {
	pass.Revocation
	Version uint64 // in which the line last changed
}

// A Change is what leads from one version to the newest.
type Change struct {
	Stamp wire.Stamp // of the newest; its versions begin at 1
	Base  uint64     // nothing has left the list since this version
	Alone bool       // an operator has said that the lists of earlier generations may be forgotten
	Whole bool       // Cards are the whole list
	Cards []Card     // that are new or wider, by number
}

// Revocations returns the lines of c.
func (c Change) Revocations() (*pass.Revocations, error) {
	lines := make([]pass.Revocation, len(c.Cards))
	for i, v := range c.Cards {
		lines[i] = v.Revocation
	}
	return pass.NewRevocations(lines)
}

// Add notes that a card or an older issue of it is void, in the transaction that
// makes it so.
func Add(t store.Tx, number uint32) error {
	// The row stays locked until the end, so versions are committed in order.
	if err := rise(t); err != nil {
		return err
	}
	_, err := t.Exec("UPDATE cards SET voided = (SELECT version FROM lists WHERE id = 1) WHERE number = ?", int64(number))
	return err
}

func rise(t store.Tx) error {
	_, err := t.Exec("INSERT INTO lists (id, version, base, since, confirmed) VALUES (1, 2, 1, 0, 0) ON CONFLICT (id) DO UPDATE SET version = lists.version + 1")
	return err
}

// since is one statement, so that version and lines are of the same moment.
const since = `SELECT m.generation, COALESCE(l.version, 1), COALESCE(l.base, 1), CASE WHEN l.confirmed = m.generation THEN 1 ELSE 0 END,
		c.number, c.issue, CASE WHEN c.revoked IS NULL THEN 0 ELSE 1 END, c.voided
	FROM meta m LEFT JOIN lists l ON l.id = 1
	LEFT JOIN cards c ON c.voided > 0 AND c.longest >= l.since AND c.voided > CASE WHEN m.generation = ? AND l.base <= ? THEN CAST(? AS BIGINT) ELSE 0 END
	ORDER BY c.number`

// Since returns what has changed after a version, which is the whole list if that
// version is of another generation or older than what has left the list.
func (l *List) Since(ctx context.Context, after wire.Stamp) (Change, error) {
	var c Change
	err := l.s.Read(ctx, func(rows *sql.Rows) error {
		var number, issue, version sql.NullInt64
		var revoked bool
		err := rows.Scan(&c.Stamp.Generation, &c.Stamp.Version, &c.Base, &c.Alone, &number, &issue, &revoked, &version)
		if err != nil || !number.Valid {
			return err
		}
		v := Card{pass.Revocation{Number: uint32(number.Int64), Through: uint8(issue.Int64 - 1)}, uint64(version.Int64)}
		if revoked {
			v.Through = pass.AllIssues
		}
		c.Cards = append(c.Cards, v)
		return nil
	}, since, int64(after.Generation), int64(after.Version), int64(after.Version))
	if err != nil {
		return c, fmt.Errorf("void: %w", err)
	}
	c.Whole = after.Generation != c.Stamp.Generation || after.Version < c.Base
	return c, nil
}

// Confirm says that the list is whole although the database was restored from a
// backup: kiosks forget what they hold of the generations before.
func (l *List) Confirm(ctx context.Context, by string) error {
	err := l.s.Write(ctx, func(t store.Tx) error {
		if err := rise(t); err != nil {
			return err
		}
		if _, err := t.Exec("UPDATE lists SET confirmed = (SELECT generation FROM meta) WHERE id = 1"); err != nil {
			return err
		}
		return t.Audit(by, "confirm list of void cards", "", "")
	})
	if err != nil {
		return fmt.Errorf("void: confirm: %w", err)
	}
	return nil
}

// Days that a card stays in the list after its last: a kiosk that is unsure of the
// date may still take it for valid.
const kept = 60

// The clocks of two servers may differ by so many days, within which a card that one
// of them takes out is kept out by the other.
const apart = 7

// Drop takes cards out of the list whose validity ended long ago. After that every
// kiosk needs the whole list, so what may go waits until there is an hundredth of
// it. What a clock that was ahead took out comes back.
func (l *List) Drop(ctx context.Context) error {
	day := int64(max(int(pass.DayOf(l.now()))-kept, 0))
	err := l.s.Write(ctx, func(t store.Tx) error {
		var since, all, ended int64
		if err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&since) }, "SELECT since FROM lists WHERE id = 1"); err != nil {
			return err
		}
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&all, &ended) },
			`SELECT COUNT(*), COALESCE(SUM(CASE WHEN c.longest < ? THEN 1 ELSE 0 END), 0)
			FROM lists l JOIN cards c ON c.voided > 0 AND c.longest >= l.since WHERE l.id = 1`, day)
		tooLate := since > day+apart
		if err != nil || !tooLate && (ended == 0 || ended < all/100) {
			return err
		}
		if err := rise(t); err != nil {
			return err
		}
		_, err = t.Exec("UPDATE lists SET since = ?, base = version WHERE id = 1", day)
		return err
	})
	if err != nil {
		return fmt.Errorf("void: drop: %w", err)
	}
	return nil
}
