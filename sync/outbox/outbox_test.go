package outbox_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// clock is a kiosk's time under the test's hand.
type clock struct{ r when.Reading }

func newClock() *clock {
	return &clock{when.Reading{Boot: when.Boot{1}, Since: 1000, Wall: 1_700_000_000_000, State: when.Synced}}
}

func (c *clock) now() when.Reading { return c.r }

func (c *clock) pass(d time.Duration) {
	c.r.Since += d.Milliseconds()
	c.r.Wall += d.Milliseconds()
}

func open(t testing.TB, path string, o outbox.Options) *outbox.Queue {
	t.Helper()
	if o.Now == nil {
		o.Now = newClock().now
	}
	q, err := outbox.Open(t.Context(), path, o)
	if err != nil {
		t.Fatalf("Open(%s) error = %v", path, err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func shut(t testing.TB, q *outbox.Queue) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Fatalf("Close() error = %v", err)
	}
}

// seen is a check-in whose box is n and as many more bytes as size says. Eight
// in a row share a context.
func seen(n uint64, size int) func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
	return sealed(n, size, 8)
}

// sealed is seen with another number of check-ins in a context.
func sealed(n uint64, size int, perContext uint64) func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
	return func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		h := wire.Header{Seq: seq, Kind: wire.KindCheckin, Boot: when.Boot{1}, Since: int64(n), Wall: 1_700_000_000_000,
			Clock: when.Synced, Gate: "A1", Lane: 1, Direction: wire.In, Verdict: 1, Presence: wire.Verified}
		c := wire.NewContext(1, binary.BigEndian.AppendUint64(make([]byte, 24), n/perContext))
		box := make([]byte, 8+size)
		binary.BigEndian.PutUint64(box, n)
		return wire.NewRecord(h, wire.Sealed{Key: 1, Context: c.ID, Counter: n, Box: box}), c, nil
	}
}

// idOf returns the n of a record that seen made.
func idOf(r wire.Record) uint64 { return binary.BigEndian.Uint64(r.Box) }

func put(t testing.TB, q *outbox.Queue, n uint64) uint64 {
	t.Helper()
	seq, err := q.Put(seen(n, 24))
	if err != nil {
		t.Fatalf("Put(%d) error = %v", n, err)
	}
	return seq
}

// receipt returns what a server says that holds all up to through.
func receipt(t testing.TB, q *outbox.Queue, through, safe uint64) *wire.Receipt {
	t.Helper()
	s := q.Stats()
	return &wire.Receipt{V: wire.Version, Epoch: s.Epoch, Generation: max(1, s.Generation), Through: through, Safe: safe, Hash: hashAt(t, q, through)}
}

func hashAt(t testing.TB, q *outbox.Queue, seq uint64) wire.Hash {
	t.Helper()
	if s := q.Stats(); seq == s.Last {
		return s.Hash
	}
	run, err := q.Peek(seq+1, 1)
	if err != nil || run.First != seq+1 {
		t.Fatalf("Peek(%d, 1) = run from %d, %v", seq+1, run.First, err)
	}
	return run.Prev
}

// all returns the check-ins held, with chain and contexts checked.
func all(t testing.TB, q *outbox.Queue) []uint64 {
	t.Helper()
	ids, unopened := held(t, q)
	if unopened > 0 {
		t.Errorf("contexts of %d records are missing", unopened)
	}
	return ids
}

// held returns the numbers in the boxes of the records held, and how many of
// these come without their context. Records without a box are left out.
func held(t testing.TB, q *outbox.Queue) (ids []uint64, unopened int) {
	t.Helper()
	s := q.Stats()
	hash := wire.Hash{}
	for from := s.First; ; {
		run, err := q.Peek(from, wire.MaxBatchRecords)
		if err != nil {
			t.Fatalf("Peek(%d) error = %v", from, err)
		}
		if len(run.Records) == 0 {
			break
		}
		if run.First != from || run.Epoch != s.Epoch {
			t.Fatalf("Peek(%d) = run from %d of %s, want from %d of %s", from, run.First, run.Epoch, from, s.Epoch)
		}
		if from > s.First && run.Prev != hash {
			t.Fatalf("Peek(%d).Prev = %s, want %s", from, run.Prev, hash)
		}
		known := map[uint64]bool{}
		for _, c := range run.Contexts {
			known[c.ID] = true
		}
		hash = run.Prev
		for i, b := range run.Records {
			hash = hash.Next(b)
			r, _, err := wire.DecodeRecord(b)
			if err != nil {
				t.Fatalf("record %d: %v", run.First+uint64(i), err)
			}
			if len(r.Box) > 0 {
				ids = append(ids, idOf(r))
				if !known[r.Context] {
					unopened++
				}
			}
		}
		from = run.End() + 1
	}
	if hash != s.Hash && s.First <= s.Last {
		t.Errorf("chain of all runs = %s, want %s", hash, s.Hash)
	}
	return ids, unopened
}

func verify(t testing.TB, path string) outbox.Report {
	t.Helper()
	r, err := outbox.Verify(context.Background(), path, nil)
	if err != nil {
		t.Fatalf("Verify(%s) = %v, error %v", path, r, err)
	}
	return r
}

func TestPutPeekReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	s := q.Stats()
	if s.By != wire.OpenedNew || s.First != 1 || s.Last != 1 || s.Unsent != 1 {
		t.Errorf("Stats() of a new outbox = %+v, want one record of an epoch that is new", s)
	}
	for n := range uint64(1000) {
		if seq := put(t, q, n); seq != n+2 {
			t.Fatalf("Put(%d) = %d, want %d", n, seq, n+2)
		}
	}
	select {
	case <-q.Changed():
	default:
		t.Error("Changed() is silent after Put")
	}
	before := q.Stats()
	shut(t, q)
	if r := verify(t, path); r.Last != 1001 || r.Held != 1001 || r.Hash != before.Hash {
		t.Errorf("Verify() = %+v, want 1001 records up to %s", r, before.Hash)
	}
	q = open(t, path, outbox.Options{})
	after := q.Stats()
	after.Bytes = before.Bytes
	if after != before {
		t.Errorf("Stats() after reopening = %+v, want %+v", after, before)
	}
	if ids := all(t, q); len(ids) != 1000 || ids[0] != 0 || ids[999] != 999 {
		t.Errorf("held after reopening: %d check-ins, want 0 to 999", len(ids))
	}
}

func TestSecondProcessIsLockedOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	open(t, path, outbox.Options{})
	start := time.Now()
	_, err := outbox.Open(t.Context(), path, outbox.Options{Now: newClock().now})
	if !errors.Is(err, outbox.ErrLocked) || time.Since(start) > 5*time.Second {
		t.Errorf("second Open() error = %v after %s, want ErrLocked at once", err, time.Since(start))
	}
	if _, err := outbox.Verify(t.Context(), path, nil); !errors.Is(err, outbox.ErrLocked) {
		t.Errorf("Verify() of an open outbox error = %v, want ErrLocked", err)
	}
}

func TestReceiptsForget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	for n := range uint64(100) {
		put(t, q, n)
	}
	out, err := q.Apply(receipt(t, q, 60, 40))
	if err != nil || !out.Advanced || out.Fork || out.Again {
		t.Fatalf("Apply(through 60, safe 40) = %+v, %v", out, err)
	}
	put(t, q, 100)
	if s := q.Stats(); s.First != 41 || s.Through != 60 || s.Safe != 40 || s.Unsent != 42 {
		t.Errorf("Stats() = %+v, want from 41, 42 without a receipt", s)
	}
	if !q.Received(60) || q.Received(61) {
		t.Errorf("Received(60, 61) = %t, %t, want true, false", q.Received(60), q.Received(61))
	}
	shut(t, q)
	verify(t, path)
	q = open(t, path, outbox.Options{})
	if s := q.Stats(); s.First != 41 || s.Through != 60 {
		t.Errorf("Stats() after reopening = %+v, want from 41, through 60", s)
	}
	if _, err := q.Apply(receipt(t, q, 102, 102)); err != nil {
		t.Fatal(err)
	}
	if err := q.Flush(); err != nil {
		t.Fatalf("Flush() error = %v", err)
	}
	s := q.Stats()
	if s.First != 103 || s.Last != 102 || s.Unsent != 0 {
		t.Errorf("Stats() after all is safe = %+v, want none held", s)
	}
	shut(t, q)
	verify(t, path)
	q = open(t, path, outbox.Options{})
	put(t, q, 101)
	if ids := all(t, q); fmt.Sprint(ids) != "[101]" {
		t.Errorf("held = %v, want [101]", ids)
	}
}

func TestNewEpochCarries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	for n := range uint64(50) {
		put(t, q, n)
	}
	first := q.Stats().Epoch
	for range 2 {
		if err := q.NewEpoch(wire.OpenedFork); err != nil {
			t.Fatalf("NewEpoch() error = %v", err)
		}
	}
	if ids := all(t, q); len(ids) != 50 {
		t.Errorf("carried %d check-ins, want 50", len(ids))
	}
	run, err := q.Peek(1, 256)
	if err != nil {
		t.Fatal(err)
	}
	r, h, err := wire.DecodeRecord(run.Records[0])
	if err != nil || h.Opened == nil || h.Opened.By != wire.OpenedFork || h.Opened.Carried != 52 || h.Opened.Lost != 0 || h.Opened.Last != 52 {
		t.Errorf("first record = %+v %+v, %v, want opened by fork with 52 carried", r, h.Opened, err)
	}
	r, h, _ = wire.DecodeRecord(run.Records[5])
	if r.Origin == nil || *r.Origin != first || h.Seq != 4 {
		t.Errorf("sixth record = origin %v, number %d, want %s, 4", r.Origin, h.Seq, first)
	}
	shut(t, q)
	verify(t, path)
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("path.new is left behind")
	}
}

// Who starts a kiosk, and who watches its door, hear that a large ledger is being gone
// through; the door is not ended for it.
func TestLongWorkShowsThatItGetsOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	worked := 0
	o := outbox.Options{NoSync: true, Working: func() { worked++ }}
	q := open(t, path, o)
	for n := range uint64(4100) {
		put(t, q, n)
	}
	heard := func(what string, least int) {
		t.Helper()
		if worked < least {
			t.Errorf("%s: heard of %d times, want %d at least", what, worked, least)
		}
		worked = 0
	}
	worked = 0
	before := time.Now()
	if err := q.NewEpoch(wire.OpenedOrder); err != nil {
		t.Fatal(err)
	}
	heard("a new epoch", 3)
	if at := q.Worked(); at.Before(before) || at.After(time.Now()) {
		t.Errorf("Worked() = %s, want a time from %s on", at, before)
	}
	shut(t, q)
	if _, err := outbox.Verify(t.Context(), path, func() { worked++ }); err != nil {
		t.Fatal(err)
	}
	heard("Verify", 4)
	o.Check = func(context.Context, string) error { return errors.New("damaged") }
	if q = open(t, path, o); q.Stats().By != wire.OpenedSalvage {
		t.Errorf("Stats() after a check that failed = %+v, want salvage", q.Stats())
	}
	heard("salvage", 4)
}
