package register

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// An Account is somebody who can sign in.
type Account struct {
	ID        string
	Name      string // what is typed to sign in, folded to lower case
	Display   string
	Email     string // empty if there is none
	Confirmed bool   // a message to Email has arrived
	Phone     string
	Password  string // PHC string, empty for who only signs in elsewhere
	Blocked   bool
	TOTP      []byte // sealed secret, nil without a second factor
	TOTPStep  int64  // the last step that was accepted
	Created   time.Time
}

const accountColumns = "a.id, a.name, a.display, a.email, a.confirmed, a.phone, COALESCE(a.password, ''), a.state, a.totp, a.totp_step, a.created"

// States of accounts.
const (
	accountActive  = 1
	accountBlocked = 2
)

func (a *Account) scan() []any {
	return []any{&a.ID, &a.Name, &a.Display, &a.Email, (*flag)(&a.Confirmed), &a.Phone, &a.Password, (*blocked)(&a.Blocked), &a.TOTP, &a.TOTPStep, (*store.Milli)(&a.Created)}
}

// A flag is a bool as both engines store it: 0 or 1.
type flag bool

// Scan reads a column.
func (f *flag) Scan(v any) error { n, ok := v.(int64); *f = n != 0; return scanned(ok, v) }

type blocked bool

// Scan reads a column.
func (b *blocked) Scan(v any) error {
	n, ok := v.(int64)
	*b = n == accountBlocked
	return scanned(ok, v)
}

func scanned(ok bool, v any) error {
	if !ok {
		return fmt.Errorf("a column of %T", v)
	}
	return nil
}

func toFlag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// A SignIn is an account on one browser, with what it may do.
type SignIn struct {
	ID      string
	Account Account
	Second  bool // a second factor was shown
	Grants  []qrgate.Grant
	Made    time.Time
	Seen    time.Time
	Until   time.Time
	Agent   string // the browser, in a few words
}

// SignedIn returns the sign-in with this id. The error is [qrgate.ErrNotFound]
// if there is none any more, or its account is blocked.
func (r *Register) SignedIn(ctx context.Context, id string) (*SignIn, error) {
	s := SignIn{ID: id}
	found := false
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(append(s.Account.scan(), (*flag)(&s.Second), (*store.Milli)(&s.Made), (*store.Milli)(&s.Seen), (*store.Milli)(&s.Until), &s.Agent)...)
	}, "SELECT "+accountColumns+", s.second, s.made, s.seen, s.until, s.agent FROM signins s JOIN accounts a ON a.id = s.account WHERE s.id = ? AND s.until > ?",
		id, r.now().UnixMilli())
	if err == nil && (!found || s.Account.Blocked) {
		err = qrgate.ErrNotFound
	}
	if err == nil {
		s.Grants, err = r.Grants(ctx, s.Account.ID)
	}
	if now := r.now(); err == nil && now.Sub(s.Seen) > seenEvery {
		s.Seen = now
		err = r.s.Write(ctx, func(t store.Tx) error {
			_, err := t.Exec("UPDATE signins SET seen = ? WHERE id = ? AND seen < ?", now.UnixMilli(), id, now.UnixMilli())
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("register: sign-in: %w", err)
	}
	return &s, nil
}

// seenEvery is how exact the time is at which a sign-in was last used: each
// noting is a transaction.
const seenEvery = time.Hour

// Grants returns the roles that an account holds.
func (r *Register) Grants(ctx context.Context, account string) ([]qrgate.Grant, error) {
	var all []qrgate.Grant
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var role, scope string
		if err := rows.Scan(&role, &scope); err != nil {
			return err
		}
		in, err := qrgate.ParseScope(scope)
		if err != nil {
			return err
		}
		all = append(all, qrgate.Grant{Role: qrgate.Role(role), Scope: in})
		return nil
	}, "SELECT role, scope FROM grants WHERE account = ? ORDER BY role, scope", account)
	if err != nil {
		return nil, fmt.Errorf("register: grants: %w", err)
	}
	return all, nil
}

// Begin notes that an account has signed in on a browser, until the given time.
func (r *Register) Begin(ctx context.Context, account, agent string, second bool, until time.Time) (string, error) {
	id, now := store.NewID(), r.now().UnixMilli()
	err := r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO signins (id, account, made, seen, until, second, agent) VALUES (?, ?, ?, ?, ?, ?, ?)",
			id, account, now, now, until.UnixMilli(), toFlag(second), agent)
		if err != nil {
			return err
		}
		return t.Audit(account, "sign in", account, "")
	})
	if err != nil {
		return "", fmt.Errorf("register: sign in: %w", err)
	}
	return id, nil
}
