package rights

import (
	"context"
	"time"

	"github.com/qrgate/qrgate/server/store"
)

// Lease makes holder the only one who does what name stands for, for some time,
// and reports whether it is: not while somebody else's lease lasts. Whoever has it
// asks again before it ends, or gives it back by asking for no time.
func (r *Rights) Lease(ctx context.Context, name, holder string, lasts time.Duration) (held bool, err error) {
	now := r.now()
	err = r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec(`INSERT INTO leases (name, holder, until) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE leases.holder = excluded.holder OR leases.until <= ?`,
			name, holder, now.Add(lasts).UnixMilli(), now.UnixMilli())
		held = n == 1
		return err
	})
	return held, wrap("lease", err)
}
