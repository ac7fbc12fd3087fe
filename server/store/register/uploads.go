package register

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// AddUpload keeps what an account has uploaded until it says that it is right,
// for a day.
func (r *Register) AddUpload(ctx context.Context, account, name string, body []byte) (id string, err error) {
	id = store.NewID()
	err = r.s.Write(ctx, func(t store.Tx) error {
		// One that was never finished is in nobody's way.
		if _, err := t.Exec("DELETE FROM uploads WHERE account = ?", account); err != nil {
			return err
		}
		_, err := t.Exec("INSERT INTO uploads (id, account, name, body, made) VALUES (?, ?, ?, ?, ?)", id, account, name, body, r.now().UnixMilli())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("register: add upload: %w", err)
	}
	return id, nil
}

// Upload returns what an account has uploaded.
func (r *Register) Upload(ctx context.Context, account, id string) (name string, body []byte, err error) {
	found := false
	err = r.s.Read(ctx, func(rows *sql.Rows) error { found = true; return rows.Scan(&name, &body) },
		"SELECT name, body FROM uploads WHERE id = ? AND account = ? AND made > ?", id, account, r.now().Add(-uploadFor).UnixMilli())
	if err == nil && !found {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return "", nil, fmt.Errorf("register: upload: %w", err)
	}
	return name, body, nil
}

// takeUpload ends an upload in the transaction that takes it in, so that it is
// taken in once: a second time is [qrgate.ErrConflict].
func takeUpload(t store.Tx, account, id string) error {
	n, err := t.Exec("DELETE FROM uploads WHERE id = ? AND account = ?", id, account)
	if err == nil && n == 0 {
		err = fmt.Errorf("upload is gone: %w", qrgate.ErrConflict)
	}
	return err
}
