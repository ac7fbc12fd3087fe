// Package province makes up a province: people with households, work and habits,
// places with doors, hours and clocks that may be wrong, and who was where. It is
// what tracing is tested and measured on, at any size.
//
// The promise: the same options make the same province, to the millisecond, and
// what it says of a moment is what a kiosk could have written: the truth is
// within the bounds of every check-in.
//
//	p := province.New(province.Options{Seed: 1, People: 3000, Days: 14, First: day})
//	p.Visits(0, func(v province.Visit) {})       // the truth of the first day
//	err := p.Stream().Day(0, func(s *province.Scan) error { return nil })
//
// One day is in memory at a time. A [Filler] takes it into a real store, under a
// real vault; all else stores nothing and knows no key.
package province

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

// Options say how large a province is and what goes wrong in it.
type Options struct {
	Seed   uint64
	People int // default 3,000
	Days   int // default 14
	First  qrgate.Day
	// Exact is a province whose clocks are right and known to be.
	Exact bool
	// Registered gives places numbers; else they are known by name.
	Registered bool
}

// PeopleFor returns how many people make about so many check-ins in so many days.
func PeopleFor(checkins, days int) int { return max(200, checkins*10/(days*25)) }

// A Place is a place of the province.
type Place struct {
	At    qrgate.Spot
	Kind  string
	Point qrgate.Point
	Hours []qrgate.Hours

	in, out []int // numbers of kiosks
	poster  bool
}

// A Kiosk is a door of a place.
type Kiosk struct {
	ID    string
	Place int // number of the place
	Out   bool
	Gate  string

	// dark is a boot that never met the server: all that is known of its times is
	// that they lie within. It goes over two midnights. It is empty of most.
	dark when.Interval
	// away is when the kiosk had no link: what it wrote then came at the end.
	away  when.Interval
	drift float64
	error int64
	wrong int64 // how far off the clock is
}

// A Visit is the truth: somebody was at a place.
type Visit struct {
	Person  qrgate.Person
	Place   int
	In, Out int64 // Unix milliseconds
	Staff   bool
	// How it was seen, if it was.
	Entry, Exit Way
	gate        int32
	bring       uint8
}

// A Way is how a passage became known.
type Way uint8

// The ways.
const (
	Unseen  Way = 0
	ByKiosk Way = 1
	ByPhone Way = 2
)

// Seen reports whether anything is known of a visit.
func (v *Visit) Seen() bool { return v.Entry != Unseen || v.Exit != Unseen }

// An Outbreak is an evening that somebody infectious spent among others.
type Outbreak struct {
	Index qrgate.Person
	Place int
	Day   int
	Ill   []qrgate.Person // who were there too
}

// A Province is where people go. It is safe for concurrent use.
type Province struct {
	o        Options
	places   []Place
	kiosks   []Kiosk
	communes []map[string][]int
	party    map[int]Outbreak // by number of the person
	outbreak []Outbreak
}

const (
	minute = 60_000
	hour   = 60 * minute
	day    = 24 * hour
)

// kinds are the places of a commune, at least one of each, so many for 10,000
// people.
var kinds = []struct {
	kind       string
	per        int
	open, shut int // minutes; equal is always
	exits      int // percent of its places with a door for going out
}{
	{"market", 2, 5 * 60, 18 * 60, 30},
	{"school", 4, 6*60 + 30, 17*60 + 30, 60},
	{"shop", 60, 6 * 60, 21 * 60, 20},
	{"restaurant", 30, 6 * 60, 22 * 60, 20},
	{"office", 20, 7 * 60, 17*60 + 30, 60},
	{"factory", 4, 0, 0, 80},
	{"worship", 8, 0, 0, 0},
	{"clinic", 3, 6 * 60, 20 * 60, 50},
	{"bus_station", 1, 0, 0, 0},
}

// perCommune is how many people a commune has.
const perCommune = 3000

// New makes a province.
func New(o Options) *Province {
	if o.People == 0 {
		o.People = 3000
	}
	if o.Days == 0 {
		o.Days = 14
	}
	p := &Province{o: o, party: map[int]Outbreak{}}
	r := rand.New(rand.NewPCG(o.Seed, 1))
	communes := max(1, o.People/perCommune)
	side := int(math.Ceil(math.Sqrt(float64(communes))))
	for c := range communes {
		center := qrgate.Point{Lat: 16.2 + 0.05*float64(c/side), Lon: 107.3 + 0.05*float64(c%side)}
		of := map[string][]int{}
		for _, k := range kinds {
			for range max(1, k.per*min(o.People, perCommune)/10_000) {
				of[k.kind] = append(of[k.kind], p.place(r, k.kind, center, k.open, k.shut, r.IntN(100) < k.exits))
			}
		}
		p.communes = append(p.communes, of)
	}
	center := qrgate.Point{Lat: 16.46, Lon: 107.59}
	for range max(1, o.People/100_000) {
		p.communes[0]["hospital"] = append(p.communes[0]["hospital"], p.place(r, "hospital", center, 0, 0, true))
	}
	hall := p.place(r, "event_venue", center, 8*60, 23*60, true)
	for n := range 1 + o.People/50_000 {
		p.breakOut(r, n, hall)
	}
	return p
}

