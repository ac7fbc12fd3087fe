package order

import (
	"context"

	"github.com/qrgate/qrgate/sync/wire"
)

// Guard does what a guard asks on the kiosk's own page, and writes what became of it into
// the ledger as a guard's. It returns when both are done; an error means that the disk can
// no longer record.
func (t *Table) Guard(ctx context.Context, kind wire.OrderKind, do func(context.Context) Outcome) (Outcome, error) {
	out := t.do(ctx, Row{Kind: kind, Do: func(ctx context.Context, _ wire.OrderArgs) Outcome { return do(ctx) }}, wire.OrderArgs{})
	if out.State == 0 {
		out.State = wire.OrderDone
	}
	t.o.Log.Info("a guard", "kind", kind, "state", out.State, "reason", out.Reason)
	err := t.record(wire.OrderUse{Kind: kind, State: out.State, Undone: out.Undone, Count: out.Count, Guard: true}, out.Reason)
	if out.Then != nil {
		out.Then()
	}
	return out, err
}
