package trace

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
)

// A traced stay is one whose contacts are asked for.
type traced struct {
	of      int // its number among those that were handed in
	in, out end
	gate    string
	entry   ID
	with    uint64
}

// A hall is a place of the traced stays, with what is found there.
type hall struct {
	at      qrgate.Spot
	venue   Venue
	stays   []traced
	windows []when.Interval

	shared   []Shared
	parties  []Party
	unnamed  []int // by stay
	doubted  []Suspicion
	scans    []Scans
	unopened int
}

// A search is what the places of one trace have in common.
type search struct {
	tracer  *Tracer
	profile Profile
	rules   Rules
	people  map[qrgate.Person]bool // traced, and so no contacts
}

var readings = sync.Pool{New: func() any { return newReading() }}

func (t *Tracer) contacts(ctx context.Context, stays []Stay, profile Profile, rules Rules) (Found, error) {
	s := search{tracer: t, profile: profile, rules: rules, people: map[qrgate.Person]bool{}}
	halls, err := s.halls(ctx, stays)
	if err != nil {
		return Found{}, err
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(runtime.GOMAXPROCS(0))
	for _, h := range halls {
		tasks.Go(func() error { return s.search(ctx, h, stays) })
	}
	if err := tasks.Wait(); err != nil {
		return Found{}, err
	}
	found := Found{Unnamed: make([]int, len(stays))}
	for _, h := range halls {
		found.Parties = append(found.Parties, h.parties...)
		found.Doubted = append(found.Doubted, h.doubted...)
		found.Scans = append(found.Scans, h.scans...)
		found.Unopened += h.unopened
		for i := range h.stays {
			found.Unnamed[h.stays[i].of] = h.unnamed[i]
		}
	}
	slices.SortFunc(found.Parties, func(a, b Party) int { return cmp.Compare(a.Of, b.Of) })
	found.Contacts = s.assemble(halls, &found.Doubted)
	return found, nil
}

// halls sorts stays by place and says what has to be read of each.
func (s *search) halls(ctx context.Context, stays []Stay) ([]*hall, error) {
	by := map[qrgate.Spot]*hall{}
	var halls []*hall
	var spots []qrgate.Spot
	for i := range stays {
		s.people[stays[i].Person] = true
		if !s.rules.Believes(&stays[i]) {
			continue
		}
		at := stays[i].At
		if by[at] == nil {
			by[at] = &hall{at: at}
			halls, spots = append(halls, by[at]), append(spots, at)
		}
		h := by[at]
		h.stays = append(h.stays, traced{of: i, gate: stays[i].Gate, entry: stays[i].Entry, with: stays[i].With})
	}
	venues, err := s.tracer.places.Venues(ctx, spots)
	if err != nil {
		return nil, err
	}
	for _, h := range halls {
		h.venue = venueIn(venues, h.at)
	}
	return halls, nil
}

func venueIn(venues map[qrgate.Spot]Venue, at qrgate.Spot) Venue {
	v, ok := venues[at]
	if !ok || v.Dwell == (Dwell{}) {
		v.Dwell = anyDwell
	}
	return v
}

// reach returns the time in which the check-ins of those lie who may have been
// at a place during in.
func reach(v *Venue, c *calendar, in when.Interval) when.Interval {
	longest := v.Dwell.Longest.Milliseconds()
	w := when.Interval{Earliest: in.Earliest - longest, Latest: in.Latest + longest}
	if !v.Dwell.Overnight {
		from, to := c.around(in)
		w.Earliest, w.Latest = max(w.Earliest, from), min(w.Latest, to)
	}
	return w
}

// search finds who was at a place during the traced stays there.
func (s *search) search(ctx context.Context, h *hall, stays []Stay) error {
	r := readings.Get().(*reading)
	defer readings.Put(r)
	r.reset(h.at)
	m := mason{venue: h.venue}
	from, to := unbounded, -unbounded
	for i := range h.stays {
		st := &stays[h.stays[i].of]
		from, to = min(from, st.In.Earliest), max(to, st.Out.Latest+s.profile.After)
	}
	m.calendar = newCalendar(h.venue.Hours, from, to)
	for i := range h.stays {
		tr := &h.stays[i]
		st := &stays[tr.of]
		tr.in, tr.out = ends(st, r, m.unseen(st.Pass == pass.Staff))
		tr.out.earliest += s.profile.After
		tr.out.latest += s.profile.After
		tr.out.low += s.profile.After
		tr.out.high += s.profile.After
		in := when.Interval{Earliest: st.In.Earliest, Latest: tr.out.latest}
		h.windows = append(h.windows, reach(&h.venue, &m.calendar, in))
	}
	h.windows = merged(h.windows)
	p := parties{of: h.stays}
	if err := r.read(ctx, s.tracer.rows, s.tracer.persons, h.windows, p.see); err != nil {
		return err
	}
	h.parties, h.scans, h.unopened = p.found(s.people), r.scans, r.unopened
	h.unnamed = make([]int, len(h.stays))
	for i := range h.stays {
		for _, u := range r.unnamed {
			if u.Earliest <= h.stays[i].out.latest && u.Latest >= h.stays[i].in.earliest {
				h.unnamed[i]++
			}
		}
	}
	r.sort()
	h.doubted = r.suspect(&m.calendar, &s.rules)
	h.shared = make([]Shared, 0, r.people())
	r.eachPerson(func(events []event) {
		person := events[0].person
		if s.people[person] || !mayMeet(events, h.stays, &m) {
			return
		}
		for _, f := range m.build(events, r.details) {
			if f.doubtful(r) {
				continue
			}
			h.meet(s, &f, person, r)
		}
	})
	return nil
}

// mayMeet quickly turns away who was there at quite another time.
func mayMeet(events []event, stays []traced, m *mason) bool {
	longest := m.venue.Dwell.Longest.Milliseconds()
	from, to := events[0].earliest-longest, int64(0)
	for i := range events {
		to = max(to, events[i].latest+longest)
	}
	for i := range stays {
		if stays[i].in.earliest <= to && stays[i].out.latest >= from {
			return true
		}
	}
	return false
}

// doubtful reports whether one of its check-ins does not count.
func (f *fragment) doubtful(r *reading) bool {
	return f.entry >= 0 && r.details[f.entry].out || f.exit >= 0 && r.details[f.exit].out
}

// meet notes the times that a stay shared with the traced ones.
func (h *hall) meet(s *search, f *fragment, person qrgate.Person, r *reading) {
	var stay Stay
	made := false
	for i := range h.stays {
		t := &h.stays[i]
		if t.in.earliest > f.out.latest || f.in.earliest > t.out.latest {
			continue
		}
		// The time together ends with the first who goes and begins with the last
		// who comes: it is the least of four differences.
		least, most := apart(&t.out, &t.in)
		least = max(least, s.profile.After) // nobody goes before they come
		low, high := apart(&f.out, &f.in)
		least, most = min(least, max(low, 0)), min(most, high)
		low, high = apart(&t.out, &f.in)
		least, most = min(least, low), min(most, high)
		low, high = apart(&f.out, &t.in)
		least, most = min(least, low), min(most, high)
		if most < 0 {
			continue
		}
		if !made {
			stay, made = f.stay(person, r), true
		}
		sh := Shared{
			Of: t.of, Stay: stay, Sureness: Possible, Least: max(least, 0), Most: most,
			Within:   when.Interval{Earliest: max(t.in.earliest, f.in.earliest), Latest: min(t.out.latest, f.out.latest)},
			SameGate: stay.Gate != "" && stay.Gate == t.gate,
		}
		if least >= s.profile.Minimum {
			sh.Sureness = Certain
		}
		h.shared = append(h.shared, sh)
	}
}

// ends returns the ends of a stay that is traced.
func ends(st *Stay, r *reading, unseen int64) (in, out end) {
	in = end{earliest: st.In.Earliest, latest: st.In.Latest}
	out = end{earliest: st.Out.Earliest, latest: st.Out.Latest}
	came, gone := r.bootNo(st.Came.Boot), r.bootNo(st.Gone.Boot)
	if came != 0 {
		in.boot, in.since = came, st.Came.Since
	}
	if gone != 0 {
		out.boot, out.since = gone, st.Gone.Since
	}
	switch {
	case st.NoEntry && gone != 0:
		in.boot, in.since, in.low = gone, out.since, -unseen
	case st.Inferred && came != 0 && st.Out.Earliest == st.In.Earliest && st.Out.Latest <= st.In.Latest+unseen:
		// The person was not seen again, and no check-out whose order is not known
		// may be of this stay.
		out.boot, out.since, out.high = came, in.since, unseen
	}
	return in, out
}

// A meeting points at a shared time: those are too large to be sorted.
type meeting struct {
	person qrgate.Person
	hall   int32
	no     int32
}

// assemble makes contacts of the times that were shared.
func (s *search) assemble(halls []*hall, doubted *[]Suspicion) []Contact {
	var meetings []meeting
	venues := map[qrgate.Spot]*qrgate.Point{}
	for i, h := range halls {
		venues[h.at] = h.venue.At
		for j := range h.shared {
			meetings = append(meetings, meeting{h.shared[j].Stay.Person, int32(i), int32(j)})
		}
	}
	slices.SortFunc(meetings, func(a, b meeting) int {
		switch {
		case a.person != b.person:
			return cmp.Compare(a.person, b.person)
		case a.hall != b.hall:
			return cmp.Compare(a.hall, b.hall)
		}
		return cmp.Compare(a.no, b.no)
	})
	parts := make([][]Contact, runtime.GOMAXPROCS(0))
	told := make([][]Suspicion, len(parts))
	var tasks sync.WaitGroup
	from := 0
	for i := range parts {
		to := max(from, len(meetings)*(i+1)/len(parts))
		for to > from && to < len(meetings) && meetings[to].person == meetings[to-1].person {
			to++
		}
		of := meetings[from:to]
		tasks.Go(func() { parts[i], told[i] = s.sum(halls, of, venues) })
		from = to
	}
	tasks.Wait()
	all := slices.Concat(parts...)
	*doubted = append(*doubted, slices.Concat(told...)...)
	slices.SortFunc(all, func(a, b Contact) int {
		switch {
		case a.Sureness != b.Sureness:
			return cmp.Compare(b.Sureness, a.Sureness)
		case a.Least != b.Least:
			return cmp.Compare(b.Least, a.Least)
		case a.Most != b.Most:
			return cmp.Compare(b.Most, a.Most)
		}
		return cmp.Compare(a.Person, b.Person)
	})
	return all
}

// sum makes the contacts of some people, whose meetings follow each other.
func (s *search) sum(halls []*hall, meetings []meeting, venues map[qrgate.Spot]*qrgate.Point) (all []Contact, doubted []Suspicion) {
	shared := make([]Shared, len(meetings))
	people := 0
	for i, m := range meetings {
		shared[i] = halls[m.hall].shared[m.no]
		if i == 0 || m.person != meetings[i-1].person {
			people++
		}
	}
	all = make([]Contact, 0, people)
	for i := 0; i < len(shared); {
		j := i + 1
		for j < len(shared) && shared[j].Stay.Person == shared[i].Stay.Person {
			j++
		}
		if c, ok := s.contact(s.travelled(shared[i:j:j], venues, &doubted)); ok {
			all = append(all, c)
		}
		i = j
	}
	return all, doubted
}

// contact adds up the times of one person, of which those at one place follow
// each other, and reports whether they may be enough.
func (s *search) contact(shared []Shared) (Contact, bool) {
	if len(shared) == 0 {
		return Contact{}, false
	}
	c := Contact{Person: shared[0].Stay.Person, Sureness: Possible, Shared: shared}
	if len(shared) == 1 {
		c.Least, c.Most, c.Sureness = shared[0].Least, shared[0].Most, shared[0].Sureness
		return c, c.Most >= s.profile.Minimum
	}
	slices.SortFunc(shared, func(a, b Shared) int {
		switch {
		case a.Stay.At != b.Stay.At:
			return cmp.Or(cmp.Compare(a.Stay.At.No, b.Stay.At.No), cmp.Compare(a.Stay.At.Name, b.Stay.At.Name))
		case a.Within.Earliest != b.Within.Earliest:
			return cmp.Compare(a.Within.Earliest, b.Within.Earliest)
		}
		return cmp.Compare(a.Of, b.Of)
	})
	for i := 0; i < len(shared); {
		within, least, longest, most := shared[i].Within, int64(0), int64(0), int64(0)
		j := i
		for ; j < len(shared) && shared[j].Stay.At == shared[i].Stay.At && shared[j].Within.Earliest <= within.Latest; j++ {
			sh := &shared[j]
			within.Latest = max(within.Latest, sh.Within.Latest)
			least, longest, most = least+sh.Least, max(longest, sh.Least), most+sh.Most
			if sh.Sureness == Certain {
				c.Sureness = Certain
			}
		}
		// What is shared with two traced persons, or lingers after two stays, is
		// one time.
		if s.profile.After > 0 || len(s.people) > 1 {
			least = longest
		}
		c.Least += least
		c.Most += max(least, min(most, within.Latest-within.Earliest))
		i = j
	}
	if s.profile.Minimum > 0 && c.Least >= s.profile.Minimum {
		c.Sureness = Certain
	}
	slices.SortStableFunc(shared, func(a, b Shared) int {
		if a.Least != b.Least {
			return cmp.Compare(b.Least, a.Least)
		}
		return cmp.Compare(b.Most, a.Most)
	})
	return c, c.Most >= s.profile.Minimum
}
