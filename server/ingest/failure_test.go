package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// A keyStore is a vault.Dir that fails for some days and waits for one.
type keyStore struct {
	vault.Dir

	slow    string        // day whose keys wait
	reached chan struct{} // closed when somebody waits
	gate    chan struct{} // they wait until it is closed
	once    sync.Once

	mu   sync.Mutex
	fail string // day
}

func (s *keyStore) Load(name string) ([]byte, error) {
	if strings.Contains(name, s.slow) {
		s.once.Do(func() { close(s.reached) })
		<-s.gate
	}
	s.mu.Lock()
	fail := s.fail != "" && strings.Contains(name, s.fail)
	s.mu.Unlock()
	if fail {
		return nil, errors.New("the disk with the keys has an error")
	}
	return s.Dir.Load(name)
}

func (s *keyStore) failFor(day string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = day
}

// held returns a kiosk whose check-in of the day before yesterday holds up the
// transaction that it is in until release is called.
func held(w *world) (k *kiosk, keys *keyStore, release func()) {
	then := noon.Add(-48 * time.Hour)
	keys = &keyStore{Dir: w.dir, slow: qrgate.DayOf(then).String(), reached: make(chan struct{}), gate: make(chan struct{})}
	w.vault = w.openVault(keys)
	w.clock.set(then)
	k = w.kiosk("kiosk-slow1")
	k.anchor()
	k.card(1)
	w.clock.set(noon)
	release = sync.OnceFunc(func() { close(keys.gate) })
	return k, keys, release
}

// hold sends what holds up the transaction, and returns when it does.
func (w *world) hold(k *kiosk, keys *keyStore) {
	w.t.Helper()
	w.send(k, k.batch(1, k.last()))
	select {
	case <-keys.reached:
	case <-time.After(patience):
		w.t.Fatal("no transaction")
	}
}

// A batch that no transaction can take does not stop the others of its group,
// and is answered when the cause is gone.
func TestOneBatchThatCannotBeStored(t *testing.T) { each(t, testOneBatchThatCannotBeStored) }

func testOneBatchThatCannotBeStored(t *testing.T, w *world) {
	slow, keys, release := held(w)
	yesterday := noon.Add(-24 * time.Hour)
	keys.failFor(qrgate.DayOf(yesterday).String())
	w.clock.set(yesterday)
	bad := w.kiosk("kiosk-bad01")
	bad.anchor()
	bad.cards(3)
	w.clock.set(noon)
	var good []*kiosk
	for i := range 15 {
		k := w.kiosk(kioskName(i))
		k.cards(3)
		good = append(good, k)
	}

	s := w.serve()
	defer release()
	w.hold(slow, keys)
	for i, k := range good {
		w.send(k, k.batch(1, k.last()))
		if i == 7 {
			w.send(bad, bad.batch(1, bad.last()))
		}
	}
	release()
	slow.receiptThrough(slow.last())
	for _, k := range good {
		k.receiptThrough(k.last())
		if n := len(w.rows(k.id)); n != 3 {
			t.Errorf("%d rows of %s, want 3", n, k.id)
		}
	}
	w.until("failure", func() bool { return s.Stats().Failed == 1 })
	if bad.receipts.poll() != nil || len(w.rows(bad.id)) != 0 {
		t.Error("the batch that could not be stored is answered, or stored")
	}
	if n := strings.Count(w.log.String(), "batches not stored"); n != 1 {
		t.Errorf("%d lines of log about it, want 1", n)
	}
	keys.failFor("")
	w.deliver(bad)
	if n := len(w.rows(bad.id)); n != 3 {
		t.Errorf("%d rows of the batch that came again, want 3", n)
	}
}

// What a full queue cannot take is dropped, counted, and comes again.
func TestFullQueue(t *testing.T) {
	w := newWorld(t, sqlite)
	slow, keys, release := held(w)
	k := w.kiosk("kiosk-00001")
	k.cards(100)
	s := w.serveWith(w.parts(), ingest.Options{Workers: 1, Queue: 4, Group: 1})
	defer release()
	w.hold(slow, keys)
	for seq := uint64(1); seq <= k.last(); seq++ {
		w.send(k, k.batch(seq, seq))
	}
	dropped := s.Stats().Dropped
	if min := k.last() - 4 - 3; dropped < min { // in the queue, in a hand, opened, in the transaction
		t.Errorf("%d dropped, want %d at least", dropped, min)
	}
	release()
	slow.receiptThrough(slow.last())
	// Each batch makes a transaction and a receipt of its own here.
	for range k.last() - dropped {
		k.receipt()
	}
	for seq := uint64(1); seq <= k.last(); seq++ {
		w.send(k, k.batch(seq, seq))
		k.receipt()
	}
	if n := len(w.rows(k.id)); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
	if got := s.Stats(); got.Dropped != dropped || got.Repeated != k.last()-dropped || got.Checkins != 101 {
		t.Errorf("Stats() = %+v, want %d repeated, 101 check-ins", got, k.last()-dropped)
	}
}

