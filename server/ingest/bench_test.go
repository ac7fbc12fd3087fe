package ingest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	people   = 20_000 // different cards that the kiosks see
	inFlight = 4      // batches that a kiosk sends before the first one's receipt
)

// A load is kiosks with batches that were sealed and signed before.
type load struct {
	b      *testing.B
	size   int // records of a batch
	kiosks []*loader

	mu    sync.Mutex
	delay []time.Duration // from when a batch was due to its receipt
}

// A loader is one kiosk. It does not verify receipts: that is the work of the
// kiosk's own processor.
type loader struct {
	kiosk    *kiosk
	link     deliver.Link
	batches  [][]byte
	ends     []uint64 // last number of each
	received chan uint64
}

// newLoad makes kiosks with so many batches each.
func newLoad(b *testing.B, w *world, kiosks, size, batches int) *load {
	b.Helper()
	l := &load{b: b, size: size, kiosks: make([]*loader, kiosks)}
	var making sync.WaitGroup
	slots := make(chan struct{}, 2)
	for i := range kiosks {
		k := w.kiosk(kioskName(i))
		slots <- struct{}{}
		making.Go(func() {
			defer func() { <-slots }()
			lo := &loader{kiosk: k, received: make(chan uint64, 1)}
			for j := range batches * size {
				k.card(uint32((i*7919+j*104729)%people + 1))
			}
			from := uint64(1)
			for to := uint64(size) + 1; to <= k.last(); to += uint64(size) { // the epoch's first record is no check-in
				lo.batches, lo.ends = append(lo.batches, k.batch(from, to).Seal(k.key)), append(lo.ends, to)
				from = to + 1
			}
			l.kiosks[i] = lo
		})
	}
	making.Wait()
	return l
}

// connect gives each kiosk its link.
func (l *load) connect(link func(*kiosk) deliver.Link) {
	for _, k := range l.kiosks {
		k.link = link(k.kiosk)
		err := k.link.Subscribe(l.b.Context(), wire.Topic(k.kiosk.id, wire.DownReceipt), func(_ string, payload []byte) {
			var e wire.Envelope
			var r wire.Receipt
			if wire.Decode(payload, &e) != nil || wire.Decode(e.Body, &r) != nil || len(r.Rejects) > 0 {
				l.b.Errorf("receipt %+v", r)
				return
			}
			k.tell(r.Through)
		})
		if err != nil {
			l.b.Fatal(err)
		}
	}
}

// tell hands over the newest watermark.
func (k *loader) tell(through uint64) {
	for {
		select {
		case k.received <- through:
			return
		case old := <-k.received:
			through = max(through, old)
		}
	}
}

// run has every kiosk send its batches from..to, as fast as its window allows or
// one after each interval, and returns the check-ins a second.
func (l *load) run(from, to int, every time.Duration) float64 {
	ctx, cancel := context.WithTimeout(l.b.Context(), 3*time.Minute)
	defer cancel()
	l.delay = l.delay[:0]
	began := time.Now()
	var sending sync.WaitGroup
	for _, k := range l.kiosks {
		sending.Go(func() {
			if err := l.send(ctx, k, from, to, every); err != nil {
				l.b.Errorf("%s: %v", k.kiosk.id, err)
			}
		})
	}
	sending.Wait()
	return float64((to-from)*l.size*len(l.kiosks)) / time.Since(began).Seconds()
}

func (l *load) send(ctx context.Context, k *loader, from, to int, every time.Duration) error {
	due := make([]time.Time, to)
	start := time.Now()
	if every > 0 {
		start = start.Add(rand.N(every))
	}
	var delay []time.Duration
	next, acked := from, from
	timer := time.NewTimer(0)
	defer timer.Stop()
	for acked < to {
		for next < to && next-acked < inFlight {
			due[next] = start.Add(time.Duration(next-from) * every)
			if wait := time.Until(due[next]); wait > 0 {
				timer.Reset(wait)
				break
			}
			if every == 0 {
				due[next] = time.Now()
			}
			if err := k.link.Publish(ctx, wire.Topic(k.kiosk.id, wire.UpBatch), k.batches[next], false); err != nil {
				return err
			}
			next++
		}
		select {
		case <-timer.C:
		case through := <-k.received:
			now := time.Now()
			for ; acked < next && k.ends[acked] <= through; acked++ {
				delay = append(delay, now.Sub(due[acked]))
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d batches have a receipt", acked-from, to-from)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = append(l.delay, delay...)
	return nil
}

// milliseconds returns a percentile of the delays.
func (l *load) milliseconds(p float64) float64 {
	slices.Sort(l.delay)
	return float64(l.delay[int(float64(len(l.delay)-1)*p)].Microseconds()) / 1000
}

func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIngest measures from the link to the receipt, b.N check-ins as fast
// as they go and then as many at half of that rate. The processor's time is that
// of this process, with what the kiosks' side of it takes.
func BenchmarkIngest(b *testing.B) {
	for _, e := range engines {
		for _, kiosks := range []int{50, 500} {
			for _, size := range []int{64, 1} {
				b.Run(fmt.Sprintf("%s/kiosks=%d/batch=%d", e.name, kiosks, size), func(b *testing.B) {
					w := newWorld(b, e)
					w.benchmark(kiosks, size, w.line, func(*kiosk) deliver.Link { return w.line })
				})
			}
		}
	}
}

func (w *world) benchmark(kiosks, size int, serverLink deliver.Link, link func(*kiosk) deliver.Link) {
	b := w.t.(*testing.B)
	each := max(1, b.N/(kiosks*size)) // batches of a kiosk in each half
	l := newLoad(b, w, kiosks, size, 2*each)
	p := w.parts()
	p.Link = serverLink
	s := w.serveWith(p, ingest.Options{})
	l.connect(link)
	before := processor()
	b.ResetTimer()
	rate := l.run(0, each, 0)
	b.StopTimer()
	spent := processor() - before
	n := each * size * kiosks
	b.ReportMetric(rate, "checkins/s")
	b.ReportMetric(float64(spent.Nanoseconds())/1000/float64(n), "cpu-µs/checkin")
	st := s.Stats()
	b.ReportMetric(float64(st.Batches)/float64(st.Commits), "batches/commit")
	b.ReportMetric(0, "ns/op")

	l.run(each, 2*each, time.Duration(float64(kiosks*size)/(rate/2)*float64(time.Second)))
	b.ReportMetric(l.milliseconds(0.5), "half-p50-ms")
	b.ReportMetric(l.milliseconds(0.99), "half-p99-ms")
	if st := s.Stats(); st.Checkins != uint64(2*n) || st.Dropped+st.Failed+st.Refused+st.Rejected+st.Repeated > 0 {
		b.Errorf("Stats() = %+v, want %d check-ins", st, 2*n)
	}
}

// BenchmarkOpen is the part of it that workers do side by side: signature,
// decoding, seals.
func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{64, 1} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			w := newWorld(b, sqlite)
			l := newLoad(b, w, 1, size, 1)
			in, err := ingest.New(w.parts(), ingest.Options{Now: w.now})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := in.Open(b.Context(), l.kiosks[0].kiosk.id, l.kiosks[0].batches[0]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(b.N*size), "µs/checkin")
		})
	}
}
