package register

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/store"
)

// Sessions keep what browsers' cookies stand for, as the session manager of
// package page asks for it.
type Sessions struct{ r *Register }

// Sessions returns the sessions in r.
func (r *Register) Sessions() *Sessions { return &Sessions{r} }

var errNoContext = errors.New("register: sessions are only used with a context")

// Find is not used.
func (*Sessions) Find(string) ([]byte, bool, error) { return nil, false, errNoContext }

// Commit is not used.
func (*Sessions) Commit(string, []byte, time.Time) error { return errNoContext }

// Delete is not used.
func (*Sessions) Delete(string) error { return errNoContext }

// FindCtx returns a session's data, and whether it is there and has not ended.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.r.s.Read(ctx, func(rows *sql.Rows) error { found = true; return rows.Scan(&data) },
		"SELECT data FROM sessions WHERE token = ? AND until > ?", []byte(token), s.r.now().UnixMilli())
	if err != nil {
		return nil, false, fmt.Errorf("register: session: %w", err)
	}
	return data, found, nil
}

// CommitCtx keeps a session's data until the given time.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, until time.Time) error {
	err := s.r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO sessions (token, data, until) VALUES (?, ?, ?) ON CONFLICT (token) DO UPDATE SET data = excluded.data, until = excluded.until",
			[]byte(token), data, until.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("register: session: %w", err)
	}
	return nil
}

// DeleteCtx ends a session.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	err := s.r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("DELETE FROM sessions WHERE token = ?", []byte(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("register: session: %w", err)
	}
	return nil
}

// Forget drops sessions, sign-ins, secrets, invitations and uploads whose time
// has gone. It is called now and then.
func (r *Register) Forget(ctx context.Context) error {
	now := r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		for _, query := range []string{
			"DELETE FROM sessions WHERE until <= ?", "DELETE FROM signins WHERE until <= ?",
			"DELETE FROM secrets WHERE until <= ?", "DELETE FROM invitations WHERE until <= ?",
		} {
			if _, err := t.Exec(query, now.UnixMilli()); err != nil {
				return err
			}
		}
		_, err := t.Exec("DELETE FROM uploads WHERE made <= ?", now.Add(-uploadFor).UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("register: forget: %w", err)
	}
	return nil
}

// uploadFor is how long an upload waits for somebody to say that it is right.
const uploadFor = 24 * time.Hour
