package qrread

import (
	"cmp"
	"math"
	"slices"
)

// A pose maps places in a symbol, in modules, to places in a plane.
type pose struct {
	a, b, c, d, e, f, g, h, i float32
	// corners are where the centres of three finders, and the place that would
	// be the fourth's, lie in the plane: top left, top right, bottom right, bottom left.
	corners [4][2]float32
	// bend moves places, in modules, before they are mapped: a symbol that is not
	// flat. See at.
	bend [8]float32
	bent bool
	dim  int
}

// place sets the map from the corners. It reports false for corners that no
// camera can see so.
func (q *pose) place() bool {
	p0, p1, p2, p3 := q.corners[0], q.corners[1], q.corners[2], q.corners[3]
	dx3, dy3 := p0[0]-p1[0]+p2[0]-p3[0], p0[1]-p1[1]+p2[1]-p3[1]
	dx1, dy1 := p1[0]-p2[0], p1[1]-p2[1]
	dx2, dy2 := p3[0]-p2[0], p3[1]-p2[1]
	det := dx1*dy2 - dx2*dy1
	if det > -1 { // the corners go round the other way, or lie on a line
		return false
	}
	g, h := (dx3*dy2-dx2*dy3)/det, (dx1*dy3-dx3*dy1)/det
	if g < -0.6 || h < -0.6 || g+h < -0.6 || g > 1.5 || h > 1.5 {
		return false
	}
	n := float32(q.dim - 7)
	q.a, q.b = (p1[0]-p0[0]+g*p1[0])/n, (p3[0]-p0[0]+h*p3[0])/n
	q.d, q.e = (p1[1]-p0[1]+g*p1[1])/n, (p3[1]-p0[1]+h*p3[1])/n
	q.g, q.h = g/n, h/n
	q.c = p0[0] - 3.5*(q.a+q.b)
	q.f = p0[1] - 3.5*(q.d+q.e)
	q.i = 1 - 3.5*(q.g+q.h)
	return true
}

// at returns where the place (u, v) of the symbol lies in the plane.
func (q *pose) at(u, v float32) (x, y float32) {
	if q.bent {
		u, v = q.flat(u, v)
	}
	w := 1 / (q.g*u + q.h*v + q.i)
	return (q.a*u + q.b*v + q.c) * w, (q.d*u + q.e*v + q.f) * w
}

// flat returns where the place (u, v) of a bent symbol would lie in a flat one.
func (q *pose) flat(u, v float32) (float32, float32) {
	// s and t run from -1 to 1 between the finders. Paper bent across is seen
	// narrower where it turns away, its sides bowed and its middle larger or
	// smaller, as it is nearer or farther. The same for paper bent down.
	s := (u-3.5)*2/float32(q.dim-7) - 1
	t := (v-3.5)*2/float32(q.dim-7) - 1
	ss, tt := 1-s*s, 1-t*t
	b := &q.bend
	u += ss*(b[0]+s*b[1]) + tt*(b[6]+s*b[7])
	v += tt*(b[4]+t*b[5]) + ss*(b[2]+t*b[3])
	return u, v
}

// outline returns the outer corners of the symbol: top left, top right, bottom
// right, bottom left.
func (q *pose) outline() (corners [4]Point) {
	n := float32(q.dim)
	for k, at := range [4][2]float32{{0, 0}, {n, 0}, {n, n}, {0, n}} {
		x, y := q.at(at[0], at[1])
		corners[k] = Point{float64(x), float64(y)}
	}
	return corners
}

// match returns how well the plane agrees with modules of known colour under a
// pose, from -1 to 1. sign is -1 for a symbol that is dark on light.
// Relief beyond clip counts as clip, so that a glare does not outshout the rest.
func (p *plane) match(q *pose, marks []mark, sign, clip float32) float32 {
	// Places are counted in 256ths of a pixel and grey in 256ths of a step: this
	// is where most of the time goes of a frame with a code in it.
	most := int32(clip * 256)
	wide, high := uint32(p.w-1), uint32(p.h-1)
	a, b, c, d, e, f, g, h, k := q.a, q.b, q.c, q.d, q.e, q.f, q.g, q.h, q.i
	var sum, squares int64
	for i := range marks {
		m := &marks[i]
		u, v := m.x, m.y
		if q.bent {
			u, v = q.flat(u, v)
		}
		w := 256 / (g*u + h*v + k)
		x, y := int32((a*u+b*v+c)*w)-128, int32((d*u+e*v+f)*w)-128
		ix, iy := x>>8, y>>8
		if uint32(ix) >= wide || uint32(iy) >= high {
			continue // outside, or beyond the horizon
		}
		x, y = x&255, y&255
		at := int(iy)*p.stride + int(ix)
		above, below := p.pix[at:at+2:at+2], p.pix[at+p.stride:at+p.stride+2:at+p.stride+2]
		top := int32(above[0])<<8 + x*(int32(above[1])-int32(above[0]))
		bottom := int32(below[0])<<8 + x*(int32(below[1])-int32(below[0]))
		r := top + (y*(bottom-top))>>8 - p.means[int(iy)>>cellBits*p.cw+int(ix)>>cellBits]
		r = min(max(r, -most), most)
		sum += int64(m.tone * r)
		squares += int64(r) * int64(r)
	}
	if squares == 0 {
		return 0
	}
	return -sign * float32(sum) / sqrt(float32(squares)*float32(len(marks)))
}

