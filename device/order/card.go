package order

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Said is what the door answers to a command card.
type Said struct {
	Kind   wire.OrderKind // 0 if it could not be read
	State  wire.OrderState
	Reason wire.Reason // why not
	Faulty bool        // it has found something wrong
}

// Card judges a command card and follows it. It returns when that is done and in the
// ledger; an error means that the disk can no longer record.
func (t *Table) Card(ctx context.Context, text string) (Said, error) {
	c, err := pass.ParseCommand(text)
	if err == nil {
		err = c.Verify(t.o.Keys(uint32(c.Key)))
	}
	use := wire.OrderUse{State: wire.OrderRefused}
	refused := func(reason wire.Reason) (Said, error) {
		t.o.Log.Info("command card refused", "kind", use.Kind, "card", use.Card, "reason", reason)
		return Said{Kind: use.Kind, State: use.State, Reason: reason}, t.refuse(sha256.Sum256(fmt.Appendf(nil, "%s %d", text, reason)), use, reason)
	}
	if err != nil {
		return refused(reasonFor(err)) // and nothing that it says is believed
	}
	use.Kind, use.Card = wire.OrderKind(c.Order), c.Serial
	now, sure := t.certain()
	args, err := wire.CardArgs(use.Kind, c.Arg, now)
	if err != nil {
		return refused(wire.ReasonOrder)
	}
	switch reason := t.judge(c.CommandCard, now, sure); reason {
	case wire.NoReason:
	case wire.ReasonExpired:
		use.State = wire.OrderExpired
		return refused(reason)
	default:
		return refused(reason)
	}
	row, known := t.rows[use.Kind]
	if !known || !row.Card {
		use.State = wire.OrderUnknown
		return refused(wire.ReasonOrder)
	}
	if c.Single {
		fresh, err := t.used(c.Serial, c.Until.Time(), now)
		if err != nil {
			t.o.Log.Error("command card not followed: it cannot be remembered", "err", err)
			return refused(wire.ReasonDisk)
		}
		if !fresh {
			return refused(wire.ReasonRepeated)
		}
	}
	out := t.do(ctx, row, args)
	if out.State == 0 {
		out.State = wire.OrderDone
	}
	t.o.Log.Info("command card", "kind", use.Kind, "card", use.Card, "state", out.State, "reason", out.Reason, "detail", out.Detail)
	use.State, use.Undone, use.Count = out.State, out.Undone, out.Count
	err = t.record(use, out.Reason)
	if out.Then != nil {
		out.Then()
	}
	return Said{Kind: use.Kind, State: out.State, Reason: out.Reason, Faulty: out.Faulty}, err
}

// judge reports why a genuine card is not for this kiosk, or not now.
func (t *Table) judge(c pass.CommandCard, now time.Time, sure bool) wire.Reason {
	t.mu.Lock()
	place := t.state.Place
	t.mu.Unlock()
	floor := wire.OrderKind(c.Order) == wire.OrderFloor
	switch c.Scope {
	case pass.ForKiosk:
		if c.Target != pass.KioskTarget(t.o.Kiosk) {
			return wire.ReasonKiosk
		}
	case pass.ForPlace:
		if place == 0 || c.Target != pass.PlaceTarget(place) {
			return wire.ReasonKiosk
		}
	case pass.ForNonce:
		if !floor {
			return wire.ReasonOrder
		}
		if !t.answers(c.Target) {
			return wire.ReasonKiosk
		}
		return wire.NoReason // which says when it was made
	}
	switch {
	case floor:
		return wire.ReasonOrder // what was printed does not say what time it is
	case !now.Before(c.Until.Time()):
		return wire.ReasonExpired
	case sure && now.Before(c.From.Time()):
		return wire.ReasonNotYet
	}
	return wire.NoReason
}
