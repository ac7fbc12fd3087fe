package orders_test

import (
	"context"
	"crypto/ed25519"
	"strings"
	"sync"
	"testing"
	"time"

	fleet "github.com/qrgate/qrgate/server/fleet/orders"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/orders"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

const kiosk = "gate-0001"

var (
	orderKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("o", 32)))
	kioskKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32)))
)

// A line is a broker with one subscription.
type line struct {
	sent chan []byte
	mu   sync.Mutex
	fn   func(string, []byte)
}

func (l *line) Publish(_ context.Context, topic string, b []byte, _ bool) error {
	if topic == wire.Topic(kiosk, wire.DownOrder) {
		l.sent <- b
	}
	return nil
}

func (l *line) Subscribe(_ context.Context, _ string, fn func(string, []byte)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fn = fn
	return nil
}

// A world is a server that gives orders, with a clock of its own.
type world struct {
	*fleet.Orders
	t    *testing.T
	line *line

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, line: &line{sent: make(chan []byte, 100)}, now: time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone)}
	s, err := store.Open(t.Context(), blank.SQLite(t), store.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	err = s.AddKiosk(t.Context(), qrgate.Kiosk{ID: kiosk, Place: "Nhà thi đấu", PlaceNo: 5, Public: kioskKey.Public().(ed25519.PublicKey), State: qrgate.KioskActive, Added: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.Orders = fleet.New(s, w.line, wire.Signer{ID: 1, Key: orderKey}, fleet.Options{Now: w.clock, Every: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// sent returns the next order that reaches the kiosk.
func (w *world) sent() *wire.Order {
	w.t.Helper()
	select {
	case b := <-w.line.sent:
		return w.open(b)
	case <-time.After(30 * time.Second):
		w.t.Fatal("no order was sent")
		return nil
	}
}

func (w *world) open(b []byte) *wire.Order {
	w.t.Helper()
	o, err := wire.OpenOrder(b, func(uint32) ed25519.PublicKey { return orderKey.Public().(ed25519.PublicKey) })
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) beat(b *wire.OrderBeat) *wire.OrderAnswer {
	w.t.Helper()
	if err := w.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	var a wire.BeatAnswer
	w.Beat(kiosk, &wire.Beat{Orders: b}, &a)
	return a.Orders
}

func (w *world) give(kind wire.OrderKind) *orders.Order {
	w.t.Helper()
	o, err := w.Give(w.t.Context(), "tam", orders.New{Kiosk: kiosk, Kind: kind, Life: 10 * time.Minute})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func TestOrderIsSentUntilThereIsAResult(t *testing.T) {
	w := newWorld(t)
	o := w.give(wire.OrderIdentify)
	first := w.sent()
	if first.ID != o.ID || first.Kiosk != kiosk || first.Nonce != nil {
		t.Errorf("sent %+v", first)
	}
	w.beat(&wire.OrderBeat{}) // too soon
	w.pass(30 * time.Second)
	if a := w.beat(&wire.OrderBeat{}); a == nil || a.Place != 5 || a.Open != nil {
		t.Errorf("a beat is answered %+v", a)
	}
	// A kiosk tells what is sent again from what somebody plays again.
	if again := w.sent(); again.ID != o.ID || again.Issued <= first.Issued || again.Expires != first.Expires {
		t.Errorf("sent again: %+v, want it newer than %+v", again, first)
	}
	// The answer of a kiosk of an earlier release says nothing of orders.
	var a wire.BeatAnswer
	w.Beat(kiosk, &wire.Beat{}, &a)
	if a.Orders != nil {
		t.Errorf("a beat without orders is answered %+v", a.Orders)
	}
	r := wire.Result{Kiosk: kiosk, Order: o.ID, Kind: o.Kind, State: wire.OrderDone}
	if err := w.Take(t.Context(), kiosk, r.Seal(orderKey, nil)[0]); err == nil {
		t.Error("a result that the kiosk did not sign was taken")
	}
	if err := w.Take(t.Context(), "gate-0009", r.Seal(kioskKey, nil)[0]); err == nil {
		t.Error("a result of an unknown kiosk was taken")
	}
	w.line.mu.Lock()
	w.line.fn(wire.Topic(kiosk, wire.UpResult), r.Seal(kioskKey, nil)[0])
	w.line.fn("elsewhere", nil)
	w.line.mu.Unlock()
	w.until("the result is there", func() bool {
		got, err := w.Order(t.Context(), kiosk, o.ID)
		return err == nil && got.State == wire.OrderDone
	})
	w.pass(30 * time.Second)
	w.beat(&wire.OrderBeat{})
	select {
	case <-w.line.sent:
		t.Error("an order with a result was sent again")
	default:
	}
}

func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not true that %s", what)
		}
	}
}

func TestDoorIsOpenedForWhoPressesInTime(t *testing.T) {
	for name, tt := range map[string]struct {
		wait time.Duration
		ask  wire.OrderID // in place of the order's
		open bool
	}{
		"at once":       {0, wire.OrderID{}, true},
		"in time":       {fleet.PressLasts, wire.OrderID{}, true},
		"late":          {fleet.PressLasts + time.Millisecond, wire.OrderID{}, false},
		"another order": {0, wire.OrderID{9}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.give(wire.OrderDoor)
			w.sent()
			ask := o.ID
			nonce := [16]byte{7}
			if a := w.beat(&wire.OrderBeat{Ask: &ask, Nonce: &nonce}); a.Open != nil {
				t.Error("nobody has pressed and the door is opened")
			}
			w.until("the kiosk waits", func() bool {
				got, err := w.Order(t.Context(), kiosk, o.ID)
				return err == nil && !got.Waits.IsZero()
			})
			if err := w.Press(t.Context(), "tam", kiosk, o.ID); err != nil {
				t.Fatal(err)
			}
			w.pass(tt.wait)
			if tt.ask != (wire.OrderID{}) {
				ask = tt.ask
			}
			a := w.beat(&wire.OrderBeat{Ask: &ask, Nonce: &nonce})
			if opened := a.Open != nil; opened != tt.open {
				t.Fatalf("opened = %v, want %v", opened, tt.open)
			}
			if tt.open {
				if got := w.open(a.Open); got.ID != o.ID || *got.Nonce != nonce || got.Kind != wire.OrderDoor {
					t.Errorf("opened by %+v", got)
				}
			}
			if a := w.beat(&wire.OrderBeat{}); a.Open != nil {
				t.Error("a kiosk that does not ask is told to open")
			}
		})
	}
}

func TestCardsAreSigned(t *testing.T) {
	w := newWorld(t)
	hour := pass.HourOf(w.now)
	key := orderKey.Public().(ed25519.PublicKey)
	text, err := w.CardText(orders.Card{Serial: 3, Kind: wire.OrderTally, Arg: 2, Single: true, Kiosk: kiosk, From: hour, Until: hour + 1})
	if err != nil {
		t.Fatal(err)
	}
	c, err := pass.ParseCommand(text)
	if err != nil || c.Verify(key) != nil || c.Target != pass.KioskTarget(kiosk) || c.Serial != 3 || !c.Single || c.Key != 1 {
		t.Errorf("a card says %+v, %v", c, err)
	}
	if text, err = w.CardText(orders.Card{Serial: 4, Kind: wire.OrderUndo, Place: 5, From: hour, Until: hour + 1}); err != nil {
		t.Fatal(err)
	}
	if c, err = pass.ParseCommand(text); err != nil || c.Scope != pass.ForPlace || c.Target != pass.PlaceTarget(5) {
		t.Errorf("a card of a place says %+v, %v", c, err)
	}
	if text, err = w.TimeText(pass.Target{7}); err != nil {
		t.Fatal(err)
	}
	c, err = pass.ParseCommand(text)
	args, bad := wire.CardArgs(wire.OrderKind(c.Order), c.Arg, w.now)
	if err != nil || bad != nil || c.Verify(key) != nil || c.Target != (pass.Target{7}) || args.Time != w.now.UnixMilli() {
		t.Errorf("a telephone says %+v, %v, %v", c, err, bad)
	}
}
