package register

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// An Organisation is who answers for places: an agency, a market, a family's
// shop.
type Organisation struct {
	ID      string
	Name    string
	Sector  string // id of a [qrgate.Sector]
	Phone   string
	Email   string
	Created time.Time
}

const organisationColumns = "o.id, o.name, o.sector, o.phone, o.email, o.created"

func (o *Organisation) scan() []any {
	return []any{&o.ID, &o.Name, &o.Sector, &o.Phone, &o.Email, (*store.Milli)(&o.Created)}
}

func inOrganisation(id string) qrgate.Scope {
	return qrgate.Scope{Kind: qrgate.InOrganisation, ID: id}
}

// Organisation returns the organisation with this id.
func (r *Register) Organisation(ctx context.Context, id string) (*Organisation, error) {
	all, err := r.organisations(ctx, "WHERE o.id = ?", id)
	if err == nil && len(all) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: organisation: %w", err)
	}
	return &all[0], nil
}

// Organisations returns the organisations in which an account holds any role, by
// name.
func (r *Register) Organisations(ctx context.Context, account string) ([]Organisation, error) {
	all, err := r.organisations(ctx, "WHERE EXISTS (SELECT 1 FROM grants g WHERE g.account = ? AND g.scope = 'organisation:' || o.id) ORDER BY o.folded, o.id", account)
	if err != nil {
		return nil, fmt.Errorf("register: organisations: %w", err)
	}
	return all, nil
}

// FindOrganisations returns at most most organisations whose name holds text,
// with marks or without, by name. One that ended with its owner is not found.
func (r *Register) FindOrganisations(ctx context.Context, text string, most int) ([]Organisation, error) {
	all, err := r.organisations(ctx, "WHERE o.deleted IS NULL AND o.folded LIKE ? ESCAPE '\\' ORDER BY o.folded, o.id LIMIT ?", holds(area.Fold(text)), most)
	if err != nil {
		return nil, fmt.Errorf("register: find organisations: %w", err)
	}
	return all, nil
}

func (r *Register) organisations(ctx context.Context, where string, args ...any) ([]Organisation, error) {
	var all []Organisation
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var o Organisation
		err := rows.Scan(o.scan()...)
		all = append(all, o)
		return err
	}, "SELECT "+organisationColumns+" FROM organisations o "+where, args...)
	return all, err
}

// AddOrganisation adds an organisation and sets its id in o. Whoever makes it is
// its owner.
func (r *Register) AddOrganisation(ctx context.Context, by string, o *Organisation) error {
	id, now := store.NewID(), r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
			id, o.Name, area.Fold(o.Name), o.Sector, o.Phone, o.Email, now.UnixMilli())
		if err != nil {
			return err
		}
		if err := r.giveRole(t, by, by, id, qrgate.Owner); err != nil {
			return err
		}
		return t.Audit(by, "add organisation", "organisation "+id, "")
	})
	if err != nil {
		return fmt.Errorf("register: add organisation: %w", err)
	}
	o.ID, o.Created = id, now.Truncate(time.Millisecond)
	return nil
}

// SaveOrganisation changes what is known of an organisation.
func (r *Register) SaveOrganisation(ctx context.Context, by string, o *Organisation) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE organisations SET name = ?, folded = ?, sector = ?, phone = ?, email = ? WHERE id = ?",
			o.Name, area.Fold(o.Name), o.Sector, o.Phone, o.Email, o.ID)
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "save organisation", "organisation "+o.ID, "")
	})
	if err != nil {
		return fmt.Errorf("register: save organisation: %w", err)
	}
	return nil
}

// A Member is an account with its roles in one organisation.
type Member struct {
	Account string
	Name    string // what is typed to sign in
	Display string
	Blocked bool
	Roles   []qrgate.Role
	Since   time.Time
}

// Is reports whether the member holds a role.
func (m Member) Is(role qrgate.Role) bool { return slices.Contains(m.Roles, role) }

// ofOrganisation is the roles that an organisation gives. Others are held in it,
// too, as that of a clerk, by whom it has no say over.
const ofOrganisation = "'owner', 'staff', 'guard', 'organiser'"