// What was opened is committed and receipted before Run returns, and nothing is
// left behind: the bubble sees to that.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sqlite)
		slow, keys, release := held(w)
		var others []*kiosk
		for i := range 20 {
			k := w.kiosk(kioskName(i))
			k.cards(5)
			others = append(others, k)
		}
		s := w.serve()
		defer release()
		w.hold(slow, keys)
		for _, k := range others {
			w.send(k, k.batch(1, k.last()))
		}
		synctest.Wait() // all are opened, and the transaction hangs
		stopped := make(chan struct{})
		go func() { defer close(stopped); s.stop() }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Fatal("Run returned before its transaction ended")
		default:
		}
		release()
		<-stopped
		for _, k := range append(others, slow) {
			b := k.receipts.poll()
			if b == nil {
				t.Fatalf("no receipt of %s", k.id)
			}
			if r := k.open1(b); r.Through != k.last() {
				t.Errorf("receipt of %s through %d, want %d", k.id, r.Through, k.last())
			}
			if n := len(w.rows(k.id)); n == 0 {
				t.Errorf("no rows of %s", k.id)
			}
		}
	})
}

// A server that hangs in the broker's silence ends all the same.
func TestShutdownWithoutBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sqlite)
		w.line.silent = true
		s := w.serve()
		for i := range 500 {
			k := w.kiosk(kioskName(i))
			k.card(1)
			w.send(k, k.batch(1, k.last()))
		}
		synctest.Wait()
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("Run returned after %s", took)
		}
	})
}

// Killed between commit and receipt: the batches come again and change nothing.
func TestLostReceipts(t *testing.T) { each(t, testLostReceipts) }

func testLostReceipts(t *testing.T, w *world) {
	w.line.storm(weather{rand: newRand(1), lost: func(topic string) bool { return strings.HasSuffix(topic, string(wire.DownReceipt)) }})
	s := w.serve()
	k := w.kiosk("kiosk-00001")
	k.cards(200)
	all := k.batches(20)
	for _, b := range all {
		w.send(k, b)
	}
	w.until("commit", func() bool { return s.Stats().Checkins == 200 })
	s.stop()
	w.line.calm()
	if k.receipts.poll() != nil {
		t.Fatal("a receipt came through")
	}
	before := w.rows(k.id)

	again := w.serve()
	for _, b := range all {
		w.send(k, b)
	}
	w.until("repeats", func() bool { return again.Stats().Repeated == k.last() })
	k.receiptThrough(k.last())
	after := w.rows(k.id)
	if len(before) != 200 || len(after) != 200 {
		t.Fatalf("%d rows, then %d, want 200", len(before), len(after))
	}
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("row %d has changed: %+v", i, after[i])
		}
	}
	if st := again.Stats(); st.Checkins != 0 || st.Repeated != k.last() {
		t.Errorf("Stats() = %+v, want %d repeated and nothing else", st, k.last())
	}
}

// While there is no database nothing is answered, and each group says so once.
func TestStoreIsGone(t *testing.T) {
	w := newWorld(t, sqlite)
	gone, err := store.Open(t.Context(), w.dsn, store.Options{Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	p := w.parts()
	p.Store = gone
	s := w.serveWith(p, ingest.Options{})
	var all []*kiosk
	for i := range 8 {
		k := w.kiosk(kioskName(i))
		k.card(1)
		w.deliver(k) // its key is known from now on
		all = append(all, k)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		k.card(2)
		w.send(k, k.batch(k.last(), k.last()))
	}
	w.until("failure", func() bool { return s.Stats().Failed == 8 })
	s.stop()
	if n := strings.Count(w.log.String(), "batches not stored"); n == 0 || n > 8 {
		t.Errorf("%d lines of log, want one a group", n)
	}
	w.serve()
	for _, k := range all {
		if k.receipts.poll() != nil {
			t.Errorf("%s was answered", k.id)
		}
		w.deliver(k)
		if n := len(w.rows(k.id)); n != 2 {
			t.Errorf("%d rows of %s, want 2", n, k.id)
		}
	}
}

// Batches too far apart stay unanswered until those between them have come.
func TestScattered(t *testing.T) {
	w := newWorld(t, sqlite)
	k := w.kiosk("kiosk-00001")
	k.cards(200)
	s := w.serve()
	alone := uint64(2)
	for ; s.Stats().Scattered == 0; alone += 2 {
		before := s.Stats()
		w.send(k, k.batch(alone, alone))
		w.until("batch", func() bool { st := s.Stats(); return st.Batches+st.Scattered == before.Batches+1 })
	}
	if runs := (alone - 2) / 2; runs != deliver.MaxRuns+1 {
		t.Errorf("batch %d was the first too many, want %d", runs, deliver.MaxRuns+1)
	}
	w.deliver(k)
	if n := len(w.rows(k.id)); n != 200 {
		t.Errorf("%d rows, want 200", n)
	}
}

// slowLink is one whose broker does not answer.
type slowLink struct {
	*line
	asked chan struct{}
}

func (l slowLink) Subscribe(ctx context.Context, _ string, _ func(string, []byte)) error {
	close(l.asked)
	<-ctx.Done()
	return ctx.Err()
}

// A server that is asked to end while it subscribes has not failed.
func TestEndsWhileItSubscribes(t *testing.T) {
	w := newWorld(t, sqlite)
	p, link := w.parts(), slowLink{w.line, make(chan struct{})}
	p.Link = link
	in, err := ingest.New(p, ingest.Options{Now: w.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	<-link.asked
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
}
