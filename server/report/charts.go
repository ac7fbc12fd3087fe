package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
)

// chartWidth is that of charts: a phone shows them as they are, wider screens
// larger.
const chartWidth = 360

// A Bar is one bar of a chart.
type Bar struct {
	Label string
	Value int
	Text  string // the value in words
}

// BarChart draws bars below each other, each with its label above and its value
// in words behind, as long as its value is of the largest.
func BarChart(id, title, desc string, bars []Bar) *Drawing {
	const step, thick, room = 38.0, 16.0, 96.0
	d := &Drawing{ID: id, Title: title, Desc: desc, Width: chartWidth, Height: step*float64(len(bars)) + 4}
	most := 1
	for _, b := range bars {
		most = max(most, b.Value)
	}
	for i, b := range bars {
		y := step * float64(i)
		long := (chartWidth - room) * float64(b.Value) / float64(most)
		d.label(Text, 0, y+13, 12.5, false, Start, b.Label)
		d.box(Axis, 0, y+18, chartWidth-room, thick)
		d.box(First, 0, y+18, long, thick)
		d.label(Text, chartWidth-room+8, y+18+thick-3.5, 13, true, Start, b.Text)
	}
	return d
}

// A Tick is a day of an axis: where it is, from 0 to 1, and what it is called.
type Tick struct {
	At    float64
	Label string
}

// Days returns days as an axis, as far from each other as they are in time.
func Days(days ...qrgate.Day) []Tick {
	ticks := make([]Tick, len(days))
	for i, d := range days {
		ticks[i].Label = d.Start().Format("02/01")
		if span := days[len(days)-1] - days[0]; span > 0 {
			ticks[i].At = float64(d-days[0]) / float64(span)
		}
	}
	return ticks
}

// A Series is a line of a chart: one value of 0 to 100 for each tick of the axis,
// or for the first of them.
type Series struct {
	Label  string
	Values []int
}

// PercentChart draws at most three series of per cents over the same axis. They
// differ in colour, in dashes and in the shape of their points.
func PercentChart(id, title, desc string, axis []Tick, series ...Series) *Drawing {
	const left, right, top, height = 34.0, 12.0, 10.0, 150.0
	series = series[:min(len(series), 3)]
	d := &Drawing{ID: id, Title: title, Desc: desc, Width: chartWidth, Height: top + height + 24 + 20*float64(len(series))}
	y := func(v int) float64 { return top + height*(1-float64(min(max(v, 0), 100))/100) }
	x := func(i int) float64 { return left + (chartWidth-left-right)*min(max(axis[i].At, 0), 1) }
	for v := 0; v <= 100; v += 25 {
		d.line(Axis, 1, false, Point{left, y(v)}, Point{chartWidth - right, y(v)})
		d.label(Soft, left-5, y(v)+4, 10.5, false, End, strconv.Itoa(v)+" %")
	}
	const room = 52 // of a label
	free := left - room
	for i := range axis {
		// The last is always named, and nothing too close before it.
		last := len(axis) - 1
		if i != last && (x(i) < free || x(last)-x(i) < room+12) {
			continue
		}
		align := Middle
		switch {
		case i == 0 && i != last:
			align = Start
		case i == last && i > 0:
			align = End
		}
		d.label(Soft, x(i), top+height+15, 10.5, false, align, axis[i].Label)
		free = x(i) + room
	}
	inks := []Ink{First, Second, Third}
	for k, s := range series {
		var points []Point
		for i, v := range s.Values[:min(len(s.Values), len(axis))] {
			points = append(points, Point{x(i), y(v)})
		}
		if len(points) > 1 {
			d.line(inks[k], 2.5, k > 0, points...)
		}
		every := max(1, len(points)/8)
		for i, p := range points {
			if (len(points)-1-i)%every == 0 {
				d.point(k, inks[k], p)
			}
		}
		at := Point{left + 4, top + height + 34 + 20*float64(k)}
		d.line(inks[k], 2.5, k > 0, Point{at.X - 4, at.Y - 4}, Point{at.X + 24, at.Y - 4})
		d.point(k, inks[k], Point{at.X + 10, at.Y - 4})
		d.label(Text, at.X+32, at.Y, 12.5, false, Start, s.Label)
	}
	return d
}

// point marks a value: a dot, a square or a ring.
func (d *Drawing) point(k int, ink Ink, p Point) {
	switch k {
	case 1:
		d.box(ink, p.X-3.5, p.Y-3.5, 7, 7)
	case 2:
		d.Marks = append(d.Marks, Mark{Kind: Dot, Ink: ink, X: p.X, Y: p.Y, W: 4.5}, Mark{Kind: Dot, Ink: Paper, X: p.X, Y: p.Y, W: 2})
	default:
		d.Marks = append(d.Marks, Mark{Kind: Dot, Ink: ink, X: p.X, Y: p.Y, W: 4})
	}
}

// MapWords are what is written on and below a map.
type MapWords struct {
	None   string // "no places"
	Source string // see [area.Attribution]
}

// Step returns the class of a share of a hundred: 1 to 4.
func Step(percent int) int { return min(max(percent, 0)/25, 3) + 1 }

// StepText returns which shares are of a class.
func StepText(step int) string {
	if step == 4 {
		return "75–100 %"
	}
	return fmt.Sprintf("%d–%d %%", (step-1)*25, step*25-1)
}

// Map draws the communes of today, each in the class of its share of a hundred,
// with the class written on it. shares are by the commune's id; a commune without
// one has no places.
func Map(id, title, desc string, shares map[string]int, words MapWords) *Drawing {
	const scale = float64(chartWidth) / area.MapWidth
	high := float64(area.MapHeight()) * scale
	d := &Drawing{ID: id, Title: title, Desc: desc, Width: chartWidth, Height: high + 73}
	steps := []Ink{None, Step1, Step2, Step3, Step4}
	type on struct {
		x, y float64
		step int
	}
	var ons []on
	for _, o := range area.Outlines() {
		step, says := 0, words.None
		if share, ok := shares[o.Unit.ID.String()]; ok {
			step, says = Step(share), strconv.Itoa(share)+" %"
			if float64(min(o.Box.W, o.Box.H))*scale >= 13 { // there is room
				ons = append(ons, on{float64(o.X) * scale, float64(o.Y) * scale, step})
			}
		}
		d.Marks = append(d.Marks, Mark{Kind: Shape, Ink: steps[step], W: scale, Path: o.Path, Title: o.Unit.FullName + ": " + says})
	}
	for _, o := range ons {
		d.label(inkOn(o.step), o.x, o.y+3.5, 9.5, true, Middle, strconv.Itoa(o.step))
	}
	for i, step := range []int{1, 2, 3, 4, 0} {
		x, y := float64(i%3)*120, high+16+20*float64(i/3)
		d.box(Axis, x, y-11, 18, 14)
		d.box(steps[step], x+.5, y-10.5, 17, 13)
		text := words.None
		if step > 0 {
			d.label(inkOn(step), x+9, y, 10, true, Middle, strconv.Itoa(step))
			text = StepText(step)
		}
		d.label(Text, x+24, y, 11.5, false, Start, text)
	}
	first, second, _ := strings.Cut(words.Source, ". ")
	d.label(Soft, 0, high+58, 8.5, false, Start, first)
	d.label(Soft, 0, high+69, 8.5, false, Start, second)
	return d
}

func inkOn(step int) Ink {
	if step >= 3 {
		return OnStep
	}
	return OnPale
}
