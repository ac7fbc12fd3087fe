package province

import (
	"math/rand/v2"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// dice are seeded for each person and day without allocating.
type dice struct{ pcg rand.PCG }

func (d *dice) intn(n int) int          { return int(d.pcg.Uint64() % uint64(n)) }
func (d *dice) chance(hundred int) bool { return d.intn(100) < hundred }
func (d *dice) span(from, to int64) int64 {
	return from + int64(d.pcg.Uint64()%uint64(to-from+1))
}

// Visits calls fn with the visits that begin on a day, counted from 0. Nobody is
// at two places at once, nor longer anywhere than the kind of place allows.
func (p *Province) Visits(of int, fn func(Visit)) {
	for i := range p.o.People {
		p.visitsOf(i, of, fn)
	}
}

// A planner lays out the day of one person.
type planner struct {
	p     *Province
	d     dice
	fn    func(Visit)
	who   qrgate.Person
	start int64 // of the day
	free  int64 // from when on the person is free, since then
	been  [12]int
	n     int
}

// patient returns when a person is in hospital: from the first day to the last,
// or never.
func (p *Province) patient(i int) (first, last int, ever bool) {
	h := mix(p.o.Seed+2, uint64(i))
	if _, invited := p.party[i]; invited {
		return 0, 0, false
	}
	nights := 1 + int(h>>40%9)
	if h%120 != 0 || p.o.Days <= nights {
		return 0, 0, false
	}
	first = int(h >> 20 % uint64(p.o.Days-nights))
	return first, first + nights, true
}

func (p *Province) visitsOf(i, of int, fn func(Visit)) {
	l := planner{p: p, fn: fn, who: p.Person(i), start: (p.o.First + qrgate.Day(of)).Start().UnixMilli()}
	l.d.pcg.Seed(mix(p.o.Seed+3, uint64(i)), uint64(of))
	h := mix(p.o.Seed+4, uint64(i))
	home := p.communes[h>>8%uint64(len(p.communes))]
	invited, party := p.party[i]
	party = party && invited.Day == of
	if first, last, ever := p.patient(i); ever && first <= of && of <= last {
		if of == first {
			wards := p.communes[0]["hospital"]
			begin := l.start + l.d.span(8*hour, 20*hour)
			end := (p.o.First + qrgate.Day(last)).Start().UnixMilli() + l.d.span(9*hour, 16*hour)
			l.see(Visit{Place: wards[h>>30%uint64(len(wards))], In: begin, Out: end}, last-first <= 5)
		}
		return
	}
	weekday := (p.o.First + qrgate.Day(of)).Start().Weekday()
	work := weekday != time.Sunday && weekday != time.Saturday
	l.free = 5*hour + 10*minute
	role := h % 100
	pick := func(kind string, n uint64) int { return home[kind][n%uint64(len(home[kind]))] }
	if role >= 20 && l.d.chance(30) {
		l.visit(pick("market", h>>12), 5*hour+10*minute, 6*hour, 15*minute, 40*minute, false)
	}
	switch {
	case role < 20 && work:
		if l.d.chance(10) {
			l.visit(pick("bus_station", h>>12), 6*hour+20*minute, 6*hour+25*minute, 10*minute, 15*minute, false)
		}
		l.visit(pick("school", h>>12), 6*hour+50*minute, 7*hour+20*minute, 9*hour, 9*hour+30*minute, false)
	case role < 60 && work:
		if l.d.chance(10) {
			l.visit(pick("bus_station", h>>12), 6*hour+45*minute, 6*hour+50*minute, 10*minute, 20*minute, false)
		}
		kind := [...]string{"office", "office", "factory", "shop", "market"}[h>>16%5]
		l.visit(pick(kind, h>>12), 7*hour+20*minute, 7*hour+50*minute, 8*hour, 9*hour, true)
	default:
		for range l.d.intn(4) {
			kind := [...]string{"shop", "shop", "office", "clinic", "restaurant", "worship", "market", "bus_station"}[l.d.intn(8)]
			at := l.free + l.d.span(0, 3*hour)
			if at > 15*hour {
				break
			}
			l.visit(pick(kind, l.d.pcg.Uint64()), at, at+30*minute, 8*minute, 50*minute, false)
		}
	}
	if party {
		l.visit(invited.Place, 19*hour+40*minute, 20*hour, 75*minute, 150*minute, false)
		return
	}
	if l.d.chance(35) {
		l.visit(pick("shop", l.d.pcg.Uint64()), 17*hour+45*minute, 18*hour+15*minute, 5*minute, 30*minute, false)
	}
	if l.d.chance(20) {
		l.visit(pick("restaurant", l.d.pcg.Uint64()), 18*hour+45*minute, 19*hour+30*minute, 30*minute, 90*minute, false)
	}
}

// visit sends the person somewhere if the day still allows it.
func (l *planner) visit(place int, from, to, least, most int64, staff bool) {
	from = max(from, l.free)
	if from > to || l.n == len(l.been) {
		return
	}
	// Twice on one day at one place, and seen only coming and then only going,
	// would be one stay to everybody.
	for _, b := range l.been[:l.n] {
		if b == place {
			return
		}
	}
	l.been[l.n] = place
	l.n++
	in := l.d.span(from, to)
	out := in + l.d.span(least, most)
	if hours := l.p.places[place].Hours; len(hours) > 0 {
		// Those who are too early stand in a line, and nobody is the last to go: no door
		// lets a crowd through in one moment.
		if open := int64(hours[0].Open) * minute; in < open {
			in = open + l.d.span(0, 20*minute)
		}
		if shut := int64(hours[0].Close) * minute; out > shut {
			out = shut - l.d.span(0, 20*minute)
		}
		out = max(out, in+minute)
	}
	l.free = out + 25*minute // nobody is farther off than that
	l.see(Visit{Place: place, In: l.start + in, Out: l.start + out, Staff: staff}, true)
}

// see says how a visit becomes known. Whoever sleeps at a place is always seen to
// come, and unless missed is set to go.
func (l *planner) see(v Visit, missed bool) {
	v.Person = l.who
	pl := &l.p.places[v.Place]
	d := &l.d
	v.gate = int32(d.intn(8))
	misses := 0
	if len(pl.Hours) > 0 {
		misses = 5
	}
	switch n := d.intn(100); {
	case n < misses:
	case len(pl.in) > 0 && (n < 90 || !pl.poster):
		v.Entry = ByKiosk
		if d.chance(5) {
			v.bring = uint8(1 + d.intn(2))
		}
	case pl.poster && (n < 75 || len(pl.in) > 0):
		v.Entry = ByPhone
	}
	switch n := d.intn(100); {
	case missed && n < 12:
	case len(pl.out) > 0:
		v.Exit = ByKiosk
	case v.Entry == ByPhone && (n < 45 || v.Staff):
		v.Exit = ByPhone
	}
	if v.Staff && (v.Entry == ByPhone || len(pl.in) == 0) { // a telephone does not say that they work there
		v.Entry, v.Exit = ByPhone, ByPhone
	}
	l.fn(v)
}