// A guess is a version with a pose and how well it fits.
type guess struct {
	version int
	pose    pose
	score   float32
}

// Scores below which following a guess or a registered pose is hopeless.
const (
	minQuick = 0.30
	minEarly = 0.70 // worth a look as it is
	minMatch = 0.45
)

// guess returns the likeliest versions for a triple, the best first.
func (r *Reader) guess(p *plane, t *triple) []guess {
	r.guesses = r.guesses[:0]
	nearest := int(math.Round(float64((t.n + 7 - 17) / 4)))
	spread := max(2, int(t.n)/32) // the sizes of modules are known to some per cent
	for v := max(nearest-spread, 1); v <= min(nearest+spread, maxVersion); v++ {
		l := r.layout(v)
		g := guess{version: v, score: -1}
		if t.guessed < 0 {
			p.guessDepth(t, l, &g)
		} else {
			p.guessCorner(t, l, &g)
		}
		if g.score >= minQuick {
			r.guesses = append(r.guesses, g)
		}
	}
	slices.SortStableFunc(r.guesses, func(x, y guess) int { return cmp.Compare(y.score, x.score) })
	return r.guesses[:min(len(r.guesses), 2)]
}

// guessDepth finds the best pose when three finders are known, but only roughly
// how much deeper one lies than another.
func (p *plane) guessDepth(t *triple, l *layout, g *guess) {
	q := pose{dim: l.dim}
	try := func(i, j int) {
		if q.complete(&t.at, t.wb+float32(i)*depthStep, t.wc+float32(j)*depthStep) {
			if s := p.match(&q, l.quick, t.sign, t.clip); s > g.score {
				g.score, g.pose = s, q
			}
		}
	}
	for i := -2; i <= 2; i += 2 {
		for j := -2; j <= 2; j += 2 {
			try(i, j)
		}
	}
	if g.score < minQuick/2 {
		return // not even near
	}
	for i := -2; i <= 2; i++ {
		for j := -2; j <= 2; j++ {
			if i&1 != 0 || j&1 != 0 {
				try(i, j)
			}
		}
	}
}

// depthStep is the distance of two guesses of how much deeper a finder lies.
const depthStep = 0.05

// guessCorner finds the best pose when one of the three finders is supposed.
func (p *plane) guessCorner(t *triple, l *layout, g *guess) {
	q := pose{dim: l.dim}
	if t.guessed > 0 {
		// The timing row between the two that were found shows at once whether
		// this is a symbol at all.
		best := float32(-1)
		row := l.across
		if t.guessed == 1 {
			row = l.down
		}
		for i := -2; i <= 2; i++ {
			wb, wc := t.wb, t.wc
			if t.guessed == 1 {
				wc += float32(i) * depthStep
			} else {
				wb += float32(i) * depthStep
			}
			if q.complete(&t.at, wb, wc) {
				best = max(best, p.match(&q, row, t.sign, t.clip))
			}
		}
		if best < minTiming {
			return
		}
	}
	if t.guessed == 0 {
		// The two that were found lie across from each other. The ends of the timing
		// rows near them hardly move with the third, so that few places of it tell.
		best := float32(-1)
		t.around(endSteps, endStep, func(at [3][2]float32) {
			if q.complete(&at, t.wb, t.wc) {
				best = max(best, p.match(&q, l.ends, t.sign, t.clip))
			}
		})
		if best < minEnds {
			return
		}
	}
	t.around(cornerSteps, cornerStep, func(at [3][2]float32) {
		if !q.complete(&at, t.wb, t.wc) || p.match(&q, l.sketch, t.sign, t.clip) < g.score-sketchError {
			return
		}
		if s := p.match(&q, l.quick, t.sign, t.clip); s > g.score {
			g.score, g.pose = s, q
		}
	})
}

const (
	sketchError = 0.15 // how much better all marks may fit than some
	cornerStep  = 0.03
	cornerSteps = 8
	endStep     = 0.08
	endSteps    = 3
	minTiming   = 0.5
	minEnds     = 0.6
)

// around calls fn with the finders of t, the supposed one moved by up to so many
// steps each way; a step is a share of the symbol's sides.
func (t *triple) around(steps int, step float32, fn func(at [3][2]float32)) {
	at := t.at
	ux, uy := (t.at[1][0]-t.at[0][0])*step, (t.at[1][1]-t.at[0][1])*step
	vx, vy := (t.at[2][0]-t.at[0][0])*step, (t.at[2][1]-t.at[0][1])*step
	for i := -steps; i <= steps; i++ {
		for j := -steps; j <= steps; j++ {
			fi, fj := float32(i), float32(j)
			at[t.guessed] = [2]float32{t.at[t.guessed][0] + fi*ux + fj*vx, t.at[t.guessed][1] + fi*uy + fj*vy}
			fn(at)
		}
	}
}

