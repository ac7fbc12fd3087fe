package report

import "github.com/qrgate/qrgate/server/qrgate"

// A Target is so many per cent of some places that have come to a stage by a day.
type Target struct {
	Stage      Stage
	Percent    int
	Begun, Due qrgate.Day
}

// A Standing is how a target stands.
type Standing string

// The standings.
const (
	Reached Standing = "reached" // it is met
	OnTrack Standing = "on_track"
	Behind  Standing = "behind" // less than the line from its beginning to its end
	Missed  Standing = "missed" // its day has passed
)

// A Progress is what there is of a target and what there should be.
type Progress struct {
	Places  int // that it is about
	Have    int // of them, at its stage
	Percent int
	Wanted  int // per cent that there should be today
	State   Standing
}

// Progress compares the funnel of today with a straight line from the funnel at
// the target's beginning.
func (t Target) Progress(begun, today Funnel, day qrgate.Day) Progress {
	p := Progress{Places: today.At(Listed), Have: today.At(t.Stage), Percent: today.Percent(t.Stage), Wanted: t.Line(begun.Percent(t.Stage), day)}
	switch {
	case p.Places > 0 && p.Percent >= t.Percent:
		p.State = Reached
	case day > t.Due:
		p.State = Missed
	case p.Percent >= p.Wanted:
		p.State = OnTrack
	default:
		p.State = Behind
	}
	return p
}

// Line returns how many per cent there should be on a day, if there were start at
// the beginning.
func (t Target) Line(start int, day qrgate.Day) int {
	switch {
	case day <= t.Begun:
		return min(start, t.Percent)
	case day >= t.Due || start >= t.Percent:
		return t.Percent
	}
	return start + (t.Percent-start)*int(day-t.Begun)/int(t.Due-t.Begun)
}
