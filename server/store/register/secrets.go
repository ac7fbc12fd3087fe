package register

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A SecretKind says what a link or code is good for.
type SecretKind string

// The kinds of secret.
const (
	ForReset    SecretKind = "reset"    // a link with which to choose a password
	ForConfirm  SecretKind = "confirm"  // a link that shows that mail to the address in its argument arrives
	ForOnce     SecretKind = "once"     // a code from staff with which to choose a password
	ForRecovery SecretKind = "recovery" // a printed code
)

// Argument of a one-time code that takes the second factor away too.
const argSecond = "second"

// maxTries is how many wrong codes end an account's one-time codes.
const maxTries = 5

// recoveryFor is how long printed codes hold: until there are others.
const recoveryFor = 100 * 365 * 24 * time.Hour

// AddSecret keeps the sum of a link or code for an account. Of a kind but
// recovery codes an account has three at most; the oldest go.
func (r *Register) AddSecret(ctx context.Context, by, account string, kind SecretKind, arg string, sum []byte, until time.Time) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		// One-time codes are found by trying them all, and few are to be guessed.
		_, err := t.Exec(`DELETE FROM secrets WHERE account = ? AND kind = ? AND hash NOT IN
			(SELECT s.hash FROM secrets s WHERE s.account = ? AND s.kind = ? ORDER BY s.made DESC, s.hash LIMIT 2)`, account, string(kind), account, string(kind))
		if err != nil {
			return err
		}
		if err := r.insertSecret(t, account, kind, arg, sum, until); err != nil {
			return err
		}
		return t.Audit(by, "make "+string(kind), account, "")
	})
	if err != nil {
		return fmt.Errorf("register: add secret: %w", err)
	}
	return nil
}

func (r *Register) insertSecret(t store.Tx, account string, kind SecretKind, arg string, sum []byte, until time.Time) error {
	_, err := t.Exec("INSERT INTO secrets (hash, account, kind, arg, made, until, tries) VALUES (?, ?, ?, ?, ?, ?, 0)",
		sum, account, string(kind), arg, r.now().UnixMilli(), until.UnixMilli())
	return err
}

// AddOneTime keeps the sum of a code that staff tells an account's owner. second
// says that it takes the second factor away too.
func (r *Register) AddOneTime(ctx context.Context, by, account string, sum []byte, second bool, until time.Time) error {
	arg := ""
	if second {
		arg = argSecond
	}
	return r.AddSecret(ctx, by, account, ForOnce, arg, sum, until)
}

// SetRecovery gives an account recovery codes in place of those that it had.
func (r *Register) SetRecovery(ctx context.Context, by, account string, sums [][]byte) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := r.setRecovery(t, account, sums); err != nil {
			return err
		}
		return t.Audit(by, "make recovery", account, "")
	})
	if err != nil {
		return fmt.Errorf("register: recovery codes: %w", err)
	}
	return nil
}

func (r *Register) setRecovery(t store.Tx, account string, sums [][]byte) error {
	if err := endSecrets(t, account, ForRecovery); err != nil {
		return err
	}
	for _, sum := range sums {
		if err := r.insertSecret(t, account, ForRecovery, "", sum, r.now().Add(recoveryFor)); err != nil {
			return err
		}
	}
	return nil
}

// Secrets returns the sums of an account's codes of a kind that still hold.
func (r *Register) Secrets(ctx context.Context, account string, kind SecretKind) ([][]byte, error) {
	var sums [][]byte
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var sum []byte
		err := rows.Scan(&sum)
		sums = append(sums, sum)
		return err
	}, "SELECT hash FROM secrets WHERE account = ? AND kind = ? AND until > ? ORDER BY made, hash", account, string(kind), r.now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("register: secrets: %w", err)
	}
	return sums, nil
}

// SecretOf returns whose link it is and its argument. The error is
// [qrgate.ErrNotFound] if there is none, it was used, or its time has gone.
func (r *Register) SecretOf(ctx context.Context, kind SecretKind, sum []byte) (account, arg string, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&account, &arg) },
		"SELECT account, arg FROM secrets WHERE hash = ? AND kind = ? AND until > ?", sum, string(kind), r.now().UnixMilli())
	if err == nil && account == "" {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return "", "", fmt.Errorf("register: secret: %w", err)
	}
	return account, arg, nil
}

