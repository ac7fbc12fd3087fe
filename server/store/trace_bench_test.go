package store_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A province has places with a kiosk each, at which phones check in as well: every
// fifth check-in is one.
type province struct {
	s      *store.Store
	from   time.Time // the first midnight
	phones string
	kiosks []string
	seqs   map[string]uint64
	random *rand.Rand
}

const benchPeople = 200_000

// benchRows is how many check-ins a store holds for a benchmark: a million, with
// QRGATE_SCALE=soak ten millions.
func benchRows() int {
	if os.Getenv("QRGATE_SCALE") == "soak" {
		return 10_000_000
	}
	return 1_000_000
}

func newProvince(b *testing.B, s *store.Store) *province {
	phones, err := s.Phones(context.Background(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	p := &province{s: s, from: qrgate.DayOf(dawn).Start(), phones: phones, seqs: map[string]uint64{}, random: rand.New(rand.NewPCG(1, 2))}
	for i := range benchKiosks {
		id := fmt.Sprintf("gate-%04d", i)
		public := binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i))
		err := s.AddKiosk(context.Background(), qrgate.Kiosk{ID: id, Place: id, PlaceNo: uint32(i + 1), Public: public, State: qrgate.KioskActive, Added: dawn})
		if err != nil {
			b.Fatal(err)
		}
		p.kiosks = append(p.kiosks, id)
	}
	return p
}

func (p *province) subject(day qrgate.Day, person uint64) *qrgate.Subject {
	var s qrgate.Subject
	random := rand.New(rand.NewPCG(uint64(day), person))
	binary.NativeEndian.PutUint64(s[:], random.Uint64())
	binary.NativeEndian.PutUint64(s[8:], random.Uint64())
	return &s
}

