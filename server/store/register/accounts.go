package register

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// What would leave others without help. Both are kinds of [qrgate.ErrConflict].
var (
	// ErrLastOwner means that an organisation with places would have no owner.
	ErrLastOwner = fmt.Errorf("last owner of an organisation with places: %w", qrgate.ErrConflict)
	// ErrLastAdministrator means that nobody would be left who gives roles.
	ErrLastAdministrator = fmt.Errorf("last administrator: %w", qrgate.ErrConflict)
)

func scanAccount(a *Account, found *bool) func(*sql.Rows) error {
	return func(rows *sql.Rows) error { *found = true; return rows.Scan(a.scan()...) }
}

func (r *Register) account(ctx context.Context, where string, args ...any) (*Account, error) {
	var a Account
	found := false
	err := r.s.Read(ctx, scanAccount(&a, &found), "SELECT "+accountColumns+" FROM accounts a WHERE "+where, args...)
	if err == nil && !found {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: account: %w", err)
	}
	return &a, nil
}

// Account returns the account with this id, blocked or not.
func (r *Register) Account(ctx context.Context, id string) (*Account, error) {
	return r.account(ctx, "a.id = ?", id)
}

// AccountNamed returns the account with this user name, as [UserName] folds it.
func (r *Register) AccountNamed(ctx context.Context, name string) (*Account, error) {
	return r.account(ctx, "a.name = ?", name)
}

// AccountsAt returns up to five accounts whose owners have shown that mail to
// this address reaches them.
func (r *Register) AccountsAt(ctx context.Context, email string) ([]Account, error) {
	return r.accounts(ctx, "a.email = ? AND a.confirmed = 1 ORDER BY a.created LIMIT 5", email)
}

// Accounts returns every account by user name.
func (r *Register) Accounts(ctx context.Context) ([]Account, error) {
	return r.accounts(ctx, "1 = 1 ORDER BY a.name")
}

func (r *Register) accounts(ctx context.Context, where string, args ...any) ([]Account, error) {
	var all []Account
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var a Account
		err := rows.Scan(a.scan()...)
		all = append(all, a)
		return err
	}, "SELECT "+accountColumns+" FROM accounts a WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("register: accounts: %w", err)
	}
	return all, nil
}

// AddAccount adds an account that holds grants, and sets its id and time in a.
// by is who does it, empty for a command at the server or for the account
// itself. The error is [qrgate.ErrConflict] if the name is taken.
func (r *Register) AddAccount(ctx context.Context, by string, a *Account, grants ...qrgate.Grant) error {
	now := r.now()
	id := store.NewID()
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := insertAccount(t, id, a, now); err != nil {
			return err
		}
		for _, g := range grants {
			if err := g.Check(); err != nil {
				return err
			}
			if _, err := t.Exec("INSERT INTO grants (account, role, scope, given_by, given) VALUES (?, ?, ?, ?, ?)",
				id, string(g.Role), g.Scope.String(), by, now.UnixMilli()); err != nil {
				return err
			}
			if err := t.Audit(by, "give role", id, string(g.Role)+" "+g.Scope.String()); err != nil {
				return err
			}
		}
		return t.Audit(by, "add account", id, "")
	})
	if err != nil {
		return fmt.Errorf("register: add account: %w", err)
	}
	a.ID, a.Created = id, now.Truncate(time.Millisecond)
	return nil
}

func insertAccount(t store.Tx, id string, a *Account, now time.Time) error {
	if name, err := UserName(a.Name); err != nil || name != a.Name {
		return fmt.Errorf("name %q: %w", a.Name, qrgate.ErrInvalid)
	}
	_, err := t.Exec("INSERT INTO accounts (id, name, display, password, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
		id, a.Name, a.Display, orNull(a.Password), a.Email, toFlag(a.Confirmed), a.Phone, accountActive, now.UnixMilli())
	return err
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// change runs one statement that changes an account, with its audit row. The
// error is [qrgate.ErrNotFound] if it changes nothing.
func (r *Register) change(ctx context.Context, by, action, account, query string, args ...any) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec(query, args...)
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		return t.Audit(by, action, account, "")
	})
	if err != nil {
		return fmt.Errorf("register: %s: %w", action, err)
	}
	return nil
}

