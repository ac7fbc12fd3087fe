// Package order is the one table of what a kiosk can be told to do, whether that comes
// as a signed message or as a command card.
//
// Its promise: an order is followed at most once, on this kiosk, while it is valid, and
// what became of it is told. It is noted on disk before it is followed; one that comes
// again is answered with the same result. While the clock is not bound to the server's,
// only the floor is certain: what ended before it has ended. What is forged, late, meant
// for another kiosk or repeated is refused, and that is reported once.
//
// A door opens in two steps. The order asks the kiosk to wait; the kiosk puts a new
// number into each beat, and opens for one signed answer that comes back with that
// number within five seconds of its own clock. A late answer does nothing.
//
//	table, err := order.Open(path, order.Options{...})
//	table.Add(order.Row{Kind: wire.OrderIdentify, Message: true, Do: ...}, ...)
//	heart.Add(table.Part())
//	go table.Run(ctx, link)
//
// Results of messages go to the server over the link; how cards and refused messages
// were judged goes into the ledger, so it arrives whenever the kiosk is connected again.
// What each order does is the rows' own matter.
package order

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	// DoorAnswer is how long after the kiosk put a number into its beat an answer
	// opens the door, and DoorWaits how long it asks.
	DoorAnswer = 5 * time.Second
	DoorWaits  = 60 * time.Second

	// doTime bounds one order.
	doTime = 60 * time.Second

	maxWaiting = 16  // orders that came and are not yet followed
	maxUnsent  = 64  // messages of results that wait for a connection
	maxRefused = 256 // refusals that are remembered as reported
)

// A Row is one kind of order and what it does. Do may wait, for a minute at the most, but
// that of an OrderDoor does not. A message and a card may be followed at the same time.
type Row struct {
	Kind    wire.OrderKind
	Message bool // may come as a signed message
	Card    bool // may come as a command card
	Do      func(ctx context.Context, a wire.OrderArgs) Outcome
}

// An Outcome is what became of an order. The zero value is that it was followed.
type Outcome struct {
	State  wire.OrderState // 0 is wire.OrderDone
	Reason wire.Reason
	Detail string // never about a person
	Checks []wire.Check
	Data   []byte // goes to the server, in parts
	Undone uint64 // number of the check-in that was taken back
	Count  int64  // people who were counted
	Faulty bool   // it was followed and has found something wrong

	// Later is called, of an OrderDoor, when the door has been opened, and waits for what
	// became of that: its outcome counts.
	Later func(ctx context.Context) Outcome

	// Then is called when the result has been sent, or cannot be.
	Then func()
}

// Failed is the outcome of an order that was tried.
func Failed(err error) Outcome {
	return Outcome{State: wire.OrderFailed, Reason: wire.ReasonOrder, Detail: err.Error()}
}

// Cannot is the outcome of an order that this kiosk cannot follow, here or now.
func Cannot(why string) Outcome {
	return Outcome{State: wire.OrderRefused, Reason: wire.ReasonOrder, Detail: why}
}

// Options are what a Table is made of. All but Log are required.
type Options struct {
	Kiosk string
	Key   ed25519.PrivateKey                // the kiosk's own: signs results
	Keys  func(id uint32) ed25519.PublicKey // the listed keys for orders
	Clock *when.Clock
	Since func() time.Duration // since boot; never goes back
	Queue *outbox.Queue
	Log   *slog.Logger
}

// A Table follows orders. It is safe for concurrent use.
type Table struct {
	o    Options
	rows map[wire.OrderKind]Row

	came   chan []byte
	opened chan doorDone
	up     chan struct{}
	outbox [][]byte // results that are not sent; of Run

	mu    sync.Mutex
	state *state
	ask   ask
	// What the server shall hear of is numbered: what has changed, what the newest beat
	// said, what the server has answered.
	changed, said, heard uint64
	nonce                screenNonce
	until                time.Duration // since boot: end of maintenance
	refused              map[[sha256.Size]byte]bool
}

// An ask is a door order whose second step is waited for.
type ask struct {
	id    wire.OrderID
	nonce [16]byte
	at    time.Duration // since boot, when nonce was put into a beat; 0 before
	until time.Duration
}

// A screenNonce is a number that the screen shows, for the time page.
type screenNonce struct {
	target pass.Target
	until  time.Duration
}

