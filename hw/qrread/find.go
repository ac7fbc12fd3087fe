package qrread

import (
	"cmp"
	"math"
	"slices"
)

// Limits of the search. They bound the work on a picture that is full of
// finder patterns and keep the rest of it cheap.
const (
	rowStep     = 3  // every third line; a finder pattern's core is at least that high
	edgeDepth   = 5  // grey levels that the relief must pass zero by before it counts as an edge
	maxFinders  = 40 // of each polarity, strongest first
	maxTriples  = 30 // a pass
	minModule   = 1.2
	maxModules  = 117 // along a side; larger symbols do not fit into a camera's frame
	minDistance = 14 * 0.75
)

// A finder is a place that looks like the square in a corner of a symbol.
type finder struct {
	x, y float32 // centre
	size float32 // mean of the module's width and height, measured along the picture's axes
	hits int     // lines that crossed it
	sign float32 // -1 dark on light, as printed; 1 light on dark
}

// A triple is three finders that may belong to one symbol: a in its corner, b
// to the right, c below (as the symbol itself is turned).
type triple struct {
	a, b, c    int     // indices of the finders
	wb, wc     float32 // how much deeper b and c lie than a, as a ratio
	n          float32 // modules between the centres, estimated
	cost       float32 // lower is likelier
	unit, sign float32 // pixels a module, polarity
}

// find looks for finder patterns in p and leaves them in r.finders.
func (r *Reader) find(p *plane) {
	r.finders = r.finders[:0]
	for y := rowStep / 2; y < p.h; y += rowStep {
		r.findInRow(p, y)
	}
}

func (r *Reader) findInRow(p *plane, y int) {
	row := p.relief[y*p.w:][:p.w]
	var e [6]float32 // the last edges, newest last
	edges := 0
	var state int16 // -1 in the dark, 1 in the light
	var crossing float32
	last := row[0]
	for x, v := range row {
		if v^last < 0 {
			crossing = float32(x) - 0.5 + float32(last)/float32(last-v)
		}
		last = v
		var next int16
		switch {
		case v < -edgeDepth:
			next = -1
		case v > edgeDepth:
			next = 1
		default:
			continue
		}
		if next == state {
			continue
		}
		e[0], e[1], e[2], e[3], e[4], e[5] = e[1], e[2], e[3], e[4], e[5], crossing
		edges++
		was := state
		state = next
		if edges < 6 {
			continue
		}
		runs := [5]float32{e[1] - e[0], e[2] - e[1], e[3] - e[2], e[4] - e[3], e[5] - e[4]}
		size, ok := finderRuns(&runs)
		if ok && size >= minModule {
			r.confirm(p, (e[2]+e[3])/2, float32(y)+0.5, size, float32(was))
		}
	}
}

// finderRuns reports whether five runs stand as 1:1:3:1:1 and the size of one module.
func finderRuns(runs *[5]float32) (float32, bool) {
	size := (runs[0] + runs[1] + runs[2] + runs[3] + runs[4]) / 7
	// Ink spreads and lenses blur: dark runs grow by what light ones lose, so
	// neighbours are compared in pairs and single runs only roughly.
	single := 0.6*size + 0.3
	pair := 0.5*size + 0.3
	if off(runs[0], size) > single || off(runs[1], size) > single || off(runs[3], size) > single || off(runs[4], size) > single ||
		off(runs[2], 3*size) > 2*single {
		return 0, false
	}
	if off(runs[0]+runs[1], 2*size) > pair || off(runs[3]+runs[4], 2*size) > pair ||
		off(runs[1]+runs[2], 4*size) > 1.5*pair || off(runs[2]+runs[3], 4*size) > 1.5*pair {
		return 0, false
	}
	return size, true
}

func off(a, b float32) float32 { return max(a-b, b-a) }

// confirm looks at a place again from top to bottom, from left to right and
// aslant, and notes it as a finder when all agree.
func (r *Reader) confirm(p *plane, x, y, size, sign float32) {
	for i := range r.finders {
		f := &r.finders[i]
		if f.sign == sign && off(f.x, x) < 2.5*f.size && off(f.y, y) < 2.5*f.size && size < 2*f.size && f.size < 2*size {
			f.hits++
			return
		}
	}
	down, shift, ok := p.profile(x, y, 0, 1, size*2.5, sign)
	if !ok || down > 2.5*size || size > 2.5*down {
		return
	}
	y += shift
	across, shift, ok := p.profile(x, y, 1, 0, size*2, sign)
	if !ok {
		return
	}
	x += shift
	const d = math.Sqrt2 / 2
	limit := max(down, across) * 2
	if _, _, ok := p.profile(x, y, d, d, limit, sign); !ok {
		if _, _, ok := p.profile(x, y, d, -d, limit, sign); !ok {
			return
		}
	}
	r.finders = append(r.finders, finder{x: x, y: y, size: (down + across) / 2, hits: 1, sign: sign})
}

