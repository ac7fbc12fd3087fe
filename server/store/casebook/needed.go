package casebook

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Needed calls fn with everybody whom a case that has not ended is about, found in
// its latest runs, or has on its call list, and whoever is one human with them: what is
// known of them is kept although their last check-in is gone, or nobody could call
// them. It may name one several times.
func (b *Book) Needed(ctx context.Context, fn func(qrgate.Person)) error {
	if err := b.needed(ctx, fn); err != nil {
		return fmt.Errorf("casebook: needed persons: %w", err)
	}
	return nil
}

func (b *Book) needed(ctx context.Context, fn func(qrgate.Person)) error {
	q := b.reading(ctx)
	var ids []string
	err := q(func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM cases WHERE wrapped IS NOT NULL AND ends > ?", b.now().UnixMilli())
	if err != nil {
		return err
	}
	for _, id := range ids {
		f, err := b.read(q, id)
		if err != nil {
			return err
		}
		if f.Erased {
			continue
		}
		pairs, err := merged(q) // also those that wait
		if err != nil {
			return err
		}
		also := others(append(pairs, f.body.Same...))
		all := func(p qrgate.Person) {
			fn(p)
			for _, o := range also[p] {
				fn(o)
			}
		}
		if f.body.Index != 0 {
			all(f.body.Index)
		}
		if err := b.neededBy(q, f, all); err != nil {
			return err
		}
	}
	return nil
}

// neededBy is needed of one case but for its index.
func (b *Book) neededBy(q query, f *file, fn func(qrgate.Person)) error {
	err := q(func(rows *sql.Rows) error {
		var reference []byte
		if err := rows.Scan(&reference); err != nil {
			return err
		}
		var r Ref
		copy(r[:], reference)
		p, err := f.person(r)
		if err == nil {
			fn(p)
		}
		return err
	}, "SELECT reference FROM case_calls WHERE case_id = ?", f.ID)
	if err != nil {
		return err
	}
	var latest []int
	err = q(func(rows *sql.Rows) error {
		no := 0
		err := rows.Scan(&no)
		latest = append(latest, no)
		return err
	}, "SELECT MAX(no) FROM case_runs WHERE case_id = ? GROUP BY ring, reference", f.ID)
	if err != nil {
		return err
	}
	for _, no := range latest {
		run, err := b.run(q, f, no)
		if err != nil || run == nil {
			return err
		}
		for _, p := range run.persons() {
			fn(p)
		}
	}
	return nil
}
