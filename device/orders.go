package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"image/jpeg"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

func (c Config) orders() string { return filepath.Join(c.State, "orders.json") }

// openOrders opens the table of orders. Its rows follow when there is a door, see
// [machinery.rows].
func openOrders(c Config, id *agent.Identity, clock *when.Clock, since func() time.Duration, queue *outbox.Queue, log *slog.Logger) (*order.Table, error) {
	return order.Open(c.orders(), order.Options{
		Kiosk: id.Kiosk, Key: id.Key, Clock: clock, Since: since, Queue: queue, Log: log,
		Keys: func(key uint32) ed25519.PublicKey { return id.Keys().Signer(wire.ForOrder)(key) },
	})
}

// stayOut has a lane that an order turned to be a way out hold nobody in, though the portal
// or the file may have made a way in of it since. Where the relay is wired so that it would,
// the order ends.
func (s *station) stayOut(log *slog.Logger) error {
	if s.orders.Direction() != wire.Out {
		return nil
	}
	p := s.config.Panel
	p.Egress = true
	if err := p.Validate(); err != nil {
		log.Error("the lane goes as configured again", "err", err)
		return s.orders.Turn(wire.OrderArgs{})
	}
	s.config.Panel = p
	return nil
}

// A machinery is what orders act on.
type machinery struct {
	config  Config
	table   *order.Table
	door    *kiosk.Kiosk
	face    *screen.Screen
	room    *room.Room
	panel   panel.Panel
	queue   *outbox.Queue
	clock   *when.Clock
	scan    *scan.Group
	cameras []*camera.Source
	ring    *order.Ring
	stop    func() // ends the program; its unit starts it again
	log     *slog.Logger
}

// join lets orders come, and begins again what they had begun.
func (m *machinery) join(heart *agent.Agent) {
	m.table.Add(m.rows()...)
	heart.Add(m.table.Part())
	m.face.Reconfigure(func(o *screen.Options) { o.SetUp = m.table.TimePage })
	for event, at := range m.table.Begun() {
		m.room.Begin(event, time.UnixMilli(at))
	}
}

// rows is what this kiosk can be told to do.
func (m *machinery) rows() []order.Row {
	follow := func(fn func() error) func(context.Context, wire.OrderArgs) order.Outcome {
		return func(context.Context, wire.OrderArgs) order.Outcome {
			if err := fn(); err != nil {
				return order.Failed(err)
			}
			return order.Outcome{}
		}
	}
	locking := func(on bool) func() error {
		return func() error {
			if err := m.table.Lock(on); err != nil {
				return err
			}
			m.door.Stand()
			return nil
		}
	}
	return []order.Row{
		{Kind: wire.OrderIdentify, Message: true, Do: m.identify},
		{Kind: wire.OrderRestart, Message: true, Do: func(context.Context, wire.OrderArgs) order.Outcome { return order.Outcome{Then: m.stop} }},
		{Kind: wire.OrderSelfTest, Message: true, Card: true, Do: m.selfTest},
		{Kind: wire.OrderLog, Message: true, Do: func(context.Context, wire.OrderArgs) order.Outcome { return order.Outcome{Data: m.ring.Lines()} }},
		{Kind: wire.OrderEpoch, Message: true, Do: follow(func() error { return m.queue.NewEpoch(wire.OpenedOrder) })},
		{Kind: wire.OrderDirection, Message: true, Card: true, Do: m.turn},
		{Kind: wire.OrderDoor, Message: true, Do: m.open},
		{Kind: wire.OrderPicture, Message: true, Do: m.picture},
		{Kind: wire.OrderFloor, Card: true, Do: func(_ context.Context, a wire.OrderArgs) order.Outcome {
			m.clock.AtLeast(time.UnixMilli(a.Time))
			return order.Outcome{}
		}},
		{Kind: wire.OrderUndo, Message: true, Card: true, Do: m.undo},
		{Kind: wire.OrderTally, Message: true, Card: true, Do: func(_ context.Context, a wire.OrderArgs) order.Outcome { return order.Outcome{Count: a.Count} }},
		{Kind: wire.OrderLock, Message: true, Do: follow(locking(true))},
		{Kind: wire.OrderUnlock, Message: true, Do: follow(locking(false))},
		{Kind: wire.OrderEvent, Message: true, Card: true, Do: m.begin},
		{Kind: wire.OrderSetUp, Card: true, Do: m.setUp},
		{Kind: wire.OrderNetwork, Card: true, Do: m.network},
		{Kind: wire.OrderMaintenance, Card: true, Do: follow(func() error { m.table.Maintain(); return nil })},
	}
}

// How often and how long a kiosk shows itself: somebody is walking along a row of them.
const (
	showTimes = 3
	showPause = 4 * time.Second
)

func (m *machinery) identify(ctx context.Context, _ wire.OrderArgs) order.Outcome {
	shown := m.door.Here()
	for range showTimes - 1 {
		select {
		case <-ctx.Done():
			return order.Outcome{}
		case <-time.After(showPause):
			shown = m.door.Here() || shown
		}
	}
	if !shown {
		return order.Failed(errors.New("visitors were being answered all the time"))
	}
	return order.Outcome{}
}

// turn changes the lane's direction. A lane is never turned to be a way out whose relay
// would hold people in.
func (m *machinery) turn(_ context.Context, a wire.OrderArgs) order.Outcome {
	if a.Direction == wire.Out && m.config.Panel.Relay.Pin != "" && !m.config.Panel.Egress {
		return order.Cannot("the relay of this lane is not wired for a way out")
	}
	if err := m.table.Turn(a); err != nil {
		return order.Failed(err)
	}
	m.door.Stand()
	return order.Outcome{}
}

