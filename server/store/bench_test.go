package store_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	benchKiosks = 500
	benchDays   = 21 // over which the rows of a store that is in use are spread
)

// A filler makes rows of benchKiosks kiosks, as package ingest hands them over.
type filler struct {
	s      *store.Store
	kiosks []string
	seqs   []uint64
	random *rand.ChaCha8
}

func newFiller(b *testing.B, s *store.Store) *filler {
	f := &filler{s: s, random: rand.NewChaCha8([32]byte{1})}
	for i := range benchKiosks {
		f.kiosks = append(f.kiosks, addKiosk(b, s, fmt.Sprintf("gate-%04d", i)).id)
		f.seqs = append(f.seqs, 0)
	}
	return f
}

// intake takes in batches of the given size in one transaction, of as many
// kiosks from the given one on.
func (f *filler) intake(b *testing.B, first, batches, size int, now time.Time) {
	names := make([]string, batches)
	for i := range names {
		names[i] = f.kiosks[(first+i)%benchKiosks]
	}
	err := f.s.Intake(context.Background(), names, func(t *store.Intake) error {
		for i, name := range names {
			e, err := t.Book(name).Epoch(wire.Epoch{1})
			if err != nil {
				return err
			}
			seq := &f.seqs[(first+i)%benchKiosks]
			at := now.UnixMilli()
			since := int64(*seq+1) * 1000
			span := when.Span{Boot: when.Boot{2}, First: *seq + 1, Last: *seq + uint64(size), Start: since, End: since + int64(size)*1000}
			span.Arrived, span.ArrivedSince = at, span.End
			t.Seen(e, span)
			e.Touch(now)
			for range size {
				*seq++
				var d wire.Digest
				var subject qrgate.Subject
				f.random.Read(d[:])
				binary.NativeEndian.PutUint64(subject[:], f.random.Uint64())
				binary.NativeEndian.PutUint64(subject[8:], f.random.Uint64())
				h := wire.Header{
					Seq: *seq, Kind: wire.KindCheckin, Boot: span.Boot, Since: int64(*seq) * 1000, Wall: at, Clock: 1, Error: 20,
					Gate: "main", Lane: 1, Direction: wire.In, Pass: pass.Card, Verdict: wire.Admitted, Presence: wire.Verified,
				}
				in := store.Clamp(e.Bounds(h.Boot, h.Since), at)
				t.Add(store.Row{
					Under: e, Written: e, Header: h, Digest: d, Day: qrgate.DayOf(now), Subject: &subject, When: in, Received: now,
				})
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// fill puts n rows of the past days into the store.
func (f *filler) fill(b *testing.B, n int, now time.Time) {
	const batches, size = 250, 200
	for i := range n / (batches * size) {
		day := i * batches * size * benchDays / n
		f.intake(b, i*batches, batches, size, now.AddDate(0, 0, day-benchDays+1))
	}
}

// run takes in batches. If all is set that ends when the check-ins are filed as
// well.
func (f *filler) run(b *testing.B, batches, size int, now time.Time, all bool) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var tidying sync.WaitGroup
	if all {
		tidying.Go(func() {
			for ctx.Err() == nil {
				if _, err := f.s.Tidy(ctx); err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			}
		})
	}
	rows := 0
	spent, start := processor(), time.Now()
	for b.Loop() {
		f.intake(b, rows/size, batches, size, now)
		rows += batches * size
	}
	if all {
		cancel()
		tidying.Wait()
		tidyAll(b, f.s)
	}
	took := time.Since(start)
	b.ReportMetric(float64((processor()-spent).Nanoseconds())/1000/float64(rows), "cpu-µs/checkin")
	b.ReportMetric(float64(rows)/took.Seconds(), "checkins/s")
	b.StopTimer()
	tidyAll(b, f.s)
}

// processor returns the time that this process has had, without PostgreSQL's.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func shapes(b *testing.B, f *filler, now time.Time, all bool) {
	for _, shape := range []struct {
		name          string
		batches, size int
	}{
		{"batches of 64", 200, 64},
		{"single", benchKiosks, 1},
		{"single of 50 kiosks", 50, 1},
	} {
		b.Run(shape.name, func(b *testing.B) { f.run(b, shape.batches, shape.size, now, all) })
	}
}

// BenchmarkIntake is the store's part of taking in check-ins, durably: 500
// kiosks, many batches a transaction.
func BenchmarkIntake(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) { shapes(b, newFiller(b, open(b, e.dsn(b))), dawn, false) })
	}
}

// BenchmarkIntakeIntoMillions is BenchmarkIntake into a store that holds a
// million rows of the past 21 days, or ten million with QRGATE_SCALE=soak, until
// all is filed.
func BenchmarkIntakeIntoMillions(b *testing.B) {
	held := 1_000_000
	if os.Getenv("QRGATE_SCALE") == "soak" {
		held *= 10
	}
	for _, e := range engines {
		b.Run(fmt.Sprintf("%s/%d held", e.name, held), func(b *testing.B) {
			f := newFiller(b, open(b, e.dsn(b)))
			start := time.Now()
			f.fill(b, held, dawn)
			tidyAll(b, f.s)
			b.Logf("filled with %.0f check-ins/s", float64(held)/time.Since(start).Seconds())
			shapes(b, f, dawn, true)
		})
	}
}

// BenchmarkIntakeLatency is how long an intake takes while filing goes on, at
// 20,000 check-ins/s in batches of 64.
func BenchmarkIntakeLatency(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			f := newFiller(b, open(b, e.dsn(b)))
			f.fill(b, 500_000, dawn)
			tidyAll(b, f.s)
			ctx, cancel := context.WithCancel(b.Context())
			var tidying sync.WaitGroup
			tidying.Go(func() {
				for ctx.Err() == nil {
					if more, err := f.s.Tidy(ctx); err != nil && ctx.Err() == nil {
						b.Error(err)
					} else if !more {
						time.Sleep(100 * time.Millisecond)
					}
				}
			})
			const batches, size, rate = 4, 64, 20_000
			every := time.NewTicker(time.Second * batches * size / rate)
			var took []time.Duration
			for b.Loop() {
				<-every.C
				start := time.Now()
				f.intake(b, len(took)*batches, batches, size, dawn)
				took = append(took, time.Since(start))
			}
			every.Stop()
			cancel()
			tidying.Wait()
			slices.Sort(took)
			for name, at := range map[string]int{"p50-ms": len(took) / 2, "p99-ms": len(took) * 99 / 100, "max-ms": len(took) - 1} {
				b.ReportMetric(float64(took[at].Microseconds())/1000, name)
			}
		})
	}
}
