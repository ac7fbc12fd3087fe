package qrread

import "math"

// maxFound bounds the work on a picture that is full of finder patterns;
// minModule is the size of a module, in pixels, below which nothing is read.
const (
	maxFound  = 400
	minModule = 1.2
)

// A finder is a place that looks like the square in a corner of a symbol.
type finder struct {
	x, y float32 // centre
	size float32 // mean of the module's width and height, measured along the picture's axes
	hits int     // lines that crossed it
	sign float32 // -1 dark on light, as printed; 1 light on dark
	pass int     // the search that found it first
}

// find adds the finder patterns in p to r.finders. It looks at every step-th
// line from one near the top on.
func (r *Reader) find(p *plane, top, step int) {
	for y := top + 1; y < p.h; y += step {
		r.findInRow(p, y)
	}
}

func (r *Reader) findInRow(p *plane, y int) {
	r.edges.scan(p.pix[y*p.stride:][:p.w], p.depth, p.share, p.reach)
	for i, ok := r.edges.promising(0); ok; i, ok = r.edges.promising(i + 1) {
		if e, size, ok := r.edges.finder(i); ok && size >= minModule {
			r.confirm(p, (e[2]+e[3])/2, float32(y)+0.5, size, r.edges.way(i))
		}
	}
}

// finderRuns reports whether five runs stand as 1:1:3:1:1 and the size of one module.
func finderRuns(runs [5]float32) (float32, bool) {
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

// couldBeFinder reports whether finderRuns can be true with these for the three
// runs in the middle: whether there is a size that suits all it asks of them.
func couldBeFinder(left, core, right float32) bool {
	inner, outer := min(left, right), max(left, right)
	least := max((outer-0.3)/1.6, (core-0.6)/4.2, (core+outer-0.45)/4.75)
	most := min((inner+0.3)/0.4, (core+0.6)/1.8, (core+inner+0.45)/3.25)
	return least <= most
}

func off(a, b float32) float32 { return max(a-b, b-a) }

// confirm looks at a place again from top to bottom, from left to right and
// aslant, and notes it as a finder when all agree.
func (r *Reader) confirm(p *plane, x, y, size, sign float32) {
	fx, fy, fsize := x/p.scale, y/p.scale, size/p.scale
	for i := range r.finders {
		f := &r.finders[i]
		if f.sign == sign && off(f.x, fx) < 2.5*f.size && off(f.y, fy) < 2.5*f.size && fsize < 2*f.size && f.size < 2*fsize {
			f.hits++
			return
		}
	}
	if len(r.finders) == maxFound {
		return
	}
	down, shift, ok := r.cross(p, x, y, 0, 1, size, sign)
	if !ok || down > 2.5*size || size > 2.5*down {
		return
	}
	y += shift
	across, shift, ok := r.cross(p, x, y, 1, 0, size, sign)
	if !ok {
		return
	}
	x += shift
	size = max(down, across) / math.Sqrt2 // in steps of a diagonal
	if _, _, ok := r.cross(p, x, y, 1, 1, size, sign); !ok {
		if _, _, ok := r.cross(p, x, y, 1, -1, size, sign); !ok {
			return
		}
	}
	r.finders = append(r.finders, finder{x: x / p.scale, y: y / p.scale, size: (down + across) / 2 / p.scale, hits: 1, sign: sign, pass: r.round})
}

// profile measures the finder pattern on the line through (x, y) along the unit
// vector (dx, dy), where a module is some size pixels long: the length of a
// module and how far the centre lies from (x, y).
func (r *Reader) profile(p *plane, x, y, dx, dy, size, sign float32) (module, shift float32, ok bool) {
	// Half a pattern is 3.5 modules, which may be twice as long as expected.
	step := min(max(size/4, 0.5), 2)
	n := int(9 * size / step)
	r.line = r.line[:0]
	for i := -n; i <= n; i++ {
		t := float32(i) * step
		r.line = append(r.line, uint8(p.greyAt(x+t*dx, y+t*dy)+0.5))
	}
	module, shift, ok = r.centred(p, n, float32(n)+0.5, sign)
	return module * step, shift * step, ok
}

// cross does what profile does along whole pixels, of which the step from one to
// the next is (dx, dy); size and what it returns are in such steps. It is for the
// many places that are no finder.
func (r *Reader) cross(p *plane, x, y float32, dx, dy int, size, sign float32) (module, shift float32, ok bool) {
	step := min(max(int(size/4), 1), 2)
	dx, dy = dx*step, dy*step
	n := int(9*size) / step
	ix, iy := int(x), int(y)
	// Fewer steps where the picture ends.
	back, ahead := n, n
	if dx != 0 {
		back, ahead = min(back, ix/dx), min(ahead, (p.w-1-ix)/dx)
	}
	if dy > 0 {
		back, ahead = min(back, iy/dy), min(ahead, (p.h-1-iy)/dy)
	}
	if dy < 0 {
		back, ahead = min(back, (p.h-1-iy)/-dy), min(ahead, iy/-dy)
	}
	if back < 0 || ahead < 0 {
		return 0, 0, false
	}
	r.line = r.line[:0]
	stride := dy*p.stride + dx
	at := iy*p.stride + ix - back*stride
	for range back + 1 + ahead {
		r.line = append(r.line, p.pix[at])
		at += stride
	}
	aside := y - float32(iy)
	if dx != 0 {
		aside = x - float32(ix)
	}
	centre := float32(back) + 0.5 + (aside-0.5)/float32(step)
	module, shift, ok = r.centred(p, back, centre, sign)
	return module * float32(step), shift * float32(step), ok
}

// centred looks for a finder pattern in r.line that has pixel n and the place
// centre in its core.
func (r *Reader) centred(p *plane, n int, centre, sign float32) (module, shift float32, ok bool) {
	r.rays.scan(r.line, p.depth, p.share, p.reach)
	for i, ok := r.rays.promising(0); ok; i, ok = r.rays.promising(i + 1) {
		if r.rays.way(i) != sign || r.rays.end(i+1) > n || r.rays.end(i+3) < n {
			continue
		}
		e, module, ok := r.rays.finder(i)
		if !(e[2] < centre && e[3] >= centre) {
			continue
		}
		return module, (e[0]+e[5]+e[2]+e[3])/4 - centre, ok
	}
	return 0, 0, false
}

// module returns how long a module of a finder is along the unit vector (dx, dy).
func (r *Reader) module(p *plane, f *finder, dx, dy float32) float32 {
	if size, _, ok := r.profile(p, f.x, f.y, dx, dy, f.size, f.sign); ok {
		return size
	}
	return f.along(dx, dy)
}

// along estimates the same from the size.
func (f *finder) along(dx, dy float32) float32 {
	// A level line through a turned square is longer than its side.
	return f.size * max(dx, -dx, dy, -dy)
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func hypot(x, y float32) float32 { return sqrt(x*x + y*y) }
