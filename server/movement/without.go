package movement

import (
	"context"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Without returns the check-ins of rows but for those of the people whom unused
// returns, as the check-ins of a day hold them: who asked that their data is not
// used is in no figure.
func Without(rows Rows, unused func(context.Context, qrgate.Day) (map[qrgate.Subject]bool, error)) Rows {
	return without{rows, unused}
}

type without struct {
	rows   Rows
	unused func(context.Context, qrgate.Day) (map[qrgate.Subject]bool, error)
}

// EachOfDay implements [Rows].
func (w without) EachOfDay(ctx context.Context, day qrgate.Day, fn func(*qrgate.Checkin) error) error {
	unused, err := w.unused(ctx, day)
	if err != nil {
		return err
	}
	if len(unused) == 0 {
		return w.rows.EachOfDay(ctx, day, fn)
	}
	return w.rows.EachOfDay(ctx, day, func(c *qrgate.Checkin) error {
		if unused[c.Subject] {
			return nil
		}
		return fn(c)
	})
}
