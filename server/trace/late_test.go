package trace_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/trace/province"
)

// TestLateDeliveryScenario has kiosks that deliver after 20, 22 and 25 days,
// beyond the end of retention for two of them. What a trace finds afterwards is
// different by exactly those who are new, and is what it would have been had they
// come in time.
func TestLateDeliveryScenario(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			const index, others = 12, 40
			p := province.New(province.Options{Seed: 5, People: 200, Days: 2, First: first, Registered: true, Exact: true})
			place, in, out := doors(p)
			open := func() (*world, *province.Filler) {
				w := newWorld(t, e, (first + 25).Start().Add(12*time.Hour))
				w.venues = venues(p)
				f := &province.Filler{Province: p, Store: w.Store, Vault: w.Vault}
				if err := f.Open(t.Context()); err != nil {
					t.Fatal(err)
				}
				return w, f
			}
			// Everybody is there on day 0 from 8 to 9, in by one of two kiosks; of the
			// others every second came in by the late one.
			var prompt, late []province.Scan
			for i := range others {
				who := p.Person(i)
				entry := p.Scan(in[i%2], uint64(i)+1, who, at(0, 8, 0)+int64(i)*3000)
				if i%2 == 0 {
					late = append(late, entry)
				} else {
					prompt = append(prompt, entry)
				}
				prompt = append(prompt, p.Scan(out, uint64(i)+1, who, at(0, 9, 0)+int64(i)*3000))
			}
			prompt = append(prompt, p.Scan(in[1], 900, p.Person(index+500), at(0, 8, 0)), p.Scan(out, 900, p.Person(index+500), at(0, 9, 0)))
			contacts := func(w *world) []trace.Contact {
				stays, err := w.tracer().Stays(t.Context(), p.Person(index+500), first, first+1, trace.Rules{})
				if err != nil || len(stays) != 1 || stays[0].At != p.Places()[place].At {
					t.Fatalf("Stays() = %+v, %v", stays, err)
				}
				found, err := w.tracer().Contacts(t.Context(), stays, profile("covid19"), trace.Rules{})
				if err != nil {
					t.Fatal(err)
				}
				return found.Contacts
			}
			take := func(f *province.Filler, scans []province.Scan, received int64) {
				t.Helper()
				for i := range scans {
					scans[i].Checkin.Received = received + int64(i)
				}
				if err := f.Take(t.Context(), scans...); err != nil {
					t.Fatal(err)
				}
			}

			w, f := open()
			take(f, prompt, at(0, 10, 0))
			before := contacts(w)
			thirds := [3][]province.Scan{late[:7], late[7:14], late[14:]}
			for i, day := range []int{20, 22, 25} {
				take(f, thirds[i], at(day, 11, 0))
			}
			after := contacts(w)
			if want := len(thirds[1]) + len(thirds[2]); f.Late != want {
				t.Errorf("%d dropped, want those of day 22 and 25: %d", f.Late, want)
			}

			timely, g := open()
			take(g, append(prompt, thirds[0]...), at(0, 10, 0))
			if d := trace.Compare(contacts(timely), after); !d.Empty() {
				t.Errorf("late and timely delivery come to different contacts: %+v", d)
			}
			d := trace.Compare(before, after)
			var changed []qrgate.Person
			for _, c := range d.Changed {
				changed = append(changed, c.After.Person)
				if c.Before.Sureness != trace.Possible || c.After.Sureness != trace.Certain {
					t.Errorf("%d was %d, is %d; want possible, certain", c.After.Person, c.Before.Sureness, c.After.Sureness)
				}
			}
			// They had been seen leaving: now it is sure that they were there.
			var want []qrgate.Person
			for _, s := range thirds[0] {
				want = append(want, s.Person)
			}
			sorted := cmp.Transformer("sort", func(in []qrgate.Person) map[qrgate.Person]bool {
				set := map[qrgate.Person]bool{}
				for _, p := range in {
					set[p] = true
				}
				return set
			})
			if diff := cmp.Diff(want, changed, sorted); diff != "" || len(d.Added)+len(d.Removed) > 0 {
				t.Errorf("%d added, %d removed, changed (-want +got):\n%s", len(d.Added), len(d.Removed), diff)
			}
		})
	}
}

// doors returns a place with a kiosk for going out, that kiosk, and two others.
func doors(p *province.Province) (place int, in [2]int, out int) {
	by := map[int][2][]int{}
	for i, k := range p.Kiosks() {
		of := by[k.Place]
		if k.Out {
			of[1] = append(of[1], i)
		} else {
			of[0] = append(of[0], i)
		}
		by[k.Place] = of
		if len(of[0]) >= 2 && len(of[1]) >= 1 {
			return k.Place, [2]int(of[0][:2]), of[1][0]
		}
	}
	panic("no place has three kiosks")
}
