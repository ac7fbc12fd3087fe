package ingest_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// people is how many different cards the benchmarks' kiosks see.
const people = 20_000

// inFlight is how many batches a kiosk sends before the first one's receipt.
const inFlight = 4

// A load is kiosks with batches that are sealed and signed already.
type load struct {
	kiosks []*loader
	size   int // records of a batch
	done   sync.WaitGroup

	mu    sync.Mutex
	delay []time.Duration // from a batch to its receipt
}

// A loader is one kiosk: it sends the next batch when a receipt comes.
type loader struct {
	load    *load
	id      string
	link    deliver.Link
	batches [][]byte
	ends    []uint64 // last number of each
	every   time.Duration

	mu    sync.Mutex
	next  int // batch to be sent
	acked int
	sent  []time.Time
	end   chan struct{}
}

// newLoad makes n check-ins of so many kiosks.
func newLoad(b *testing.B, w *world, kiosks, size, n int) *load {
	b.Helper()
	l := &load{size: size}
	each := max(1, n/(kiosks*size)) * size
	var wg sync.WaitGroup
	made := make([]*loader, kiosks)
	slots := make(chan struct{}, 2)
	for i := range kiosks {
		k := w.kiosk(kioskName(i))
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			for j := range each {
				k.card(uint32((i*7919+j*104729)%people + 1))
			}
			lo := &loader{load: l, id: k.id, end: make(chan struct{})}
			from := uint64(2)
			for first := uint64(1); first <= k.last(); first = from {
				to := min(first+uint64(size)-1, k.last())
				if first == 1 && size == 1 {
					to = 2 // the epoch's first record is no check-in
				}
				lo.batches = append(lo.batches, k.batch(first, to).Seal(k.key))
				lo.ends = append(lo.ends, to)
				from = to + 1
			}
			lo.sent = make([]time.Time, len(lo.batches))
			made[i] = lo
		}()
	}
	wg.Wait()
	l.kiosks = made
	return l
}

// run sends everything and returns when all of it has its receipt.
func (l *load) run(b *testing.B, link func(id string) deliver.Link) {
	b.Helper()
	for _, k := range l.kiosks {
		k.link = link(k.id)
		if err := k.link.Subscribe(b.Context(), wire.Topic(k.id, wire.DownReceipt), func(_ string, payload []byte) { k.receipt(b, payload) }); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	began := time.Now()
	for _, k := range l.kiosks {
		go k.fill(b)
	}
	for _, k := range l.kiosks {
		select {
		case <-k.end:
		case <-time.After(2 * time.Minute):
			b.Fatalf("%s: %d of %d batches have a receipt", k.id, k.acked, len(k.batches))
		}
	}
	took := time.Since(began)
	b.StopTimer()
	n := 0
	for _, k := range l.kiosks {
		n += int(k.ends[len(k.ends)-1]) - 1
	}
	b.ReportMetric(float64(n)/took.Seconds(), "checkins/s")
	b.ReportMetric(0, "ns/op")
}

// fill sends what the window has room for.
func (k *loader) fill(b *testing.B) {
	for {
		k.mu.Lock()
		i := k.next
		if i == len(k.batches) || i-k.acked >= inFlight {
			k.mu.Unlock()
			return
		}
		k.next++
		k.sent[i] = time.Now()
		k.mu.Unlock()
		if err := k.link.Publish(b.Context(), wire.Topic(k.id, wire.UpBatch), k.batches[i], false); err != nil {
			b.Error(err)
			return
		}
	}
}

// receipt is not verified: that is the kiosks' work, on their processors.
func (k *loader) receipt(b *testing.B, payload []byte) {
	var e wire.Envelope
	var r wire.Receipt
	if err := wire.Decode(payload, &e); err != nil || e.Packed || wire.Decode(e.Body, &r) != nil || len(r.Rejects) > 0 {
		b.Errorf("receipt: %v, %d rejects", err, len(r.Rejects))
		return
	}
	now := time.Now()
	k.mu.Lock()
	before := k.acked
	for k.acked < len(k.ends) && k.ends[k.acked] <= r.Through {
		k.acked++
	}
	delays := make([]time.Duration, 0, inFlight)
	for i := before; i < k.acked; i++ {
		delays = append(delays, now.Sub(k.sent[i]))
	}
	done := before < k.acked && k.acked == len(k.batches)
	k.mu.Unlock()
	k.load.mu.Lock()
	k.load.delay = append(k.load.delay, delays...)
	k.load.mu.Unlock()
	if done {
		close(k.end)
		return
	}
	go k.fill(b)
}

func (l *load) percentile(p float64) time.Duration {
	slices.Sort(l.delay)
	return l.delay[int(float64(len(l.delay)-1)*p)]
}

// From the link to the receipt, with batches that were sealed and signed before.
func BenchmarkIngest(b *testing.B) {
	for _, e := range engines {
		for _, kiosks := range []int{50, 500} {
			for _, size := range []int{64, 1} {
				b.Run(fmt.Sprintf("%s/kiosks=%d/batch=%d", e.name, kiosks, size), func(b *testing.B) { benchmarkIngest(b, e, kiosks, size) })
			}
		}
	}
}

func benchmarkIngest(b *testing.B, e engine, kiosks, size int) {
	n := 100_000
	if size == 1 {
		n = 50_000
	}
	w := newWorld(b, e)
	l := newLoad(b, w, kiosks, size, n)
	s := w.serveWith(w.parts(), ingest.Options{})
	l.run(b, func(string) deliver.Link { return w.line })
	b.ReportMetric(float64(l.percentile(0.5).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(l.percentile(0.99).Microseconds())/1000, "p99-ms")
	st := s.Stats()
	b.ReportMetric(float64(st.Batches)/float64(st.Commits), "batches/commit")
	if st.Dropped+st.Failed+st.Refused+st.Rejected+st.Late > 0 || strings.Contains(w.log.String(), "ERROR") {
		b.Errorf("Stats() = %+v", st)
	}
}
