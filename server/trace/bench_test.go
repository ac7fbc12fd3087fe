package trace_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/trace/province"
	"github.com/qrgate/qrgate/sync/when"
)

// BenchmarkTrace is a trace from stays to contacts over a province of one and of
// ten million check-ins in 14 days, and with QRGATE_SCALE=soak of a hundred million.
// Somebody was at 30 places, of which some are busy. Cold is the first trace after
// the database was opened.
func BenchmarkTrace(b *testing.B) {
	sizes := []int{1_000_000, 10_000_000}
	if os.Getenv("QRGATE_SCALE") == "soak" {
		sizes = append(sizes, 100_000_000)
	}
	for _, e := range engines {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", e.name, n), func(b *testing.B) { benchmarkTrace(b, e, n) })
		}
	}
}

func benchmarkTrace(b *testing.B, e engine, n int) {
	const days = 14
	p := province.New(province.Options{
		Seed: 3, People: province.PeopleFor(n, days), Days: days, First: first, Registered: true,
	})
	w := openWorld(b, e, store.Options{Now: (first + days).Start, Together: n/days + n/100})
	began := time.Now()
	f := w.fill(b, p, true)
	b.Logf("%d check-ins of %d people at %d places, filled with %.0f/s", f.Rows, p.People(), len(p.Places()), float64(f.Rows)/time.Since(began).Seconds())
	w.rest(b)
	bytes := float64(w.size(b)) / float64(f.Rows)
	profile := profile("covid19")
	wanderer := wander(p, 30)
	var found trace.Found
	run := func(b *testing.B, t *trace.Tracer) {
		who := p.Person(7)
		if _, err := t.Stays(b.Context(), who, p.First(), p.First()+days, trace.Rules{}); err != nil {
			b.Fatal(err)
		}
		var err error
		if found, err = t.Contacts(b.Context(), wanderer, profile, trace.Rules{}); err != nil {
			b.Fatal(err)
		}
	}
	report := func(b *testing.B, took []time.Duration, spent time.Duration) {
		b.ReportMetric(float64(spent.Microseconds())/1000/float64(len(took)), "cpu-ms")
		slices.Sort(took)
		read := 0
		for _, s := range found.Scans {
			read += s.Admitted + s.Unnamed + s.Refused
		}
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
		b.ReportMetric(bytes, "B/checkin")
		b.ReportMetric(float64(len(found.Contacts)), "contacts")
		b.ReportMetric(float64(read), "rows")
	}
	b.Run("warm", func(b *testing.B) {
		run(b, w.tracer())
		runtime.GC()
		var took []time.Duration
		spent := processor()
		for b.Loop() {
			start := time.Now()
			run(b, w.tracer())
			took = append(took, time.Since(start))
		}
		report(b, took, processor()-spent)
	})
	b.Run("cold", func(b *testing.B) {
		var took []time.Duration
		var spent time.Duration
		for b.Loop() {
			b.StopTimer()
			s, err := store.Open(b.Context(), w.dsn, store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			start, had := time.Now(), processor()
			run(b, trace.New(s, w.Vault, w))
			took, spent = append(took, time.Since(start)), spent+processor()-had
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
		report(b, took, spent)
	})
}

// rest has PostgreSQL do what it does by itself in the night after such a day, so that it
// does not do it beside what is measured.
func (w *world) rest(b *testing.B) {
	b.Helper()
	if w.dsn[:6] == "sqlite" {
		return
	}
	db, err := sql.Open("pgx", w.dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, do := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		if _, err := db.ExecContext(b.Context(), do); err != nil {
			b.Fatal(err)
		}
	}
}

// size returns how many bytes the database has on disk.
func (w *world) size(b *testing.B) (n int64) {
	b.Helper()
	query := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if w.dsn[:6] != "sqlite" {
		query = "SELECT pg_database_size(current_database())"
	}
	if err := w.Read(b.Context(), func(r *sql.Rows) error { return r.Scan(&n) }, query); err != nil {
		b.Fatal(err)
	}
	return n
}

// wander returns stays of somebody who was at many places, each for an hour or
// two of another day: at the busiest ones first.
func wander(p *province.Province, n int) []trace.Stay {
	r := rand.New(rand.NewPCG(9, 9))
	rank := map[string]int{"event_venue": 1, "hospital": 2, "market": 3, "bus_station": 4, "school": 5, "office": 6, "restaurant": 7}
	var places []province.Place
	for _, pl := range p.Places() {
		if rank[pl.Kind] > 0 {
			places = append(places, pl)
		}
	}
	slices.SortStableFunc(places, func(a, b province.Place) int { return rank[a.Kind] - rank[b.Kind] })
	var stays []trace.Stay
	for i := range min(n, len(places)) {
		in := (p.First() + qrgate.Day(i%p.Days())).Start().Add(6*time.Hour + time.Duration(r.IntN(60))*time.Minute).UnixMilli()
		out := in + int64(600+r.IntN(60))*60_000
		stays = append(stays, trace.Stay{
			Person: 1, At: places[i].At, In: when.Interval{Earliest: in, Latest: in}, Out: when.Interval{Earliest: out, Latest: out},
			Entry: trace.ID{Seq: uint64(i) + 1}, Exit: trace.ID{Seq: uint64(i) + 1},
		})
	}
	return stays
}

// BenchmarkContacts is the part of a trace that is not the store's: 30 places of
// which 45,000 check-ins are read, 15,000 contacts.
func BenchmarkContacts(b *testing.B) {
	w := newTown()
	var stays []trace.Stay
	for i := range 30 {
		place := qrgate.Spot{No: uint32(100 + i)}
		w.venues[place] = w.venues[market]
		for n := range 750 {
			who := qrgate.Person(1 + i*750 + n)
			from := at(i%14, 6, 0) + int64(n)*40_000
			w.scan(scan{who: who, place: place, at: from, width: 600, boot: byte(i + 1)})
			w.scan(scan{who: who, place: place, at: from + 90*minutes, width: 600, boot: byte(i + 1), out: true})
		}
		stays = append(stays, trace.Stay{Person: 1 << 40, At: place, In: exactly(at(i%14, 8, 0)), Out: exactly(at(i%14, 12, 30))})
	}
	rows := quick{w.memory}
	tracer := trace.New(rows, w, w)
	var found trace.Found
	b.ReportAllocs()
	runtime.GC()
	spent := processor()
	for b.Loop() {
		var err error
		if found, err = tracer.Contacts(b.Context(), stays, profile("measles"), trace.Rules{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processor()-spent).Microseconds())/1000/float64(b.N), "cpu-ms")
	b.ReportMetric(float64(len(found.Contacts)), "contacts")
}

// processor returns the time that this process has had, which says more than the
// clock where others are busy.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A quick memory hands out its own rows.
type quick struct{ *memory }

func (q quick) CheckinsAt(_ context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error {
	rows := q.at[at]
	for i := range rows {
		if rows[i].Earliest <= to && rows[i].Latest >= from {
			if err := fn(&rows[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
