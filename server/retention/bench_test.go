package retention_test

import (
	"testing"
)

// BenchmarkOnce says how long it takes to drop a day of ten thousand check-ins, and
// to find and forget those of its people, one in two, who came on no other day.
func BenchmarkOnce(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			const people, atOnce = 10_000, 1000
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b, e.dsn(b))
				var all []*human
				for n := range people {
					all = append(all, humanOf(n))
				}
				for n := 0; n < people; n += atOnce {
					w.comes(all[n : n+atOnce]...)
				}
				w.to(3)
				for n := 0; n < people/2; n += atOnce {
					w.comes(all[n : n+atOnce]...)
				}
				w.tidy()
				w.to(23)
				b.StartTimer()
				w.once()
				b.StopTimer()
				if c, _ := w.certificate(dayOf(1)); c.Checkins != people || c.People != people/2 {
					b.Fatalf("certificate says %+v", c)
				}
				b.StartTimer()
			}
		})
	}
}
