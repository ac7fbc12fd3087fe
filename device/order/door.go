package order

import (
	"context"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// Part returns the table's share of what the kiosk's agent says and hears.
func (t *Table) Part() agent.Part {
	return agent.Part{
		Channel: wire.DownOrder,
		Take: func(b []byte) {
			select {
			case t.came <- b:
			default:
				t.o.Log.Warn("order dropped: too many wait") // it comes again with the next beat
			}
		},
		Fill:     t.fill,
		Answered: t.answered,
		News:     t.news,
		Up: func(context.Context, deliver.Link) {
			select {
			case t.up <- struct{}{}:
			default:
			}
		},
	}
}

// fill says in a beat what stands, and asks for the second step of a door order. Each
// beat asks with a number of its own.
func (t *Table) fill(b *wire.Beat) {
	now := t.o.Since()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &wire.OrderBeat{Direction: t.state.Direction, Until: t.state.Until, Locked: t.state.Locked}
	if left := t.until - now; left > 0 {
		s.Maintenance = int64(left / time.Second)
	}
	if t.ask.until > now {
		t.ask.nonce, t.ask.at = newNonce(), now
		id, nonce := t.ask.id, t.ask.nonce
		s.Ask, s.Nonce = &id, &nonce
	}
	t.said = t.changed
	b.Orders = s
}

func (t *Table) news() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed != t.heard || t.ask.until > t.o.Since()
}

// prepare begins to ask for the second step of a door order.
func (t *Table) prepare(ctx context.Context, link deliver.Link, id wire.OrderID) error {
	if err := t.became(id, wire.Result{Kind: wire.OrderDoor, State: wire.OrderPrepared, At: t.o.Clock.Read().Wall}); err != nil {
		return t.finish(ctx, link, id, wire.OrderDoor, Failed(err))
	}
	t.mu.Lock()
	old := t.ask
	t.ask = ask{id: id, until: t.o.Since() + DoorWaits}
	t.mu.Unlock()
	t.o.Log.Info("door order: waiting for its second step", "order", id)
	if old.until > 0 {
		return t.finish(ctx, link, old.id, wire.OrderDoor, Outcome{State: wire.OrderExpired, Reason: wire.ReasonExpired, Detail: "another door order came"})
	}
	return nil
}

// answered takes what the server's answer to a beat says. The door opens here, where the
// number's age is known, and not behind orders that wait.
func (t *Table) answered(a *wire.BeatAnswer) {
	t.mu.Lock()
	t.heard = t.said
	if a.Orders == nil {
		t.mu.Unlock()
		return
	}
	same := a.Orders.Place == t.state.Place && a.Orders.Portal == t.state.Portal
	t.mu.Unlock()
	if !same {
		if err := t.change(func(s *state) error { s.Place, s.Portal = a.Orders.Place, a.Orders.Portal; return nil }); err != nil {
			t.o.Log.Warn("place not kept", "err", err)
		}
	}
	if len(a.Orders.Open) == 0 {
		return
	}
	o, err := wire.OpenOrder(a.Orders.Open, t.o.Keys)
	if err != nil || o.Kiosk != t.o.Kiosk || o.Kind != wire.OrderDoor || o.Nonce == nil {
		t.o.Log.Warn("second step of a door order refused", "err", err)
		return
	}
	now := t.o.Since()
	t.mu.Lock()
	asked := t.ask
	if asked.until == 0 || o.ID != asked.id || *o.Nonce != asked.nonce || asked.at == 0 {
		t.mu.Unlock()
		t.o.Log.Warn("second step of a door order refused: it was not asked for", "order", o.ID)
		return
	}
	t.ask = ask{}
	t.mu.Unlock()
	out := Outcome{State: wire.OrderExpired, Reason: wire.ReasonExpired, Detail: "the second step came too late"}
	if now-asked.at <= DoorAnswer && now < asked.until {
		out = t.do(context.Background(), t.rows[wire.OrderDoor], wire.OrderArgs{})
	}
	t.opened <- doorDone{asked.id, out} // there is room: the next is asked for by who takes it
}

// A doorDone is a door order that has ended.
type doorDone struct {
	id wire.OrderID
	Outcome
}

// doorLate ends a door order whose second step did not come.
func (t *Table) doorLate(ctx context.Context, link deliver.Link) error {
	t.mu.Lock()
	late := t.ask
	if late.until == 0 || t.o.Since() < late.until {
		t.mu.Unlock()
		return nil
	}
	t.ask = ask{}
	t.mu.Unlock()
	return t.finish(ctx, link, late.id, wire.OrderDoor, Outcome{State: wire.OrderExpired, Reason: wire.ReasonExpired, Detail: "nobody confirmed it"})
}
