package casebook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
)

// Needed calls fn with the persons of all cases whose end has not come: whom they
// are about, whom to call and whom a run has found, some of them more than once.
// What is known of them must last as long as the case, also where their check-ins
// do not. It asks nobody whether they may, and shows nobody anything.
func (b *Book) Needed(ctx context.Context, fn func(qrgate.Person)) error {
	q := b.reading(ctx)
	var ids []string
	err := q(func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM cases WHERE wrapped IS NOT NULL AND ends > ?", b.now().UnixMilli())
	for _, id := range ids {
		if err == nil {
			err = b.neededBy(q, id, fn)
		}
	}
	if err != nil {
		return fmt.Errorf("casebook: needed: %w", err)
	}
	return nil
}

func (b *Book) neededBy(q query, id string, fn func(qrgate.Person)) error {
	f, err := b.read(q, id)
	if errors.Is(err, qrgate.ErrNotFound) || err == nil && f.Erased {
		return nil // it ended meanwhile
	}
	if err != nil {
		return err
	}
	if f.body.Index != 0 {
		fn(f.body.Index)
	}
	for _, p := range f.body.Same {
		fn(p.A)
		fn(p.B)
	}
	err = q(func(rows *sql.Rows) error {
		var ref []byte
		if err := rows.Scan(&ref); err != nil {
			return err
		}
		if len(ref) != 16 {
			return vault.ErrReference
		}
		p, err := f.key.Person([16]byte(ref))
		if err == nil {
			fn(p)
		}
		return err
	}, "SELECT reference FROM case_calls WHERE case_id = ?", id)
	for no := 1; err == nil && no <= f.Runs; no++ {
		var r *Run
		if r, err = b.run(q, f, no); err == nil && r != nil {
			for _, p := range r.persons() {
				fn(p)
			}
			for i := range r.Stays {
				fn(r.Stays[i].Person)
			}
		}
	}
	return err
}
