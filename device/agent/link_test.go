package agent_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"golang.org/x/sync/errgroup"
)

// newBroker returns a running broker and its address.
func newBroker(t *testing.T) (*mochi.Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.AddListener(listeners.NewNet("tcp", ln)); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, "mqtt://" + ln.Addr().String()
}

// A server answers what a kiosk sends, through a link of its own.
type server struct {
	t      *testing.T
	ctx    context.Context
	tasks  sync.WaitGroup
	link   *mqttlink.Link
	ledger *deliver.Ledger
	held   map[uint64]wire.Digest
	status chan wire.Online
	synced chan wire.Beat // beats of a kiosk whose clock is synced
}

func (s *server) take(topic string, payload []byte) {
	_, c, err := wire.ParseTopic(topic)
	if err != nil {
		s.t.Error(err)
		return
	}
	switch c {
	case wire.Status:
		o, err := wire.DecodeOnline(payload)
		if err != nil {
			s.t.Error(err)
		}
		s.status <- o
	case wire.UpBeat:
		b, err := wire.OpenBeat(payload, public(kioskKey))
		if err != nil {
			s.t.Error(err)
			return
		}
		if b.State == when.Synced {
			select {
			case s.synced <- *b:
			default:
			}
		}
		a := wire.BeatAnswer{V: wire.Version, Kiosk: kioskID, Nonce: b.Nonce, Time: truth.UnixMilli()}
		s.answer(wire.DownBeat, seal(a))
	case wire.UpBatch:
		b, err := wire.OpenBatch(payload, kioskID, public(kioskKey))
		if err != nil {
			s.t.Error(err)
			return
		}
		taken, err := s.ledger.Take(b, func(from, to uint64) (all []wire.Digest, err error) {
			for n := from; n <= to; n++ {
				all = append(all, s.held[n])
			}
			return all, nil
		})
		if err != nil {
			s.t.Error(err)
			return
		}
		for _, i := range taken.Fresh {
			s.held[b.First+uint64(i)] = deliver.Digest(b.Records[i])
		}
		r := s.ledger.Receipt(kioskID, b.Epoch, 0)
		r.Generation, r.Time = 1, truth.UnixMilli()+int64(r.Through)
		s.answer(wire.DownReceipt, r.Seal(7, receiptKey))
	}
}

// answer publishes without waiting for the broker, which waits for this. What
// gets lost on the way comes again.
func (s *server) answer(c wire.Channel, payload []byte) {
	s.tasks.Go(func() {
		if err := s.link.Publish(s.ctx, wire.Topic(kioskID, c), payload, false); err != nil {
			s.t.Logf("server publishes on %s: %v", c, err)
		}
	})
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("no %s within 30 s", what)
		panic("not reached")
	}
}

