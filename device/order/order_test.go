package order_test

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const kioskID = "dong-ba-gate-1"

var (
	serverKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32)))
	otherKey  = ed25519.NewKeyFromSeed([]byte(strings.Repeat("o", 32)))
	ownKey    = ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32)))

	begin = time.Date(2026, 11, 26, 8, 0, 0, 0, time.FixedZone("ICT", 7*3600))
)

// A site is a table of orders with a clock that only the test moves, a line to the
// server, and rows that note what they did.
type site struct {
	t     *testing.T
	table *order.Table
	clock *when.Clock
	queue *outbox.Queue
	line  *line
	path  string
	stop  func()

	mu    sync.Mutex
	since time.Duration
	did   []wire.OrderKind
	then  int
	later func(context.Context) order.Outcome
}

func newSite(t *testing.T) *site {
	s := &site{t: t, since: time.Hour, line: newLine(), path: filepath.Join(t.TempDir(), "orders.json")}
	s.clock = when.NewClock(when.Boot{1}, s.boot, func() time.Time { return begin }, begin.AddDate(0, 0, -3))
	var err error
	if s.queue, err = outbox.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"), outbox.Options{Now: s.clock.Read}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.queue.Close() })
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start opens the table as after a restart.
func (s *site) start() {
	s.t.Helper()
	if s.stop != nil {
		s.stop()
	}
	var err error
	s.table, err = order.Open(s.path, order.Options{
		Kiosk: kioskID, Key: ownKey, Clock: s.clock, Since: s.boot, Queue: s.queue,
		Keys: func(id uint32) ed25519.PublicKey {
			if id != 1 {
				return nil
			}
			return serverKey.Public().(ed25519.PublicKey)
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	row := func(kind wire.OrderKind, message, card bool) order.Row {
		return order.Row{Kind: kind, Message: message, Card: card, Do: func(context.Context, wire.OrderArgs) order.Outcome {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.did = append(s.did, kind)
			return order.Outcome{Later: s.later, Then: func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.then++
			}}
		}}
	}
	s.table.Add(row(wire.OrderIdentify, true, false), row(wire.OrderDoor, true, false), row(wire.OrderTally, true, true), row(wire.OrderFloor, false, true))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.table.Run(ctx, s.line) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("Run = %v", err)
		}
	})
}

func (s *site) boot() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since += d
}

// sync binds the clock to the server's.
func (s *site) sync() { s.clock.Sample(s.boot(), s.boot(), begin) }

func (s *site) done() []wire.OrderKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.did)
}

// A line is a link whose other end is the test.
type line struct {
	mu     sync.Mutex
	down   bool
	sent   chan []byte
	missed int
}

func newLine() *line { return &line{sent: make(chan []byte, 100)} }

func (l *line) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *line) Publish(_ context.Context, topic string, b []byte, _ bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down || topic != wire.Topic(kioskID, wire.UpResult) {
		l.missed++
		return os.ErrDeadlineExceeded
	}
	l.sent <- b
	return nil
}

func (l *line) Subscribe(context.Context, string, func(string, []byte)) error { return nil }

// result returns the next result that reaches the server.
func (s *site) result() *wire.Result {
	s.t.Helper()
	select {
	case b := <-s.line.sent:
		r, err := wire.OpenResult(b, kioskID, ownKey.Public().(ed25519.PublicKey))
		if err != nil {
			s.t.Fatal(err)
		}
		return r
	case <-time.After(30 * time.Second):
		s.t.Fatal("no result came")
		return nil
	}
}

// uses returns what the ledger says of orders.
func (s *site) uses() (all []string) {
	s.t.Helper()
	run, err := s.queue.Peek(1, wire.MaxBatchRecords)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range run.Records {
		_, h, err := wire.DecodeRecord(b)
		if err != nil {
			s.t.Fatal(err)
		}
		if h.Kind == wire.KindOrder {
			kind := "?"
			if h.Order.Kind != 0 {
				kind = h.Order.Kind.String()
			}
			all = append(all, kind+" "+h.Order.State.String()+" "+h.Reason.String())
		}
	}
	return all
}

func anOrder(id byte, kind wire.OrderKind) wire.Order {
	return wire.Order{
		V: wire.Version, Kiosk: kioskID, ID: wire.OrderID{id}, Kind: kind, Issued: begin.UnixMilli(), Expires: begin.Add(time.Minute).UnixMilli(),
	}
}

func sealed(o wire.Order) []byte { return wire.Seal(wire.ForOrder, 1, serverKey, o) }

