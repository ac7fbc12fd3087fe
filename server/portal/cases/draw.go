package cases

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

// A bar is one stay on the timeline.
type bar struct {
	In, Out  when.Interval
	No       int    // as the table numbers it
	Anchor   string // where a click leads
	Title    string
	Inferred bool
	Doubtful bool
}

// A lane is one day of the timeline.
type lane struct {
	day  qrgate.Day
	bars []bar
}

// lanes cuts stays into the days that they touch. No stay is longer than what a
// case may look back, so a day that is broken cannot make a thousand rows.
func lanes(bars []bar) []lane {
	if len(bars) == 0 {
		return nil
	}
	of := map[qrgate.Day][]bar{}
	for _, b := range bars {
		first, last := qrgate.DayOfMilli(b.In.Earliest), qrgate.DayOfMilli(max(b.Out.Latest, b.In.Earliest))
		for d := first; d <= min(last, first+maxLanes); d++ {
			of[d] = append(of[d], b)
		}
	}
	var all []lane
	for d, some := range of {
		all = append(all, lane{d, some})
	}
	slices.SortFunc(all, func(a, b lane) int { return cmp.Compare(a.day, b.day) })
	return all[max(0, len(all)-maxLanes):]
}

const maxLanes = 62

// timeline draws stays by day and hour, width wide. What is certain is filled, what
// is only possible is pale.
func timeline(label string, bars []bar, width int, name func(qrgate.Day) string) template.HTML {
	const row, head = 36, 26
	left := 64
	if width > 400 {
		left = 84
	}
	all := lanes(bars)
	if len(all) == 0 {
		return ""
	}
	height := head + row*len(all) + 6
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="cases-time" viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, html.EscapeString(label))
	scale := float64(width-left-8) / 24
	step := 3
	if width < 400 {
		step = 6
	}
	for h := 0; h <= 24; h += step {
		x := float64(left) + scale*float64(h)
		fmt.Fprintf(&b, `<path class="rule" d="M%.1f %dV%d"/><text class="hour" x="%.1f" y="17" text-anchor="middle">%d</text>`, x, head, height-6, x, h)
	}
	for i, l := range all {
		y := head + row*i
		fmt.Fprintf(&b, `<path class="rule" d="M0 %dH%d"/><text class="day" x="0" y="%d">%s</text>`, y, width, y+23, html.EscapeString(name(l.day)))
		start := l.day.Start().UnixMilli()
		at := func(ms int64) float64 {
			return float64(left) + scale*float64(min(max(ms-start, 0), day))/float64(hour)
		}
		for _, s := range l.bars {
			kind := ""
			switch {
			case s.Doubtful:
				kind = " doubt"
			case s.Inferred:
				kind = " guess"
			}
			fmt.Fprintf(&b, `<a href="#%s" class="bar%s"><title>%s</title>`, html.EscapeString(s.Anchor), kind, html.EscapeString(s.Title))
			x0, x1 := at(s.In.Earliest), at(s.Out.Latest)
			fmt.Fprintf(&b, `<rect class="may" x="%.1f" y="%d" width="%.1f" height="24" rx="4"/>`, x0, y+6, max(x1-x0, 5))
			if c0, c1 := at(s.In.Latest), at(s.Out.Earliest); c1 > c0 {
				fmt.Fprintf(&b, `<rect class="is" x="%.1f" y="%d" width="%.1f" height="24" rx="4"/>`, c0, y+6, max(c1-c0, 3))
			}
			if x1-x0 >= 16 {
				fmt.Fprintf(&b, `<text class="no" x="%.1f" y="%d" text-anchor="middle">%d</text>`, (x0+x1)/2, y+23, s.No)
			} else {
				fmt.Fprintf(&b, `<text class="no out" x="%.1f" y="%d">%d</text>`, min(max(x1, x0+5)+3, float64(width-14)), y+23, s.No)
			}
			b.WriteString(`</a>`)
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// A pin is a place on the map. Several stays at one place are one pin.
type pin struct {
	At     qrgate.Point
	Label  string
	Title  string
	Anchor string
}

// mapOf draws where places lie, as close as all of them allow.
func mapOf(label string, pins []pin) template.HTML {
	if len(pins) == 0 {
		return ""
	}
	minX, minY, maxX, maxY := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, p := range pins {
		x, y := area.Project(p.At.Lat, p.At.Lon)
		minX, minY, maxX, maxY = min(minX, x), min(minY, y), max(maxX, x), max(maxY, y)
	}
	// At least a commune or so is in sight, or nobody knows where it is.
	const ratio, least = 0.62, 900.0
	w := max(maxX-minX, (maxY-minY)/ratio, least/1.35) * 1.35
	h := w * ratio
	x0, y0 := (minX+maxX-w)/2, (minY+maxY-h)/2-h*0.05 // pins stand above their places
	unit := w / 470                                   // about a pixel of a desk
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="cases-map" viewBox="%.0f %.0f %.0f %.0f" role="img" aria-label="%s">`, x0, y0, w, h, html.EscapeString(label))
	var names strings.Builder
	var taken []placed
	for _, o := range area.Outlines() {
		if float64(o.Box.X) > x0+w || float64(o.Box.Y) > y0+h || float64(o.Box.X+o.Box.W) < x0 || float64(o.Box.Y+o.Box.H) < y0 {
			continue
		}
		fmt.Fprintf(&b, `<path class="commune" fill-rule="evenodd" stroke-width="%.1f" d="%s"/>`, unit*1.5, o.Path)
		if x, y := float64(o.X), float64(o.Y); x > x0+w*.1 && x < x0+w*.9 && y > y0 && y < y0+h &&
			!slices.ContainsFunc(taken, func(t placed) bool { return math.Abs(t.x-x) < unit*70 && math.Abs(t.y-y) < unit*14 }) {
			taken = append(taken, placed{x: x, y: y})
			fmt.Fprintf(&names, `<text class="name" x="%d" y="%d" font-size="%.0f" stroke-width="%.1f" text-anchor="middle">%s</text>`, o.X, o.Y, unit*12, unit*3, html.EscapeString(o.Unit.Name))
		}
	}
	b.WriteString(names.String())
	for _, p := range apart(pins, unit*26) {
		fmt.Fprintf(&b, `<a href="#%s"><title>%s</title><path class="pin" stroke-width="%.1f" d="M%.1f %.1fl%.1f %.1fa%.1f %.1f 0 1 1 %.1f 0z"/><text class="no" x="%.1f" y="%.1f" font-size="%.1f" text-anchor="middle">%s</text></a>`,
			html.EscapeString(p.Anchor), html.EscapeString(p.Title), unit*2, p.x, p.y, -unit*11, -unit*19, unit*14, unit*14, unit*22,
			p.x, p.y-unit*22, unit*15, html.EscapeString(p.Label))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

type placed struct {
	pin
	x, y float64
}

// apart moves pins that would lie on each other, so that each can be read and
// touched.
func apart(pins []pin, room float64) []placed {
	var all []placed
	for _, p := range pins {
		x, y := area.Project(p.At.Lat, p.At.Lon)
		q := placed{p, x, y}
		for turn := 1; turn < 24 && slices.ContainsFunc(all, func(o placed) bool { return math.Hypot(o.x-q.x, o.y-q.y) < room }); turn++ {
			angle := float64(turn) * 2.4
			far := room * (0.6 + 0.35*float64(turn)/2)
			q.x, q.y = x+far*math.Cos(angle), y+far*math.Sin(angle)
		}
		all = append(all, q)
	}
	return all
}

// A quarter is a quarter of an hour at a place.
type quarter struct {
	From        int64
	Least, Most int // people inside
}

// crowd counts people by quarters of an hour between two moments, of the days on
// which there were any.
func crowd(from, to int64, may, sure []when.Interval) [][]quarter {
	const step = 15 * minute
	days := map[qrgate.Day][]quarter{}
	count := func(all []when.Interval, add func(*quarter)) {
		for _, s := range all {
			first, last := max(s.Earliest, from), min(s.Latest, to)
			if last < first {
				continue
			}
			for d := qrgate.DayOfMilli(first); d <= qrgate.DayOfMilli(last); d++ {
				start := d.Start().UnixMilli()
				of := days[d]
				if of == nil {
					of = make([]quarter, day/step)
					for i := range of {
						of[i].From = start + int64(i)*step
					}
					days[d] = of
				}
				for i := max(0, first-start) / step; i < day/step && of[i].From <= last; i++ {
					add(&of[i])
				}
			}
		}
	}
	count(may, func(q *quarter) { q.Most++ })
	count(sure, func(q *quarter) { q.Least++ })
	var all [][]quarter
	for _, d := range slices.Sorted(maps.Keys(days)) {
		all = append(all, busy(days[d]))
	}
	return all[max(0, len(all)-maxLanes):]
}

// busy leaves the hours of a day from the first with people to the last.
func busy(all []quarter) []quarter {
	first := slices.IndexFunc(all, func(q quarter) bool { return q.Most > 0 }) / 4 * 4
	last := len(all)
	for last > first+4 && all[last-1].Most == 0 {
		last--
	}
	return all[first:min(len(all), (last+3)/4*4)]
}

// crowding draws quarters as bars: those that were there for sure filled, those
// that may have been pale.
func crowding(label string, all []quarter, width int) template.HTML {
	if len(all) == 0 {
		return ""
	}
	const height, left, foot = 190, 34, 24
	top := 1
	for _, q := range all {
		top = max(top, q.Most)
	}
	step := nice(top)
	top = (top + step - 1) / step * step
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="cases-crowd" viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, html.EscapeString(label))
	y := func(n int) float64 { return 10 + float64(height-foot-10)*(1-float64(n)/float64(top)) }
	for n := 0; n <= top; n += step {
		fmt.Fprintf(&b, `<path class="rule" d="M%d %.1fH%d"/><text class="hour" x="%d" y="%.1f" text-anchor="end">%d</text>`, left, y(n), width, left-6, y(n)+4, n)
	}
	w := float64(width-left-4) / float64(len(all))
	every := 4
	for float64(every)*w < 52 {
		every *= 2
	}
	for i, q := range all {
		x := float64(left) + w*float64(i)
		if q.Most > 0 {
			fmt.Fprintf(&b, `<g><title>%s: %d–%d</title><rect class="may" x="%.2f" y="%.1f" width="%.2f" height="%.1f"/>`, clock(q.From), q.Least, q.Most, x, y(q.Most), max(w-1, .6), y(0)-y(q.Most))
			if q.Least > 0 {
				fmt.Fprintf(&b, `<rect class="is" x="%.2f" y="%.1f" width="%.2f" height="%.1f"/>`, x, y(q.Least), max(w-1, .6), y(0)-y(q.Least))
			}
			b.WriteString(`</g>`)
		}
		if i%every == 0 && x < float64(width-38) {
			fmt.Fprintf(&b, `<text class="hour" x="%.1f" y="%d">%s</text>`, x, height-6, clock(q.From))
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// nice returns a step of 1, 2 or 5 times a power of ten that makes a few lines.
func nice(top int) int {
	for step := 1; ; step *= 10 {
		for _, k := range []int{1, 2, 5} {
			if top <= 5*step*k {
				return step * k
			}
		}
	}
}