// SetDetails changes what an account is called and its telephone number.
func (r *Register) SetDetails(ctx context.Context, by, account, display, phone string) error {
	return r.change(ctx, by, "change account", account, "UPDATE accounts SET display = ?, phone = ? WHERE id = ?", display, phone, account)
}

// RemoveEmail takes an account's address away, and ends the links that were sent
// there, or that would give it another.
func (r *Register) RemoveEmail(ctx context.Context, by, account string) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE accounts SET email = '', confirmed = 0 WHERE id = ?", account)
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err == nil {
			err = endSecrets(t, account, ForConfirm, ForReset)
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "remove e-mail", account, "")
	})
	if err != nil {
		return fmt.Errorf("register: remove e-mail: %w", err)
	}
	return nil
}

// SetPassword gives an account another password. It ends its other sign-ins than
// keep, the links and codes that would set one, and those to another address than
// the account's: whoever knew the old password may have asked for them.
func (r *Register) SetPassword(ctx context.Context, by, account, hash, keep string) error {
	err := r.s.Write(ctx, func(t store.Tx) error { return setPassword(t, by, account, hash, keep) })
	if err != nil {
		return fmt.Errorf("register: set password: %w", err)
	}
	return nil
}

func setPassword(t store.Tx, by, account, hash, keep string) error {
	n, err := t.Exec("UPDATE accounts SET password = ? WHERE id = ?", hash, account)
	if err == nil && n == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return err
	}
	if _, err := t.Exec("DELETE FROM signins WHERE account = ? AND id <> ?", account, keep); err != nil {
		return err
	}
	if err := endSecrets(t, account, ForReset, ForOnce); err != nil {
		return err
	}
	_, err = t.Exec("DELETE FROM secrets WHERE account = ? AND kind = ? AND arg <> (SELECT email FROM accounts WHERE id = ?)", account, string(ForConfirm), account)
	if err != nil {
		return err
	}
	return t.Audit(by, "set password", account, "")
}

// Rehash replaces the hash of a password that stays the same, if it is still the
// one that was compared.
func (r *Register) Rehash(ctx context.Context, account, old, hash string) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("UPDATE accounts SET password = ? WHERE id = ? AND password = ?", hash, account, old)
		return err
	})
	if err != nil {
		return fmt.Errorf("register: rehash: %w", err)
	}
	return nil
}

// UseStep notes that a step of the second factor was accepted. The error is
// [qrgate.ErrConflict] if it or a later one has been before.
func (r *Register) UseStep(ctx context.Context, account string, step int64) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE accounts SET totp_step = ? WHERE id = ? AND totp_step < ?", step, account, step)
		if err == nil && n == 0 {
			err = qrgate.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("register: use step: %w", err)
	}
	return nil
}

// SetSecond gives an account a second factor, whose sealed secret has proved
// itself with step, and recovery codes in place of those that it had. It ends
// the account's sign-ins, which were made without. The error is
// [qrgate.ErrConflict] if there is one already.
func (r *Register) SetSecond(ctx context.Context, by, account string, sealed []byte, step int64, recovery [][]byte) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE accounts SET totp = ?, totp_step = ? WHERE id = ? AND totp IS NULL", sealed, step, account)
		if err == nil && n == 0 {
			err = qrgate.ErrConflict
		}
		if err != nil {
			return err
		}
		if _, err := t.Exec("DELETE FROM signins WHERE account = ?", account); err != nil {
			return err
		}
		if err := r.setRecovery(t, account, recovery); err != nil {
			return err
		}
		return t.Audit(by, "add second factor", account, "")
	})
	if err != nil {
		return fmt.Errorf("register: add second factor: %w", err)
	}
	return nil
}

// RemoveSecond takes an account's second factor away, and its recovery codes.
func (r *Register) RemoveSecond(ctx context.Context, by, account string) error {
	err := r.s.Write(ctx, func(t store.Tx) error { return removeSecond(t, by, account) })
	if err != nil {
		return fmt.Errorf("register: remove second factor: %w", err)
	}
	return nil
}

func removeSecond(t store.Tx, by, account string) error {
	if _, err := t.Exec("UPDATE accounts SET totp = NULL WHERE id = ?", account); err != nil {
		return err
	}
	if err := endSecrets(t, account, ForRecovery); err != nil {
		return err
	}
	return t.Audit(by, "remove second factor", account, "")
}

