package carry_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/carry"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

const gate = "dong-ba-gate-1"

var (
	kioskKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	serverKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	quiet     = slog.New(slog.DiscardHandler)
)

func receiptKey(id uint32) ed25519.PublicKey {
	if id != 7 {
		return nil
	}
	return serverKey.Public().(ed25519.PublicKey)
}

// A server holds what is carried to it, in memory.
type server struct {
	t      *testing.T
	ledger deliver.Ledger
	epoch  wire.Epoch
}

// take takes a file of batches in and returns the file that goes back.
func (s *server) take(file string) []byte {
	s.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	kiosk, envelopes, err := deliver.ReadBundle(f)
	if err != nil || kiosk != gate {
		s.t.Fatalf("ReadBundle(%s) = %q, %v", file, kiosk, err)
	}
	for e, err := range envelopes {
		if err != nil {
			s.t.Fatal(err)
		}
		b, err := wire.OpenBatch(e, gate, kioskKey.Public().(ed25519.PublicKey))
		if err != nil {
			s.t.Fatal(err)
		}
		known := func(from, to uint64) ([]wire.Digest, error) { return make([]wire.Digest, to-from+1), nil }
		if _, err := s.ledger.Take(b, known); err != nil {
			s.t.Fatal(err)
		}
		s.epoch = b.Epoch
	}
	return s.receipt(gate)
}

func (s *server) receipt(kiosk string) []byte {
	s.t.Helper()
	r := s.ledger.Receipt(gate, s.epoch, 0)
	r.Generation, r.Time = 1, time.Now().UnixMilli()
	return bundle(s.t, kiosk, r.Seal(7, serverKey))
}

