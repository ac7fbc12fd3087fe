package register

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// An Apart is the error of giving an account a role that must not meet one that
// it holds.
type Apart struct{ Held, Wanted qrgate.Role }

func (e Apart) Error() string { return fmt.Sprintf("%s and %s in one account", e.Held, e.Wanted) }

// apart are the roles that no account holds together, in whichever scopes. Who
// traces does not approve it; who looks after the machines or the accounts never
// sees persons, nor watches over those who do.
var apart = [][2]qrgate.Role{
	{qrgate.HealthOfficer, qrgate.Approver},
	{qrgate.HealthOfficer, qrgate.Operator}, {qrgate.HealthOfficer, qrgate.Administrator},
	{qrgate.Approver, qrgate.Operator}, {qrgate.Approver, qrgate.Administrator},
	{qrgate.Protection, qrgate.Operator}, {qrgate.Protection, qrgate.Administrator},
}

// AreApart reports whether no account may hold both roles.
func AreApart(a, b qrgate.Role) bool {
	return slices.Contains(apart, [2]qrgate.Role{a, b}) || slices.Contains(apart, [2]qrgate.Role{b, a})
}

// GiveRole gives an account a role within a scope; one that it holds already
// stays as it is. The error is an [Apart] if it must not meet another one, and of
// kind [qrgate.ErrInvalid] if there is no such role or scope. by is empty for a
// command at the server.
func (r *Register) GiveRole(ctx context.Context, by, account string, g qrgate.Grant) error {
	err := r.checkGrant(ctx, g)
	if err == nil {
		err = r.s.Write(ctx, func(t store.Tx) error {
			// Two roles given at once must see each other.
			if err := t.Lock("grants"); err != nil {
				return err
			}
			if err := exists(t, account); err != nil {
				return err
			}
			var held []string
			err := t.Each(func(rows *sql.Rows) error {
				var role string
				err := rows.Scan(&role)
				held = append(held, role)
				return err
			}, "SELECT DISTINCT role FROM grants WHERE account = ? ORDER BY role", account)
			if err != nil {
				return err
			}
			for _, h := range held {
				if AreApart(qrgate.Role(h), g.Role) {
					return Apart{qrgate.Role(h), g.Role}
				}
			}
			n, err := t.Exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, role, scope) DO NOTHING",
				account, string(g.Role), g.Scope.String(), by, r.now().UnixMilli())
			if err != nil || n == 0 {
				return err
			}
			return t.Audit(by, "give role", account, grantNote(g))
		})
	}
	if err != nil {
		return fmt.Errorf("register: give role: %w", err)
	}
	return nil
}

// TakeRole takes a role within a scope from an account. Administrators always
// have one left who can sign in ([ErrLastAdministrator]), and so do the owners of
// an organisation ([qrgate.ErrConflict]).
func (r *Register) TakeRole(ctx context.Context, by, account string, g qrgate.Grant) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("grants"); err != nil {
			return err
		}
		n, err := t.Exec("DELETE FROM grants WHERE account = ? AND role = ? AND scope = ?", account, string(g.Role), g.Scope.String())
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		switch g.Role {
		case qrgate.Administrator:
			err = administered(t)
		case qrgate.Owner:
			err = owned(t, g.Scope.ID)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "take role", account, grantNote(g))
	})
	if err != nil {
		return fmt.Errorf("register: take role: %w", err)
	}
	return nil
}

// Block keeps an account out and ends its sign-ins, and the links and codes that
// would give it another password or address, or lets it in again. The last
// administrator cannot be blocked.
func (r *Register) Block(ctx context.Context, by, account string, blocked bool) error {
	action, from, to := "unblock account", int64(accountBlocked), int64(accountActive)
	if blocked {
		action, from, to = "block account", to, from
	}
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("grants"); err != nil {
			return err
		}
		if err := exists(t, account); err != nil {
			return err
		}
		n, err := t.Exec("UPDATE accounts SET state = ? WHERE id = ? AND state = ?", to, account, from)
		if err != nil || n == 0 {
			return err
		}
		if blocked {
			if err := administered(t); err != nil {
				return err
			}
			if _, err := t.Exec("DELETE FROM signins WHERE account = ?", account); err != nil {
				return err
			}
			if err := endSecrets(t, account, ForReset, ForOnce, ForConfirm); err != nil {
				return err
			}
		}
		return t.Audit(by, action, account, "")
	})
	if err != nil {
		return fmt.Errorf("register: %s: %w", action, err)
	}
	return nil
}

