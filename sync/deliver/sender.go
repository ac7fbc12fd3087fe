package deliver

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	window   = 4 // batches without a receipt
	perClass = 3 // of them live, or backlog, so that neither ever stops the other

	minResend      = 2 * time.Second
	maxResend      = time.Minute
	publishTimeout = 2 * time.Minute

	// lossesToHalve is how often the link may be lost while one batch is under
	// way before the batch is suspected; growAfter is how many receipts in a row
	// a smaller limit must earn before it is doubled again.
	lossesToHalve = 2
	growAfter     = 8

	minForkWait = time.Minute
	maxForkWait = time.Hour
)

// SenderOptions are optional settings of a [Sender].
type SenderOptions struct {
	// OnReceipt is called by Run with the server's time in each verified
	// receipt: it was not earlier than that when the receipt was signed.
	OnReceipt func(server time.Time)

	Flush time.Duration // how long what a receipt said may stay unwritten on an idle kiosk; default 30 s
	Log   *slog.Logger  // default: nothing is logged
}

// SenderStats are counters since the Sender was made, and its state.
type SenderStats struct {
	Connected bool
	InFlight  int    // batches without a receipt
	Limit     int    // records to a batch; less than wire.MaxBatchRecords after losses
	Sent      uint64 // batches handed to the link, repeats included
	Repeated  uint64 // of those, batches sent before
	Receipts  uint64 // verified
	Refused   uint64 // receipts that did not verify
	Forks     uint64 // epochs ended because the server knew another history
}

// A Sender brings a kiosk's records to the server: the kiosk's half of delivery.
type Sender struct {
	kiosk string
	key   ed25519.PrivateKey
	queue *outbox.Queue
	link  Link
	keys  func(id uint32) ed25519.PublicKey
	o     SenderOptions

	wake     chan struct{} // the link has come or gone
	receipts chan handed
	sent     chan *flight // a publish has ended
	tasks    sync.WaitGroup

	mu    sync.Mutex
	up    bool
	conn  uint64 // counts connections
	stats SenderStats

	// Owned by Run.
	now      connState
	epoch    wire.Epoch // whose numbers those below are
	flights  []*flight
	liveFrom uint64 // records from here on were put while connected
	backNext uint64 // no record of the backlog below this, and no live one below
	liveNext uint64 // liveNext, waits to be sent for the first time
	limit    int
	streak   int // full receipts at this limit
	flushAt  time.Time
	forkAt   time.Time // not before this is another fork believed
	forkWait time.Duration
}

type connState struct {
	up   bool
	conn uint64
}

// A flight is a stretch of records that is under way.
type flight struct {
	from, to uint64
	backlog  bool
	busy     bool      // the link still has it
	given    bool      // to the present connection
	due      time.Time // when to send it again
	tries    int
	losses   int
}

func (f *flight) records() int { return int(f.to - f.from + 1) }