// Wired as the kiosk wires them: heartbeat, sender and link, to a broker and a
// server that answers.
func TestSessionsClockAndReceiptsOverABroker(t *testing.T) {
	broker, url := newBroker(t)
	ctx, cancel := context.WithCancel(t.Context())
	tasks, ctx := errgroup.WithContext(ctx)
	s := &server{t: t, ctx: ctx, ledger: new(deliver.Ledger), held: map[uint64]wire.Digest{}, status: make(chan wire.Online, 16), synced: make(chan wire.Beat, 16)}
	end := sync.OnceFunc(func() {
		cancel()
		if err := tasks.Wait(); err != nil {
			t.Errorf("task ended with %v", err)
		}
		s.tasks.Wait()
	})
	ready := make(chan struct{}, 1)
	var err error
	s.link, err = mqttlink.New(mqttlink.Options{URL: url, ClientID: "server", OnUp: func(context.Context) { ready <- struct{}{} }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.link.Subscribe(ctx, "qrgate/v1/+/#", func(topic string, payload []byte) {
		if _, c, err := wire.ParseTopic(topic); err == nil && c.Up() {
			s.take(topic, payload)
		}
	}); err != nil {
		t.Fatal(err)
	}
	tasks.Go(func() error { return s.link.Run(ctx) })
	defer end()
	receive(t, ready, "server's connection")

	dir := enrolled(t, nil)
	id, state := readIdentity(t, dir), openState(t, filepath.Join(dir, "agent.json"))
	begun := time.Now()
	since := func() time.Duration { return time.Since(begun) }
	clock := when.NewClock(when.Boot{1}, since, func() time.Time { return time.Unix(0, 0) }, truth.AddDate(-1, 0, 0))
	queue, err := outbox.Open(ctx, filepath.Join(dir, "outbox.db"), outbox.Options{Now: clock.Read})
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	defer end()
	list := openList(t, filepath.Join(dir, "void.list"), state.List)
	a := agent.New(id, state, list, queue, clock, since, func(*wire.Beat) {}, slog.New(slog.DiscardHandler))
	var sender *deliver.Sender
	link, err := mqttlink.New(mqttlink.Options{
		URL: url, ClientID: kioskID, Will: a.Will, Backoff: time.Millisecond,
		OnUp:   func(context.Context) { a.Up(); sender.Connected(true) },
		OnDown: func(error) { sender.Connected(false) },
	})
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan time.Time, 64)
	sender = deliver.NewSender(kioskID, kioskKey, queue, link, func(n uint32) ed25519.PublicKey { return id.ReceiptKey(n) }, deliver.SenderOptions{
		OnReceipt: func(at time.Time) { clock.AtLeast(at); received <- at },
	})
	tasks.Go(func() error { return link.Run(ctx) })
	tasks.Go(func() error { return sender.Run(ctx) })
	tasks.Go(func() error { return a.Run(ctx, link) })

	up := receive(t, s.status, "status")
	if !up.Up || up.Session != state.Starts<<32|1 {
		t.Errorf("first status = %+v, want online in session %d.1", up, state.Starts)
	}
	// The answer to the first beat makes an anchor, and its receipt covers both
	// that and the record that opened the epoch.
	for receive(t, received, "receipt").Before(truth.Add(2 * time.Millisecond)) {
	}
	if got := clock.Floor(); got.Before(truth.Add(-time.Second)) {
		t.Errorf("Floor() after a receipt = %s, want %s", got, truth)
	}
	if r := clock.Read(); r.State != when.Synced {
		t.Errorf("clock = %+v, want it synced", r)
	}

	// The line is cut: the broker speaks for the kiosk, and the kiosk comes back
	// in a session that is newer than that.
	c, ok := broker.Clients.Get(kioskID)
	if !ok {
		t.Fatal("the broker does not know the kiosk")
	}
	c.Net.Conn.Close()
	will := receive(t, s.status, "last will")
	if will.Up || will.Session != up.Session {
		t.Errorf("last will = %+v, want offline in session %d", will, up.Session)
	}
	again := receive(t, s.status, "status of the second connection")
	if !again.Up || again.Session <= will.Session {
		t.Errorf("status of the second connection = %+v, want online in a session after %d", again, will.Session)
	}
	for {
		if b := receive(t, s.synced, "beat of a synced clock"); b.Session == again.Session {
			break
		}
	}
	end()
	// A quicker answer on the second connection makes another anchor.
	if st := queue.Stats(); st.Through < 2 {
		t.Errorf("queue has receipts for %d of %d records, want 2 at least", st.Through, st.Last)
	}
	if last := agent.New(id, openState(t, filepath.Join(dir, "agent.json")), list, queue, clock, since, nil, nil).Will(); len(last.Payload) > wire.MaxStatus {
		t.Errorf("will of %d bytes, want at most %d", len(last.Payload), wire.MaxStatus)
	} else if o, err := wire.DecodeOnline(last.Payload); err != nil || o.Session <= again.Session || o.Up {
		t.Errorf("will after the next start = %+v, %v, want a session after %d", o, err, again.Session)
	}
}
