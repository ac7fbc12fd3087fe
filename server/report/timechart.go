package report

import (
	"time"
)

// A TimePoint is a value of the slot that begins at a time.
type TimePoint struct {
	At    time.Time
	Value int64
}

// A TimeLine is a value over time, in slots. Where slots are missing the line is
// broken: nothing is known of them.
type TimeLine struct {
	From, To time.Time
	Slot     time.Duration
	Zone     *time.Location
	Points   []TimePoint // in order, none below 0
	Format   func(int64) string
	Whole    int64 // the least that the axis goes up to; below 0 it is exactly that
}

// TimeChart draws a line over time with an axis of its values and one of hours or
// days.
func TimeChart(id, title, desc string, l TimeLine) *Drawing {
	const left, right, top, height = 62.0, 10.0, 10.0, 96.0
	d := &Drawing{ID: id, Title: title, Desc: desc, Width: chartWidth, Height: top + height + 24}
	most := l.Whole
	if most < 0 {
		most = -most
	} else {
		for _, p := range l.Points {
			most = max(most, p.Value)
		}
		most = rounded(most)
	}
	whole := max(l.To.Sub(l.From), 1)
	x := func(t time.Time) float64 {
		return left + (chartWidth-left-right)*min(max(float64(t.Sub(l.From))/float64(whole), 0), 1)
	}
	y := func(v int64) float64 { return top + height*(1-min(max(float64(v)/float64(max(most, 1)), 0), 1)) }
	for i := range int64(3) {
		v := most * i / 2
		d.line(Axis, 1, false, Point{left, y(v)}, Point{chartWidth - right, y(v)})
		d.label(Soft, left-6, y(v)+4, 10.5, false, End, l.Format(v))
	}
	d.ticks(l, x, top+height)
	var run []Point
	flush := func() {
		switch {
		case len(run) == 1:
			d.Marks = append(d.Marks, Mark{Kind: Dot, Ink: First, X: run[0].X, Y: run[0].Y, W: 1.5})
		case len(run) > 1:
			d.line(First, 1.75, false, run...)
		}
		run = nil
	}
	var last time.Time
	for _, p := range l.Points {
		if !last.IsZero() && p.At.Sub(last) > l.Slot*3/2 {
			flush()
		}
		last = p.At
		run = append(run, Point{x(p.At.Add(l.Slot / 2)), y(p.Value)})
	}
	flush()
	return d
}

// ticks names some hours, or the days.
func (d *Drawing) ticks(l TimeLine, x func(time.Time) float64, y float64) {
	step, layout := 24*time.Hour, "02/01"
	switch span := l.To.Sub(l.From); {
	case span <= 8*time.Hour:
		step, layout = time.Hour, "15:04"
	case span <= 24*time.Hour:
		step, layout = 4*time.Hour, "15:04"
	case span <= 72*time.Hour:
		step, layout = 12*time.Hour, "15:04"
	}
	begin := l.From.In(l.Zone)
	t := time.Date(begin.Year(), begin.Month(), begin.Day(), 0, 0, 0, 0, l.Zone)
	free := 0.0
	for ; !t.After(l.To); t = t.Add(step) {
		if t.Before(l.From) {
			continue
		}
		at, words := x(t), t.Format(layout)
		if layout == "15:04" && words == "00:00" {
			words = t.Format("02/01")
		}
		if at < free || at > chartWidth-16 {
			continue
		}
		d.line(Axis, 1, false, Point{at, y}, Point{at, y + 4})
		d.label(Soft, at, y+16, 10.5, false, Middle, words)
		free = at + 44
	}
}

// rounded returns the next number that halves well: 10, 20, 50, 100, ...
func rounded(n int64) int64 {
	for unit := int64(1); unit < 1<<55; unit *= 10 {
		for _, f := range []int64{2, 4, 6, 8, 10} {
			if n <= f*unit {
				return f * unit
			}
		}
	}
	return n
}
