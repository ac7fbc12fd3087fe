package deliver_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const kioskID = "kiosk-00001"

// The codec that package wire shares between all must not be made inside one
// test's bubble of time.
func TestMain(m *testing.M) {
	b := &wire.Batch{V: wire.Version, Kiosk: kioskID, First: 1, Records: history{}.grow(200, "a").records}
	if _, err := wire.OpenBatch(b.Seal(kioskKey), kioskID, kioskKey.Public().(ed25519.PublicKey)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var (
	kioskKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	serverKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
)

func receiptKeys(id uint32) ed25519.PublicKey {
	if id != 7 {
		return nil
	}
	return serverKey.Public().(ed25519.PublicKey)
}

// A store is what a server keeps, with the rules that the package doc gives it.
type store struct {
	epochs map[wire.Epoch]*epoch
	noted  map[note]bool
	rows   map[uint64]int // by what the box says, how often it made a row
}

type epoch struct {
	ledger  []byte
	digests map[uint64]wire.Digest
	newest  uint64 // as far as the kiosk has told
}

type note struct {
	origin wire.Epoch
	seq    uint64
	digest wire.Digest
}

func newStore() *store {
	return &store{epochs: map[wire.Epoch]*epoch{}, noted: map[note]bool{}, rows: map[uint64]int{}}
}

func (s *store) clone() *store {
	c := &store{epochs: map[wire.Epoch]*epoch{}, noted: maps.Clone(s.noted), rows: maps.Clone(s.rows)}
	for k, e := range s.epochs {
		c.epochs[k] = &epoch{bytes.Clone(e.ledger), maps.Clone(e.digests), e.newest}
	}
	return c
}

func (s *store) epoch(e wire.Epoch) *epoch {
	if s.epochs[e] == nil {
		s.epochs[e] = &epoch{ledger: new(deliver.Ledger).Marshal(), digests: map[uint64]wire.Digest{}}
	}
	return s.epochs[e]
}

func (e *epoch) open(t testing.TB) *deliver.Ledger {
	var l deliver.Ledger
	if err := l.Unmarshal(e.ledger); err != nil {
		t.Errorf("Unmarshal error = %v", err)
	}
	return &l
}

// take is one transaction.
func (s *store) take(t testing.TB, b *wire.Batch) (*deliver.Ledger, error) {
	e := s.epoch(b.Epoch)
	l := e.open(t)
	taken, err := l.Take(b, func(from, to uint64) ([]wire.Digest, error) {
		var ds []wire.Digest
		for seq := from; seq <= to; seq++ {
			d, ok := e.digests[seq]
			if !ok {
				t.Errorf("Take asks for the digest of %d, which was never fresh", seq)
			}
			ds = append(ds, d)
		}
		return ds, nil
	})
	if err != nil {
		return nil, err
	}
	e.newest = max(e.newest, b.Last)
	carried := map[int]bool{}
	for _, i := range taken.Carried {
		carried[i] = true
	}
	for _, i := range taken.Fresh {
		seq, d := b.First+uint64(i), deliver.Digest(b.Records[i])
		e.digests[seq] = d
		r, h, err := wire.DecodeRecord(b.Records[i])
		if err != nil {
			t.Errorf("DecodeRecord(%d) error = %v", seq, err)
			continue
		}
		row := true
		switch {
		case r.Origin != nil:
			o := s.epoch(*r.Origin)
			origin := o.open(t)
			n := note{*r.Origin, h.Seq, d}
			row = !(origin.Holds(h.Seq) && o.digests[h.Seq] == d) && !s.noted[n]
			s.noted[n] = true
			origin.Carry(h.Seq)
			o.ledger = origin.Marshal()
		case carried[i]:
			row = !s.noted[note{b.Epoch, seq, d}]
		}
		if row && h.Kind == wire.KindCheckin {
			s.rows[binary.BigEndian.Uint64(r.Box)]++
		}
	}
	e.ledger = l.Marshal()
	return l, nil
}

// A server has two workers, a store and a backup of it.
type server struct {
	t    testing.TB
	rand *rand.Rand // under mu

	mu         sync.Mutex
	store      *store
	generation uint64
	backup     *store
	safe       map[wire.Epoch]uint64
	unanswered float64 // chance that it dies between commit and receipt
	forkAll    bool
}

func newServer(t testing.TB, r *rand.Rand) *server {
	return &server{t: t, rand: r, store: newStore(), generation: 1, backup: newStore(), safe: map[wire.Epoch]uint64{}}
}

// handle takes a batch and returns the receipt, or nil if there is none.
func (s *server) handle(envelope []byte) []byte {
	b, err := wire.OpenBatch(envelope, kioskID, kioskKey.Public().(ed25519.PublicKey))
	if err != nil {
		s.t.Errorf("OpenBatch error = %v", err)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.store.take(s.t, b)
	if err != nil {
		if !errors.Is(err, deliver.ErrScattered) {
			s.t.Errorf("Take error = %v", err)
		}
		return nil
	}
	if s.rand.Float64() < s.unanswered {
		return nil
	}
	r := l.Receipt(kioskID, b.Epoch, s.safe[b.Epoch])
	r.Generation, r.Time = s.generation, time.Now().UnixMilli()
	r.Fork = r.Fork || s.forkAll
	return r.Seal(7, serverKey)
}

// answerFork makes the server answer fork to every batch, or no longer.
func (s *server) answerFork(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forkAll = on
}

// save makes a verified backup.
func (s *server) save() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backup = s.store.clone()
	for id, e := range s.backup.epochs {
		s.safe[id] = e.open(s.t).Through()
	}
}

// restore puts the last backup back.
func (s *server) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = s.backup.clone()
	s.generation++
}

// A badLine is a Link and the server's two workers behind it.
type badLine struct {
	server *server

	mu       sync.Mutex
	rand     *rand.Rand
	sender   *deliver.Sender
	fn       func(string, []byte)
	up       bool
	drop     float64
	double   float64
	delay    time.Duration // of each message, at most; so that they overtake each other
	lie      float64       // chance that a publish says nil and loses the message
	cutOver  int           // bytes of a message that resets the connection; 0 is none
	sent     []*wire.Batch
	lost     int // connections lost to cutOver
	inFlight sync.WaitGroup
}

var errDown = errors.New("line is down")

func (l *badLine) chance(p float64) bool { return l.rand.Float64() < p }

func (l *badLine) wait() time.Duration {
	if l.delay == 0 {
		return 0
	}
	return time.Duration(l.rand.Int64N(int64(l.delay)))
}

func (l *badLine) Publish(ctx context.Context, topic string, payload []byte, retain bool) error {
	if topic != wire.Topic(kioskID, wire.UpBatch) || retain || len(payload) > wire.MaxMessage {
		l.server.t.Errorf("Publish(%q, %d bytes, retain %t)", topic, len(payload), retain)
	}
	b, err := wire.OpenBatch(payload, kioskID, kioskKey.Public().(ed25519.PublicKey))
	if err != nil {
		l.server.t.Errorf("published batch: %v", err)
		return err
	}
	l.mu.Lock()
	if !l.up {
		l.mu.Unlock()
		return errDown
	}
	l.sent = append(l.sent, b)
	if l.cutOver > 0 && len(payload) > l.cutOver {
		l.up = false
		l.lost++
		sender := l.sender
		l.mu.Unlock()
		sender.Connected(false)
		l.inFlight.Go(func() {
			time.Sleep(time.Second)
			l.connect(true)
		})
		return errDown
	}
	lie := l.chance(l.lie)
	copies := 1
	if l.chance(l.double) {
		copies = 3
	}
	for range copies {
		if lie || l.chance(l.drop) {
			continue
		}
		d, answerDrop, answerDelay := l.wait(), l.chance(l.drop), l.wait()
		l.inFlight.Go(func() {
			time.Sleep(d)
			answer := l.server.handle(payload)
			if answer == nil || answerDrop {
				return
			}
			time.Sleep(answerDelay)
			l.down(answer)
		})
	}
	d := l.wait()
	l.mu.Unlock()
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// down delivers to the kiosk, if it is there.
func (l *badLine) down(envelope []byte) {
	l.mu.Lock()
	fn, up := l.fn, l.up
	l.mu.Unlock()
	if up && fn != nil {
		fn(wire.Topic(kioskID, wire.DownReceipt), envelope)
	}
}

func (l *badLine) Subscribe(ctx context.Context, filter string, fn func(string, []byte)) error {
	if filter != wire.Topic(kioskID, wire.DownReceipt) {
		l.server.t.Errorf("Subscribe(%q)", filter)
	}
	l.mu.Lock()
	l.fn = fn
	l.mu.Unlock()
	return nil
}

func (l *badLine) connect(up bool) {
	l.mu.Lock()
	l.up = up
	sender := l.sender
	l.mu.Unlock()
	if sender != nil {
		sender.Connected(up)
	}
}

func (l *badLine) batches() []*wire.Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*wire.Batch(nil), l.sent...)
}

