package register

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// An Association is an organisation that may see figures of others, which are its
// members, and nothing of any of them alone.
type Association struct {
	Organisation
	Members int
}

// Associations returns the organisations that have members, or in which somebody
// holds the role of one, by name.
func (r *Register) Associations(ctx context.Context) ([]Association, error) {
	var all []Association
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var a Association
		err := rows.Scan(append(a.scan(), &a.Members)...)
		all = append(all, a)
		return err
	}, "SELECT "+organisationColumns+`, (SELECT COUNT(*) FROM association_members m WHERE m.association = o.id) FROM organisations o
		WHERE o.deleted IS NULL AND (EXISTS (SELECT 1 FROM association_members m WHERE m.association = o.id)
			OR EXISTS (SELECT 1 FROM grants g WHERE g.role = 'association' AND g.scope = 'organisation:' || o.id)) ORDER BY o.folded, o.id`)
	if err != nil {
		return nil, fmt.Errorf("register: associations: %w", err)
	}
	return all, nil
}

// MembersOf returns the organisations that are members of one of these
// associations, by name.
func (r *Register) MembersOf(ctx context.Context, associations ...string) ([]Organisation, error) {
	if len(associations) == 0 {
		return nil, nil
	}
	args := make([]any, len(associations))
	for i, id := range associations {
		args[i] = id
	}
	all, err := r.organisations(ctx, "WHERE o.deleted IS NULL AND EXISTS (SELECT 1 FROM association_members m WHERE m.organisation = o.id AND m.association IN ("+marksOf(len(args))+")) ORDER BY o.folded, o.id", args...)
	if err != nil {
		return nil, fmt.Errorf("register: members of an association: %w", err)
	}
	return all, nil
}

// AssociationsOf returns the associations of which an organisation is a member, by
// name: its owner sees who sees figures of it.
func (r *Register) AssociationsOf(ctx context.Context, organisation string) ([]Organisation, error) {
	all, err := r.organisations(ctx, "WHERE o.deleted IS NULL AND EXISTS (SELECT 1 FROM association_members m WHERE m.association = o.id AND m.organisation = ?) ORDER BY o.folded, o.id", organisation)
	if err != nil {
		return nil, fmt.Errorf("register: associations of an organisation: %w", err)
	}
	return all, nil
}

// SetMember makes an organisation a member of an association, or no longer one.
// What it is already it stays.
func (r *Register) SetMember(ctx context.Context, by, association, organisation string, member bool) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		if association == organisation {
			return qrgate.ErrInvalid
		}
		for _, id := range []string{association, organisation} {
			known := false
			err := t.Each(func(*sql.Rows) error { known = true; return nil }, "SELECT 1 FROM organisations WHERE id = ? AND deleted IS NULL", id)
			if err == nil && !known {
				err = qrgate.ErrNotFound
			}
			if err != nil {
				return err
			}
		}
		action := "add member"
		n, err := int64(0), error(nil)
		if member {
			n, err = t.Exec("INSERT INTO association_members (association, organisation, made_by, made) VALUES (?, ?, ?, ?) ON CONFLICT (association, organisation) DO NOTHING",
				association, organisation, by, r.now().UnixMilli())
		} else {
			action = "remove member"
			n, err = t.Exec("DELETE FROM association_members WHERE association = ? AND organisation = ?", association, organisation)
		}
		if err != nil || n == 0 {
			return err
		}
		return t.Audit(by, action, "organisation "+association, "organisation "+organisation)
	})
	if err != nil {
		return fmt.Errorf("register: set member: %w", err)
	}
	return nil
}