func bundle(t *testing.T, kiosk string, all ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	err := deliver.WriteBundle(&b, kiosk, func(yield func([]byte, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newDoor returns a door that holds n check-ins and whose sender runs without a link.
func newDoor(t *testing.T, n int) carry.Door {
	t.Helper()
	clock := when.NewClock(when.Boot{1}, func() time.Duration { return time.Minute }, time.Now, time.Unix(1, 0))
	q, err := outbox.Open(t.Context(), filepath.Join(t.TempDir(), "outbox.db"), outbox.Options{Now: clock.Read, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	put(t, q, n)
	s := deliver.NewSender(gate, kioskKey, q, noLink{}, receiptKey, deliver.SenderOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return carry.Door{Kiosk: gate, Key: kioskKey, Queue: q, Take: s.Hand}
}

func put(t *testing.T, q *outbox.Queue, n int) {
	t.Helper()
	for range n {
		_, err := q.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			return wire.NewRecord(wire.Header{Seq: seq, Kind: wire.KindCheckin, Gate: "A1"}, wire.Sealed{}), wire.Context{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

type noLink struct{}

func (noLink) Publish(context.Context, string, []byte, bool) error { return errors.New("no link") }

func (noLink) Subscribe(context.Context, string, func(string, []byte)) error { return nil }

func TestVisitThereAndBack(t *testing.T) {
	d, s, dir := newDoor(t, 600), &server{t: t}, t.TempDir()
	r, err := d.Visit(t.Context(), dir)
	if err != nil || r.Waiting != 601 || r.Through != 0 {
		t.Fatalf("Visit() = %+v, %v; want 601 waiting", r, err)
	}
	back := s.take(filepath.Join(dir, gate+".batches"))
	put(t, d.Queue, 10) // meanwhile
	if err := os.WriteFile(filepath.Join(dir, gate+".receipts"), back, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a stick that is put in again is harmless
		if r, err = d.Visit(t.Context(), dir); err != nil || r.Receipts != 1 || r.Through != 601 || r.Waiting != 10 {
			t.Fatalf("Visit() with the receipt = %+v, %v; want 601 received, 10 waiting", r, err)
		}
	}
	s.take(filepath.Join(dir, gate+".batches"))
	if s.ledger.Through() != 611 {
		t.Errorf("the server holds 1…%d, want 1…611", s.ledger.Through())
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.part")); err != nil || len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

// What comes beside receipts is taken, and is no receipt that was refused.
func TestVisitTakesWhatComesBesideReceipts(t *testing.T) {
	d, s, dir := newDoor(t, 3), &server{t: t}, t.TempDir()
	var beside []string
	d.Beside = func(_ context.Context, envelope []byte) bool {
		if !bytes.HasPrefix(envelope, []byte("list")) {
			return false
		}
		beside = append(beside, string(envelope))
		return true
	}
	if _, err := d.Visit(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	s.take(filepath.Join(dir, gate+".batches"))
	r := s.ledger.Receipt(gate, s.epoch, 0)
	r.Generation, r.Time = 1, time.Now().UnixMilli()
	file := bundle(t, gate, []byte("list of keys"), r.Seal(7, serverKey), []byte("list of void cards"), []byte("of a later release"))
	if err := os.WriteFile(filepath.Join(dir, gate+".receipts"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := d.Visit(t.Context(), dir)
	if err != nil || got.Beside != 2 || got.Receipts != 1 || got.Refused != 1 || got.Waiting != 0 || len(beside) != 2 {
		t.Errorf("Visit() = %+v, %v, with %q beside", got, err, beside)
	}
}

func TestVisitOfAHostileStick(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, s := newDoor(t, 5), &server{t: t}
	other := s.receipt("dong-ba-gate-2")
	for name, make := range map[string]func(receipts, batches string) error{
		"a link as receipts": func(receipts, _ string) error { return os.Symlink(outside, receipts) },
		"a link as batches":  func(_, batches string) error { return os.Symlink(outside, batches) },
		"a link as part":     func(_, batches string) error { return os.Symlink(outside, batches+".part") },
		"a pipe":             func(receipts, _ string) error { return syscall.Mkfifo(receipts, 0o600) },
		"a folder":           func(receipts, _ string) error { return os.Mkdir(receipts, 0o700) },
		"another kiosk's":    func(receipts, _ string) error { return os.WriteFile(receipts, other, 0o600) },
		"another server's":   func(receipts, _ string) error { return os.WriteFile(receipts, forged(t), 0o600) },
		"junk": func(receipts, _ string) error {
			return os.WriteFile(receipts, bytes.Repeat([]byte{0xff}, 1<<16), 0o600)
		},
		"a receipt cut short":    func(receipts, _ string) error { return os.WriteFile(receipts, other[:len(other)-6], 0o600) },
		"a bundle without end":   func(receipts, _ string) error { return os.WriteFile(receipts, endless(), 0o600) },
		"a part that was left":   func(_, batches string) error { return os.WriteFile(batches+".part", []byte("x"), 0o600) },
		"batches of another day": func(_, batches string) error { return os.WriteFile(batches, []byte("x"), 0o600) },
	} {
		dir := t.TempDir()
		batches := filepath.Join(dir, gate+".batches")
		if err := make(filepath.Join(dir, gate+".receipts"), batches); err != nil {
			t.Fatal(err)
		}
		r, err := d.Visit(t.Context(), dir)
		if err != nil || r.Receipts != 0 || r.Through != 0 {
			t.Errorf("%s: Visit() = %+v, %v; want the batches written and nothing received", name, r, err)
		}
		f, err := os.Open(batches)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if kiosk, _, err := deliver.ReadBundle(f); err != nil || kiosk != gate {
			t.Errorf("%s: the batches are %q, %v", name, kiosk, err)
		}
		f.Close()
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "secret" {
		t.Errorf("a file outside the stick was written: %q, %v", b, err)
	}
	if _, err := d.Visit(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("Visit(a folder that is not there) = nil, want an error")
	}
}

// forged is a receipt that this kiosk's own key signed.
func forged(t *testing.T) []byte {
	r := &wire.Receipt{V: wire.Version, Kiosk: gate, Generation: 9, Through: 3, Time: time.Now().UnixMilli()}
	return bundle(t, gate, r.Seal(7, kioskKey), r.Seal(8, serverKey))
}

func endless() []byte {
	b := []byte("QRGATE-BUNDLE 1 " + gate + "\n")
	for range 100_000 {
		b = append(b, 0, 0, 0, 1, 'x')
	}
	return b
}

func TestSocketServesTheCommandLine(t *testing.T) {
	d, s, dir := newDoor(t, 40), &server{t: t}, t.TempDir()
	// The path of a socket may have 107 bytes.
	state, err := os.MkdirTemp("", "qr")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	path := filepath.Join(state, "carry.sock")
	c := carry.Dial(path, gate)
	if _, err := c.Visit(t.Context(), dir); !errors.Is(err, carry.ErrNotRunning) {
		t.Errorf("Visit() without a door error = %v, want ErrNotRunning", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v is left of a visit without a door", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- carry.Serve(ctx, path, d, quiet) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve() = %v", err)
		}
	}()
	until(t, "the socket", func() bool { i, err := os.Stat(path); return err == nil && i.Mode().Perm() == 0o600 })
	if r, err := c.Visit(t.Context(), dir); err != nil || r.Waiting != 41 {
		t.Fatalf("Visit() = %+v, %v; want 41 waiting", r, err)
	}
	back := s.take(filepath.Join(dir, gate+".batches"))
	if err := os.WriteFile(filepath.Join(dir, gate+".receipts"), back, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Visit(t.Context(), dir); err != nil || r.Receipts != 1 || r.Through != 41 || r.Waiting != 0 {
		t.Errorf("Visit() with the receipt = %+v, %v; want 41 received", r, err)
	}
	if err := os.WriteFile(filepath.Join(dir, gate+".receipts"), []byte("junk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Visit(t.Context(), dir); err != nil || r.Damaged == nil {
		t.Errorf("Visit() with junk = %+v, %v; want it told", r, err)
	}
}

func TestWatchVisitsEachStickOnce(t *testing.T) {
	d, s, media := newDoor(t, 3), &server{t: t}, t.TempDir()
	var log logBuffer
	w := carry.NewWatch(d, filepath.Join(media, "*", "qrgate"), slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	}()
	// Somebody's own stick, and a link that leads elsewhere.
	elsewhere := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(media, "own", "photos"), 0o755), os.MkdirAll(filepath.Join(media, "bad"), 0o755),
		os.Symlink(elsewhere, filepath.Join(media, "bad", "qrgate"))); err != nil {
		t.Fatal(err)
	}
	stick := filepath.Join(media, "usb", "qrgate")
	if err := os.MkdirAll(stick, 0o755); err != nil {
		t.Fatal(err)
	}
	until(t, "the notice", func() bool { return strings.Contains(w.Notice(words.English), "USB stick written") })
	back := s.take(filepath.Join(stick, gate+".batches"))
	next := filepath.Join(media, "usb2", "qrgate")
	if err := errors.Join(os.RemoveAll(filepath.Dir(stick)), os.MkdirAll(next, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(next, gate+".receipts.new"), back, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the next stick is visited", func() bool { _, err := os.Stat(filepath.Join(next, gate+".batches")); return err == nil })
	for _, dir := range []string{elsewhere, filepath.Join(media, "own")} {
		if found, _ := filepath.Glob(filepath.Join(dir, "*.batches")); len(found) > 0 {
			t.Errorf("%v was written", found)
		}
	}
	until(t, "two visits in the log", func() bool { return strings.Count(log.String(), "stick written") == 2 })
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}
