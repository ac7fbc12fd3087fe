package simulate

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/settings"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// openDoorFor is how long a simulated relay lets people through.
const openDoorFor = 5 * time.Second

// told is what a simulated kiosk can be told by the portal: settings and orders. What
// its orders do to a machine is made up, for there is none.
type told struct {
	settings *settings.Settings
	orders   *order.Table

	door   *kiosk.Kiosk
	source *visitors
	queue  *outbox.Queue
	clock  *when.Clock
	ring   *order.Ring
	stop   func() // ends the kiosk, which is started again
}

// openTold opens what was told before. Log lines go to the ring also.
func openTold(dir string, id *agent.Identity, clock *when.Clock, since func() time.Duration, queue *outbox.Queue, log *slog.Logger) (t *told, err error) {
	t = &told{queue: queue, clock: clock}
	key := func(p wire.Purpose) func(uint32) ed25519.PublicKey {
		return func(n uint32) ed25519.PublicKey { return id.Keys().Signer(p)(n) }
	}
	t.settings, err = settings.Open(filepath.Join(dir, "config.cbor"), settings.Identity{Kiosk: id.Kiosk, Key: id.Key, Trust: key(wire.ForConfig)}, settings.Options{
		Log: log,
		Check: func(d *wire.ConfigDoc) error {
			if d.Link != (wire.LinkConfig{}) {
				return errors.New("a simulated kiosk stays with the server that it was started with")
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	t.orders, err = order.Open(filepath.Join(dir, "orders.json"), order.Options{
		Kiosk: id.Kiosk, Key: id.Key, Keys: key(wire.ForOrder), Clock: clock, Since: since, Queue: queue, Log: log,
	})
	return t, err
}

// doorOf returns the settings of a door: those of the portal, or otherwise c.
func (t *told) doorOf(c wire.KioskConfig) wire.KioskConfig {
	if d := t.settings.Running(); d != nil {
		return d.Door
	}
	return c
}

// join lets settings and orders come, and returns what keeps them.
func (t *told) join(heart *agent.Agent, log *slog.Logger) {
	t.settings.Use(settings.Uses{Apply: func(d *wire.ConfigDoc) {
		if err := t.door.Reconfigure(d.Door); err != nil {
			log.Error("door not configured", "err", err)
		}
	}})
	t.settings.Resume()
	heart.Add(t.settings.Part())
	t.orders.Add(t.rows()...)
	heart.Add(t.orders.Part())
}

// rows are the orders that a kiosk with a lamp and a scanner follows.
func (t *told) rows() []order.Row {
	row := func(k wire.OrderKind, do func(a wire.OrderArgs) order.Outcome) order.Row {
		return order.Row{Kind: k, Message: true, Do: func(_ context.Context, a wire.OrderArgs) order.Outcome { return do(a) }}
	}
	done := func(err error) order.Outcome {
		if err != nil {
			return order.Failed(err)
		}
		t.door.Stand()
		return order.Outcome{}
	}
	return []order.Row{
		row(wire.OrderIdentify, func(wire.OrderArgs) order.Outcome { t.door.Here(); return order.Outcome{} }),
		row(wire.OrderRestart, func(wire.OrderArgs) order.Outcome { return order.Outcome{Then: t.stop} }),
		row(wire.OrderSelfTest, func(wire.OrderArgs) order.Outcome { return t.selfTest() }),
		row(wire.OrderLog, func(wire.OrderArgs) order.Outcome { return order.Outcome{Data: t.ring.Lines()} }),
		row(wire.OrderEpoch, func(wire.OrderArgs) order.Outcome { return done(t.queue.NewEpoch(wire.OpenedOrder)) }),
		row(wire.OrderDirection, func(a wire.OrderArgs) order.Outcome { return done(t.orders.Turn(a)) }),
		row(wire.OrderDoor, func(wire.OrderArgs) order.Outcome {
			return order.Outcome{Detail: fmt.Sprintf("open for %s", openDoorFor)}
		}),
		row(wire.OrderPicture, func(wire.OrderArgs) order.Outcome { return order.Cannot("no camera is configured") }),
		row(wire.OrderTally, func(a wire.OrderArgs) order.Outcome { return order.Outcome{Count: a.Count} }),
		row(wire.OrderLock, func(wire.OrderArgs) order.Outcome { return done(t.orders.Lock(true)) }),
		row(wire.OrderUnlock, func(wire.OrderArgs) order.Outcome { return done(t.orders.Lock(false)) }),
	}
}

func (t *told) selfTest() order.Outcome {
	h, s, r := t.source.Health(), t.queue.Stats(), t.clock.Read()
	checks := []wire.Check{
		{Name: "scanner", OK: !h.Faulty(), Detail: wire.ResultText(fmt.Sprintf("%s: %d codes", h.Source, h.Scans))},
		{Name: "ledger", OK: !s.Near, Detail: fmt.Sprintf("%d waiting to be sent", s.Unsent)},
		{Name: "clock", OK: r.State == when.Synced || r.State == when.Holding, Detail: fmt.Sprintf("%s, %d ms", r.State, r.Error)},
	}
	out := order.Outcome{Checks: checks}
	for _, c := range checks {
		out.Faulty = out.Faulty || !c.OK
	}
	return out
}