// A world is one kiosk, one server and the line between them, in a bubble of
// its own time.
type world struct {
	t      *testing.T
	rand   *rand.Rand
	path   string
	q      *outbox.Queue
	sender *deliver.Sender
	line   *badLine
	server *server
	made   uint64 // check-ins ever put
	stop   func()
	heard  time.Time // the newest server time of a receipt
}

func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	s := newServer(t, rand.New(rand.NewPCG(seed, 2)))
	w := &world{
		t: t, rand: r, path: filepath.Join(t.TempDir(), "outbox"), server: s,
		line: &badLine{server: s, rand: rand.New(rand.NewPCG(seed, 3))},
	}
	w.start()
	return w
}

func reading() when.Reading {
	now := time.Now().UnixMilli()
	return when.Reading{Boot: when.Boot{1}, Since: now - 946_000_000_000, Wall: now, State: when.Synced}
}

// start opens the outbox and runs a sender, as the kiosk's program does.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.q, err = outbox.Open(w.t.Context(), w.path, outbox.Options{Now: reading, NoSync: true})
	if err != nil {
		w.t.Fatalf("outbox.Open error = %v", err)
	}
	w.sender = deliver.NewSender(kioskID, kioskKey, w.q, w.line, receiptKeys, deliver.SenderOptions{
		OnReceipt: func(server time.Time) { w.heard = server },
	})
	w.line.mu.Lock()
	w.line.sender = w.sender
	w.line.mu.Unlock()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.sender.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run() = %v, want nil", err)
		}
		if err := w.q.Close(); err != nil {
			w.t.Errorf("Close() = %v", err)
		}
	}
}

