package movement

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
)

// An arrow is a flow on the map, with the number by which the table beside it
// names it.
type arrow struct {
	no, people int
	from, to   area.Outline
}

// narrowest is the width of the smallest part of the map that is shown, in its
// units: about 17 km.
const narrowest = 1300

// viewOf returns the part of the map in which the arrows lie, or all of it.
func viewOf(arrows []arrow, whole bool) area.Box {
	all := area.Box{W: area.MapWidth, H: area.MapHeight()}
	if whole || len(arrows) == 0 {
		return all
	}
	x0, y0, x1, y1 := math.MaxInt, math.MaxInt, 0, 0
	for _, a := range arrows {
		for _, o := range []area.Outline{a.from, a.to} {
			x0, y0, x1, y1 = min(x0, o.X), min(y0, o.Y), max(x1, o.X), max(y1, o.Y)
		}
	}
	// Room for names, in the shape of a screen.
	w, h := (x1-x0)*6/5+200, (y1-y0)*6/5+150
	w = max(w, h*4/3, narrowest)
	h = w * 3 / 4
	if w >= all.W || h >= all.H {
		return all
	}
	x := min(max((x0+x1-w)/2, 0), all.W-w)
	y := min(max((y0+y1-h)/2, 0), all.H-h)
	return area.Box{X: x, Y: y, W: w, H: h}
}

// A box is where a label lies, so that no two lie on each other.
type box struct{ x0, y0, x1, y1 float64 }

func around(x, y, by float64) box { return box{x - by, y - by, x + by, y + by} }

// radius is of the circle around an arrow's number, in thousandths of the map.
const radius = 13

func (b box) meets(c box) bool { return b.x0 < c.x1 && c.x0 < b.x1 && b.y0 < c.y1 && c.y0 < b.y1 }