// complete sets q from three finders and their depths.
func (q *pose) complete(at *[3][2]float32, wb, wc float32) bool {
	a, b, c := at[0], at[1], at[2]
	wd := wb + wc - 1
	if wd < 0.4 {
		return false
	}
	q.corners[0], q.corners[1], q.corners[3] = a, b, c
	q.corners[2] = [2]float32{(b[0]*wb + c[0]*wc - a[0]) / wd, (b[1]*wb + c[1]*wc - a[1]) / wd}
	return q.place()
}

// register moves the corners of a guess until the modules of known colour fit
// best: first some of them, then all.
func (r *Reader) register(p *plane, t *triple, g *guess) {
	l := r.layout(g.version)
	// The finders are known to a fraction of a module, the fourth corner is not.
	steps := [4]float32{0.35, 0.35, 1.2, 0.35}
	if t.guessed >= 0 {
		steps[[3]int{0, 1, 3}[t.guessed]] = 1.2
	}
	best := p.match(&g.pose, l.some, t.sign, t.clip)
	r.climb(p, t, l.some, g, &steps, 0.15, &best)
	if best < minMatch-0.15 {
		g.score = 0
		return // nothing comes near
	}
	best = p.match(&g.pose, l.known, t.sign, t.clip)
	r.climb(p, t, l.known, g, &steps, 0.06, &best)
	g.score = best
}

// climb moves the corners by steps, which it halves, until they are below least.
func (r *Reader) climb(p *plane, t *triple, marks []mark, g *guess, steps *[4]float32, least float32, best *float32) {
	for round := range 40 {
		if round == 4 && *best < minMatch-0.15 {
			return
		}
		moved := false
		for k := range steps {
			if r.nudge(p, t, marks, g, &g.pose.corners[k], steps[k]*t.unit, best) {
				moved = true
			}
		}
		if moved {
			continue
		}
		if steps[0] < least && steps[2] < least {
			return
		}
		for k := range steps {
			steps[k] = max(steps[k]/2, 0.05)
		}
	}
}

// nudge moves one point of the pose of g by a step in the best of four
// directions, if that fits better.
func (r *Reader) nudge(p *plane, t *triple, marks []mark, g *guess, at *[2]float32, step float32, best *float32) bool {
	was, kept := *at, g.pose
	moved := false
	for _, d := range [4][2]float32{{step, 0}, {-step, 0}, {0, step}, {0, -step}} {
		at[0], at[1] = was[0]+d[0], was[1]+d[1]
		if !g.pose.place() {
			continue
		}
		if m := p.match(&g.pose, marks, t.sign, t.clip); m > *best {
			*best, kept, moved = m, g.pose, true
		}
	}
	g.pose = kept
	return moved
}

// guessBent returns the likeliest versions and bends for a triple that looks
// like a symbol but could not be read flat.
func (r *Reader) guessBent(p *plane, t *triple) []guess {
	r.guesses = r.guesses[:0]
	// The finders stand where the paper turns away, so modules count too many.
	most := min(int((t.n+7-17)/4)+2, maxVersion)
	for v := max(most-5, 1); v <= most; v++ {
		l := r.layout(v)
		g := guess{version: v, score: -1}
		q := pose{dim: l.dim}
		if !q.complete(&t.at, t.wb, t.wc) {
			continue
		}
		q.bent = true
		share := 0.04 * float32(l.dim)
		for way := 0; way < 8; way += 4 {
			for narrow := range 4 {
				for bow := -1; bow <= 1; bow++ {
					for swell := -2; swell <= 2; swell++ {
						q.bend = [8]float32{}
						q.bend[way+1] = float32(narrow) * share
						q.bend[way+2] = float32(bow) * share
						q.bend[way+3] = float32(swell) * share
						if s := p.match(&q, l.quick, t.sign, t.clip); s > g.score {
							g.score, g.pose = s, q
						}
					}
				}
			}
		}
		if g.score >= minQuick {
			r.guesses = append(r.guesses, g)
		}
	}
	slices.SortStableFunc(r.guesses, func(x, y guess) int { return cmp.Compare(y.score, x.score) })
	return r.guesses[:min(len(r.guesses), 2)]
}

// bend does what register does for a symbol that is not flat.
func (r *Reader) bend(p *plane, t *triple, g *guess) {
	l := r.layout(g.version)
	g.pose.bent = true
	best := p.match(&g.pose, l.known, t.sign, t.clip)
	for step := float32(1); step > 0.07; step /= 2 {
		for range 10 {
			moved := false
			for k := range g.pose.bend {
				was := g.pose.bend[k]
				for _, v := range [2]float32{was + step, was - step} {
					q := g.pose
					q.bend[k] = v
					if m := p.match(&q, l.known, t.sign, t.clip); m > best {
						best, g.pose, moved = m, q, true
					}
				}
			}
			for k := range g.pose.corners {
				moved = r.nudge(p, t, l.known, g, &g.pose.corners[k], step*t.unit/2, &best) || moved
			}
			if !moved {
				break
			}
		}
	}
	g.score = best
}
