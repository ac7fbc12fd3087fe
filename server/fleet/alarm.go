package fleet

import (
	"slices"
	"time"
)

// An Alarm is something that is wrong with a kiosk, or was.
type Alarm struct {
	No       int64  // of the kiosk in the database; 0 of an [Outage]
	Kiosk    string // its id
	Kind     Kind
	Since    time.Time
	Grave    bool
	Value    int64 // the newest
	About    string
	Seen     time.Time // when it was last found so
	Ended    time.Time // zero while it lasts
	AckedBy  string    // account
	Acked    time.Time
	Together bool      // part of an outage
	Told     time.Time // when people were told
	ToldEnd  time.Time // when they were told of its end
}

// Open reports whether it lasts.
func (a *Alarm) Open() bool { return a.Ended.IsZero() }

// A Judged is a kiosk with what was found.
type Judged struct {
	No       int64
	Kiosk    string
	Alive    bool // it is active and was ever heard of: its silence counts in an outage
	Findings []Finding
}

type key struct {
	no   int64
	kind Kind
}

// A Watch remembers what is not an alarm yet, and what has just stopped being one.
// It is not safe for concurrent use. The zero Watch is right; one that is lost makes
// alarms begin and end a little later.
type Watch struct {
	wrong map[key]time.Time // since when
	right map[key]time.Time
}

const (
	// An outage is when of the kiosks that were there at least one in outageShare
	// and at least outageLeast are gone within outageWithin.
	outageLeast  = 10
	outageShare  = 5
	outageWithin = 10 * time.Minute
	// outageLasts is when people are told of those that still are not back.
	outageLasts = time.Hour
	// touchEvery is how often it is written down that an alarm lasts.
	touchEvery = 5 * time.Minute
)

// Step returns the alarms that begin, change or end, as they are from now on. open
// are those that last; a kiosk that was not judged, or of which nothing was found
// under a kind, keeps its own.
func (w *Watch) Step(open []Alarm, judged []Judged, now time.Time) []Alarm {
	if w.wrong == nil {
		w.wrong, w.right = map[key]time.Time{}, map[key]time.Time{}
	}
	lasting := make(map[key]*Alarm, len(open))
	for i := range open {
		lasting[key{open[i].No, open[i].Kind}] = &open[i]
	}
	changed := map[key]*Alarm{}
	still := map[key]bool{} // what is pending and was found again
	alive := 0
	for _, j := range judged {
		if j.Alive {
			alive++
		}
		for _, f := range j.Findings {
			k := key{j.No, f.Kind}
			if a := lasting[k]; a != nil {
				if w.last(a, f, now) {
					changed[k] = a
				}
				continue
			}
			if f.Verdict == Hold {
				still[k] = w.wrong[k] != time.Time{}
			}
			if f.Verdict != On {
				continue
			}
			since, ok := w.wrong[k]
			if !ok {
				since = now
				w.wrong[k] = now
			}
			if still[k] = true; now.Sub(since) < rules[f.Kind].after {
				continue
			}
			delete(w.wrong, k)
			a := &Alarm{No: j.No, Kiosk: j.Kiosk, Kind: f.Kind, Since: since, Grave: f.Kind.Grave(), Value: f.Value, About: f.About, Seen: now}
			lasting[k], changed[k] = a, a
		}
	}
	for k := range w.wrong {
		if !still[k] {
			delete(w.wrong, k)
		}
	}
	for k := range w.right {
		if a := lasting[k]; a == nil || !a.Open() {
			delete(w.right, k)
		}
	}
	w.outage(lasting, changed, alive, now)
	all := make([]Alarm, 0, len(changed))
	for _, a := range changed {
		all = append(all, *a)
	}
	slices.SortFunc(all, Compare)
	return all
}

// last goes on with an alarm that was found in some way, and reports whether that
// is to be written down.
func (w *Watch) last(a *Alarm, f Finding, now time.Time) bool {
	k := key{a.No, a.Kind}
	if f.Verdict != Off {
		delete(w.right, k)
	}
	switch f.Verdict {
	case On:
		due := now.Sub(a.Seen) >= touchEvery || a.About != f.About
		if due {
			a.Value, a.About, a.Seen = f.Value, f.About, now
		}
		return due
	case Off:
		since, ok := w.right[k]
		if !ok {
			since = now
			w.right[k] = now
		}
		if now.Sub(since) < rules[a.Kind].rest {
			return false
		}
		delete(w.right, k)
		a.Ended = now
		return true
	}
	return false
}

// outage finds out whether many are gone at once: then they are one alarm, and none
// of them is told of alone.
func (w *Watch) outage(lasting, changed map[key]*Alarm, alive int, now time.Time) {
	lately, before, together := 0, 0, 0
	for k, a := range lasting {
		switch {
		case k.kind != IsSilent || !a.Open():
		case now.Sub(a.Since) <= outageWithin || a.Together:
			lately++
			if a.Together {
				together++
			}
		default:
			before++
		}
	}
	k := key{0, Outage}
	a := lasting[k]
	there := max(alive-before, 0)
	if a == nil && (lately < outageLeast || lately*outageShare < there) {
		return
	}
	if a == nil {
		a = &Alarm{Kind: Outage, Since: now, Grave: true, Seen: now}
		lasting[k], changed[k] = a, a
	}
	over := now.Sub(a.Since) >= outageLasts || lately < outageLeast/2 || lately*outageShare*2 < there
	f := Finding{Kind: Outage, Verdict: on(!over), Value: max(int64(lately), a.Value)}
	if over && now.Sub(a.Since) >= outageLasts {
		w.right[k] = time.Time{} // at once
	}
	if w.last(a, f, now) {
		changed[k] = a
	}
	if f.Value > a.Value {
		a.Value, changed[k] = f.Value, a
	}
	for k, s := range lasting {
		if k.kind != IsSilent || !s.Open() {
			continue
		}
		if join := a.Open() && now.Sub(s.Since) <= outageWithin; join && !s.Together && s.Told.IsZero() {
			s.Together, changed[k] = true, s
		} else if !a.Open() && s.Together {
			s.Together, changed[k] = false, s
		}
	}
}

// Compare orders alarms as people are shown them: what is grave first, then what
// began last.
func Compare(a, b Alarm) int {
	switch {
	case a.Grave != b.Grave:
		if a.Grave {
			return -1
		}
		return 1
	case !a.Since.Equal(b.Since):
		return b.Since.Compare(a.Since)
	case a.No != b.No:
		return int(min(max(a.No-b.No, -1), 1))
	}
	return slices.Index(Kinds(), a.Kind) - slices.Index(Kinds(), b.Kind)
}