// Open opens the state at path, of which the Table is the only writer. A file that is
// missing or damaged, or that the disk cannot read, is begun anew: orders that were followed
// and have not expired could then be followed again, which is logged. An error means that it
// may not be read.
func Open(path string, o Options) (*Table, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s, err := openState(path)
	if err != nil {
		return nil, err
	}
	if s.damaged != nil {
		o.Log.Warn("orders begun anew", "err", s.damaged)
	}
	return &Table{
		o: o, rows: map[wire.OrderKind]Row{}, state: s, refused: map[[sha256.Size]byte]bool{},
		came: make(chan []byte, maxWaiting), opened: make(chan doorDone, 1), up: make(chan struct{}, 1),
	}, nil
}

// Add adds rows, before Run. A kind has one row.
func (t *Table) Add(rows ...Row) {
	for _, r := range rows {
		t.rows[r.Kind] = r
	}
}

// certain returns the time, or while the clock is not bound to the server's a time that
// is certainly past; sure says which.
func (t *Table) certain() (now time.Time, sure bool) {
	if state := t.o.Clock.Read().State; state == when.Synced || state == when.Holding {
		return t.o.Clock.Now(), true
	}
	return t.o.Clock.Floor(), false
}

// Run follows orders and sends their results over link until ctx ends. It returns an
// error only when the ledger can no longer record.
func (t *Table) Run(ctx context.Context, link deliver.Link) error {
	late := time.NewTicker(time.Second)
	defer late.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case b := <-t.came:
			err = t.message(ctx, link, b)
		case d := <-t.opened:
			if d.Later != nil {
				d.Outcome = d.Later(ctx)
			}
			err = t.finish(ctx, link, d.id, wire.OrderDoor, d.Outcome)
		case <-t.up:
			t.send(ctx, link)
		case <-late.C:
			err = t.doorLate(ctx, link)
			t.turnBack()
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// message follows one order that came as a message.
func (t *Table) message(ctx context.Context, link deliver.Link, b []byte) error {
	o, err := wire.OpenOrder(b, t.o.Keys)
	if err != nil {
		t.o.Log.Warn("order refused", "err", err)
		return t.refuse(sha256.Sum256(b), wire.OrderUse{State: wire.OrderRefused}, reasonFor(err))
	}
	if o.Kiosk != t.o.Kiosk {
		t.o.Log.Warn("order for another kiosk refused", "kiosk", o.Kiosk, "order", o.ID, "kind", o.Kind)
		return t.refuse(sha256.Sum256(b), wire.OrderUse{Kind: o.Kind, State: wire.OrderRefused, ID: &o.ID}, wire.ReasonKiosk)
	}
	if was, known := t.seen(o.ID); known {
		// The server signs anew what it sends again, because it has heard of no result;
		// what is not newer is played again by somebody.
		if o.Issued <= was.Issued {
			t.o.Log.Warn("order refused: it was played again", "order", o.ID, "kind", o.Kind)
			return t.refuse(sha256.Sum256(o.ID[:]), wire.OrderUse{Kind: o.Kind, State: wire.OrderRefused, ID: &o.ID}, wire.ReasonRepeated)
		}
		if err := t.again(o); err != nil {
			t.o.Log.Warn("not kept that an order came again", "err", err)
		}
		if was.State != wire.OrderPrepared {
			t.queue(was.result(t.o.Kiosk, o.ID).Seal(t.o.Key, nil)...)
			t.send(ctx, link)
		}
		return nil
	}
	now, _ := t.certain()
	if err := t.remember(o, now); err != nil {
		t.o.Log.Error("order not followed: it cannot be remembered", "err", err)
		return nil // it comes again
	}
	row, known := t.rows[o.Kind]
	var out Outcome
	switch {
	case now.UnixMilli() >= o.Expires:
		out = Outcome{State: wire.OrderExpired, Reason: wire.ReasonExpired}
	case !known || !row.Message:
		out = Outcome{State: wire.OrderUnknown, Reason: wire.ReasonOrder}
	case o.Kind == wire.OrderDoor && o.Nonce != nil: // the second step comes in a beat's answer alone
		out = Outcome{State: wire.OrderRefused, Reason: wire.ReasonOrder}
	case o.Kind == wire.OrderDoor:
		return t.prepare(ctx, link, o.ID)
	default:
		t.o.Log.Info("order", "order", o.ID, "kind", o.Kind)
		out = t.do(ctx, row, o.Args)
	}
	return t.finish(ctx, link, o.ID, o.Kind, out)
}

// do follows an order. A row that panics has failed, and the door goes on.
func (t *Table) do(ctx context.Context, row Row, a wire.OrderArgs) (out Outcome) {
	ctx, cancel := context.WithTimeout(ctx, doTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			t.o.Log.Error("order panicked", "kind", row.Kind, "panic", p)
			out = Failed(errors.New("program error"))
		}
	}()
	return row.Do(ctx, a)
}

