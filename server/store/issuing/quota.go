package issuing

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Quota is how much of a purpose's quota is used up today.
type Quota struct {
	Limits
	Used   int  // today
	Raised bool // for today
}

// MaxQuota is the largest quota that somebody may set.
const MaxQuota = 1_000_000

// raised returns what may be signed today, where l is what may be on any day.
func (i *Issuing) raised(t store.Tx, purpose wire.Purpose, l Limits) (Limits, error) {
	err := t.Each(func(rows *sql.Rows) error {
		var r Limits
		err := rows.Scan(&r.Batch, &r.Day)
		l.Batch, l.Day = max(l.Batch, r.Batch), max(l.Day, r.Day)
		return err
	}, "SELECT batch, most FROM sign_raises WHERE purpose = ? AND day = ?", string(purpose), i.today())
	return l, err
}

// Quota returns how a purpose's quota stands, where l is that of any day.
func (i *Issuing) Quota(ctx context.Context, purpose wire.Purpose, l Limits) (Quota, error) {
	q := Quota{Limits: l}
	err := i.s.Read(ctx, func(rows *sql.Rows) error {
		var r Limits
		err := rows.Scan(&r.Batch, &r.Day)
		q.Raised, q.Batch, q.Day = true, max(l.Batch, r.Batch), max(l.Day, r.Day)
		return err
	}, "SELECT batch, most FROM sign_raises WHERE purpose = ? AND day = ?", string(purpose), i.today())
	if err == nil {
		err = i.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&q.Used) },
			"SELECT COUNT(*) FROM signed_passes WHERE purpose = ? AND day = ?", string(purpose), i.today())
	}
	if err != nil {
		return q, fmt.Errorf("issuing: quota: %w", err)
	}
	return q, nil
}

// Raise sets the quotas of a purpose until the day ends. They are never below those of
// any day.
func (i *Issuing) Raise(ctx context.Context, by string, purpose wire.Purpose, to Limits) error {
	if to.Batch < 0 || to.Day < 0 || to.Batch > MaxQuota || to.Day > MaxQuota || purpose != wire.ForCard && purpose != wire.ForEvent {
		return fmt.Errorf("issuing: raise: %w", qrgate.ErrInvalid)
	}
	err := i.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec(`INSERT INTO sign_raises (purpose, day, batch, most, made_by, made) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (purpose, day) DO UPDATE SET batch = excluded.batch, most = excluded.most, made_by = excluded.made_by, made = excluded.made`,
			string(purpose), i.today(), to.Batch, to.Day, by, i.now().UnixMilli())
		if err != nil {
			return err
		}
		return t.Audit(by, "raise quota", "quota "+string(purpose), fmt.Sprintf("until the day ends: %d in one batch, %d in all", to.Batch, to.Day))
	})
	if err != nil {
		return fmt.Errorf("issuing: raise: %w", err)
	}
	return nil
}
