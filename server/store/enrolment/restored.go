package enrolment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// ErrClosed is returned while no new kiosk is taken: the database was restored, and may
// have forgotten which codes were used and which kiosks were revoked since its backup.
// It is a qrgate.ErrConflict.
var ErrClosed = fmt.Errorf("closed since the database was restored: %w", qrgate.ErrConflict)

// open returns ErrClosed if no new kiosk is taken.
func open(t store.Tx) error {
	var restored int64
	err := t.Each(func(r *sql.Rows) error { return r.Scan(&restored) }, "SELECT restored FROM meta")
	if err == nil && restored != 0 {
		err = ErrClosed
	}
	return err
}

// Restored returns when the database was restored if nobody has said since that new
// kiosks may come, or the zero time.
func (e *Enrolments) Restored(ctx context.Context) (at time.Time, err error) {
	err = e.s.Read(ctx, func(r *sql.Rows) error {
		var ms int64
		if err := r.Scan(&ms); err != nil || ms == 0 {
			return err
		}
		at = time.UnixMilli(ms)
		return nil
	}, "SELECT restored FROM meta")
	if err != nil {
		return at, fmt.Errorf("enrolment: restored: %w", err)
	}
	return at, nil
}

// Confirm says that new kiosks may come after a restore.
func (e *Enrolments) Confirm(ctx context.Context, by string) error {
	err := e.s.Write(ctx, func(t store.Tx) error {
		if err := open(t); !errors.Is(err, ErrClosed) {
			return err // nothing to say, or what the database says
		}
		if _, err := t.Exec("UPDATE meta SET restored = 0"); err != nil {
			return err
		}
		return t.Audit(by, "open enrolment after restore", "", "")
	})
	if err != nil {
		return fmt.Errorf("enrolment: confirm: %w", err)
	}
	return nil
}
