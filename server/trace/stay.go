package trace

import (
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

// A fragment is a stay before anybody has asked for it: a check-in and a
// check-out that belong together, or one of them alone.
type fragment struct {
	in, out  end
	entry    int32 // detail of the check-in, -1 if nobody saw the person come
	exit     int32
	newest   int64 // when the newest of its events was received
	inferred bool
}

// An end is when a stay began or ended: within [earliest, latest], and if a boot
// counted, from low to high milliseconds after the moment since of it.
type end struct {
	earliest, latest int64
	boot             int32
	since, low, high int64
}

func endOf(e *event) end {
	return end{earliest: e.earliest, latest: e.latest, boot: e.boot, since: e.since}
}

// apart bounds how much later x is than y.
func apart(x, y *end) (low, high int64) {
	low, high = x.earliest-y.latest, x.latest-y.earliest
	if x.boot == 0 || x.boot != y.boot {
		return low, high
	}
	d := x.since - y.since
	// The readings are cut to milliseconds, and the crystal drifts.
	slack := max(d, -d)*when.Drift/1e6 + 1
	l, h := max(low, d-slack+x.low-y.high), min(high, d+slack+x.high-y.low)
	if l > h { // the kiosk contradicts itself: believe the wider
		return low, high
	}
	return l, h
}

// A mason builds stays at one place.
type mason struct {
	venue    Venue
	calendar calendar

	clean, doubtful []event
	runs            []run
	reach           []int64
	laid            []event // those that the runs are of
	fragments       []fragment
}

// A run is as many events as may have been in another order. All of a run came
// certainly after all of the run before.
type run struct {
	from, to int   // of the events, to excluded
	earliest int64 // of all
	latest   int64 // of all
	gone     int64 // latest of the check-outs
}

// unseen is how long somebody stays at most whom nobody sees.
func (m *mason) unseen(staff bool) int64 {
	d := m.venue.Dwell.Unseen
	if staff {
		d = min(max(d, workday), shift)
	}
	return d.Milliseconds()
}

// longest is how far check-in and check-out of one stay may lie apart.
func (m *mason) longest(staff bool) int64 {
	d := m.venue.Dwell.Longest
	if staff {
		d = min(max(d, workday), shift)
	}
	return d.Milliseconds()
}

// fit reports whether a check-in and the check-out after it can be of one stay,
// and whether they must be, unless two doors in a row saw nobody.
func (m *mason) fit(in, out *event) (can, must bool) {
	x, y := endOf(out), endOf(in)
	low, high := apart(&x, &y)
	longest := m.longest(in.staff)
	over := m.venue.Dwell.Overnight
	can = high >= 0 && low <= longest && (over || !m.calendar.parts(in.latest, out.earliest))
	return can, can && high <= longest && (over || !m.calendar.parts(in.earliest, out.latest))
}

func (m *mason) can(in, out *event) bool  { can, _ := m.fit(in, out); return can }
func (m *mason) must(in, out *event) bool { _, must := m.fit(in, out); return must }

// build returns the stays of one person from their sorted events. Doubtful ones
// are apart, so that they disturb no other. The result is valid until the next
// call.
func (m *mason) build(events []event, details []detail) []fragment {
	m.fragments = m.fragments[:0]
	m.clean, m.doubtful = m.clean[:0], m.doubtful[:0]
	for i := range events {
		if events[i].doubt {
			m.doubtful = append(m.doubtful, events[i])
		} else {
			m.clean = append(m.clean, events[i])
		}
	}
	m.lay(m.clean)
	m.lay(m.doubtful)
	for i := range m.fragments {
		f := &m.fragments[i]
		for _, d := range []int32{f.exit, f.entry} {
			if d >= 0 {
				f.newest = max(f.newest, details[d].received)
			}
		}
	}
	return m.fragments
}

// manyEvents is how many events of one person at one place are compared each
// with each other.
const manyEvents = 64

// scatter cuts events into runs.
func (m *mason) scatter(events []event) {
	m.runs = m.runs[:0]
	many := len(events) > manyEvents
	if many {
		m.reach = m.reach[:0]
		for i := range events {
			latest := events[i].latest
			if i > 0 {
				latest = max(latest, m.reach[i-1])
			}
			m.reach = append(m.reach, latest)
		}
	}
	// Going back, a run begins where nothing before can have been after. first is
	// the first event that can have been after one of those from k on.
	to, first, earliest := len(events), len(events), unbounded
	for k := len(events) - 1; k >= 0; k-- {
		e := &events[k]
		first, earliest = min(first, k), min(earliest, e.earliest)
		if many {
			if first = k; k > 0 && m.reach[k-1] > earliest {
				continue
			}
		}
		for j := 0; j < first && !many; j++ {
			if b := &events[j]; b.latest > e.earliest && (b.boot == 0 || b.boot != e.boot) {
				first = j
			}
		}
		if first == k {
			m.runs = append(m.runs, runOf(events, k, to))
			to = k
		}
	}
	slices.Reverse(m.runs)
}

func runOf(events []event, from, to int) run {
	r := run{from: from, to: to, earliest: unbounded, latest: -unbounded, gone: -unbounded}
	for _, e := range events[from:to] {
		r.earliest, r.latest = min(r.earliest, e.earliest), max(r.latest, e.latest)
		if e.way == gone {
			r.gone = max(r.gone, e.latest)
		}
	}
	return r
}

// lay appends the stays of events. Of a run of several events each is a stay of
// its own, with bounds that hold whatever their order was.
func (m *mason) lay(events []event) {
	if len(events) == 0 {
		return
	}
	m.scatter(events)
	m.laid = events
	for n := 0; n < len(m.runs); n++ {
		r := &m.runs[n]
		if r.to-r.from > 1 {
			for i := r.from; i < r.to; i++ {
				if events[i].way == gone {
					m.fragments = append(m.fragments, m.backward(&events[i], n))
				} else {
					m.fragments = append(m.fragments, m.forward(&events[i], &events[i], n, n))
				}
			}
			continue
		}
		e := &events[r.from]
		if e.way == gone {
			m.fragments = append(m.fragments, m.backward(e, n))
			continue
		}
		last := n // the last run that shows the person there
		for last+1 < len(m.runs) {
			again := m.single(events, last+1, seen)
			if again == nil || !m.must(e, again) {
				break
			}
			last++
		}
		if last+1 < len(m.runs) {
			out := m.single(events, last+1, gone)
			if out != nil && m.must(e, out) {
				f := m.began(e, n)
				f.out, f.exit = endOf(out), out.detail
				m.fragments = append(m.fragments, f)
				n = last + 1
				continue
			}
		}
		m.fragments = append(m.fragments, m.forward(e, &events[m.runs[last].from], n, last))
		n = last
	}
}

// single returns the only event of run n if it is of the given way.
func (m *mason) single(events []event, n int, w way) *event {
	if r := &m.runs[n]; r.to-r.from == 1 && events[r.from].way == w {
		return &events[r.from]
	}
	return nil
}

// began returns a fragment that begins with e of run n: a check-in or, if that is
// lost, what came soon after it.
func (m *mason) began(e *event, n int) fragment {
	f := fragment{in: endOf(e), entry: e.detail, exit: -1}
	if e.way == seen {
		f.in = m.before(e, n)
	}
	return f
}

// backward returns the stay that ended with e of run n and that nobody saw begin.
func (m *mason) backward(e *event, n int) fragment {
	return fragment{in: m.before(e, n), out: endOf(e), entry: -1, exit: e.detail}
}

// before returns when somebody had come who was seen by e of run n only then.
func (m *mason) before(e *event, n int) end {
	unseen := m.unseen(e.staff)
	in := end{earliest: e.earliest - unseen, latest: e.latest, boot: e.boot, since: e.since, low: -unseen}
	if !m.venue.Dwell.Overnight {
		in.earliest = max(in.earliest, m.calendar.opens(e.earliest))
	}
	if n > 0 {
		in.earliest = max(in.earliest, m.runs[n-1].earliest)
	}
	in.earliest = min(in.earliest, e.earliest)
	return in
}

// forward returns the stay that began with e of run n and that nobody saw end;
// the person was seen there last by last, of the run of that number.
func (m *mason) forward(e, last *event, n, lastRun int) fragment {
	f := m.began(e, n)
	f.inferred = true
	unseen := m.unseen(last.staff)
	f.out = end{earliest: last.earliest, latest: last.latest + unseen, boot: last.boot, since: last.since, high: unseen}
	if !m.venue.Dwell.Overnight {
		f.out.latest = min(f.out.latest, m.calendar.closes(last.latest))
	}
	own, loose := &m.runs[lastRun], false
	out := -unbounded // of a check-out that may be this stay's
	if own.to-own.from > 1 {
		loose, out = true, own.gone
	}
	if lastRun+1 < len(m.runs) {
		// Whoever comes again has left, or never did: then the next stay goes on.
		next := &m.runs[lastRun+1]
		f.out.latest = min(f.out.latest, next.latest)
		if loose || next.to-next.from > 1 || m.can(e, &m.laid[next.from]) {
			out = max(out, next.gone) // if it has one
		}
	}
	if out = min(out, e.latest+m.longest(e.staff)); out > f.out.latest {
		f.out.latest, f.out.boot = out, 0
	}
	f.out.latest = max(f.out.latest, f.out.earliest)
	return f
}

// stay returns a fragment as others see it.
func (f *fragment) stay(person qrgate.Person, r *reading) Stay {
	s := Stay{
		Person: person, At: r.at,
		In:       when.Interval{Earliest: f.in.earliest, Latest: f.in.latest},
		Out:      when.Interval{Earliest: f.out.earliest, Latest: f.out.latest},
		Inferred: f.inferred, NoEntry: f.entry < 0 || f.in.low < 0, Received: f.newest,
	}
	if f.entry >= 0 {
		d := &r.details[f.entry]
		s.Entry = d.id
		s.tell(d)
		if !s.NoEntry {
			s.Came = markAt(&f.in, r.names)
		}
	}
	if f.exit >= 0 {
		d := &r.details[f.exit]
		s.Exit, s.Left, s.Gone = d.id, d.gate, markAt(&f.out, r.names)
		if f.entry < 0 {
			s.tell(d)
		}
	}
	if s.Entry != (ID{}) {
		s.Gate = r.details[f.entry].gate
	}
	for _, d := range []int32{f.entry, f.exit} {
		if d >= 0 && r.details[d].doubt != "" && !slices.Contains(s.Doubts, r.details[d].doubt) {
			s.Doubts = append(s.Doubts, r.details[d].doubt)
		}
	}
	return s
}

func markAt(e *end, boots []when.Boot) Mark {
	if e.boot == 0 {
		return Mark{}
	}
	return Mark{boots[e.boot-1], e.since}
}

// tell copies what a check-in says of the person.
func (s *Stay) tell(d *detail) {
	s.Kiosk, s.Lane, s.Source, s.Pass, s.Level = d.kiosk, d.lane, sourceOf(d.pass, d.presence), d.pass, d.level
	s.Presence, s.Verdict, s.With = d.presence, d.verdict, d.with
}