// endSecrets ends all of an account's links and codes of some kinds.
func endSecrets(t store.Tx, account string, kinds ...SecretKind) error {
	for _, kind := range kinds {
		if _, err := t.Exec("DELETE FROM secrets WHERE account = ? AND kind = ?", account, string(kind)); err != nil {
			return err
		}
	}
	return nil
}

// take uses a secret up.
func (r *Register) take(t store.Tx, kind SecretKind, sum []byte) (account, arg string, err error) {
	err = t.Each(func(rows *sql.Rows) error { return rows.Scan(&account, &arg) },
		"SELECT account, arg FROM secrets WHERE hash = ? AND kind = ? AND until > ?", sum, string(kind), r.now().UnixMilli())
	if err != nil {
		return "", "", err
	}
	// Another server may have taken it since.
	n, err := t.Exec("DELETE FROM secrets WHERE hash = ? AND kind = ?", sum, string(kind))
	if err == nil && (n == 0 || account == "") {
		err = qrgate.ErrNotFound
	}
	return account, arg, err
}

// UseRecovery uses one of an account's recovery codes up. The error is
// [qrgate.ErrNotFound] if it was used before.
func (r *Register) UseRecovery(ctx context.Context, account string, sum []byte) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		if _, _, err := r.take(t, ForRecovery, sum); err != nil {
			return err
		}
		return t.Audit(account, "use recovery", account, "")
	})
	if err != nil {
		return fmt.Errorf("register: recovery code: %w", err)
	}
	return nil
}

// ResetPassword uses a link or code up and gives its account another password,
// which ends its sign-ins. The error is [qrgate.ErrNotFound] if it does not hold
// any more, or the account is blocked.
func (r *Register) ResetPassword(ctx context.Context, kind SecretKind, sum []byte, hash string) (*Account, error) {
	var a Account
	err := r.s.Write(ctx, func(t store.Tx) error {
		a = Account{}
		account, arg, err := r.take(t, kind, sum)
		if err != nil {
			return err
		}
		found := false
		if err := t.Each(scanAccount(&a, &found), "SELECT "+accountColumns+" FROM accounts a WHERE a.id = ?", account); err != nil {
			return err
		}
		if !found || a.Blocked {
			return qrgate.ErrNotFound
		}
		if kind == ForOnce && arg == argSecond {
			if err := removeSecond(t, account, account); err != nil {
				return err
			}
			a.TOTP = nil
		}
		return setPassword(t, account, account, hash, "")
	})
	if err != nil {
		return nil, fmt.Errorf("register: reset password: %w", err)
	}
	return &a, nil
}

// WrongOnce counts a wrong one-time code at an account, or at none if it is
// empty: that takes as long.
func (r *Register) WrongOnce(ctx context.Context, account string) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		if _, err := t.Exec("UPDATE secrets SET tries = tries + 1 WHERE account = ? AND kind = ?", account, string(ForOnce)); err != nil {
			return err
		}
		_, err := t.Exec("DELETE FROM secrets WHERE account = ? AND kind = ? AND tries >= ?", account, string(ForOnce), maxTries)
		return err
	})
	if err != nil {
		return fmt.Errorf("register: wrong code: %w", err)
	}
	return nil
}

// Confirm uses a link up that went to an address, which becomes its account's.
// before is the account as it was.
func (r *Register) Confirm(ctx context.Context, sum []byte) (before *Account, email string, err error) {
	var a Account
	err = r.s.Write(ctx, func(t store.Tx) error {
		a = Account{}
		account, arg, err := r.take(t, ForConfirm, sum)
		if err != nil {
			return err
		}
		found := false
		if err := t.Each(scanAccount(&a, &found), "SELECT "+accountColumns+" FROM accounts a WHERE a.id = ?", account); err != nil {
			return err
		}
		email = arg
		if _, err := t.Exec("UPDATE accounts SET email = ?, confirmed = 1 WHERE id = ?", arg, account); err != nil {
			return err
		}
		// What is still under way was for an address that came before.
		if err := endSecrets(t, account, ForConfirm, ForReset); err != nil {
			return err
		}
		return t.Audit(account, "confirm e-mail", account, "")
	})
	if err != nil {
		return nil, "", fmt.Errorf("register: confirm: %w", err)
	}
	return &a, email, nil
}
