package outbox_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
	"golang.org/x/sys/unix"

	"crypto/ecdh"
	"crypto/rand"
	"time"
)

func TestFailedMakeTakesNoNumberAndNoNonceTwice(t *testing.T) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(1, private.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	opener, err := seal.NewOpener(map[uint32][]byte{1: private.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	type nonce struct{ context, counter uint64 }
	used := map[nonce]bool{}
	broken := errors.New("no such pass")
	now := time.Unix(1_700_000_000, 0)
	var seqs []uint64
	for i := range 1100 {
		seq, err := q.Put(func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			h := wire.Header{Seq: seq, Kind: wire.KindCheckin, Verdict: 1}
			box, c, err := sealer.Seal(now, wire.AdditionalData("kiosk-0001", epoch, wire.Encode(h)), []byte("somebody"))
			if err != nil {
				return wire.Record{}, wire.Context{}, err
			}
			if n := (nonce{c.ID, box.Counter}); used[n] {
				t.Errorf("nonce %+v is used twice", n)
			} else {
				used[n] = true
			}
			if i%11 != 0 {
				return wire.Record{}, wire.Context{}, broken
			}
			return wire.NewRecord(h, box), c, nil
		})
		if i%11 != 0 {
			if err != broken {
				t.Fatalf("Put() error = %v, want make's own", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, seq)
	}
	for i, seq := range seqs {
		if seq != uint64(i)+2 {
			t.Fatalf("Put() = %d, want %d: numbers must not be lost", seq, i+2)
		}
	}
	run, err := q.Peek(2, 100)
	if err != nil || len(run.Records) != 100 {
		t.Fatalf("Peek(2, 100) = %d records, %v", len(run.Records), err)
	}
	contexts := map[uint64]wire.Context{}
	for _, c := range run.Contexts {
		contexts[c.ID] = c
	}
	for i, b := range run.Records {
		r, _, err := wire.DecodeRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := opener.Open(contexts[r.Context], wire.AdditionalData("kiosk-0001", run.Epoch, r.Header), r.Sealed()); err != nil {
			t.Errorf("box of record %d does not open: %v", i+2, err)
		}
	}
}

func TestUnfitRecordIsRefused(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "outbox.db"), outbox.Options{})
	tests := map[string]func(r *wire.Record, c *wire.Context){
		"too large": func(r *wire.Record, _ *wire.Context) { r.Box = make([]byte, outbox.MaxRecord) },
		"no header": func(r *wire.Record, _ *wire.Context) { r.Header = nil },
		"another number": func(r *wire.Record, _ *wire.Context) {
			r.Header = wire.Encode(wire.Header{Seq: 9, Kind: wire.KindCheckin})
		},
		"with an origin":   func(r *wire.Record, _ *wire.Context) { r.Origin = &wire.Epoch{1} },
		"box, no context":  func(_ *wire.Record, c *wire.Context) { *c = wire.Context{} },
		"another context":  func(r *wire.Record, _ *wire.Context) { r.Context++ },
		"context, no box":  func(r *wire.Record, _ *wire.Context) { r.Box = nil },
		"enormous context": func(r *wire.Record, c *wire.Context) { *c = wire.NewContext(1, make([]byte, 2000)); r.Context = c.ID },
	}
	for name, change := range tests {
		_, err := q.Put(func(e wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			r, c, err := seen(1, 10)(e, seq)
			change(&r, &c)
			return r, c, err
		})
		if err == nil || errors.Is(err, outbox.ErrBroken) || errors.Is(err, outbox.ErrFull) {
			t.Errorf("%s: Put() error = %v, want one of the record", name, err)
		}
	}
	if seq := put(t, q, 1); seq != 2 {
		t.Errorf("Put() after refusals = %d, want 2", seq)
	}
}

// failWrites makes writes to path fail until restore is called, as a card does
// that has gone read-only: this process's descriptor of it is replaced by one
// for reading.
func failWrites(t *testing.T, path string) (restore func()) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	ro, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	for _, e := range fds {
		var fd int
		fmt.Sscan(e.Name(), &fd)
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == path && fd != int(ro.Fd()) {
			saved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			replace := func(by int) {
				if err := unix.Dup3(by, fd, unix.O_CLOEXEC); err != nil {
					t.Fatal(err)
				}
			}
			replace(int(ro.Fd()))
			return func() {
				replace(saved)
				unix.Close(saved)
			}
		}
	}
	t.Fatalf("no descriptor of %s", path)
	return nil
}

func TestFirstFailedWriteIsTheLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	for n := range uint64(20) {
		put(t, q, n)
	}
	restore := failWrites(t, path)
	if _, err := q.Put(seen(20, 8)); !errors.Is(err, outbox.ErrBroken) {
		t.Fatalf("Put() on a card that does not write: error = %v, want ErrBroken", err)
	}
	calls := 0
	_, err := q.Put(func(wire.Epoch, uint64) (r wire.Record, c wire.Context, err error) { calls++; return })
	if !errors.Is(err, outbox.ErrBroken) || calls != 0 {
		t.Errorf("next Put() error = %v after %d calls of make, want ErrBroken after none", err, calls)
	}
	if err := q.Flush(); !errors.Is(err, outbox.ErrBroken) {
		t.Errorf("Flush() error = %v, want ErrBroken", err)
	}
	if err := q.NewEpoch(wire.OpenedFork); !errors.Is(err, outbox.ErrBroken) {
		t.Errorf("NewEpoch() error = %v, want ErrBroken", err)
	}
	restore()
	if _, err := q.Put(seen(20, 8)); !errors.Is(err, outbox.ErrBroken) {
		t.Errorf("Put() after the card came back: error = %v, want ErrBroken until a restart", err)
	}
	shut(t, q)
	q = open(t, path, outbox.Options{})
	if ids := all(t, q); len(ids) != 20 {
		t.Errorf("held after a restart = %d check-ins, want 20", len(ids))
	}
}

func TestMovedStorageBeginsAnEpoch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	put(t, q, 1)
	epoch := q.Stats().Epoch
	for _, step := range []struct {
		identity string
		moved    bool
	}{{"", false}, {"cpu1 card1", false}, {"", false}, {"cpu1 card1", false}, {"cpu2 card1", true}, {"cpu2 card1", true}} {
		shut(t, q)
		q = open(t, path, outbox.Options{Identity: step.identity})
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
		if s := q.Stats(); s.Moved != step.moved || step.moved == (s.Epoch == epoch) {
			t.Errorf("opened in %q: Stats() = %+v, want moved %t", step.identity, s, step.moved)
		}
	}
	if s := q.Stats(); s.Carried != 2 || fmt.Sprint(all(t, q)) != "[1]" {
		t.Errorf("carried %d records, holds %v, want 2, [1]", s.Carried, all(t, q))
	}
}

func TestDrainedFileIsCompacted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	for n := range uint64(600) {
		if _, err := q.Put(seen(n, 7000)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.Apply(receipt(t, q, 590, 590)); err != nil {
		t.Fatal(err)
	}
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	before := q.Stats()
	shut(t, q)
	q = open(t, path, outbox.Options{})
	after := q.Stats()
	if fi, err := os.Stat(path); err != nil || fi.Size() > 1<<20 {
		t.Errorf("compacted file has %d bytes, want at most 1 MiB", fi.Size())
	}
	after.Bytes = before.Bytes
	if before != after {
		t.Errorf("Stats() after compaction = %+v, want %+v", after, before)
	}
	if ids := all(t, q); len(ids) != 11 || ids[0] != 589 {
		t.Errorf("held after compaction = %v, want 589 to 599", ids)
	}
	put(t, q, 600)
	if _, err := q.Apply(receipt(t, q, 602, 602)); err != nil {
		t.Fatal(err)
	}
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	shut(t, q)
	verify(t, path)
}