// SoleOwner returns the names of the organisations with places that nobody but
// this account owns.
func (r *Register) SoleOwner(ctx context.Context, account string) ([]string, error) {
	var names []string
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	}, "SELECT o.name"+soleOwner+` AND EXISTS (SELECT 1 FROM places p WHERE p.organisation = o.id AND p.deleted IS NULL) ORDER BY o.folded`,
		account, string(qrgate.Owner), string(qrgate.Owner), account)
	if err != nil {
		return nil, fmt.Errorf("register: sole owner: %w", err)
	}
	return names, nil
}

// soleOwner are the organisations, as o, of which account is the only owner; its
// arguments are account, owner, owner, account.
const soleOwner = ` FROM organisations o JOIN grants g ON g.scope = 'organisation:' || o.id
	WHERE g.account = ? AND g.role = ? AND o.deleted IS NULL
	AND NOT EXISTS (SELECT 1 FROM grants h JOIN accounts b ON b.id = h.account WHERE h.scope = g.scope AND h.role = ? AND h.account <> ? AND b.state = 1)`

// DeleteAccount deletes an account with everything that is its own. The audit
// rows keep its id, which means nobody any more. Organisations without places
// that only it owned end with it. The error is [ErrLastOwner] or
// [ErrLastAdministrator] if others would be left without help.
func (r *Register) DeleteAccount(ctx context.Context, by, account string) error {
	now := r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		// Two owners may leave at once.
		if err := t.Lock("grants"); err != nil {
			return err
		}
		left := 0
		count := func(rows *sql.Rows) error { left++; return nil }
		own := []any{account, string(qrgate.Owner), string(qrgate.Owner), account}
		err := t.Each(count, "SELECT o.id"+soleOwner+" AND EXISTS (SELECT 1 FROM places p WHERE p.organisation = o.id AND p.deleted IS NULL)", own...)
		if err == nil && left > 0 {
			err = ErrLastOwner
		}
		if err != nil {
			return err
		}
		administrator, others := 0, 0
		err = t.Each(func(rows *sql.Rows) error { return rows.Scan(&administrator, &others) },
			`SELECT COALESCE(SUM(CASE WHEN g.account = ? THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN g.account <> ? AND a.state = 1 THEN 1 ELSE 0 END), 0)
			FROM grants g JOIN accounts a ON a.id = g.account WHERE g.role = ?`, account, account, string(qrgate.Administrator))
		if err == nil && administrator > 0 && others == 0 {
			err = ErrLastAdministrator
		}
		if err != nil {
			return err
		}
		if _, err := t.Exec("UPDATE organisations SET deleted = ? WHERE id IN (SELECT o.id"+soleOwner+")", append([]any{now.UnixMilli()}, own...)...); err != nil {
			return err
		}
		// Members who are left would keep an organisation going that nobody owns.
		if _, err := t.Exec("DELETE FROM grants WHERE account <> ? AND scope IN (SELECT 'organisation:' || o.id FROM organisations o WHERE o.deleted = ?)", account, now.UnixMilli()); err != nil {
			return err
		}
		for _, table := range []string{"signins", "secrets", "links", "grants", "uploads"} {
			if _, err := t.Exec("DELETE FROM "+table+" WHERE account = ?", account); err != nil {
				return err
			}
		}
		n, err := t.Exec("DELETE FROM accounts WHERE id = ?", account)
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "delete account", account, "")
	})
	if err != nil {
		return fmt.Errorf("register: delete account: %w", err)
	}
	return nil
}

// SignIns returns where an account is signed in, the latest first.
func (r *Register) SignIns(ctx context.Context, account string) ([]SignIn, error) {
	var all []SignIn
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var s SignIn
		err := rows.Scan(&s.ID, (*flag)(&s.Second), (*store.Milli)(&s.Made), (*store.Milli)(&s.Seen), (*store.Milli)(&s.Until), &s.Agent)
		all = append(all, s)
		return err
	}, "SELECT id, second, made, seen, until, agent FROM signins WHERE account = ? AND until > ? ORDER BY made DESC, id LIMIT 200", account, r.now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("register: sign-ins: %w", err)
	}
	return all, nil
}

// EndSignIn ends one of an account's sign-ins. It is no error if it has ended.
func (r *Register) EndSignIn(ctx context.Context, account, id string) error {
	err := r.change(ctx, account, "sign out", account, "DELETE FROM signins WHERE account = ? AND id = ?", account, id)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil
	}
	return err
}