func (s *site) give(b []byte) { s.table.Part().Take(b) }

func TestOrderIsFollowedOnce(t *testing.T) {
	s := newSite(t)
	s.sync()
	o := anOrder(1, wire.OrderIdentify)
	s.give(sealed(o))
	if r := s.result(); r.State != wire.OrderDone || r.Order != o.ID {
		t.Errorf("result = %+v, want done", r)
	}
	// Sent again, signed anew, because no result was heard of: it is answered.
	o.Issued++
	s.give(sealed(o))
	if r := s.result(); r.State != wire.OrderDone {
		t.Errorf("the same order again = %+v, want done", r)
	}
	s.start()
	o.Issued++
	s.give(sealed(o))
	if r := s.result(); r.State != wire.OrderDone {
		t.Errorf("after a restart = %+v, want done", r)
	}
	// Played again by somebody: it is refused, and that is told once.
	for range 3 {
		s.give(sealed(o))
	}
	s.settle()
	if got := s.done(); len(got) != 1 {
		t.Errorf("followed %v, want once", got)
	}
	if diff := cmp.Diff([]string{"identify done none", "identify refused repeated", "log unknown order"}, s.uses()); diff != "" {
		t.Errorf("the ledger (-want +got):\n%s", diff)
	}
}

// settle waits until everything that was given has been judged: a marker comes behind it.
func (s *site) settle() {
	s.t.Helper()
	marker := anOrder(200, wire.OrderLog) // of which the site has no row
	marker.Issued++
	s.give(sealed(marker))
	for {
		if r := s.result(); r.Order == marker.ID {
			return
		} else {
			s.t.Errorf("a result that nobody asked for: %+v", r)
		}
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sync  bool
		later time.Duration // that has passed when it comes
		make  func() []byte
		state wire.OrderState // of its result; 0 has none
		use   string
	}{
		{"forged", true, 0, func() []byte { return wire.Seal(wire.ForOrder, 1, otherKey, anOrder(1, wire.OrderIdentify)) }, 0, "? refused signature"},
		{"with a key that is not listed", true, 0, func() []byte { return wire.Seal(wire.ForOrder, 2, serverKey, anOrder(1, wire.OrderIdentify)) }, 0, "? refused signature"},
		{"signed for something else", true, 0, func() []byte { return wire.Seal(wire.ForConfig, 1, serverKey, anOrder(1, wire.OrderIdentify)) }, 0, "? refused signature"},
		{"signed by the kiosk itself", true, 0, func() []byte { return wire.Seal(wire.ForOrder, 0, ownKey, anOrder(1, wire.OrderIdentify)) }, 0, "? refused signature"},
		{"of another kiosk", true, 0, func() []byte {
			o := anOrder(1, wire.OrderIdentify)
			o.Kiosk = "dong-ba-gate-2"
			return sealed(o)
		}, 0, "identify refused kiosk"},
		{"broken", true, 0, func() []byte { return []byte{1, 2, 3} }, 0, "? refused malformed"},
		{"expired", true, 61 * time.Second, func() []byte { return sealed(anOrder(1, wire.OrderIdentify)) }, wire.OrderExpired, "identify expired expired"},
		// While the clock is not the server's, only the floor is certain, which is days ago.
		{"late, for all that is known", false, 61 * time.Second, func() []byte { return sealed(anOrder(1, wire.OrderIdentify)) }, wire.OrderDone, "identify done none"},
		{"certainly late", false, 5 * 24 * time.Hour, func() []byte { return sealed(anOrder(1, wire.OrderIdentify)) }, wire.OrderExpired, "identify expired expired"},
		{"of a later release", true, 0, func() []byte { return sealed(anOrder(1, 99)) }, wire.OrderUnknown, "order 99 unknown order"},
		{"that only a card may bring", true, 0, func() []byte {
			o := anOrder(1, wire.OrderFloor)
			o.Args.Time = begin.UnixMilli()
			return sealed(o)
		}, wire.OrderUnknown, "floor unknown order"},
		{"second step that nobody asked for", true, 0, func() []byte {
			o := anOrder(1, wire.OrderDoor)
			o.Nonce = &[16]byte{1}
			return sealed(o)
		}, wire.OrderRefused, "door refused order"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			if tt.sync {
				s.sync()
			}
			s.pass(tt.later)
			b := tt.make()
			s.give(b)
			if tt.state != 0 {
				if r := s.result(); r.State != tt.state {
					t.Errorf("result = %s, want %s", r.State, tt.state)
				}
			} else {
				s.give(b) // once more: it is reported once
			}
			s.settle()
			if diff := cmp.Diff(tt.use, s.uses()[0]); diff != "" {
				t.Errorf("the ledger (-want +got):\n%s", diff)
			}
			if got := s.uses(); len(got) != 2 { // and the marker
				t.Errorf("the ledger says %q", got)
			}
			if got := s.done(); len(got) > 0 != (tt.state == wire.OrderDone) {
				t.Errorf("followed %v", got)
			}
		})
	}
}

