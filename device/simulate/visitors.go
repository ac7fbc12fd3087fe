package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/qrgate/qrgate/hw/scan"
)

// visitors is a scanner before which people come at a rate. It is a scan.Source.
type visitors struct {
	n     int // of the kiosk
	run   *run
	name  string
	rand  *rand.Rand
	calls int // of Next

	mu sync.Mutex
	h  scan.Health
}

func newVisitors(n int, r *run) *visitors {
	name := "simulated"
	return &visitors{
		n: n, run: r, name: name, rand: rand.New(rand.NewPCG(r.o.Seed, uint64(n))),
		h: scan.Health{Source: name, Present: true, Since: time.Now()},
	}
}

// Next implements scan.Source.
func (v *visitors) Next(ctx context.Context) (scan.Scan, error) {
	for {
		// Nobody comes at a fixed step.
		rate := v.run.o.Rate * v.run.o.Scenario.rush(v.run.since(), v.run.o.Day)
		wait := time.Hour
		if rate > 0 {
			wait = min(time.Duration(v.rand.ExpFloat64()/rate*float64(time.Minute)), time.Minute)
		}
		select {
		case <-ctx.Done():
			return scan.Scan{}, ctx.Err()
		case <-time.After(wait):
		}
		if rate == 0 || v.Health().Faulty() {
			continue
		}
		s := scan.Scan{Text: v.text(), At: time.Now(), Source: v.name}
		v.mu.Lock()
		v.h.Scans++
		v.h.LastScan = s.At
		v.mu.Unlock()
		v.run.scans.Add(1)
		return s, nil
	}
}

// Health implements scan.Checker.
func (v *visitors) Health() scan.Health {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.run.o.Scenario.scanner(v.n, v.run.since(), v.run.o.Day, v.h)
}

// text is what the next visitor shows.
func (v *visitors) text() string {
	v.calls++
	cards := v.run.o.Cards
	switch {
	case v.run.o.Scenario == RevokedCard && len(cards) > 0 && v.calls%3 == 0:
		return cards[0]
	case len(cards) > 0:
		return cards[v.rand.IntN(len(cards))]
	}
	return citizen(v.rand)
}

// citizen is an identity card of nobody: no province has the number 999.
func citizen(r *rand.Rand) string {
	n := r.IntN(100_000)
	return fmt.Sprintf("999%03d%06d||Người Mô Phỏng %05d|0101%d|Nam|Nhà mô phỏng|01012022", n%1000, n, n, 1940+n%80)
}