// end stops the kiosk and waits for what is under way.
func (w *world) end() {
	w.stop()
	w.line.inFlight.Wait()
}

// scan puts n check-ins.
func (w *world) scan(n int) {
	w.t.Helper()
	putCheckins(w.t, w.q, w.rand, w.made+1, n)
	w.made += uint64(n)
}

// putCheckins puts n check-ins, whose boxes begin with first and the numbers
// after it.
func putCheckins(t testing.TB, q *outbox.Queue, r *rand.Rand, first uint64, n int) {
	t.Helper()
	for id := first; id < first+uint64(n); id++ {
		_, err := q.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			h := wire.Header{Seq: seq, Kind: wire.KindCheckin, Gate: "A1", Lane: 1, Direction: wire.In, Verdict: wire.Admitted}
			h.At(reading())
			c := wire.NewContext(1, binary.BigEndian.AppendUint64(make([]byte, 24), id/256))
			box := binary.BigEndian.AppendUint64(nil, id)
			for range 8 { // what is sealed does not compress
				box = binary.BigEndian.AppendUint64(box, r.Uint64())
			}
			return wire.NewRecord(h, wire.Sealed{Key: 1, Context: c.ID, Counter: id, Box: box}), c, nil
		})
		if err != nil {
			t.Fatalf("Put(%d) error = %v", id, err)
		}
	}
}

// drain waits until everything has a receipt.
func (w *world) drain() {
	w.t.Helper()
	began := time.Now()
	for w.q.Stats().Unsent > 0 {
		if time.Since(began) > 6*time.Hour {
			w.t.Fatalf("after 6 h: outbox %+v, sender %+v", w.q.Stats(), w.sender.Stats())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// quiet makes the line good.
func (w *world) quiet() {
	w.line.mu.Lock()
	w.line.drop, w.line.double, w.line.lie, w.line.delay, w.line.cutOver = 0, 0, 0, 50*time.Millisecond, 0
	w.line.mu.Unlock()
	w.server.mu.Lock()
	w.server.unanswered = 0
	w.server.mu.Unlock()
	w.line.connect(true)
}

// check compares the server's rows with what was put.
func (w *world) check() {
	w.t.Helper()
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	s := w.server.store
	lost, double := 0, 0
	for id := uint64(1); id <= w.made; id++ {
		switch n := s.rows[id]; {
		case n == 0:
			lost++
		case n > 1:
			double++
		}
	}
	if lost > 0 || double > 0 || uint64(len(s.rows)) != w.made {
		w.t.Errorf("%d check-ins made, %d kinds of row: %d lost, %d double", w.made, len(s.rows), lost, double)
	}
	for id, e := range s.epochs {
		l := e.open(w.t)
		if gaps := l.Gaps(max(l.Newest(), e.newest)); gaps != nil {
			w.t.Errorf("epoch %s: gaps %v, through %d, forked %t", id, gaps, l.Through(), l.Forked())
		}
	}
}

func (w *world) copyFile(to, from string) {
	w.t.Helper()
	in, err := os.Open(from)
	if err != nil {
		w.t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		w.t.Fatal(err)
	}
}

// bubble runs fn with its own time.
func bubble(t *testing.T, seed uint64, fn func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		fn(w)
		w.end()
	})
}