func (p *Province) place(r *rand.Rand, kind string, center qrgate.Point, open, shut int, exits bool) int {
	no := len(p.places)
	pl := Place{
		At: qrgate.Spot{Name: fmt.Sprintf("%s %d", kind, no+1)}, Kind: kind,
		Point:  qrgate.Point{Lat: center.Lat + (r.Float64()-0.5)*0.02, Lon: center.Lon + (r.Float64()-0.5)*0.02},
		poster: r.IntN(3) > 0,
	}
	if p.o.Registered {
		pl.At = qrgate.Spot{No: uint32(no + 1)}
	}
	if open != shut {
		pl.Hours = []qrgate.Hours{{Days: qrgate.EveryDay, Open: open, Close: shut}}
	}
	gates := 0
	switch {
	case kind == "market" || kind == "hospital" || kind == "event_venue":
		gates = 2 + r.IntN(2)
	case exits || r.IntN(2) == 0 || !pl.poster:
		gates = 1
	}
	for g := range gates {
		pl.in = append(pl.in, p.kiosk(r, no, g, false))
		if exits {
			pl.out = append(pl.out, p.kiosk(r, no, g, true))
		}
	}
	p.places = append(p.places, pl)
	return no
}

func (p *Province) kiosk(r *rand.Rand, place, gate int, out bool) int {
	k := Kiosk{
		ID: fmt.Sprintf("kiosk-%07d", len(p.kiosks)+1), Place: place, Out: out, Gate: fmt.Sprintf("gate %d", gate+1),
		drift: 1 + (r.Float64()-0.5)*160e-6, error: 300, wrong: int64(r.IntN(2000) - 1000),
	}
	if r.IntN(10) == 0 {
		k.error = 30_000
	}
	if r.IntN(10) == 0 {
		k.wrong = int64(r.IntN(20*365)-10*365) * day
	}
	start := p.o.First.Start().UnixMilli()
	if dark := r.IntN(12) == 0; dark && !p.o.Exact && p.o.Days > 4 {
		from := start + int64(1+r.IntN(p.o.Days-4))*day + 20*hour
		k.dark = when.Interval{Earliest: from, Latest: from + 36*hour}
	}
	if r.IntN(20) == 0 {
		from := start + int64(r.IntN(p.o.Days))*day + int64(r.IntN(20))*hour
		k.away = when.Interval{Earliest: from, Latest: from + int64(1+r.IntN(72))*hour}
	}
	p.kiosks = append(p.kiosks, k)
	return len(p.kiosks) - 1
}

// breakOut plants an evening at a hall.
func (p *Province) breakOut(r *rand.Rand, n, hall int) {
	b := Outbreak{Place: hall, Day: min(p.o.Days-1, 1+n%max(1, p.o.Days-2))}
	guests := 20 + r.IntN(40)
	first := r.IntN(max(1, p.o.People-7*guests))
	for g := range min(guests, p.o.People) {
		who := (first + 7*g) % p.o.People
		if _, taken := p.party[who]; taken {
			continue
		}
		if b.Index == 0 {
			b.Index = p.Person(who)
		} else {
			b.Ill = append(b.Ill, p.Person(who))
		}
		p.party[who] = Outbreak{Place: hall, Day: b.Day}
	}
	if b.Index != 0 {
		p.outbreak = append(p.outbreak, b)
	}
}

// Places returns the places; their numbers are their indexes.
func (p *Province) Places() []Place { return p.places }

// Kiosks returns the kiosks of all places.
func (p *Province) Kiosks() []Kiosk { return p.kiosks }

// Outbreaks returns what was planted.
func (p *Province) Outbreaks() []Outbreak { return p.outbreak }

// Days returns how many days there are.
func (p *Province) Days() int { return p.o.Days }

// First returns the first day.
func (p *Province) First() qrgate.Day { return p.o.First }

// People returns how many people there are.
func (p *Province) People() int { return p.o.People }

// Person returns the number of one of the people, counted from 0.
func (p *Province) Person(i int) qrgate.Person { return qrgate.Person(mix(p.o.Seed, uint64(i)+1) | 1) }

// mix scatters numbers (SplitMix64).
func mix(a, b uint64) uint64 {
	z := a ^ (b * 0x9e3779b97f4a7c15)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
