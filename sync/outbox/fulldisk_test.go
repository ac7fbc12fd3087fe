//go:build full

package outbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// smallDisk mounts a disk of its own at a new folder.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mounting needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes what is left of a disk, as a log does that nobody rotates.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 4096); ; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// putUntilFull puts check-ins from n on and returns the number of the first that
// found no room.
func putUntilFull(t *testing.T, q *outbox.Queue, n uint64, size int) uint64 {
	t.Helper()
	for first := n; ; n++ {
		_, err := q.Put(seen(n, size))
		if errors.Is(err, outbox.ErrFull) {
			return n
		}
		if err != nil || n > first+10_000 {
			t.Fatalf("Put(%d) on a full disk: error = %v, want ErrFull in the end", n, err)
		}
	}
}

// A disk that others have filled is no failed write, and what receipts free can
// be used again.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "2m")
	path := filepath.Join(dir, "outbox.db")
	q := open(t, path, outbox.Options{})
	n := putUntilFull(t, q, 0, 3000)
	if err := q.NewEpoch(wire.OpenedFork); err == nil || errors.Is(err, outbox.ErrBroken) {
		t.Errorf("NewEpoch() on a full disk: error = %v, want one that leaves the epoch", err)
	}
	if ids := all(t, q); uint64(len(ids)) != n {
		t.Errorf("held on a full disk = %d check-ins, want %d", len(ids), n)
	}
	if !q.Stats().Near {
		t.Error("Stats().Near = false on a full disk")
	}
	last := q.Stats().Last
	if _, err := q.Apply(receipt(t, q, last, 0)); err != nil { // in no backup yet
		t.Fatal(err)
	}
	for range n / 2 {
		if _, err := q.Put(seen(n, 3000)); err != nil {
			t.Fatalf("Put() after receipts: error = %v", err)
		}
	}
	if s := q.Stats(); s.Early == 0 || s.Early > last || s.Early != s.First-1 {
		t.Errorf("Stats() = from %d, %d early, want some of %d", s.First, s.Early, last)
	}
	shut(t, q)
	verify(t, path)
}

func TestDiskFilledByOthersAtAnyMoment(t *testing.T) {
	dir := smallDisk(t, "32m")
	path, others := filepath.Join(dir, "outbox.db"), filepath.Join(dir, "log")
	q := open(t, path, outbox.Options{})
	n := uint64(0)
	for round := range 30 {
		switch round % 3 {
		case 0:
			for range 10 + round {
				put(t, q, n)
				n++
			}
		case 1: // a file just built has a tail that bbolt left without blocks
			if err := q.NewEpoch(wire.OpenedFork); err != nil {
				t.Fatal(err)
			}
		case 2:
			shut(t, q)
			q = open(t, path, outbox.Options{})
		}
		fill(t, others)
		n = putUntilFull(t, q, n, 24)
		if err := os.Remove(others); err != nil {
			t.Fatal(err)
		}
	}
	if ids := all(t, q); uint64(len(ids)) != n {
		t.Errorf("held = %d check-ins, want %d", len(ids), n)
	}
	shut(t, q)
	verify(t, path)
}
