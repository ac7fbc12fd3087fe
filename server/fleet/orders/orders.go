// Package orders sends kiosks what they are told to do and takes what became of it.
//
//	o := orders.New(store, link, wire.Signer{ID: id, Key: key}, orders.Options{})
//	parts.Beats = append(parts.Beats, o.Beat)   // of package ingest
//	go o.Run(ctx)
//	given, err := o.Give(ctx, by, order)
//
// An order is sent when it is given, and again at the kiosk's beats until there is a
// result or it has expired, each time signed anew: so a kiosk can tell an order that is
// sent again from one that somebody plays again. A door order has a second step: while
// the kiosk asks for it in its beats, [Orders.Press] has the next answer open the door,
// if that comes within [PressLasts].
//
// The promise: nobody who presses late opens a door, and no order is followed by two
// servers' zeal. Several servers on one database send what any of them was told.
package orders

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/orders"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	// PressLasts is how long after somebody gave the second step of a door order an
	// answer may carry it: five beats of a kiosk that asks.
	PressLasts = 10 * time.Second

	// sendAgain is how soon an order is sent again without a result. Most take seconds.
	sendAgain = 25 * time.Second

	sendTime   = 10 * time.Second
	group      = "orders" // of the shared subscription: each result goes to one server
	maxResults = 512      // that wait for the database
	maxKnown   = 100_000  // orders of which it is known when they were sent
)

// Options are the optional parts of an Orders. The zero value is right.
type Options struct {
	Portal string        // where telephones reach the pages; kiosks are told
	Every  time.Duration // between two looks into the database; default 1 s
	Now    func() time.Time
	Log    *slog.Logger // default: nothing is logged
}

// An Orders sends orders and takes results. It is safe for concurrent use.
type Orders struct {
	*orders.Orders
	store *store.Store
	link  deliver.Link
	sign  wire.Signer
	o     Options

	open    atomic.Pointer[snapshot]
	look    chan struct{}
	send    chan orders.Order
	waits   chan waiting
	results chan result

	mu   sync.Mutex
	sent map[wire.OrderID]time.Time // when this server last sent it
}

// A snapshot does not change.
type snapshot struct {
	of     map[string][]orders.Order // by kiosk
	places map[string]uint32
}

type waiting struct {
	kiosk string
	id    wire.OrderID
}

type result struct {
	kiosk string
	data  []byte
}

// New returns an Orders that sends nothing before [Orders.Run].
func New(s *store.Store, link deliver.Link, sign wire.Signer, o Options) *Orders {
	if o.Every == 0 {
		o.Every = time.Second
	}
	if len(o.Portal) > wire.MaxPortal {
		o.Portal = "" // no code has room for it
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	all := &Orders{
		Orders: orders.At(s, o.Now), store: s, link: link, sign: sign, o: o, look: make(chan struct{}, 1),
		send: make(chan orders.Order, 64), waits: make(chan waiting, 64), results: make(chan result, maxResults), sent: map[wire.OrderID]time.Time{},
	}
	all.open.Store(&snapshot{})
	return all
}

// Run sends orders and takes results until ctx ends, and then returns nil. It returns an
// error if the broker refuses the subscription.
func (o *Orders) Run(ctx context.Context) error {
	err := o.link.Subscribe(ctx, wire.Filter(group, wire.UpResult), func(topic string, b []byte) {
		kiosk, _, err := wire.ParseTopic(topic)
		if err != nil {
			return
		}
		select {
		case o.results <- result{kiosk, b}:
		default: // the order is sent again, and so the result
		}
	})
	if err != nil {
		return fmt.Errorf("orders: subscribe: %w", err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { o.refresh(ctx) })
	tasks.Go(func() { o.take(ctx) })
	for range 4 {
		tasks.Go(func() { o.sendAll(ctx) })
	}
	tasks.Wait()
	return nil
}

// Give keeps an order and sends it at once; see [orders.Orders.Give].
func (o *Orders) Give(ctx context.Context, by string, n orders.New) (*orders.Order, error) {
	given, err := o.Orders.Give(ctx, by, n)
	if err != nil {
		return nil, err
	}
	o.post(*given)
	o.soon()
	return given, nil
}

// Press gives the second step of a door order; see [orders.Orders.Press].
func (o *Orders) Press(ctx context.Context, by, kiosk string, id wire.OrderID) error {
	err := o.Orders.Press(ctx, by, kiosk, id)
	if err == nil {
		o.soon()
	}
	return err
}

// soon has the database looked at before its turn.
func (o *Orders) soon() {
	select {
	case o.look <- struct{}{}:
	default:
	}
}

// post hands an order to the senders, unless it has just been sent.
func (o *Orders) post(order orders.Order) {
	now := o.o.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.sent[order.ID]) < sendAgain {
		return
	}
	select {
	case o.send <- order:
		if len(o.sent) >= maxKnown {
			clear(o.sent)
		}
		o.sent[order.ID] = now
	default: // the kiosk's next beat asks again
	}
}

func (o *Orders) sendAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case order := <-o.send:
			ctx, cancel := context.WithTimeout(ctx, sendTime)
			err := o.link.Publish(ctx, wire.Topic(order.Kiosk, wire.DownOrder), o.seal(order, nil), false)
			cancel()
			if err != nil {
				o.o.Log.Debug("order not sent", "kiosk", order.Kiosk, "kind", order.Kind, "err", err)
			}
		}
	}
}

