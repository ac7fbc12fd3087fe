package trace

import (
	"cmp"
	"math"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	// fastest is how many metres anybody covers in a second between two doors of a
	// province, 120 km/h, and near how far places may be from where they are said
	// to be.
	fastest = 120.0 / 3.6
	near    = 1000.0
	// following is with how many later sightings each one is compared.
	following = 16
)

// A sighting is one end of a stay that somebody saw.
type sighting struct {
	id       ID
	at       qrgate.Spot
	point    *qrgate.Point
	when     when.Interval
	presence wire.Presence
	stay     int // of which it is an end
}

// sightingsOf appends the ends of a stay that were seen.
func sightingsOf(to []sighting, st *Stay, no int, point *qrgate.Point) []sighting {
	if point == nil {
		return to
	}
	if st.Entry != (ID{}) && !st.NoEntry {
		to = append(to, sighting{st.Entry, st.At, point, st.In, st.Presence, no})
	}
	if st.Exit != (ID{}) {
		to = append(to, sighting{st.Exit, st.At, point, st.Out, st.Presence, no})
	}
	return to
}

// journeys calls fn with every sighting of one person from which, or to which,
// nobody can have travelled so fast, whatever the bounds allow. Of two that
// contradict each other it is the one that proves less, or else both.
func journeys(all []sighting, fn func(wrong, other *sighting, metres float64, most int64)) {
	slices.SortFunc(all, func(a, b sighting) int {
		return cmp.Or(cmp.Compare(a.when.Earliest, b.when.Earliest), cmp.Compare(a.when.Latest, b.when.Latest), a.id.compare(b.id))
	})
	for i := range all {
		a := &all[i]
		for j := i + 1; j < min(len(all), i+1+following); j++ {
			b := &all[j]
			if a.at == b.at {
				continue
			}
			most := max(b.when.Latest-a.when.Earliest, a.when.Latest-b.when.Earliest)
			far := metres(*a.point, *b.point)
			if float64(most)/1000*fastest >= far-near {
				continue
			}
			pa, pb := proof(a.presence), proof(b.presence)
			if pa <= pb {
				fn(a, b, far, most)
			}
			if pb <= pa {
				fn(b, a, far, most)
			}
		}
	}
}

// proof orders how sure it is that the person was there.
func proof(p wire.Presence) int {
	switch p {
	case wire.Verified:
		return 2
	case wire.Typed, wire.Paper:
		return 1
	}
	return 0
}

// metres returns how far two points are apart on a sphere.
func metres(a, b qrgate.Point) float64 {
	const radius, rad = 6_371_000.0, math.Pi / 180
	x := (b.Lon - a.Lon) * rad * math.Cos((a.Lat+b.Lat)/2*rad)
	y := (b.Lat - a.Lat) * rad
	return radius * math.Hypot(x, y) // flat is good enough for a province
}

// travelled leaves out the shared times of a contact who cannot have been there.
func (s *search) travelled(shared []Shared, points map[qrgate.Spot]*qrgate.Point, doubted *[]Suspicion) []Shared {
	several := false
	for i := range shared {
		several = several || shared[i].Stay.At != shared[0].Stay.At
	}
	if !several {
		return shared
	}
	var all []sighting
	for i := range shared {
		st := &shared[i].Stay
		if i > 0 && shared[i-1].Stay.Entry == st.Entry && shared[i-1].Stay.Exit == st.Exit {
			continue // the same one, shared with another traced stay
		}
		all = sightingsOf(all, st, i, points[st.At])
	}
	wrong := map[ID]Suspicion{}
	journeys(all, func(w, other *sighting, metres float64, most int64) {
		if _, ok := wrong[w.id]; !ok {
			wrong[w.id] = suspicionOf(w, other, &shared[w.stay].Stay, metres, most)
		}
	})
	if len(wrong) == 0 {
		return shared
	}
	kept := shared[:0]
	for i := range shared {
		out := false
		st := &shared[i].Stay
		for _, id := range []ID{st.Entry, st.Exit} {
			if w, ok := wrong[id]; ok {
				st.doubt(Impossible)
				if w.ID != (ID{}) {
					*doubted = append(*doubted, w)
					wrong[id] = Suspicion{} // told
				}
				out = out || !s.rules.counts(id)
			}
		}
		if !out {
			kept = append(kept, shared[i])
		}
	}
	return kept
}

// doubt notes why a stay is doubtful.
func (s *Stay) doubt(d Doubt) {
	if !slices.Contains(s.Doubts, d) {
		s.Doubts = append(slices.Clip(s.Doubts), d)
	}
}

func suspicionOf(w, other *sighting, st *Stay, metres float64, most int64) Suspicion {
	return Suspicion{
		ID: w.id, Doubt: Impossible, Person: st.Person, At: w.at, When: w.when, Kiosk: st.Kiosk, Gate: st.Gate,
		Other: other.id, OtherAt: other.at, Metres: int(metres), Duration: most,
	}
}