// checkGrant says whether there is such a role, and what it is to be held within.
func (r *Register) checkGrant(ctx context.Context, g qrgate.Grant) error {
	if err := g.Check(); err != nil {
		return err
	}
	var err error
	switch g.Scope.Kind {
	case qrgate.InSector:
		_, err = qrgate.FindSector(g.Scope.ID)
	case qrgate.InArea:
		var id area.ID
		if id, err = area.ParseID(g.Scope.ID); err == nil {
			if _, ok := area.Lookup(id); !ok {
				err = qrgate.ErrNotFound
			}
		}
	case qrgate.InOrganisation:
		_, err = r.Organisation(ctx, g.Scope.ID)
	}
	if errors.Is(err, qrgate.ErrNotFound) {
		return fmt.Errorf("no scope %q: %w", g.Scope, qrgate.ErrInvalid)
	}
	return err
}

// administered refuses a register without an administrator who can sign in.
func administered(t store.Tx) error {
	left := int64(0)
	err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&left) },
		"SELECT COUNT(*) FROM grants g JOIN accounts a ON a.id = g.account WHERE g.role = ? AND a.state = ?", string(qrgate.Administrator), accountActive)
	if err == nil && left == 0 {
		err = ErrLastAdministrator
	}
	return err
}

func exists(t store.Tx, account string) error {
	found := false
	err := t.Each(func(*sql.Rows) error { found = true; return nil }, "SELECT 1 FROM accounts WHERE id = ?", account)
	if err == nil && !found {
		err = qrgate.ErrNotFound
	}
	return err
}

func grantNote(g qrgate.Grant) string { return string(g.Role) + " " + g.Scope.String() }

// A Holder is an account with the roles that it holds.
type Holder struct {
	Account
	Grants []qrgate.Grant
}

// A HolderQuery says which accounts to find. Its zero value finds all.
type HolderQuery struct {
	Text   string      // in the user name or the shown name, with marks or without
	Role   qrgate.Role // that they hold
	Office bool        // they hold a role that reaches beyond one organisation
	Page   int         // from 0
	Size   int         // accounts a page; 0 for all
}

// Holders returns one page of the accounts that a query asks for, by user name,
// and how many there are in all. It reads the names of all accounts: shown names
// are personal data and have no column to search by.
func (r *Register) Holders(ctx context.Context, q HolderQuery) (page []Holder, total int, err error) {
	where, args := "1 = 1", []any{}
	switch {
	case q.Role != "":
		where, args = "EXISTS (SELECT 1 FROM grants g WHERE g.account = a.id AND g.role = ?)", []any{string(q.Role)}
	case q.Office:
		where = "EXISTS (SELECT 1 FROM grants g WHERE g.account = a.id AND g.scope NOT LIKE 'organisation:%')"
	}
	words := strings.Fields(area.Fold(q.Text))
	first := max(0, q.Page) * q.Size
	var ids []any
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var id, name, display string
		if err := rows.Scan(&id, &name, &display); err != nil {
			return err
		}
		if len(words) > 0 {
			text := area.Fold(name + " " + display)
			if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				return nil
			}
		}
		if total++; total > first && (q.Size == 0 || total <= first+q.Size) {
			ids = append(ids, id)
		}
		return nil
	}, "SELECT a.id, a.name, a.display FROM accounts a WHERE "+where+" ORDER BY a.name", args...)
	if err == nil {
		page, err = r.holders(ctx, ids)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("register: holders: %w", err)
	}
	return page, total, nil
}

// Holder returns one account with its roles.
func (r *Register) Holder(ctx context.Context, id string) (*Holder, error) {
	found, err := r.holders(ctx, []any{id})
	if err == nil && len(found) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: holder: %w", err)
	}
	return &found[0], nil
}

// holdersAtOnce is how many accounts one query asks about.
const holdersAtOnce = 500

func (r *Register) holders(ctx context.Context, ids []any) ([]Holder, error) {
	var all []Holder
	at := map[string]int{}
	for some := range slices.Chunk(ids, holdersAtOnce) {
		list := "(?" + strings.Repeat(", ?", len(some)-1) + ")"
		err := r.s.Read(ctx, func(rows *sql.Rows) error {
			var h Holder
			err := rows.Scan(h.Account.scan()...)
			at[h.ID], all = len(all), append(all, h)
			return err
		}, "SELECT "+accountColumns+" FROM accounts a WHERE a.id IN "+list+" ORDER BY a.name", some...)
		if err != nil {
			return nil, err
		}
		err = r.s.Read(ctx, func(rows *sql.Rows) error {
			var account, role, scope string
			if err := rows.Scan(&account, &role, &scope); err != nil {
				return err
			}
			in, err := qrgate.ParseScope(scope)
			if i, ok := at[account]; ok && err == nil {
				all[i].Grants = append(all[i].Grants, qrgate.Grant{Role: qrgate.Role(role), Scope: in})
			}
			return err
		}, "SELECT account, role, scope FROM grants WHERE account IN "+list+" ORDER BY account, role, scope", some...)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
