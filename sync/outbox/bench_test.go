package outbox_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
	"golang.org/x/sys/unix"
)

// Figures of sync/outbox. One operation of BenchmarkPut is one check-in.
// QRGATE_SCALE=soak fills with a million check-ins instead of a
// hundred thousand.

func backlog() int {
	if os.Getenv("QRGATE_SCALE") == "soak" {
		return 1_000_000
	}
	return 100_000
}

// typical is a check-in of 110 bytes, sealed as package seal does: 256 in a
// context.
func typical(n uint64) func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
	return sealed(n, 26, seal.MaxPerContext)
}

// filled returns the path of an outbox with n check-ins, written without fsync.
func filled(b *testing.B, n int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "outbox.db")
	q := open(b, path, outbox.Options{NoSync: true})
	for i := range n {
		if _, err := q.Put(typical(uint64(i))); err != nil {
			b.Fatal(err)
		}
	}
	shut(b, q)
	return path
}

func BenchmarkPut(b *testing.B) {
	for _, noSync := range []bool{false, true} {
		b.Run(fmt.Sprintf("fsync=%t", !noSync), func(b *testing.B) {
			q := open(b, filepath.Join(b.TempDir(), "outbox.db"), outbox.Options{NoSync: noSync})
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := q.Put(typical(uint64(len(took)))); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			percentiles(b, took)
		})
	}
}

// BenchmarkFsync is what the disk itself takes for the least that a commit may
// do: one page written, one sync. A commit of bbolt is two of these.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "page"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	percentiles(b, took)
}

func percentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}

func BenchmarkFill(b *testing.B) {
	n := backlog()
	for b.Loop() {
		path := filled(b, n)
		fi, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		r := verify(b, path)
		b.ReportMetric(float64(r.Bytes)/float64(n), "bytes/check-in")
		b.ReportMetric(float64(fi.Size())/(1<<20), "MiB-file")
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filled(b, backlog())
	for b.Loop() {
		q := open(b, path, outbox.Options{})
		shut(b, q)
	}
	b.ReportMetric(resident(b), "MiB-resident")
}

// BenchmarkDrain sends, gets receipts that are in a backup, and deletes.
func BenchmarkDrain(b *testing.B) {
	n := backlog()
	whole := filled(b, n)
	path := filepath.Join(b.TempDir(), "outbox.db")
	peak := 0.0
	rounds := 0
	for b.Loop() {
		b.StopTimer()
		copyFile(b, path, whole)
		q := open(b, path, outbox.Options{})
		b.StartTimer()
		for batches := 0; ; batches++ {
			s := q.Stats()
			if s.Through == s.Last {
				break
			}
			run, err := q.Peek(s.Through+1, wire.MaxBatchRecords)
			if err != nil {
				b.Fatal(err)
			}
			hash := run.Prev
			for _, r := range run.Records {
				hash = hash.Next(r)
			}
			if _, err := q.Apply(&wire.Receipt{Epoch: run.Epoch, Generation: 1, Through: run.End(), Safe: run.End(), Hash: hash}); err != nil {
				b.Fatal(err)
			}
			if batches%16 == 0 {
				if err := q.Flush(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				peak = max(peak, resident(b))
				b.StartTimer()
			}
		}
		if err := q.Flush(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		shut(b, q)
		b.StartTimer()
		rounds++
	}
	b.ReportMetric(float64(n*rounds)/b.Elapsed().Seconds(), "check-ins/s")
	b.ReportMetric(peak, "MiB-resident")
}

func copyFile(b *testing.B, to, from string) {
	b.Helper()
	src, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		b.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		b.Fatal(err)
	}
}

// resident returns this process's resident memory, mapped files included.
func resident(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}