// drawMap returns the map: communes shaded by how many came to them, and arrows
// for the strongest flows. What it says stands in tables as well.
func drawMap(s *answer, a *atlas, arrows []arrow, view area.Box, steps scale, label string) template.HTML {
	var b strings.Builder
	unit := float64(view.W) / 1000
	fmt.Fprintf(&b, `<svg class="mv-map" viewBox="%s" role="img" aria-label="%s">`, view, html.EscapeString(label))
	outlines := area.Outlines()
	b.WriteString(`<g class="mv-communes">`)
	for i := range outlines {
		o := &outlines[i]
		if o.Box.X > view.X+view.W || o.Box.Y > view.Y+view.H || o.Box.X+o.Box.W < view.X || o.Box.Y+o.Box.H < view.Y {
			continue
		}
		people := s.byArea[a.areaNo[o.Unit.ID.String()]].arrivals
		fmt.Fprintf(&b, `<path class="mv-%d" vector-effect="non-scaling-stroke" d="%s"><title>%s: %s</title></path>`,
			steps.shade(people), o.Path, html.EscapeString(o.Unit.FullName), shown(people))
	}
	b.WriteString(`</g>`)

	var taken []box
	most := 1
	for _, r := range arrows {
		most = max(most, r.people)
	}
	b.WriteString(`<g class="mv-arrows">`)
	numbers := strings.Builder{}
	// The strongest last, over the others.
	for i := len(arrows) - 1; i >= 0; i-- {
		r := arrows[i]
		d, x, y, spots := curve(r.from, r.to, unit*(2.5+6.5*math.Sqrt(float64(r.people)/float64(most))), unit, taken)
		fmt.Fprintf(&b, `<path class="mv-arrow" d="%s"><title>%d. %s → %s: %s</title></path>`,
			d, r.no, html.EscapeString(r.from.Unit.Name), html.EscapeString(r.to.Unit.Name), page.Number(r.people))
		fmt.Fprintf(&numbers, `<g class="mv-no"><circle cx="%.0f" cy="%.0f" r="%.0f"/><text x="%.0f" y="%.0f" font-size="%.0f">%d</text></g>`,
			x, y, radius*unit, x, y+6*unit, 17*unit, r.no)
		taken = append(taken, spots...)
	}
	b.WriteString(`</g>`)

	b.WriteString(`<g class="mv-names">`)
	for _, line := range inOrder(s.byArea) {
		o := &outlines[line.no]
		size := 18 * unit
		name, number := o.Unit.Name, shown(line.arrivals)
		w := size * .56 * float64(max(len([]rune(name)), len(number)))
		// In the middle, or beside it if an arrow is there.
		for _, by := range [][2]float64{{0, 0}, {0, 2.2}, {0, -2.2}, {1, 1.6}, {-1, 1.6}, {1, -1.6}, {-1, -1.6}} {
			x, y := float64(o.X)+by[0]*w*.7, float64(o.Y)+by[1]*size
			at := box{x - w/2, y - size*1.2, x + w/2, y + size*1.2}
			inside := at.x0 >= float64(view.X) && at.y0 >= float64(view.Y) && at.x1 <= float64(view.X+view.W) && at.y1 <= float64(view.Y+view.H)
			if !inside || slices.ContainsFunc(taken, at.meets) {
				continue
			}
			taken = append(taken, at)
			fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" font-size="%.0f">%s`, x, y-size*.15, size, html.EscapeString(name))
			if line.arrivals > 0 {
				fmt.Fprintf(&b, `<tspan x="%.0f" dy="%.0f">%s</tspan>`, x, size*1.15, number)
			}
			b.WriteString(`</text>`)
			break
		}
	}
	b.WriteString(`</g>`)
	b.WriteString(numbers.String())
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// shown returns a number as pages have it: what is hidden is no nought.
func shown(people int) string {
	if people <= 0 {
		return hiddenSign
	}
	return page.Number(people)
}

// hiddenSign stands for what is hidden, or nobody. It is explained beside each
// table.
const hiddenSign = "·"

// curve returns an arrow between two communes as a filled shape: a bow that bends
// to its right, so that there and back are two, its head, and where its number
// has room.
func curve(from, to area.Outline, width, unit float64, taken []box) (d string, x, y float64, spots []box) {
	x0, y0, x1, y1 := float64(from.X), float64(from.Y), float64(to.X), float64(to.Y)
	dx, dy := x1-x0, y1-y0
	long := math.Hypot(dx, dy)
	if long == 0 {
		return "", x0, y0, nil
	}
	nx, ny := -dy/long, dx/long
	bend := .2 * long
	cx, cy := (x0+x1)/2+nx*bend, (y0+y1)/2+ny*bend
	at := func(t float64) (x, y float64) {
		u := 1 - t
		return u*u*x0 + 2*u*t*cx + t*t*x1, u*u*y0 + 2*u*t*cy + t*t*y1
	}
	gap := min(.12, 14*unit/long)
	tip := 1 - gap
	neck := tip - min(long*.3, width*1.6+7*unit)/long
	// There along one side, round the head, and back along the other.
	var there, back []string
	const steps = 12
	for i := range steps + 1 {
		t := gap + (neck-gap)*float64(i)/steps
		px, py := at(t)
		qx, qy := at(t + .01)
		l := math.Hypot(qx-px, qy-py)
		ox, oy := -(qy-py)/l*width/2, (qx-px)/l*width/2
		there = append(there, fmt.Sprintf("%.0f %.0f", px+ox, py+oy))
		back = append(back, fmt.Sprintf("%.0f %.0f", px-ox, py-oy))
	}
	px, py := at(neck)
	tx, ty := at(tip)
	l := math.Hypot(tx-px, ty-py)
	wing := width/2 + 5*unit
	ox, oy := -(ty-py)/l*wing, (tx-px)/l*wing
	slices.Reverse(back)
	head := []string{fmt.Sprintf("%.0f %.0f", px+ox, py+oy), fmt.Sprintf("%.0f %.0f", tx, ty), fmt.Sprintf("%.0f %.0f", px-ox, py-oy)}
	d = "M" + strings.Join(slices.Concat(there, head, back), "L") + "Z"
	// The number goes where it is on no other.
	for _, t := range []float64{.5, .4, .6, .3, .7} {
		x, y = at(t)
		here := around(x, y, radius*unit)
		if !slices.ContainsFunc(taken, here.meets) {
			break
		}
	}
	spots = append(spots, around(x, y, radius*unit), around(tx, ty, wing))
	for _, t := range []float64{.2, .35, .65, .8} {
		px, py := at(t)
		spots = append(spots, around(px, py, width/2))
	}
	return d, x, y, spots
}

// inOrder returns the communes to which most came first.
func inOrder(lines []areaLine) []areaLine {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b areaLine) int {
		return cmp.Or(cmp.Compare(b.arrivals, a.arrivals), cmp.Compare(b.in+b.out, a.in+a.out))
	})
	return lines
}