// finish remembers, records and sends what became of a message.
func (t *Table) finish(ctx context.Context, link deliver.Link, id wire.OrderID, kind wire.OrderKind, out Outcome) error {
	if out.State == 0 {
		out.State = wire.OrderDone
	}
	r := wire.Result{
		Kiosk: t.o.Kiosk, Order: id, Kind: kind, State: out.State, Reason: out.Reason, Detail: wire.ResultText(out.Detail),
		At: t.o.Clock.Read().Wall, Checks: out.Checks,
	}
	if err := t.became(id, r); err != nil {
		t.o.Log.Error("result not kept", "order", id, "err", err)
	}
	err := t.record(wire.OrderUse{Kind: kind, State: out.State, ID: &id, Undone: out.Undone, Count: out.Count}, out.Reason)
	t.o.Log.Info("order ended", "order", id, "kind", kind, "state", out.State, "reason", out.Reason)
	t.queue(r.Seal(t.o.Key, out.Data)...)
	t.send(ctx, link)
	if out.Then != nil {
		out.Then()
	}
	return err
}

// queue keeps messages until they are sent, the newest if there are too many.
func (t *Table) queue(messages ...[]byte) {
	t.outbox = append(t.outbox, messages...)
	t.outbox = t.outbox[max(0, len(t.outbox)-maxUnsent):]
}

// sendTime bounds one message, so that a restart does not wait for a dead line.
const sendTime = 5 * time.Second

// send publishes what waits, until something does not leave.
func (t *Table) send(ctx context.Context, link deliver.Link) {
	for len(t.outbox) > 0 {
		ctx, cancel := context.WithTimeout(ctx, sendTime)
		err := link.Publish(ctx, wire.Topic(t.o.Kiosk, wire.UpResult), t.outbox[0], false)
		cancel()
		if err != nil {
			t.o.Log.Debug("result not sent", "err", err)
			return
		}
		t.outbox = t.outbox[1:]
	}
}

// refuse records a refusal, once: digest is of what was refused.
func (t *Table) refuse(digest [sha256.Size]byte, use wire.OrderUse, reason wire.Reason) error {
	t.mu.Lock()
	if len(t.refused) >= maxRefused {
		t.mu.Unlock()
		return nil // somebody floods; the ledger is for visitors
	}
	known := t.refused[digest]
	t.refused[digest] = true
	t.mu.Unlock()
	if known {
		return nil
	}
	return t.record(use, reason)
}

// record writes how an order was judged into the ledger. An error means that the disk
// can no longer record.
func (t *Table) record(use wire.OrderUse, reason wire.Reason) error {
	_, err := t.o.Queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		h := wire.Header{Seq: seq, Kind: wire.KindOrder, Reason: reason, Order: &use}
		h.At(t.o.Clock.Read())
		return wire.NewRecord(h, wire.Sealed{}), wire.Context{}, nil
	})
	if errors.Is(err, outbox.ErrFull) {
		t.o.Log.Warn("order not recorded", "err", err)
		return nil
	}
	return err
}

func reasonFor(err error) wire.Reason {
	switch {
	case errors.Is(err, wire.ErrSignature), errors.Is(err, pass.ErrSignature):
		return wire.ReasonSignature
	case errors.Is(err, pass.ErrUnknownKey):
		return wire.ReasonKey
	case errors.Is(err, wire.ErrVersion):
		return wire.ReasonOrder
	}
	return wire.ReasonMalformed
}

func newNonce() (n [16]byte) {
	rand.Read(n[:])
	return n
}
