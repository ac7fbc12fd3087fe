package register

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A TokenScope is something that another system may do through the API.
type TokenScope string

// The scopes of tokens.
const (
	CheckinWrite TokenScope = "checkin:write" // check in its own signed-in users
	PlaceRead    TokenScope = "place:read"    // look up places by their code
)

// TokenScopes returns every scope.
func TokenScopes() []TokenScope { return []TokenScope{CheckinWrite, PlaceRead} }

// A Token is another system's access to the API. Tokens of one System are the
// same system's: its users are the same people whichever of them is used, so
// that a token can be replaced by a new one.
type Token struct {
	ID      string
	System  string // name of the other system
	Scopes  []TokenScope
	MadeBy  string // account
	Made    time.Time
	Until   time.Time
	Used    time.Time // about when it was last used; zero if never
	Revoked time.Time // zero unless it was taken back
}

// May reports whether the token has a scope.
func (t *Token) May(s TokenScope) bool { return slices.Contains(t.Scopes, s) }

// Works reports whether the token opens anything at now.
func (t *Token) Works(now time.Time) bool { return t.Revoked.IsZero() && now.Before(t.Until) }

const tokenColumns = "id, name, scopes, made_by, made, until, used, revoked"

func (t *Token) scan(rows *sql.Rows, more ...any) error {
	var scopes string
	err := rows.Scan(append([]any{&t.ID, &t.System, &scopes, &t.MadeBy, (*store.Milli)(&t.Made), (*store.Milli)(&t.Until), (*store.Milli)(&t.Used), (*store.Milli)(&t.Revoked)}, more...)...)
	for s := range strings.FieldsSeq(scopes) {
		t.Scopes = append(t.Scopes, TokenScope(s))
	}
	return err
}

// AddToken keeps a new token, whose secret has the given hash, and sets its ID
// and Made.
func (r *Register) AddToken(ctx context.Context, by string, t *Token, hash [32]byte) error {
	var scopes []string
	for _, s := range t.Scopes {
		if !slices.Contains(TokenScopes(), s) {
			return fmt.Errorf("register: add token: scope %q: %w", s, qrgate.ErrInvalid)
		}
		scopes = append(scopes, string(s))
	}
	now := r.now().Truncate(time.Millisecond)
	if len(scopes) == 0 || t.System == "" || !t.Until.After(now) {
		return fmt.Errorf("register: add token: %w", qrgate.ErrInvalid)
	}
	t.ID, t.MadeBy, t.Made = store.NewID(), by, now
	err := r.s.Write(ctx, func(x store.Tx) error {
		_, err := x.Exec("INSERT INTO tokens (id, hash, name, scopes, made_by, made, until) VALUES (?, ?, ?, ?, ?, ?, ?)",
			t.ID, hash[:], t.System, strings.Join(scopes, " "), by, now.UnixMilli(), t.Until.UnixMilli())
		if err != nil {
			return err
		}
		return x.Audit(by, "add token", "token "+t.ID, strings.Join(scopes, " "))
	})
	if err != nil {
		return fmt.Errorf("register: add token: %w", err)
	}
	return nil
}

// Tokens returns every token, those that work first and the latest of them first.
func (r *Register) Tokens(ctx context.Context) ([]Token, error) {
	var all []Token
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var t Token
		err := t.scan(rows)
		all = append(all, t)
		return err
	}, "SELECT "+tokenColumns+" FROM tokens ORDER BY CASE WHEN revoked IS NULL THEN 0 ELSE 1 END, made DESC, id")
	if err != nil {
		return nil, fmt.Errorf("register: tokens: %w", err)
	}
	return all, nil
}

// usedEvery is how exactly it is known when a token was last used: a busy system
// does not cost a write for each of its requests.
const usedEvery = time.Minute

// Token returns the token whose secret has this hash. The error is
// [qrgate.ErrNotFound] if there is none that works.
func (r *Register) Token(ctx context.Context, hash [32]byte) (*Token, error) {
	var t *Token
	err := r.s.Read(ctx, func(rows *sql.Rows) error { t = new(Token); return t.scan(rows) },
		"SELECT "+tokenColumns+" FROM tokens WHERE hash = ?", hash[:])
	now := r.now()
	if err == nil && (t == nil || !t.Works(now)) {
		err = qrgate.ErrNotFound
	}
	if err == nil && now.Sub(t.Used) >= usedEvery {
		err = r.s.Write(ctx, func(x store.Tx) error {
			_, err := x.Exec("UPDATE tokens SET used = ? WHERE id = ? AND (used IS NULL OR used < ?)", now.UnixMilli(), t.ID, now.UnixMilli())
			return err
		})
		t.Used = now.Truncate(time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("register: token: %w", err)
	}
	return t, nil
}

// RevokeToken takes a token back at once. One that was taken back already stays
// as it is.
func (r *Register) RevokeToken(ctx context.Context, by, id string) error {
	err := r.s.Write(ctx, func(x store.Tx) error {
		n, err := x.Exec("UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", r.now().UnixMilli(), id)
		if err != nil {
			return err
		}
		if n > 0 {
			return x.Audit(by, "revoke token", "token "+id, "")
		}
		known := false
		err = x.Each(func(*sql.Rows) error { known = true; return nil }, "SELECT 1 FROM tokens WHERE id = ?", id)
		if err == nil && !known {
			err = qrgate.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("register: revoke token: %w", err)
	}
	return nil
}
