package report

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
)

// A Stage is how far a place has come. The numbers stand in the database.
type Stage int

// The stages in their order. Whoever has come to one has come to those before it:
// a place at which somebody checked in has a door that works, however it came by
// its code.
const (
	Listed     Stage = 1 + iota // somebody says that it ought to register, or it has
	Registered                  // it is a place of ours
	Printed                     // its poster was printed
	Live                        // a kiosk there reports, or somebody saw the poster hang
	Scanned                     // somebody has checked in
	Active                      // and within the last [ActiveDays] days
)

// ActiveDays is within how many days somebody must have checked in at a place that
// is active.
const ActiveDays = 7

// Stages returns every stage in order.
func Stages() []Stage { return []Stage{Listed, Registered, Printed, Live, Scanned, Active} }

// Name returns the stage's stable name, as texts are keyed by it.
func (s Stage) Name() string {
	if s < Listed || s > Active {
		return "none"
	}
	return [...]string{"listed", "registered", "printed", "live", "scanned", "active"}[s-1]
}

// Facts are what is known of one place, each with the first day on which it was
// so, or 0 if it never was.
type Facts struct {
	Place                              uint32 // 0 of one that is listed and has not registered
	Sector, Kind, Area, District       string // Area is the commune of today
	Listed                             bool   // it is on a list
	Registered, Printed, Live, Scanned qrgate.Day
	Last                               []qrgate.Day // with a check-in, up to each moment of the survey
}

// A Survey is the facts of many places as of some days, in order.
type Survey struct {
	Moments []qrgate.Day
	Places  []Facts
}

// Stage returns how far a place had come by the m-th moment, and 0 if nobody knew
// of it.
func (s *Survey) Stage(f *Facts, m int) Stage {
	day := s.Moments[m]
	by := func(d qrgate.Day) bool { return d > 0 && d <= day }
	switch last := f.Last; {
	case m < len(last) && by(last[m]) && last[m] > day-ActiveDays:
		return Active
	case m < len(last) && by(last[m]), by(f.Scanned):
		return Scanned
	case by(f.Live):
		return Live
	case by(f.Printed):
		return Printed
	case by(f.Registered):
		return Registered
	case f.Listed:
		return Listed
	}
	return 0
}

// A Funnel is how many places have come to each stage, or beyond it.
type Funnel [Active]int

// At returns how many have come to a stage.
func (f Funnel) At(s Stage) int {
	if s < Listed || s > Active {
		return 0
	}
	return f[s-1]
}

// Percent returns how many of a hundred of those that ought to have come to a
// stage, rounded down: a hundred is all of them.
func (f Funnel) Percent(s Stage) int {
	if f[0] == 0 {
		return 0
	}
	return f.At(s) * 100 / f[0]
}

func (f *Funnel) add(s Stage) {
	for i := range s {
		f[i]++
	}
}

// Funnel counts the places that keep lets through, as of the m-th moment; nil
// keeps all.
func (s *Survey) Funnel(m int, keep func(*Facts) bool) (f Funnel) {
	for i := range s.Places {
		if keep == nil || keep(&s.Places[i]) {
			f.add(s.Stage(&s.Places[i], m))
		}
	}
	return f
}

// A Group is the funnel of the places that have something in common.
type Group struct {
	Key    string
	Funnel Funnel
}

// By counts the places by a key, in the order of keys.
func (s *Survey) By(m int, key func(*Facts) string) []Group {
	at := map[string]*Funnel{}
	for i := range s.Places {
		f := &s.Places[i]
		stage := s.Stage(f, m)
		if stage == 0 {
			continue
		}
		k := key(f)
		if at[k] == nil {
			at[k] = new(Funnel)
		}
		at[k].add(stage)
	}
	groups := make([]Group, 0, len(at))
	for k, f := range at {
		groups = append(groups, Group{k, *f})
	}
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Key, b.Key) })
	return groups
}

// Silent returns the places that were in use, and at which nobody has checked in
// for the last days before the m-th moment, the longest silent first.
func (s *Survey) Silent(m, days int) []Facts {
	var silent []Facts
	for _, f := range s.Places {
		if m < len(f.Last) && f.Last[m] > 0 && int(s.Moments[m]-f.Last[m]) >= days {
			silent = append(silent, f)
		}
	}
	slices.SortFunc(silent, func(a, b Facts) int {
		return cmp.Or(cmp.Compare(a.Last[m], b.Last[m]), cmp.Compare(a.Place, b.Place))
	})
	return silent
}