// seal signs an order as of now.
func (o *Orders) seal(order orders.Order, nonce *[16]byte) []byte {
	return wire.Seal(wire.ForOrder, o.sign.ID, o.sign.Key, wire.Order{
		V: wire.Version, Kiosk: order.Kiosk, ID: order.ID, Kind: order.Kind, Args: order.Args,
		Issued: min(o.o.Now().UnixMilli(), order.Expires.UnixMilli()-1), Expires: order.Expires.UnixMilli(), Nonce: nonce,
	})
}

// Beat hears a kiosk's beat and adds to the answer; see ingest.Parts.
func (o *Orders) Beat(kiosk string, b *wire.Beat, a *wire.BeatAnswer) {
	if b.Orders == nil {
		return // of an earlier release
	}
	is, now := o.open.Load(), o.o.Now()
	a.Orders = &wire.OrderAnswer{Place: is.places[kiosk], Portal: o.o.Portal}
	for _, order := range is.of[kiosk] {
		asks := b.Orders.Ask != nil && b.Orders.Nonce != nil && *b.Orders.Ask == order.ID && order.Kind == wire.OrderDoor
		switch {
		case !asks && order.Waits.IsZero():
			o.post(order)
		case asks && order.Waits.IsZero():
			select {
			case o.waits <- waiting{kiosk, order.ID}:
			default: // it asks again
			}
		case asks && !order.Pressed.IsZero() && now.Sub(order.Pressed) <= PressLasts:
			a.Orders.Open = o.seal(order, b.Orders.Nonce)
		}
	}
}

// refresh keeps the snapshot until ctx ends.
func (o *Orders) refresh(ctx context.Context) {
	look, drop := time.NewTicker(o.o.Every), time.NewTicker(time.Hour)
	defer look.Stop()
	defer drop.Stop()
	failed := false
	for {
		err := o.Refresh(ctx)
		if err == nil {
			err = o.Tidy(ctx)
		}
		if err != nil && ctx.Err() == nil && !failed {
			o.o.Log.Warn("orders not read", "err", err, "retry_in", o.o.Every)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-o.look:
		case <-drop.C:
			if err := o.Drop(ctx); err != nil && ctx.Err() == nil {
				o.o.Log.Warn("old orders not dropped", "err", err)
			}
		}
	}
}

// Refresh reads what is open. It is not for concurrent use.
func (o *Orders) Refresh(ctx context.Context) error {
	open, err := o.Open(ctx)
	if err != nil {
		return err
	}
	places, err := o.Places(ctx)
	if err != nil {
		return err
	}
	is := &snapshot{of: map[string][]orders.Order{}, places: places}
	for _, order := range open {
		is.of[order.Kiosk] = append(is.of[order.Kiosk], order)
	}
	o.open.Store(is)
	return nil
}

// take stores results and notes which kiosks wait.
func (o *Orders) take(ctx context.Context) {
	for {
		var err error
		kiosk := ""
		select {
		case <-ctx.Done():
			return
		case w := <-o.waits:
			kiosk, err = w.kiosk, o.Waits(ctx, w.kiosk, w.id)
			o.soon()
		case r := <-o.results:
			kiosk, err = r.kiosk, o.Take(ctx, r.kiosk, r.data)
		}
		if err != nil && ctx.Err() == nil {
			o.o.Log.Warn("result of an order not taken", "kiosk", kiosk, "err", err)
		}
	}
}

// Take takes one message with a result from a kiosk.
func (o *Orders) Take(ctx context.Context, kiosk string, data []byte) error {
	k, err := o.store.Kiosk(ctx, kiosk)
	if err != nil {
		return err
	}
	if k.State != qrgate.KioskActive {
		return fmt.Errorf("orders: kiosk %q: %w", kiosk, qrgate.ErrRevoked)
	}
	r, err := wire.OpenResult(data, kiosk, k.Public)
	if err != nil {
		return err
	}
	if err := o.Result(ctx, kiosk, r); err != nil {
		return err
	}
	o.soon()
	return nil
}