// Members returns who holds a role in an organisation, in the order in which
// they came.
func (r *Register) Members(ctx context.Context, organisation string) ([]Member, error) {
	var all []Member
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var m Member
		var role string
		if err := rows.Scan(&m.Account, &m.Name, &m.Display, (*blocked)(&m.Blocked), &role, (*store.Milli)(&m.Since)); err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(have Member) bool { return have.Account == m.Account })
		if i < 0 {
			i, all = len(all), append(all, m)
		}
		all[i].Roles = append(all[i].Roles, qrgate.Role(role))
		return nil
	}, "SELECT a.id, a.name, a.display, a.state, g.role, g.given FROM grants g JOIN accounts a ON a.id = g.account WHERE g.scope = ? AND g.role IN ("+ofOrganisation+") ORDER BY g.given, a.id, g.role",
		inOrganisation(organisation).String())
	if err != nil {
		return nil, fmt.Errorf("register: members: %w", err)
	}
	return all, nil
}

// SetRoles gives a member of an organisation these roles and no others there;
// none at all ends the membership, which is also how somebody leaves. The last
// owner stays one: taking that away is [qrgate.ErrConflict]. Who is no member is
// [qrgate.ErrNotFound]: people come by invitation.
func (r *Register) SetRoles(ctx context.Context, by, organisation, account string, roles ...qrgate.Role) error {
	for _, role := range roles {
		if !role.OfOrganisation() {
			return fmt.Errorf("register: role %s: %w", role, qrgate.ErrInvalid)
		}
	}
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("grants"); err != nil {
			return err
		}
		n, err := t.Exec("DELETE FROM grants WHERE account = ? AND scope = ? AND role IN ("+ofOrganisation+")", account, inOrganisation(organisation).String())
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		for _, role := range roles {
			if err := r.giveRole(t, by, account, organisation, role); err != nil {
				return err
			}
		}
		if err := owned(t, organisation); err != nil {
			return err
		}
		return t.Audit(by, "set roles", "account "+account, fmt.Sprintf("organisation %s: %v", organisation, roles))
	})
	if err != nil {
		return fmt.Errorf("register: set roles: %w", err)
	}
	return nil
}

// Transfer makes another member of the organisation its owner in the place of
// one who is, and who becomes staff.
func (r *Register) Transfer(ctx context.Context, from, organisation, to string) error {
	scope := inOrganisation(organisation).String()
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("grants"); err != nil {
			return err
		}
		member := false
		err := t.Each(func(rows *sql.Rows) error { member = true; return nil },
			"SELECT g.role FROM grants g JOIN accounts a ON a.id = g.account WHERE g.account = ? AND g.scope = ? AND g.role IN ("+ofOrganisation+") AND a.state = ?", to, scope, accountActive)
		if err != nil {
			return err
		}
		n, err := t.Exec("DELETE FROM grants WHERE account = ? AND scope = ? AND role = ?", from, scope, string(qrgate.Owner))
		if err == nil && (n == 0 || !member || from == to) {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := r.giveRole(t, from, from, organisation, qrgate.Staff); err != nil {
			return err
		}
		if err := r.giveRole(t, from, to, organisation, qrgate.Owner); err != nil {
			return err
		}
		return t.Audit(from, "transfer organisation", "organisation "+organisation, "account "+to)
	})
	if err != nil {
		return fmt.Errorf("register: transfer: %w", err)
	}
	return nil
}

// giveRole gives an account a role in an organisation, if it does not hold it.
func (r *Register) giveRole(t store.Tx, by, account, organisation string, role qrgate.Role) error {
	_, err := t.Exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, role, scope) DO NOTHING",
		account, string(role), inOrganisation(organisation).String(), by, r.now().UnixMilli())
	return err
}

// owned refuses an organisation without an owner who can sign in.
func owned(t store.Tx, organisation string) error {
	owners := int64(0)
	err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&owners) },
		"SELECT COUNT(*) FROM grants g JOIN accounts a ON a.id = g.account WHERE g.scope = ? AND g.role = ? AND a.state = ?",
		inOrganisation(organisation).String(), string(qrgate.Owner), accountActive)
	if err == nil && owners == 0 {
		err = fmt.Errorf("the last owner: %w", qrgate.ErrConflict)
	}
	return err
}
