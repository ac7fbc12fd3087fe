package casebook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// Holding returns the ids of the cases that have not ended and are about a person,
// or have them on the call list. It asks nobody whether they may: it is for who
// answers a person's request.
func (b *Book) Holding(ctx context.Context, p qrgate.Person) ([]string, error) {
	var all []string
	err := b.eachOf(ctx, p, func(f *file) error { all = append(all, f.ID); return nil })
	if err != nil {
		return nil, fmt.Errorf("casebook: holding: %w", err)
	}
	return all, nil
}

// Forget takes what cases have kept of how to reach a person, whom somebody erases
// everywhere. That the case found a person stays, whom then nobody knows. It returns
// in how many cases something was taken.
func (b *Book) Forget(ctx context.Context, by string, p qrgate.Person) (n int, err error) {
	err = b.eachOf(ctx, p, func(f *file) error {
		taken := false
		err := b.s.Write(ctx, func(t store.Tx) (err error) {
			taken, err = b.forget(t, by, f.ID, p)
			return err
		})
		n += int(flag(taken))
		return err
	})
	if err != nil {
		return n, fmt.Errorf("casebook: forget: %w", err)
	}
	return n, nil
}

func (b *Book) forget(t store.Tx, by, id string, p qrgate.Person) (taken bool, err error) {
	f, err := b.read(t.Each, id)
	if err != nil || f.Erased {
		return false, err
	}
	if f.body.Index == p && f.body.Known != nil {
		taken, f.body.Known = true, nil
		if err := b.save(t, f); err != nil {
			return false, err
		}
	}
	r := f.ref(p)
	found, err := calls(t.Each, f, "reference = ?", r[:])
	if err != nil {
		return false, err
	}
	for _, c := range found {
		if c.details == nil {
			continue
		}
		taken = true
		// What was noted of their calls is about them too, and they share their
		// household's number no longer.
		for i := range c.Attempts {
			c.Attempts[i].Note = ""
		}
		sealed, err := seal(f.key, fieldCall(r), callBody{Household: r.String(), Attempts: c.Attempts})
		if err != nil {
			return false, err
		}
		if _, err := t.Exec("UPDATE case_calls SET version = version + 1, sealed = ? WHERE case_id = ? AND reference = ?", sealed, id, r[:]); err != nil {
			return false, err
		}
	}
	if !taken {
		return false, nil
	}
	return true, t.Audit(by, "forget person", b.personObject(p), object(id))
}

// eachOf calls fn with the cases that a person is the index of or on whose call list
// they are. It opens every case that has not ended.
func (b *Book) eachOf(ctx context.Context, p qrgate.Person, fn func(f *file) error) error {
	q := b.reading(ctx)
	var ids []string
	err := q(func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM cases WHERE wrapped IS NOT NULL AND ends > ? ORDER BY opened, id", b.now().UnixMilli())
	if err != nil {
		return err
	}
	for _, id := range ids {
		f, err := b.read(q, id)
		if errors.Is(err, qrgate.ErrNotFound) || err == nil && f.Erased {
			continue
		}
		if err != nil {
			return err
		}
		called := false
		r := f.ref(p)
		err = q(func(*sql.Rows) error { called = true; return nil }, "SELECT 1 FROM case_calls WHERE case_id = ? AND reference = ?", id, r[:])
		if err == nil && (called || f.body.Index == p) {
			err = fn(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