// add takes in n check-ins that lie evenly between two moments, some of them of
// each place.
func (p *province) add(b *testing.B, n int, from, to time.Time) {
	err := p.s.Intake(context.Background(), append(slices.Clone(p.kiosks), p.phones), func(t *store.Intake) error {
		epochs := map[string]*store.Epoch{}
		for i := range n {
			place := p.random.IntN(len(p.kiosks))
			source := p.kiosks[place]
			row := store.Row{Received: to}
			row.Header = wire.Header{
				Kind: wire.KindCheckin, Boot: when.Boot{2}, Gate: "main", Direction: wire.In, Pass: pass.Card, Verdict: wire.Admitted, Presence: wire.Verified,
			}
			if i%5 == 0 {
				source = p.phones
				row.Where = store.Where{No: uint32(place + 1)}
				row.Header.Gate = "poster"
			}
			e := epochs[source]
			if e == nil {
				var err error
				if e, err = t.Book(source).Epoch(wire.Epoch{1}); err != nil {
					return err
				}
				epochs[source] = e
			}
			p.seqs[source]++
			at := from.UnixMilli() + int64(i)*to.Sub(from).Milliseconds()/int64(n)
			row.Under, row.Written = e, e
			row.Header.Seq, row.Header.Wall, row.Header.Since = p.seqs[source], at, at-p.from.UnixMilli()
			row.When = when.Interval{Earliest: at - 500, Latest: at + 500}
			row.Day = qrgate.DayOfMilli(row.When.Latest)
			row.Subject = p.subject(row.Day, p.random.Uint64N(benchPeople))
			binary.NativeEndian.PutUint64(row.Digest[:], p.random.Uint64())
			t.Add(row)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// fill spreads n check-ins over benchDays.
func (p *province) fill(b *testing.B, n int) {
	const hours, step = 16, 50_000
	start := time.Now()
	for d := range benchDays {
		from := p.from.AddDate(0, 0, d).Add(6 * time.Hour)
		parts := max(n/benchDays/step, 1)
		for i := range parts {
			long := hours * time.Hour / time.Duration(parts)
			p.add(b, n/benchDays/parts, from.Add(time.Duration(i)*long), from.Add(time.Duration(i+1)*long))
		}
	}
	tidyAll(b, p.s)
	b.Logf("filled with %.0f check-ins/s", float64(n)/time.Since(start).Seconds())
}

// BenchmarkCheckinsAt reads what happened at a place within an hour.
func BenchmarkCheckinsAt(b *testing.B) {
	for _, e := range engines {
		b.Run(fmt.Sprintf("%s/%d held", e.name, benchRows()), func(b *testing.B) {
			p := newProvince(b, open(b, e.dsn(b)))
			p.fill(b, benchRows())
			for _, waiting := range []int{0, 50_000} {
				if waiting > 0 {
					now := p.from.AddDate(0, 0, benchDays)
					p.add(b, waiting, now.Add(-time.Hour), now)
				}
				b.Run(fmt.Sprintf("%d waiting", waiting), func(b *testing.B) {
					rows := 0
					for b.Loop() {
						from := p.from.AddDate(0, 0, p.random.IntN(benchDays)).Add(time.Duration(6+p.random.IntN(15)) * time.Hour).UnixMilli()
						at := qrgate.Spot{No: uint32(p.random.IntN(benchKiosks) + 1)}
						err := p.s.CheckinsAt(b.Context(), at, from, from+3600_000, func(*qrgate.Checkin) error { rows++; return nil })
						if err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(rows)/float64(b.N), "checkins/op")
				})
			}
		})
	}
}

// BenchmarkCheckinsAtAll reads all that a place has.
func BenchmarkCheckinsAtAll(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			p := newProvince(b, open(b, e.dsn(b)))
			p.fill(b, 500_000)
			rows := 0
			for b.Loop() {
				at := qrgate.Spot{No: uint32(p.random.IntN(benchKiosks) + 1)}
				if err := p.s.CheckinsAt(b.Context(), at, 0, 1<<50, func(*qrgate.Checkin) error { rows++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/checkin")
		})
	}
}

// BenchmarkCheckinsOf reads two weeks of somebody.
func BenchmarkCheckinsOf(b *testing.B) {
	for _, e := range engines {
		b.Run(fmt.Sprintf("%s/%d held", e.name, benchRows()), func(b *testing.B) {
			p := newProvince(b, open(b, e.dsn(b)))
			p.fill(b, benchRows())
			rows := 0
			for b.Loop() {
				subjects := map[qrgate.Day]qrgate.Subject{}
				person := p.random.Uint64N(benchPeople)
				for d := range qrgate.Day(14) {
					day := qrgate.DayOf(p.from) + d
					subjects[day] = *p.subject(day, person)
				}
				err := p.s.CheckinsOf(b.Context(), subjects, func(*qrgate.Checkin) error { rows++; return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)/float64(b.N), "checkins/op")
		})
	}
}

// BenchmarkDropDay drops days while check-ins are taken in, and says how long an
// intake took at most.
func BenchmarkDropDay(b *testing.B) {
	for _, e := range engines {
		b.Run(fmt.Sprintf("%s/%d held", e.name, benchRows()), func(b *testing.B) {
			p := newProvince(b, open(b, e.dsn(b)))
			p.fill(b, benchRows())
			now := p.from.AddDate(0, 0, benchDays)
			// take takes in until ctx ends, and reports how long that took.
			took := map[string]time.Duration{}
			take := func(ctx context.Context, name string) {
				var all []time.Duration
				for ctx.Err() == nil {
					start := time.Now()
					p.add(b, 64, now.Add(-time.Second), now)
					all = append(all, time.Since(start))
					time.Sleep(time.Until(start.Add(5 * time.Millisecond)))
				}
				slices.Sort(all)
				took[name+"-p99-ms"], took[name+"-max-ms"] = all[len(all)*99/100], all[len(all)-1]
			}
			alone, cancel := context.WithTimeout(b.Context(), 5*time.Second)
			take(alone, "alone")
			cancel()
			ctx, cancel := context.WithCancel(b.Context())
			var taking sync.WaitGroup
			taking.Go(func() { take(ctx, "dropping") })
			dropped, start := int64(0), time.Now()
			for b.Loop() {
				dropped += drop(b, p.s, qrgate.DayOf(p.from))
				p.from = p.from.AddDate(0, 0, 1)
			}
			b.ReportMetric(float64(dropped)/time.Since(start).Seconds(), "dropped/s")
			cancel()
			taking.Wait()
			for name, d := range took {
				b.ReportMetric(float64(d.Microseconds())/1000, name)
			}
		})
	}
}