// NewSender returns a Sender of kiosk's records in q, signed with the kiosk's
// key. keys returns the server's receipt key for an id, or nil.
func NewSender(kiosk string, key ed25519.PrivateKey, q *outbox.Queue, link Link, keys func(id uint32) ed25519.PublicKey, o SenderOptions) *Sender {
	if o.Flush == 0 {
		o.Flush = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Sender{
		kiosk: kiosk, key: key, queue: q, link: link, keys: keys, o: o,
		wake: make(chan struct{}, 1), receipts: make(chan handed, 16), sent: make(chan *flight, window),
		limit: wire.MaxBatchRecords, forkWait: minForkWait, epoch: q.Stats().Epoch,
	}
}

// Connected tells the Sender that the link has come up or gone down. It never
// blocks.
func (s *Sender) Connected(up bool) {
	s.mu.Lock()
	s.up = up
	if up {
		s.conn++
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// A handed is a receipt, and who waits to hear what became of it, if anybody.
type handed struct {
	envelope []byte
	done     chan error // has room for the one
}

// Receipt hands over a receipt from the link. It never blocks; a receipt that
// finds no room is dropped and comes again.
func (s *Sender) Receipt(envelope []byte) {
	select {
	case s.receipts <- handed{envelope: envelope}:
	default:
	}
}

// Hand hands over a receipt that came another way than by the link, on a USB stick
// or as a code, and returns when it is on disk. The error says why it was refused.
// Run must be running.
func (s *Sender) Hand(ctx context.Context, envelope []byte) error {
	h := handed{envelope, make(chan error, 1)}
	select {
	case s.receipts <- h:
	case <-ctx.Done():
		return fmt.Errorf("deliver: receipt: %w", ctx.Err())
	}
	select {
	case err := <-h.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("deliver: receipt: %w", ctx.Err())
	}
}

// Stats returns the Sender's counters.
func (s *Sender) Stats() SenderStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Connected = s.up
	return st
}

func (s *Sender) count(f func(*SenderStats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}

// Run sends until ctx ends. An error is the outbox's and final: the process must
// end and open its outbox again.
func (s *Sender) Run(ctx context.Context) error {
	defer s.tasks.Wait()
	err := s.link.Subscribe(ctx, wire.Topic(s.kiosk, wire.DownReceipt), func(_ string, payload []byte) { s.Receipt(payload) })
	if err != nil && ctx.Err() == nil {
		s.o.Log.Error("no subscription to receipts", "err", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := s.queue.Changed()
		next, err := s.step(ctx)
		if err != nil {
			return fmt.Errorf("deliver: %w", err)
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			if err := s.queue.Flush(); err != nil {
				return fmt.Errorf("deliver: %w", err)
			}
			return nil
		case <-changed:
		case <-s.wake:
		case <-timer.C:
		case f := <-s.sent:
			f.busy = false
			if f.given { // else another connection waits for it
				f.due = time.Now().Add(resendAfter(f.tries))
			}
		case h := <-s.receipts:
			if err := s.take(h); err != nil {
				return fmt.Errorf("deliver: %w", err)
			}
		}
	}
}

// resendAfter returns how long to wait for the receipt of a batch that has been
// sent tries times.
func resendAfter(tries int) time.Duration {
	d := min(minResend<<min(tries-1, 10), maxResend)
	return d*3/4 + rand.N(d/2)
}

// step does all that is to be done now and returns how long nothing will be.
func (s *Sender) step(ctx context.Context) (wait time.Duration, err error) {
	now := time.Now()
	if !s.flushAt.IsZero() && !now.Before(s.flushAt) {
		s.flushAt = time.Time{}
		if err := s.queue.Flush(); err != nil {
			return 0, err
		}
	}
	s.renew()
	s.follow(now)
	s.land()
	if s.now.up {
		for _, f := range slices.Clone(s.flights) {
			if !f.busy && !now.Before(f.due) {
				if err := s.send(ctx, f); err != nil {
					return 0, err
				}
			}
		}
		if err := s.launch(ctx); err != nil {
			return 0, err
		}
	}
	s.count(func(st *SenderStats) { st.InFlight, st.Limit = len(s.flights), s.limit })

	wait = time.Hour
	if !s.flushAt.IsZero() {
		wait = min(wait, s.flushAt.Sub(now))
	}
	if s.now.up {
		for _, f := range s.flights {
			if !f.busy {
				wait = min(wait, f.due.Sub(now))
			}
		}
	}
	return max(wait, 0), nil
}

// renew takes note of a new epoch, which not only the Sender begins: an order does,
// too. It counts from 1 again, and what it carried is backlog.
func (s *Sender) renew() {
	st := s.queue.Stats()
	if st.Epoch == s.epoch {
		return
	}
	const opened = 1 // the record that the epoch begins with
	s.epoch, s.flights = st.Epoch, nil
	s.liveFrom, s.backNext, s.liveNext = opened+st.Carried+1, 0, 0
}

// follow takes note of what has become of the link.
func (s *Sender) follow(now time.Time) {
	s.mu.Lock()
	is := connState{s.up, s.conn}
	s.mu.Unlock()
	if is == s.now {
		return
	}
	s.now = is
	suspect := 0
	for _, f := range s.flights {
		f.due, f.tries = now, 0
		if f.given {
			f.given = false
			f.losses++
		}
		if f.losses >= lossesToHalve {
			suspect = max(suspect, f.records())
		}
	}
	if suspect > 1 {
		// Of several under way the largest is the likeliest culprit.
		s.limit, s.streak = suspect/2, 0
		for _, f := range s.flights {
			f.losses = 0
			f.to = min(f.to, f.from+uint64(s.limit)-1)
		}
		s.backNext, s.liveNext = 0, 0
		s.o.Log.Warn("link lost twice on one batch", "records", suspect, "limit", s.limit)
	}
	if is.up {
		s.liveFrom = s.queue.Stats().Last + 1
		s.backNext, s.liveNext = 0, 0
	}
}

// land ends the flights that receipts cover.
func (s *Sender) land() {
	s.flights = slices.DeleteFunc(s.flights, func(f *flight) bool {
		n := f.records()
		for ; f.from <= f.to; f.from++ {
			if !s.queue.Received(f.from) {
				return false
			}
		}
		if n < s.limit || s.limit == wire.MaxBatchRecords {
			return true
		}
		if s.streak++; s.streak >= growAfter {
			s.limit, s.streak = min(2*s.limit, wire.MaxBatchRecords), 0
		}
		return true
	})
}

// launch sends what has not been sent, live records first, while the window has
// room.
func (s *Sender) launch(ctx context.Context) error {
	for len(s.flights) < window {
		st := s.queue.Stats()
		live := 0
		for _, f := range s.flights {
			if !f.backlog {
				live++
			}
		}
		var f *flight
		if live < perClass {
			f = s.next(&s.liveNext, max(s.liveFrom, st.Through+1), st.Last)
		}
		if f == nil && len(s.flights)-live < perClass {
			if f = s.next(&s.backNext, st.Through+1, min(s.liveFrom-1, st.Last)); f != nil {
				f.backlog = true
			}
		}
		if f == nil {
			return nil
		}
		s.flights = append(s.flights, f)
		if err := s.send(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// next returns the first stretch of low..high that is neither received nor under
// way, or nil. The cursor saves looking twice at the same numbers.
func (s *Sender) next(cursor *uint64, low, high uint64) *flight {
	waiting := func(seq uint64) bool {
		return !s.queue.Received(seq) &&
			!slices.ContainsFunc(s.flights, func(f *flight) bool { return f.from <= seq && seq <= f.to })
	}
	from := max(*cursor, low)
	for from <= high && !waiting(from) {
		from++
	}
	*cursor = from
	if from > high {
		return nil
	}
	to := from
	for to < high && to-from+1 < uint64(s.limit) && waiting(to+1) {
		to++
	}
	*cursor = to + 1
	return &flight{from: from, to: to}
}

// send publishes a flight. It may turn out shorter: a batch has a limit of bytes
// too, and the outbox has forgotten what is received.
func (s *Sender) send(ctx context.Context, f *flight) error {
	run, err := s.queue.Peek(f.from, f.records())
	if err != nil {
		return err
	}
	if len(run.Records) == 0 || run.First > f.to {
		s.flights = slices.DeleteFunc(s.flights, func(g *flight) bool { return g == f })
		return nil
	}
	f.from = run.First
	run.Records = run.Records[:min(len(run.Records), f.records())]
	if end := run.First + uint64(len(run.Records)) - 1; end < f.to {
		f.to = end
		s.backNext, s.liveNext = 0, 0
	}
	st := s.queue.Stats()
	payload := seal(s.kiosk, s.key, run, st, f.backlog)
	repeated := f.tries > 0
	f.busy, f.given = true, true
	f.tries++
	s.count(func(st *SenderStats) {
		st.Sent++
		if repeated {
			st.Repeated++
		}
	})
	s.tasks.Go(func() {
		limited, cancel := context.WithTimeout(ctx, publishTimeout)
		defer cancel()
		if err := s.link.Publish(limited, wire.Topic(s.kiosk, wire.UpBatch), payload, false); err != nil {
			s.o.Log.Debug("batch not sent", "first", run.First, "records", len(run.Records), "err", err)
		}
		select {
		case s.sent <- f:
		case <-ctx.Done():
		}
	})
	return nil
}

func seal(kiosk string, key ed25519.PrivateKey, run outbox.Run, st outbox.Stats, backlog bool) []byte {
	b := wire.Batch{
		V: wire.Version, Kiosk: kiosk, Epoch: run.Epoch, First: run.First, Prev: run.Prev,
		Backlog: backlog, Last: st.Last, Contexts: run.Contexts, Records: run.Records,
	}
	if st.Through < st.Last {
		b.Oldest = st.Through + 1
	}
	return b.Seal(key)
}

// take verifies a receipt and hands it to the outbox.
func (s *Sender) take(h handed) error {
	r, err := wire.OpenReceipt(h.envelope, s.kiosk, s.keys)
	if err != nil {
		s.count(func(st *SenderStats) { st.Refused++ })
		s.o.Log.Warn("receipt refused", "err", err)
		if h.done != nil {
			h.done <- err
		}
		return nil
	}
	if err := s.apply(r); err != nil {
		return err
	}
	if h.done == nil {
		return nil
	}
	// Whoever carried it goes away with the stick.
	s.flushAt = time.Time{}
	if err := s.queue.Flush(); err != nil {
		return err
	}
	h.done <- nil
	return nil
}

// apply hands a verified receipt to the outbox.
func (s *Sender) apply(r *wire.Receipt) error {
	s.count(func(st *SenderStats) { st.Receipts++ })
	if s.o.OnReceipt != nil {
		s.o.OnReceipt(time.UnixMilli(r.Time))
	}
	out, err := s.queue.Apply(r)
	if err != nil {
		return err
	}
	// What counts as received may have shrunk: a server restored from a backup
	// has forgotten some of it.
	s.backNext, s.liveNext = 0, 0
	now := time.Now()
	if s.flushAt.IsZero() {
		s.flushAt = now.Add(s.o.Flush)
	}
	if out.Advanced {
		s.forkWait = minForkWait
	}
	if !out.Fork || now.Before(s.forkAt) {
		return nil
	}
	return s.fork(now)
}

// fork goes on in a new epoch.
func (s *Sender) fork(now time.Time) error {
	// A server that answers fork to everything must not have the outbox written
	// anew each second.
	s.forkAt = now.Add(s.forkWait)
	s.forkWait = min(2*s.forkWait, maxForkWait)
	old := s.queue.Stats()
	if err := s.queue.NewEpoch(wire.OpenedFork); errors.Is(err, outbox.ErrBroken) {
		return err
	} else if err != nil {
		s.o.Log.Error("server knows another history, no new epoch", "epoch", old.Epoch, "err", err, "retry_in", s.forkAt.Sub(now))
		return nil
	}
	st := s.queue.Stats()
	s.o.Log.Warn("server knows another history, new epoch", "old", old.Epoch, "through", old.Through, "epoch", st.Epoch, "carried", st.Carried)
	s.count(func(st *SenderStats) { st.Forks++ })
	return nil
}