// What was begun when the program ended is not followed again: nobody knows how far it
// came. A restart is what it asks for.
func TestOrdersOverWhichTheProgramEnded(t *testing.T) {
	s := newSite(t)
	s.sync()
	s.stop()
	state := `{"orders":{"01000000000000000000000000000000":{"kind":1,"issued":1,"expires":99999999999999,"state":0},` +
		`"02000000000000000000000000000000":{"kind":2,"issued":1,"expires":99999999999999,"state":0}}}`
	if err := os.WriteFile(s.path, []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	for id, want := range map[byte]wire.OrderState{1: wire.OrderFailed, 2: wire.OrderDone} {
		s.give(sealed(anOrder(id, wire.OrderKind(id))))
		if r := s.result(); r.State != want || r.Order != (wire.OrderID{id}) {
			t.Errorf("order %d = %s, want %s", id, r.State, want)
		}
	}
	if got := s.done(); len(got) > 0 {
		t.Errorf("followed %v again", got)
	}
}

func TestDamagedStateIsBegunAnew(t *testing.T) {
	s := newSite(t)
	s.stop()
	if err := os.WriteFile(s.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.sync()
	s.give(sealed(anOrder(1, wire.OrderIdentify)))
	if r := s.result(); r.State != wire.OrderDone {
		t.Errorf("result = %+v", r)
	}
}

// A result waits for the line, and Then is called all the same: a kiosk that is to
// restart does.
func TestResultWaitsForTheLine(t *testing.T) {
	s := newSite(t)
	s.sync()
	s.line.cut(true)
	s.give(sealed(anOrder(1, wire.OrderIdentify)))
	for {
		s.mu.Lock()
		then := s.then
		s.mu.Unlock()
		if then == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	s.line.cut(false)
	s.table.Part().Up(t.Context(), s.line)
	if r := s.result(); r.State != wire.OrderDone {
		t.Errorf("result = %+v", r)
	}
}

// ask has the kiosk ask for the second step and returns what it asks with.
func (s *site) ask() (wire.OrderID, [16]byte) {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s.table.Part().News() {
			var b wire.Beat
			s.table.Part().Fill(&b)
			if b.Orders.Ask != nil {
				return *b.Orders.Ask, *b.Orders.Nonce
			}
		}
	}
	s.t.Fatal("the kiosk asks for no second step")
	return wire.OrderID{}, [16]byte{}
}

func (s *site) answer(o wire.Order, nonce [16]byte, key ed25519.PrivateKey) {
	o.Nonce = &nonce
	s.table.Part().Answered(&wire.BeatAnswer{Orders: &wire.OrderAnswer{Place: 7, Open: wire.Seal(wire.ForOrder, 1, key, o)}})
}

func TestDoorOpensOnceForAnAnswerInTime(t *testing.T) {
	s := newSite(t)
	s.sync()
	o := anOrder(1, wire.OrderDoor)
	s.give(sealed(o))
	_, old := s.ask()
	id, nonce := s.ask()
	if id != o.ID || nonce == old {
		t.Errorf("asks for %s with %x after %x", id, nonce, old)
	}
	other := o
	other.ID = wire.OrderID{9}
	s.answer(o, old, serverKey)       // to an earlier question
	s.answer(o, nonce, otherKey)      // forged
	s.answer(other, nonce, serverKey) // of another order
	if got := s.done(); len(got) > 0 {
		t.Fatalf("the door opened for %v", got)
	}
	s.pass(order.DoorAnswer)
	s.answer(o, nonce, serverKey)
	s.answer(o, nonce, serverKey) // played again
	if r := s.result(); r.State != wire.OrderDone || r.Kind != wire.OrderDoor {
		t.Errorf("result = %+v", r)
	}
	if diff := cmp.Diff([]wire.OrderKind{wire.OrderDoor}, s.done()); diff != "" {
		t.Errorf("the door opened (-want +got):\n%s", diff)
	}
}

// What became of a door that was opened is read back before the result is told, and the
// door is opened once.
func TestDoorIsReadBack(t *testing.T) {
	s := newSite(t)
	s.sync()
	s.later = func(context.Context) order.Outcome { return order.Outcome{Detail: "the door was opened"} }
	o := anOrder(1, wire.OrderDoor)
	s.give(sealed(o))
	_, nonce := s.ask()
	s.answer(o, nonce, serverKey)
	if r := s.result(); r.State != wire.OrderDone || r.Detail != "the door was opened" {
		t.Errorf("result = %+v", r)
	}
	if got := s.done(); len(got) != 1 {
		t.Errorf("the door opened %d times", len(got))
	}
}

func TestDoorThatIsAnsweredLate(t *testing.T) {
	for name, wait := range map[string]func(*site) [16]byte{
		"an answer after five seconds": func(s *site) [16]byte {
			_, nonce := s.ask()
			s.pass(order.DoorAnswer + time.Millisecond)
			return nonce
		},
		"nobody presses": func(s *site) [16]byte {
			_, nonce := s.ask()
			s.pass(order.DoorWaits)
			return nonce
		},
		"the program has ended": func(s *site) [16]byte {
			_, nonce := s.ask()
			s.start()
			return nonce
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.sync()
			o := anOrder(1, wire.OrderDoor)
			s.give(sealed(o))
			nonce := wait(s)
			s.answer(o, nonce, serverKey)
			if name != "the program has ended" {
				if r := s.result(); r.State != wire.OrderExpired {
					t.Errorf("result = %+v, want expired", r)
				}
			}
			if got := s.done(); len(got) > 0 {
				t.Errorf("the door opened late")
			}
			var b wire.Beat
			s.table.Part().Fill(&b)
			if b.Orders.Ask != nil {
				t.Error("the kiosk still asks")
			}
		})
	}
}

func TestWhatOrdersHold(t *testing.T) {
	s := newSite(t)
	s.sync()
	if err := s.table.Turn(wire.OrderArgs{Direction: wire.Out, Until: begin.Add(time.Hour).UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	if err := s.table.Lock(true); err != nil {
		t.Fatal(err)
	}
	s.table.Maintain()
	s.start()
	if s.table.Direction() != wire.Out || !s.table.Locked() || s.table.Maintenance() {
		t.Errorf("after a restart: direction %v, locked %v, maintenance %v; want out, locked, none", s.table.Direction(), s.table.Locked(), s.table.Maintenance())
	}
	var b wire.Beat
	s.table.Part().Fill(&b)
	want := &wire.OrderBeat{Direction: wire.Out, Until: begin.Add(time.Hour).UnixMilli(), Locked: true}
	if diff := cmp.Diff(want, b.Orders); diff != "" {
		t.Errorf("a beat says (-want +got):\n%s", diff)
	}
	// A look at what a beat would say is no beat: the server hears of it all the same.
	if err := s.table.Lock(false); err != nil {
		t.Fatal(err)
	}
	part := s.table.Part()
	part.Fill(&b)
	if !part.News() {
		t.Error("that the kiosk was unlocked is no news")
	}
	part.Answered(&wire.BeatAnswer{})
	if part.News() {
		t.Error("what the server has heard is news for ever")
	}
	s.pass(time.Hour + time.Second)
	if d := s.table.Direction(); d != 0 {
		t.Errorf("after its end the lane goes %v", d)
	}
	s.table.Maintain()
	if !s.table.Maintenance() {
		t.Error("no maintenance")
	}
	s.pass(order.MaintenanceTime)
	if s.table.Maintenance() {
		t.Error("maintenance without end")
	}
}

func TestRing(t *testing.T) {
	r := order.NewRing(20)
	for i, want := range []string{"one\n", "one\ntwo\n", "one\ntwo\nthree\n", "two\nthree\nfour\n"} {
		r.Write([]byte([]string{"one\n", "two\n", "three\n", "four\n"}[i]))
		if got := string(r.Lines()); i < 3 && got != want {
			t.Errorf("Lines = %q, want %q", got, want)
		}
	}
	r.Write([]byte("five\n"))
	if got := string(r.Lines()); !strings.HasSuffix(got, "four\nfive\n") || len(got) > 20 || strings.HasPrefix(got, "ne") {
		t.Errorf("Lines = %q, want whole lines, the newest last", got)
	}
	r.Write([]byte(strings.Repeat("x", 50) + "\nend\n"))
	if got := string(r.Lines()); got != "end\n" {
		t.Errorf("after a line longer than the ring Lines = %q", got)
	}
}