// EndSignIns ends an account's sign-ins but keep.
func (r *Register) EndSignIns(ctx context.Context, by, account, keep string) error {
	err := r.change(ctx, by, "sign out elsewhere", account, "DELETE FROM signins WHERE account = ? AND id <> ?", account, keep)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil
	}
	return err
}

// An Outside is an account of another system that is linked to one of ours.
type Outside struct {
	Issuer, Subject string
	Linked          time.Time
}

// Outsides returns the accounts of other systems that an account is linked to.
func (r *Register) Outsides(ctx context.Context, account string) ([]Outside, error) {
	var all []Outside
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var l Outside
		err := rows.Scan(&l.Issuer, &l.Subject, (*store.Milli)(&l.Linked))
		all = append(all, l)
		return err
	}, "SELECT issuer, subject, linked FROM links WHERE account = ? ORDER BY issuer, linked", account)
	if err != nil {
		return nil, fmt.Errorf("register: links: %w", err)
	}
	return all, nil
}

// AccountLinked returns the account that one of another system is linked to.
func (r *Register) AccountLinked(ctx context.Context, issuer, subject string) (*Account, error) {
	return r.account(ctx, "a.id = (SELECT l.account FROM links l WHERE l.issuer = ? AND l.subject = ?)", issuer, subject)
}

// Link ties an account of another system to account. The error is
// [qrgate.ErrConflict] if it is tied to one already.
func (r *Register) Link(ctx context.Context, account, issuer, subject string) error {
	return r.change(ctx, account, "link outside account", account, "INSERT INTO links (issuer, subject, account, linked) VALUES (?, ?, ?, ?)",
		issuer, subject, account, r.now().UnixMilli())
}

// AddLinked adds an account for somebody of another system, linked to it.
func (r *Register) AddLinked(ctx context.Context, a *Account, issuer, subject string) error {
	now := r.now()
	id := store.NewID()
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := insertAccount(t, id, a, now); err != nil {
			return err
		}
		if _, err := t.Exec("INSERT INTO links (issuer, subject, account, linked) VALUES (?, ?, ?, ?)", issuer, subject, id, now.UnixMilli()); err != nil {
			return err
		}
		return t.Audit(id, "add account", id, "linked")
	})
	if err != nil {
		return fmt.Errorf("register: add account: %w", err)
	}
	a.ID, a.Created = id, now.Truncate(time.Millisecond)
	return nil
}

// Unlink parts an account from one of another system. The error is
// [qrgate.ErrNotFound] if they are not linked, or if the account has no password
// and its owner could not sign in any more.
func (r *Register) Unlink(ctx context.Context, account, issuer, subject string) error {
	return r.change(ctx, account, "unlink outside account", account,
		`DELETE FROM links WHERE account = ? AND issuer = ? AND subject = ? AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = links.account AND a.password IS NOT NULL)`,
		account, issuer, subject)
}

// Beyond reports whether an account belongs to an organisation that is not wholly
// within w, so that who may know w must not get into it. One with places is, if
// all of them are; one without is in nobody's area. Whoever may know all of an
// organisation by its name reaches its members, but not its owners, who may do
// more there than anybody whom they let in.
func (r *Register) Beyond(ctx context.Context, w Within, account string) (beyond bool, err error) {
	if w.All {
		return false, nil
	}
	byName, names := isIn("o.id", w.Organisations)
	w.Organisations = nil
	where, args := w.where()
	args = slices.Concat([]any{account, string(qrgate.Owner)}, names, args)
	err = r.s.Read(ctx, func(*sql.Rows) error { beyond = true; return nil }, `SELECT g.scope FROM grants g JOIN organisations o ON g.scope = 'organisation:' || o.id
		WHERE g.account = ? AND (g.role = ? OR NOT `+byName+`)
		AND (NOT EXISTS (SELECT 1 FROM places q WHERE q.organisation = o.id AND q.deleted IS NULL)
		OR EXISTS (SELECT 1 FROM places p WHERE p.organisation = o.id AND p.deleted IS NULL AND NOT `+where+`)) LIMIT 1`, args...)
	if err != nil {
		return false, fmt.Errorf("register: members elsewhere: %w", err)
	}
	return beyond, nil
}