// profile measures the finder pattern on the line through (x, y) along the unit
// vector (dx, dy): the length of a module and how far the centre lies from (x, y).
// Modules longer than limit are not followed.
func (p *plane) profile(x, y, dx, dy, limit, sign float32) (size, shift float32, ok bool) {
	fwd, ok := p.reach(x, y, dx, dy, limit*6, sign)
	if !ok {
		return 0, 0, false
	}
	back, ok := p.reach(x, y, -dx, -dy, limit*6, sign)
	if !ok {
		return 0, 0, false
	}
	runs := [5]float32{back[2] - back[1], back[1] - back[0], back[0] + fwd[0], fwd[1] - fwd[0], fwd[2] - fwd[1]}
	size, ok = finderRuns(&runs)
	return size, (fwd[0] - back[0] + fwd[2] - back[2]) / 4, ok
}

// reach returns the distances of the next three edges.
func (p *plane) reach(x, y, dx, dy, limit, sign float32) (edges [3]float32, ok bool) {
	last := sign * p.reliefAt(x, y)
	if last <= 0 {
		return edges, false
	}
	inside := true
	n := 0
	var crossing float32
	for t := float32(1); t < limit; t++ {
		v := sign * p.reliefAt(x+t*dx, y+t*dy)
		if (v < 0) != (last < 0) {
			crossing = t - 1 + last/(last-v)
		}
		last = v
		if inside && v < -edgeDepth || !inside && v > edgeDepth {
			edges[n] = crossing
			n++
			if n == 3 {
				return edges, true
			}
			inside = !inside
		}
	}
	return edges, false
}

// group ranks triples of the finders found and leaves the best in r.triples.
func (r *Reader) group(p *plane) {
	r.triples = r.triples[:0]
	slices.SortStableFunc(r.finders, func(a, b finder) int {
		return cmp.Or(cmp.Compare(a.sign, b.sign), cmp.Compare(b.hits, a.hits))
	})
	fs := r.finders
	for start := 0; start < len(fs); {
		end := start + 1
		for end < len(fs) && fs[end].sign == fs[start].sign {
			end++
		}
		top := min(end, start+maxFinders)
		for a := start; a < top; a++ {
			for b := start; b < top; b++ {
				if b == a || !near(&fs[a], &fs[b]) {
					continue
				}
				for c := b + 1; c < top; c++ {
					if c != a && near(&fs[a], &fs[c]) {
						r.consider(p, a, b, c)
					}
				}
			}
		}
		start = end
	}
	slices.SortStableFunc(r.triples, func(a, b triple) int { return cmp.Compare(a.cost, b.cost) })
	if len(r.triples) > maxTriples {
		r.triples = r.triples[:maxTriples]
	}
}

// near reports whether two finders can lie on one side of a symbol.
func near(a, b *finder) bool {
	if a.size > 2*b.size || b.size > 2*a.size {
		return false
	}
	d := math.Hypot(float64(a.x-b.x), float64(a.y-b.y))
	size := float64(a.size+b.size) / 2
	return d > minDistance*0.7*size && d < maxModules*size
}

// consider measures the triple with a in the corner and notes it when its
// shape can be that of a symbol.
func (r *Reader) consider(p *plane, a, b, c int) {
	fa, fb, fc := &r.finders[a], &r.finders[b], &r.finders[c]
	ux, uy := fb.x-fa.x, fb.y-fa.y
	vx, vy := fc.x-fa.x, fc.y-fa.y
	if ux*vy-uy*vx < 0 {
		b, c = c, b
		fb, fc = fc, fb
		ux, uy, vx, vy = vx, vy, ux, uy
	}
	u, v := hypot(ux, uy), hypot(vx, vy)
	cosine := (ux*vx + uy*vy) / (u * v)
	ratio := max(u, v) / min(u, v)
	if cosine > 0.7 || cosine < -0.7 || ratio > 2.5 {
		return
	}
	ux, uy, vx, vy = ux/u, uy/u, vx/v, vy/v
	limit := 2.2 * fa.size
	au, _, ok1 := p.profile(fa.x, fa.y, ux, uy, limit, fa.sign)
	av, _, ok2 := p.profile(fa.x, fa.y, vx, vy, limit, fa.sign)
	bu, _, ok3 := p.profile(fb.x, fb.y, ux, uy, limit, fa.sign)
	cv, _, ok4 := p.profile(fc.x, fc.y, vx, vy, limit, fa.sign)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return
	}
	// Along a line seen in perspective, the distance of two points is the number
	// of modules times the geometric mean of their sizes at both ends.
	nu, nv := u/sqrt(au*bu), v/sqrt(av*cv)
	n := sqrt(nu * nv)
	uneven := max(nu, nv) / min(nu, nv)
	if n < minDistance || n > maxModules || uneven > 1.5 {
		return
	}
	wb, wc := sqrt(au/bu), sqrt(av/cv)
	cost := 1.5*(uneven-1) + 0.3*cosine*cosine + 0.15*(ratio-1) + 0.5*(off(wb, 1)+off(wc, 1))
	cost -= 0.05 * float32(min(fa.hits, fb.hits, fc.hits, 4))
	r.triples = append(r.triples, triple{a: a, b: b, c: c, wb: wb, wc: wc, n: n, cost: cost, unit: (u + v) / (2 * n), sign: fa.sign})
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func hypot(x, y float32) float32 { return sqrt(x*x + y*y) }
