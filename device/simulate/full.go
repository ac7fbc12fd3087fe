package simulate

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A simulated kiosk is the kiosk's own code between a scanner that is not there and a
// server that is.
type simulated struct {
	queue *outbox.Queue
}

// outboxLimit is what one outbox may grow to: some 400,000 check-ins.
const outboxLimit = 64 << 20

// ringBytes is what a simulated kiosk keeps of its log.
const ringBytes = 16 << 10

// full runs one kiosk until ctx ends, or until it is told to start again.
func (r *run) full(ctx context.Context, n int, id *agent.Identity) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	dir := filepath.Join(r.o.State, id.Kiosk)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	ring := order.NewRing(ringBytes)
	log := slog.New(slog.NewMultiHandler(r.o.Log.With("kiosk", id.Kiosk).Handler(), slog.NewTextHandler(ring, nil)))
	state, err := agent.OpenState(filepath.Join(dir, "agent.json"))
	if err != nil {
		return err
	}
	list, err := agent.OpenList(filepath.Join(dir, "void.list"), id.Key, state.List)
	if err != nil {
		return err
	}
	inside, err := room.Open(filepath.Join(dir, "room.db"), id.Key)
	if err != nil {
		return err
	}
	defer inside.Close()
	clock, since := r.clock(n, state.Floor)
	queue, err := outbox.Open(ctx, filepath.Join(dir, "outbox.db"), outbox.Options{Limit: outboxLimit, Log: log, Now: clock.Read})
	if err != nil {
		return err
	}
	defer queue.Close()
	key, err := id.SealKey(clock.Now())
	if err != nil {
		return err
	}
	sealer, err := seal.New(key.ID, key.Public)
	if err != nil {
		return err
	}
	told, err := openTold(dir, id, clock, since, queue, log)
	if err != nil {
		return err
	}
	source := newVisitors(n, r)
	lamps := panel.NewRecorder(io.Discard, panel.Config{}, log)
	door, err := kiosk.New(kiosk.Door{
		ID: id.Kiosk, Keys: id.CardKeys, List: list, Room: inside, Source: source,
		Queue: queue, Sealer: sealer, Panel: lamps, Faces: []kiosk.Face{(*lights)(r)}, Clock: clock, Orders: told.orders,
		Config: told.doorOf(wire.KioskConfig{
			Place: r.o.Place, Gate: fmt.Sprintf("S%d", n+1), Direction: wire.In, OnFault: wire.AdmitUnrecorded, HelpLine: "19001075",
			Accept: []pass.Kind{pass.Card, pass.Family, pass.Staff, pass.CCCD}, Repeat: 4 * time.Second, Reset: 3 * time.Second,
		}),
	}, log)
	if err != nil {
		return err
	}
	heart := agent.New(id, state, list, queue, clock, since, func(b *wire.Beat) { r.health(b, source, door.Unrecorded(), since) }, log)
	heart.Room = inside
	told.door, told.source, told.ring, told.stop = door, source, ring, stop
	told.join(heart, log)
	var sender *deliver.Sender
	link, err := r.link(n, id, clock, mqttlink.Options{
		Will:   heart.Will,
		OnUp:   func(context.Context) { r.connected(true); heart.Up(); sender.Connected(true) },
		OnDown: func(error) { r.connected(false); sender.Connected(false) },
		Log:    log,
	})
	if err != nil {
		return err
	}
	sender = deliver.NewSender(id.Kiosk, id.Key, queue, link, id.ReceiptKey, deliver.SenderOptions{OnReceipt: clock.AtLeast, Log: log})
	r.mu.Lock()
	r.kiosks[id.Kiosk] = &simulated{queue}
	r.mu.Unlock()

	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return lamps.Run(ctx) })
	tasks.Go(func() error { return door.Run(ctx) })
	tasks.Go(func() error { return link.Run(ctx) })
	tasks.Go(func() error { return sender.Run(ctx) })
	tasks.Go(func() error { return heart.Run(ctx, link) })
	tasks.Go(func() error { return told.settings.Run(ctx) })
	tasks.Go(func() error { return told.orders.Run(ctx, link) })
	return tasks.Wait()
}

// clock is that of a board that was switched on when the simulation began.
func (r *run) clock(n int, floor time.Time) (*when.Clock, func() time.Duration) {
	var boot when.Boot
	rand.Read(boot[:])
	since := func() time.Duration { return r.since() + time.Minute }
	skew := r.o.Scenario.skew(n)
	if r.o.Floor.After(floor) {
		floor = r.o.Floor
	}
	return when.NewClock(boot, since, func() time.Time { return time.Now().Add(skew) }, floor), since
}

// link is the link of kiosk n.
func (r *run) link(n int, id *agent.Identity, clock *when.Clock, o mqttlink.Options) (*mqttlink.Link, error) {
	cert := func() (*tls.Certificate, error) { return &id.Cert, nil }
	o.Cover = wire.DownFilter(id.Kiosk)
	o.URL, o.ClientID, o.Dial = r.o.Server, id.Kiosk, r.dial(n)
	o.TLS = mqttlink.ClientTLS(id.CA, r.o.Name, cert, func() time.Time { return clock.TLSTime(id.Cert.Leaf.NotBefore) })
	return mqttlink.New(o)
}

// health fills in what a board would know of itself.
func (r *run) health(b *wire.Beat, source *visitors, unrecorded uint64, since func() time.Duration) {
	h := source.Health()
	b.Release, b.Unrecorded, b.Uptime = "simulated", unrecorded, int64(since().Seconds())
	b.Temperature, b.DiskFree = 45_000, 8<<30
	s := wire.ScannerBeat{Name: h.Source, Present: h.Present, Scans: h.Scans, Bad: h.Bad}
	if !h.LastScan.IsZero() {
		s.LastScan = h.LastScan.UnixMilli()
	}
	switch {
	case h.Silent:
		s.Fault = "silent"
	case h.Babbling:
		s.Fault = "babbling"
	case !h.Present:
		s.Fault = "absent"
	}
	b.Scanners = []wire.ScannerBeat{s}
}

// lights counts what the doors say. It is a kiosk.Face.
type lights run

// Show implements kiosk.Face.
func (l *lights) Show(a kiosk.Answer) {
	switch a.State {
	case words.Ready, words.Reading, words.Starting:
	case words.Admitted, words.Leaving:
		l.green.Add(1)
	case words.Refused:
		l.red.Add(1)
	default:
		l.other.Add(1)
	}
}
