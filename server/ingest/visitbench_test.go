package ingest_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/store"
)

// BenchmarkVisit measures single check-ins by phone, each answered after its
// commit, with so many at once on their way: of 20,000 people at 500 places.
func BenchmarkVisit(b *testing.B) {
	for _, e := range engines {
		for _, phones := range []int{1, 200} {
			b.Run(fmt.Sprintf("%s/inflight=%d", e.name, phones), func(b *testing.B) {
				w := newWorld(b, e)
				p := w.parts()
				s := w.serveWith(p, ingest.Options{})
				var next atomic.Int64
				delays := make([]time.Duration, b.N)
				var visiting sync.WaitGroup
				before := processor()
				b.ResetTimer()
				for range phones {
					visiting.Go(func() {
						for {
							n := int(next.Add(1)) - 1
							if n >= b.N {
								return
							}
							v := visitOf(n+1, n*7919%people)
							place := uint32(n%500 + 1)
							v.Place = store.Where{No: place, Name: fmt.Sprint("Place ", place)}
							began := time.Now()
							if _, err := s.Visit(b.Context(), v); err != nil {
								b.Error(err)
								return
							}
							delays[n] = time.Since(began)
						}
					})
				}
				visiting.Wait()
				b.StopTimer()
				slices.Sort(delays)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "visits/s")
				b.ReportMetric(float64((processor()-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/visit")
				b.ReportMetric(float64(b.N)/float64(s.Stats().Commits), "visits/commit")
				b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(delays[(len(delays)-1)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
