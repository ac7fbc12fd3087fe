package rights_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/rights"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", found}

// A world is the tables and a clock that the test moves.
type world struct {
	*rights.Rights
	t   testing.TB
	s   *store.Store
	dsn string
	now atomic.Int64 // Unix milliseconds
}

var signer = proof.Signer{ID: 3, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}

// onEach runs a test on every engine.
func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, newWorld(t, e.dsn(t))) })
	}
}

func newWorld(t testing.TB, dsn string) *world {
	t.Helper()
	w := &world{t: t, dsn: dsn}
	w.now.Store(time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone).UnixMilli())
	s, err := store.Open(t.Context(), dsn, store.Options{Now: w.time})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.s, w.Rights = s, rights.New(s, w.time)
	return w
}

func (w *world) time() time.Time { return time.UnixMilli(w.now.Load()) }

func (w *world) pass(d time.Duration) { w.now.Add(d.Milliseconds()) }

func (w *world) exec(query string, args ...any) int64 {
	w.t.Helper()
	var n int64
	err := w.s.Write(w.t.Context(), func(t store.Tx) (err error) { n, err = t.Exec(query, args...); return err })
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// did writes an audit row.
func (w *world) did(action, object string) {
	w.t.Helper()
	err := w.s.Write(w.t.Context(), func(t store.Tx) error { return t.Audit("officer-1", action, object, "note of "+object) })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) seal() int {
	w.t.Helper()
	n, err := w.Seal(w.t.Context(), signer)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) verify() *rights.Chain {
	w.t.Helper()
	c, err := w.VerifyAudit(w.t.Context(), signer.Keys())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// founded is an empty database, made once: bringing a schema to this version takes
// longer than most tests.
var founded = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "founded-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "qrgate.db")
	s, err := store.Open(context.Background(), "sqlite:"+path, store.Options{})
	if err == nil {
		err = s.Close()
	}
	b, readErr := os.ReadFile(path)
	if err := errors.Join(err, readErr); err != nil {
		panic(err)
	}
	return b
})

// found returns the data source name of a new database.
func found(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qrgate.db")
	if err := os.WriteFile(path, founded(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}
