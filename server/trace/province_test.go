package trace_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/trace/province"
)

var first = qrgate.DayOf(time.Date(2026, 11, 2, 0, 0, 0, 0, qrgate.Zone))

// filled returns a province with all of its check-ins in memory.
func filled(t testing.TB, o province.Options) (*province.Province, *memory, map[qrgate.Person][]knock) {
	t.Helper()
	p, m := province.New(o), newMemory()
	m.venues = venues(p)
	knocks := map[qrgate.Person][]knock{}
	s := p.Stream()
	for d := range p.Days() {
		err := s.Day(d, func(sc *province.Scan) error {
			m.add(sc.Checkin, sc.Person)
			if sc.Person != 0 {
				c := &sc.Checkin
				knocks[sc.Person] = append(knocks[sc.Person], knock{sc.Person, sc.Place, sc.True, c.Direction == 2, c.Pass == 3})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return p, m, knocks
}

// ill returns some people of a province to trace: those of the outbreaks, and
// others.
func ill(p *province.Province, seed uint64, n int) []qrgate.Person {
	r := rand.New(rand.NewPCG(seed, 5))
	var all []qrgate.Person
	for _, b := range p.Outbreaks() {
		all = append(all, b.Index)
	}
	for range n {
		all = append(all, p.Person(r.IntN(p.People())))
	}
	return all
}

// inPatients returns people who are in hospital overnight.
func inPatients(p *province.Province, n int) []qrgate.Person {
	var all []qrgate.Person
	for d := range p.Days() {
		p.Visits(d, func(v province.Visit) {
			if p.Places()[v.Place].Kind == "hospital" && len(all) < n {
				all = append(all, v.Person)
			}
		})
	}
	return all
}

func profile(id string) trace.Profile {
	p, ok := trace.FindProfile(id)
	if !ok {
		panic(id)
	}
	return p
}

// TestCertainContactsScenario: where clocks are right the contacts that are certain are those of the
// reference, no fewer and no more.
func TestCertainContactsScenario(t *testing.T) {
	for seed := range uint64(scale(t, 2, 60)) {
		p, m, knocks := filled(t, province.Options{Seed: seed, People: 400, Days: 7, First: first, Exact: true, Registered: seed == 1})
		var others []span
		for _, k := range knocks {
			others = append(others, surely(p, k)...)
		}
		for _, id := range []string{"covid19", "measles", "tuberculosis", "suspected"} {
			for _, who := range append(ill(p, seed, 2), inPatients(p, 2)...) {
				found, stays := traceOf(t, m.tracer(), p, who, profile(id))
				sum := together(surely(p, knocks[who]), others, profile(id).After)
				want := map[qrgate.Person]int64{}
				for person, o := range sum {
					if o >= profile(id).Minimum {
						want[person] = o
					}
				}
				certain := 0
				for _, c := range found.Contacts {
					if c.Sureness != trace.Certain {
						continue
					}
					certain++
					if o, ok := want[c.Person]; !ok || profile(id).After == 0 && o != c.Least {
						t.Fatalf("seed %d, %s of %d: contact %+v is certain, the reference says %v, %d ms\nstays %+v", seed, id, who, c, ok, o, stays)
					}
				}
				if certain != len(want) {
					for person, o := range want {
						if !slices.ContainsFunc(found.Contacts, func(c trace.Contact) bool { return c.Person == person && c.Sureness == trace.Certain }) {
							t.Logf("missing %d with %d ms", person, o)
						}
					}
					t.Fatalf("seed %d, %s of %d: %d certain contacts, the reference has %d", seed, id, who, certain, len(want))
				}
			}
		}
	}
}

func traceOf(t testing.TB, tracer *trace.Tracer, p *province.Province, who qrgate.Person, profile trace.Profile) (trace.Found, []trace.Stay) {
	t.Helper()
	stays, err := tracer.Stays(t.Context(), who, p.First(), p.First()+qrgate.Day(p.Days()), trace.Rules{})
	if err != nil {
		t.Fatalf("Stays() = %v", err)
	}
	found, err := tracer.Contacts(t.Context(), stays, profile, trace.Rules{})
	if err != nil {
		t.Fatalf("Contacts() = %v", err)
	}
	if len(found.Doubted) > 0 {
		t.Fatalf("of an honest province is doubted %+v", found.Doubted)
	}
	return found, stays
}

// TestTruthWithinBoundsScenario: whatever clocks say, the truth is within the bounds: of every stay, of every
// time together, and nobody is missed.
func TestTruthWithinBoundsScenario(t *testing.T) {
	for seed := range uint64(scale(t, 3, 100)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p, m, _ := filled(t, province.Options{Seed: 10 + seed, People: 500, Days: 8, First: first})
			checkTruth(t, p, m.tracer(), append(ill(p, seed, 5), inPatients(p, 3)...))
		})
	}
}

// A truth is who was really where, of the places where some people were.
type truth struct{ by map[int][]span }

// truthOf reads the visits of a province twice, so that they need not all be in
// memory.
func truthOf(p *province.Province, people []qrgate.Person) truth {
	all := truth{map[int][]span{}}
	each := func(fn func(*province.Visit)) {
		for d := range p.Days() {
			p.Visits(d, func(v province.Visit) {
				if v.Seen() {
					fn(&v)
				}
			})
		}
	}
	each(func(v *province.Visit) {
		if slices.Contains(people, v.Person) {
			all.by[v.Place] = nil
		}
	})
	each(func(v *province.Visit) {
		if of, ok := all.by[v.Place]; ok {
			all.by[v.Place] = append(of, span{v.Person, v.Place, v.In, v.Out})
		}
	})
	return all
}

// of returns the times of one person, and those of all others at the same places.
func (tr truth) of(who qrgate.Person) (own, others []span) {
	for _, spans := range tr.by {
		was := false
		for _, s := range spans {
			if s.person == who {
				own, was = append(own, s), true
			}
		}
		if was {
			for _, s := range spans {
				if s.person != who {
					others = append(others, s)
				}
			}
		}
	}
	return own, others
}

// checkTruth traces people and returns how many contacts they had, and how many
// of them were certain.
func checkTruth(t *testing.T, p *province.Province, tracer *trace.Tracer, people []qrgate.Person) (contacts, certain int) {
	t.Helper()
	tr := truthOf(p, people)
	for _, who := range people {
		own, others := tr.of(who)
		for _, id := range []string{"covid19", "measles"} {
			found, stays := traceOf(t, tracer, p, who, profile(id))
			for _, v := range own {
				if !slices.ContainsFunc(stays, func(s trace.Stay) bool {
					return s.At == p.Places()[v.place].At && s.In.Earliest <= v.from && v.to <= s.Out.Latest
				}) {
					t.Fatalf("%d was at %+v from %d to %d, no stay says so: %+v", who, p.Places()[v.place], v.from, v.to, stays)
				}
			}
			truth := together(own, others, profile(id).After)
			by := map[qrgate.Person]*trace.Contact{}
			for i := range found.Contacts {
				by[found.Contacts[i].Person] = &found.Contacts[i]
			}
			for person, o := range truth {
				c := by[person]
				switch {
				case c == nil && o >= profile(id).Minimum:
					t.Fatalf("%s: %d and %d were together for %d ms, which is not found", id, who, person, o)
				case c != nil && o > c.Most && profile(id).After == 0, c != nil && o < c.Least:
					t.Fatalf("%s: %d and %d were together for %d ms, not in %+v", id, who, person, o, c)
				}
			}
			for _, c := range found.Contacts {
				contacts++
				if c.Sureness == trace.Certain {
					certain++
				}
				if _, ok := truth[c.Person]; !ok && c.Sureness == trace.Certain {
					t.Fatalf("%s: %d and %d were never together, which is certain: %+v", id, who, c.Person, c)
				}
			}
		}
	}
	return contacts, certain
}

// scale returns n, or as many as QRGATE_SCALE says.
func scale(t testing.TB, n, soak int) int {
	switch s := os.Getenv("QRGATE_SCALE"); s {
	case "":
		return n
	case "soak":
		return soak
	default:
		f, err := strconv.Atoi(s)
		if err != nil || f < 1 {
			t.Fatalf("QRGATE_SCALE=%q is no positive number", s)
		}
		return n * f
	}
}

// The order in which a store tells its rows means nothing.
func TestAnyOrderOfRows(t *testing.T) {
	p, m, _ := filled(t, province.Options{Seed: 21, People: 200, Days: 6, First: first})
	r := rand.New(rand.NewPCG(1, 2))
	for _, who := range ill(p, 21, 3) {
		before, _ := traceOf(t, m.tracer(), p, who, profile("covid19"))
		for _, rows := range m.at {
			r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
		for _, rows := range m.of {
			r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
		after, _ := traceOf(t, m.tracer(), p, who, profile("covid19"))
		if d := trace.Compare(before.Contacts, after.Contacts); !d.Empty() || len(before.Contacts) == 0 {
			t.Errorf("%d of %d contacts of %d are different in another order", len(d.Added)+len(d.Removed)+len(d.Changed), len(before.Contacts), who)
		}
	}
}