// open opens the door once, and reads back whether the relay has moved.
func (m *machinery) open(context.Context, wire.OrderArgs) order.Outcome {
	m.panel.Pulse()
	h := m.panel.Health()
	for _, f := range h.Faults {
		if strings.HasPrefix(f, "relay") {
			return order.Failed(errors.New(f))
		}
	}
	relay := m.config.Panel.Relay
	if m.config.GPIO && relay.Pin == "" {
		return order.Cannot("no relay is fitted")
	}
	if m.config.GPIO && h.Energised != relay.EnergiseToOpen {
		return order.Failed(errors.New("the relay did not move"))
	}
	opens := orDefault(relay.Open, panel.DefaultOpen)
	out := order.Outcome{Detail: fmt.Sprintf("open for %s", opens)}
	if before, fitted := doorOf(h); fitted {
		out.Later = func(ctx context.Context) order.Outcome {
			out := order.Outcome{Detail: out.Detail + ", nobody went through"}
			if m.moved(ctx, before, opens+doorSettles) {
				out.Detail = fmt.Sprintf("open for %s, the door was opened", opens)
			}
			return out
		}
	}
	return out
}

// How often the door's contact is looked at, and how long after the relay has closed
// again it may still tell.
const (
	doorLook    = 50 * time.Millisecond
	doorSettles = time.Second
)

// doorOf returns what the door's contact says, and false where none is fitted.
func doorOf(h panel.Health) (panel.ContactState, bool) {
	for _, c := range h.Contacts {
		if c.Kind == panel.Door {
			return c, true
		}
	}
	return panel.ContactState{}, false
}

// moved waits until the door stands open, and reports whether it does within a time.
func (m *machinery) moved(ctx context.Context, before panel.ContactState, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	look := time.NewTicker(doorLook)
	defer look.Stop()
	for {
		if now, _ := doorOf(m.panel.Health()); now.Active || now.Count > before.Count {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
		}
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func (m *machinery) undo(context.Context, wire.OrderArgs) order.Outcome {
	seq, err := m.door.Undo(time.Now())
	if err != nil {
		return order.Cannot(err.Error())
	}
	return order.Outcome{Undone: seq}
}

// begin begins an event before its hour.
func (m *machinery) begin(_ context.Context, a wire.OrderArgs) order.Outcome {
	at := m.clock.Now()
	if !m.room.Begin(a.Event, at) {
		return order.Cannot("the kiosk holds no such event")
	}
	if err := m.table.Begin(a.Event, at); err != nil {
		return order.Failed(err)
	}
	return order.Outcome{}
}

// pictureQuality keeps a picture within a few messages.
const pictureQuality = 60

// picture sends what the camera sees, blurred, while somebody stands at the kiosk with
// its maintenance card.
func (m *machinery) picture(ctx context.Context, _ wire.OrderArgs) order.Outcome {
	if !m.table.Maintenance() {
		return order.Cannot("no maintenance card was shown")
	}
	if len(m.cameras) == 0 {
		return order.Cannot("no camera is configured")
	}
	img, err := m.cameras[0].Glimpse(ctx)
	if err != nil {
		return order.Failed(err)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: pictureQuality}); err != nil {
		return order.Failed(err)
	}
	return order.Outcome{Data: b.Bytes()}
}

// selfTest tries every part.
func (m *machinery) selfTest(ctx context.Context, _ wire.OrderArgs) order.Outcome {
	var all []wire.Check
	check := func(name string, ok bool, format string, args ...any) {
		all = append(all, wire.Check{Name: name, OK: ok, Detail: wire.ResultText(fmt.Sprintf(format, args...))})
	}
	for _, s := range m.scan.Health() {
		switch {
		case s.Faulty():
			check("scanner", false, "%s: %s", s.Source, scannerFault(s))
		default:
			check("scanner", true, "%s: %d codes", s.Source, s.Scans)
		}
	}
	if err := tryDisk(m.config.State); err != nil {
		check("disk", false, "%v", err)
	} else {
		check("disk", true, "%d MiB of the ledger in use", m.queue.Stats().Bytes>>20)
	}
	stats := m.queue.Stats()
	check("ledger", !stats.Near, "%d waiting to be sent", stats.Unsent)
	r := m.clock.Read()
	check("clock", r.State == when.Synced || r.State == when.Holding, "%s, %d ms", r.State, r.Error)
	h := m.panel.Health()
	check("lamps", len(h.Faults) == 0, "%s", strings.Join(h.Faults, "; "))
	switch c := m.config.Sound; {
	case !c.on:
		check("sound", true, "switched off")
	default:
		_, err := exec.LookPath(c.command[0])
		check("sound", err == nil, "%s", c.command[0])
	}
	age, known := m.door.ListAge()
	check("list", known, "%s old", age.Round(time.Minute))
	out := order.Outcome{Checks: all[:min(len(all), wire.MaxChecks)]}
	for _, c := range out.Checks {
		out.Faulty = out.Faulty || !c.OK && c.Name != "list" // which a new kiosk has not yet
	}
	return out
}

func scannerFault(h scan.Health) string {
	switch {
	case !h.Present:
		return "absent"
	case h.Silent:
		return "silent"
	case h.Stuck:
		return "stuck"
	case h.Babbling:
		return "babbling"
	}
	return h.Blind
}

// tryDisk writes a file as the ledger's commits do, and takes it away.
func tryDisk(dir string) error {
	f, err := os.CreateTemp(dir, "self-test-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("self-test\n")
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}
