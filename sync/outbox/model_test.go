package outbox_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
	"pgregory.net/rapid"
)

// model is an outbox in memory. A record is its check-in's number, 0 for one
// that only the outbox wrote.
type model struct {
	records                           []uint64 // of the epoch, from number 1
	first, through, safe              uint64
	generation                        uint64
	received                          map[uint64]bool // beyond through
	durThrough, durSafe, durGenerated uint64          // as on disk
}

func (m *model) last() uint64 { return uint64(len(m.records)) }

// write is what every commit does.
func (m *model) write() {
	m.first = max(m.first, m.safe+1)
	m.durThrough, m.durSafe, m.durGenerated = m.through, m.safe, m.generation
}

func (m *model) reopen() {
	m.through, m.safe, m.generation = m.durThrough, m.durSafe, m.durGenerated
	m.received = map[uint64]bool{}
}

func (m *model) carry() {
	m.records = append([]uint64{0}, m.records[max(m.safe, m.first-1):]...)
	m.first, m.through, m.safe = 1, 0, 0
	m.received = map[uint64]bool{}
	m.write()
}

func (m *model) unsent() uint64 { return m.last() - m.through - uint64(len(m.received)) }

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), "outbox.db")
		identity := "a"
		clock := newClock()
		start := func() *outbox.Queue {
			q, err := outbox.Open(t.Context(), path, outbox.Options{Now: clock.now, Identity: identity, NoSync: true}) // no power is cut here
			if err != nil {
				rt.Fatalf("Open() error = %v", err)
			}
			return q
		}
		q := start()
		defer func() { q.Close() }()
		m := &model{records: []uint64{0}, first: 1, received: map[uint64]bool{}}
		next := uint64(1)
		check := func(rt *rapid.T, err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(rt, "count") {
					seq, err := q.Put(seen(next, rapid.SampledFrom([]int{0, 24, 24, 24, 3000, 7900}).Draw(rt, "size")))
					check(rt, err)
					m.records = append(m.records, next)
					if next++; seq != m.last() {
						rt.Fatalf("Put() = %d, want %d", seq, m.last())
					}
					m.write()
				}
			},
			"put fails": func(rt *rapid.T) {
				want := fmt.Errorf("make fails")
				if _, err := q.Put(func(e wire.Epoch, seq uint64) (r wire.Record, c wire.Context, err error) {
					if seq != m.last()+1 {
						rt.Fatalf("make got number %d, want %d", seq, m.last()+1)
					}
					return r, c, want
				}); err != want {
					rt.Fatalf("Put() error = %v, want %v", err, want)
				}
			},
			"receipt": func(rt *rapid.T) {
				s := q.Stats()
				// Number first-1 is the oldest whose chain is known.
				r := &wire.Receipt{Epoch: s.Epoch, Through: rapid.Uint64Range(m.first-1, m.last()).Draw(rt, "through")}
				r.Generation = m.generation + rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(rt, "newer")
				r.Safe = rapid.Uint64Range(0, r.Through).Draw(rt, "safe")
				r.Hash = modelHash(rt, q, r.Through)
				if from := r.Through + 2; from <= m.last() && rapid.Bool().Draw(rt, "beyond") {
					f := rapid.Uint64Range(from, m.last()).Draw(rt, "from")
					r.Ranges = []wire.Range{{From: f, To: rapid.Uint64Range(f, m.last()).Draw(rt, "to")}}
				}
				old := rapid.IntRange(0, 9).Draw(rt, "kind")
				switch {
				case old == 0 && r.Generation > 0:
					r.Generation = m.generation - min(m.generation, 1)
				case old == 1:
					r.Epoch = wire.Epoch{}
				case old == 2:
					r.Hash[0] ^= 1
				}
				ignored := r.Epoch != s.Epoch || r.Generation < m.generation || r.Generation == m.generation && r.Through < m.through
				out, err := q.Apply(r)
				check(rt, err)
				if want := !ignored && old == 2; out.Fork != want {
					rt.Fatalf("Apply(%+v).Fork = %t, want %t", r, out.Fork, want)
				}
				if ignored || out.Fork {
					return
				}
				if r.Generation > m.generation {
					m.received, m.safe = map[uint64]bool{}, 0
				}
				m.generation, m.through, m.safe = r.Generation, r.Through, max(m.safe, r.Safe)
				for _, g := range r.Ranges {
					for n := g.From; n <= g.To; n++ {
						m.received[n] = true
					}
				}
				for n := range m.received {
					if n <= m.through {
						delete(m.received, n)
					}
				}
			},
			"flush": func(rt *rapid.T) {
				check(rt, q.Flush())
				m.write()
			},
			"fork": func(rt *rapid.T) {
				check(rt, q.NewEpoch(wire.OpenedFork))
				m.carry()
			},
			"reopen": func(rt *rapid.T) {
				check(rt, q.Close())
				if _, err := outbox.Verify(t.Context(), path, nil); err != nil {
					rt.Fatalf("Verify() error = %v", err)
				}
				moved := rapid.IntRange(0, 5).Draw(rt, "move") == 0
				m.reopen()
				if moved {
					identity += "a"
					m.carry()
				}
				q = start()
			},
			"": func(rt *rapid.T) {
				s := q.Stats()
				type facts struct{ first, last, through, safe, generation, unsent uint64 }
				got := facts{s.First, s.Last, s.Through, s.Safe, s.Generation, s.Unsent}
				want := facts{m.first, m.last(), m.through, m.safe, m.generation, m.unsent()}
				if got != want {
					rt.Fatalf("Stats() = %+v, want %+v", got, want)
				}
				held := slices.DeleteFunc(slices.Clone(m.records[m.first-1:]), func(n uint64) bool { return n == 0 })
				if got := all(t, q); !slices.Equal(got, held) {
					rt.Fatalf("held = %v, want %v", got, held)
				}
				n := rapid.Uint64Range(1, m.last()).Draw(rt, "number")
				if got, want := q.Received(n), n <= m.through || m.received[n]; got != want {
					rt.Fatalf("Received(%d) = %t, want %t", n, got, want)
				}
			},
		})
	})
}

func modelHash(rt *rapid.T, q *outbox.Queue, seq uint64) wire.Hash {
	if s := q.Stats(); seq == s.Last {
		return s.Hash
	}
	run, err := q.Peek(seq+1, 1)
	if err != nil || run.First != seq+1 {
		rt.Fatalf("Peek(%d, 1) = run from %d, %v", seq+1, run.First, err)
	}
	return run.Prev
}
