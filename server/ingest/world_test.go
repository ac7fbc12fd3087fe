package ingest_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	receiptKeyID = 7
	sealKeyID    = 3
)

var serverKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))

func receiptKeys(id uint32) ed25519.PublicKey {
	if id != receiptKeyID {
		return nil
	}
	return serverKey.Public().(ed25519.PublicKey)
}

// The codec that package wire shares between all must not be made inside one
// test's bubble of time.
func TestMain(m *testing.M) {
	wire.Open(wire.ForBatch, wire.Seal(wire.ForBatch, receiptKeyID, serverKey, make([]byte, 4096)), receiptKeys, new([]byte))
	os.Exit(m.Run())
}

// An engine is a kind of database.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

// each runs a test on every engine that this build has.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, newWorld(t, e)) })
	}
}

// A world is the server's database and keys and the line to its kiosks.
type world struct {
	t          testing.TB
	dsn        string
	clock      clock
	store      *store.Store
	dir        vault.Dir
	master     vault.Master
	vault      *vault.Vault
	seals      map[uint32][]byte
	sealPublic []byte
	line       *line
	log        logBuffer
}

// noon is when every test begins: 12:00 in Viet Nam.
var noon = time.Date(2026, 11, 25, 5, 0, 0, 0, time.UTC)

// A clock stands still until it is moved.
type clock struct{ at atomic.Int64 }

func (c *clock) set(t time.Time)         { c.at.Store(t.UnixNano()) }
func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func (w *world) now() time.Time { return w.clock.now() }

func newWorld(t testing.TB, e engine) *world {
	t.Helper()
	w := &world{t: t, dsn: e.dsn(t), dir: vault.Dir(t.TempDir()), master: vault.NewMaster(), line: newLine()}
	w.clock.set(noon)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", w.log.String())
		}
	})
	w.store = w.openStore()
	if err := vault.Init(w.dir, w.master); err != nil {
		t.Fatal(err)
	}
	w.vault = w.openVault(w.dir)
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.seals, w.sealPublic = map[uint32][]byte{sealKeyID: private.Bytes()}, private.PublicKey().Bytes()
	return w
}

func (w *world) openStore() *store.Store {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), w.dsn, store.Options{Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Errorf("store.Close() = %v", err)
		}
	})
	return s
}

func (w *world) openVault(keys vault.KeyStore) *vault.Vault {
	w.t.Helper()
	v, err := vault.Open(keys, w.master, vault.Options{Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// A server is a running Ingest.
type server struct {
	*ingest.Ingest
	w    *world
	stop func() // waits until it has ended
}

// parts returns what an Ingest of this world is made of.
func (w *world) parts() ingest.Parts {
	w.t.Helper()
	o, err := seal.NewOpener(w.seals)
	if err != nil {
		w.t.Fatal(err)
	}
	return ingest.Parts{
		Store: w.store, Vault: w.vault, Opener: o, Sign: wire.Signer{ID: receiptKeyID, Key: serverKey}, Link: w.line, Feed: ingest.NewFeed(nil),
	}
}

// serve runs an Ingest until the test ends or stop is called.
func (w *world) serve() *server { return w.serveWith(w.parts(), ingest.Options{}) }

func (w *world) serveWith(p ingest.Parts, o ingest.Options) *server {
	w.t.Helper()
	o.Now, o.Log = w.now, slog.New(slog.NewJSONHandler(&w.log, nil))
	in, err := ingest.New(p, o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	link := p.Link.(interface{ subscriptions() int })
	before := link.subscriptions()
	go func() { done <- in.Run(ctx) }()
	w.until("subscriptions", func() bool { return link.subscriptions() == before+3 })
	s := &server{Ingest: in, w: w}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run() = %v, want nil", err)
		}
	})
	w.t.Cleanup(s.stop)
	return s
}

// until waits for what has no message that says so.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late.C:
			w.t.Fatalf("%s: not in %s", what, patience)
		}
	}
}

// rows returns the check-ins of a kiosk.
func (w *world) rows(kiosk string) []qrgate.Checkin {
	w.t.Helper()
	var all []qrgate.Checkin
	err := w.store.Checkins(w.t.Context(), kiosk, func(c qrgate.Checkin) error { all = append(all, c); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// person opens a row's subject.
func (w *world) person(c qrgate.Checkin) qrgate.Person {
	w.t.Helper()
	p, err := w.vault.Person(c.Day, c.Subject)
	if err != nil {
		w.t.Fatalf("Person(%s, subject of %d) error = %v", c.Day, c.Seq, err)
	}
	return p
}

// A logBuffer keeps what is logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
