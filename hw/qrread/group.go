package qrread

import (
	"cmp"
	"math"
	"slices"
)

// Limits of the combinations that are tried.
const (
	maxFinders  = 40  // of each polarity, strongest first
	maxTriples  = 12  // a search
	manyTriples = 96  // are noted before the less likely are dropped
	maxPairs    = 32  // a frame
	maxModules  = 117 // along a side; larger symbols do not fit into a camera's frame
	minDistance = 14 * 0.75
)

// A triple is three finders that may belong to one symbol: the first in its
// corner, the second to the right, the third below, as the symbol itself is turned.
type triple struct {
	at         [3][2]float32 // their centres
	finders    [3]*finder
	guessed    int     // which of them was not found, -1 for none
	wb, wc     float32 // how much deeper the second and the third lie than the first, as a ratio
	n          float32 // modules between the centres, estimated
	cost       float32 // lower is likelier
	unit, sign float32 // pixels a module, polarity
	clip       float32 // the relief that counts as full black or white
}

// group ranks triples of the finders found and leaves the best in r.triples.
// Only those with a finder of the latest search are new.
func (r *Reader) group(p *plane) {
	r.triples, r.worst = r.triples[:0], math.MaxFloat32
	slices.SortStableFunc(r.finders, func(a, b finder) int {
		return cmp.Or(cmp.Compare(a.sign, b.sign), cmp.Compare(b.hits, a.hits))
	})
	r.eachSign(func(fs []finder) {
		for a := range fs {
			for b := range fs {
				if b == a || !near(&fs[a], &fs[b]) {
					continue
				}
				for c := b + 1; c < len(fs); c++ {
					if c != a && near(&fs[a], &fs[c]) && max(fs[a].pass, fs[b].pass, fs[c].pass) == r.round {
						r.consider(p, &fs[a], &fs[b], &fs[c])
					}
				}
			}
		}
	})
	r.best(2 * maxTriples)
	n := 0
	for i := range r.triples {
		if t := r.triples[i]; r.refine(p, &t) {
			r.triples[n] = t
			n++
		}
	}
	r.triples = r.triples[:n]
	r.best(maxTriples)
}

// best leaves the n likeliest triples.
func (r *Reader) best(n int) {
	slices.SortStableFunc(r.triples, func(a, b triple) int { return cmp.Compare(a.cost, b.cost) })
	r.triples = r.triples[:min(n, len(r.triples))]
}

// eachSign calls fn with the strongest finders of each polarity.
func (r *Reader) eachSign(fn func([]finder)) {
	for fs := r.finders; len(fs) > 0; {
		n := 1
		for n < len(fs) && fs[n].sign == fs[0].sign {
			n++
		}
		fn(fs[:min(n, maxFinders)])
		fs = fs[n:]
	}
}

// near reports whether two finders can lie on one side of a symbol.
func near(a, b *finder) bool {
	if a.size > 2*b.size || b.size > 2*a.size {
		return false
	}
	d := hypot(a.x-b.x, a.y-b.y)
	size := (a.size + b.size) / 2
	return d > minDistance*0.7*size && d < maxModules*size
}

// consider measures the triple with a in the corner and notes it when its
// shape can be that of a symbol.
func (r *Reader) consider(p *plane, a, b, c *finder) {
	ux, uy := b.x-a.x, b.y-a.y
	vx, vy := c.x-a.x, c.y-a.y
	if ux*vy-uy*vx < 0 {
		b, c = c, b
		ux, uy, vx, vy = vx, vy, ux, uy
	}
	u, v := hypot(ux, uy), hypot(vx, vy)
	cosine := (ux*vx + uy*vy) / (u * v)
	ratio := max(u, v) / min(u, v)
	if cosine > 0.85 || cosine < -0.85 || ratio > 2.5 {
		return
	}
	t := triple{at: [3][2]float32{{a.x, a.y}, {b.x, b.y}, {c.x, c.y}}, guessed: -1, sign: a.sign}
	ux, uy, vx, vy = ux/u, uy/u, vx/v, vy/v
	if !t.measure(u, v, a.along(ux, uy), b.along(ux, uy), a.along(vx, vy), c.along(vx, vy), 2.5) {
		return
	}
	t.cost += 0.3*cosine*cosine + 0.15*(ratio-1) - 0.05*float32(min(a.hits, b.hits, c.hits, 4))
	t.finders = [3]*finder{a, b, c}
	if t.cost >= r.worst {
		return
	}
	r.triples = append(r.triples, t)
	if len(r.triples) == manyTriples {
		r.best(2 * maxTriples)
		r.worst = r.triples[len(r.triples)-1].cost
	}
}

// refine measures a triple again, along its own sides.
func (r *Reader) refine(p *plane, t *triple) bool {
	a, b, c := t.finders[0], t.finders[1], t.finders[2]
	ux, uy := b.x-a.x, b.y-a.y
	vx, vy := c.x-a.x, c.y-a.y
	u, v := hypot(ux, uy), hypot(vx, vy)
	ux, uy, vx, vy = ux/u, uy/u, vx/v, vy/v
	rough := t.cost
	if !t.measure(u, v, r.module(p, a, ux, uy), r.module(p, b, ux, uy), r.module(p, a, vx, vy), r.module(p, c, vx, vy), 1.5) {
		return false
	}
	t.cost += rough
	p.lift(t.unit)
	t.clip = p.clip(a, b, c)
	return true
}

// measure sets what follows from the sides u and v of the triple and the sizes
// of a module along them at their ends, and the cost. It reports false when no
// symbol looks like that.
func (t *triple) measure(u, v, au, bu, av, cv, limit float32) bool {
	// Along a line seen in perspective, the distance of two points is the number
	// of modules times the geometric mean of their sizes at both ends.
	nu, nv := u/sqrt(au*bu), v/sqrt(av*cv)
	t.n = sqrt(nu * nv)
	t.wb, t.wc = sqrt(au/bu), sqrt(av/cv)
	t.unit = (u + v) / (2 * t.n)
	uneven := max(nu, nv) / min(nu, nv)
	t.cost = 1.5*(uneven-1) + 0.5*(off(t.wb, 1)+off(t.wc, 1))
	return t.n >= minDistance && t.n <= maxModules && uneven < limit
}

// clip returns the relief that finders show.
func (p *plane) clip(fs ...*finder) float32 {
	var sum float32
	for _, f := range fs {
		sum += off(p.reliefAt(f.x, f.y), 0)
	}
	return max(sum/float32(len(fs)), 4) * 1.2
}

// pair makes triples of two finders and a third that is supposed, for symbols
// with a corner under a finger, a glare or a scratch.
func (r *Reader) pair(p *plane) {
	r.triples = r.triples[:0]
	r.eachSign(func(fs []finder) {
		for a := range fs {
			for b := a + 1; b < len(fs); b++ {
				if near(&fs[a], &fs[b]) {
					r.suppose(p, &fs[a], &fs[b])
				}
			}
		}
	})
	r.best(maxPairs)
}

// suppose notes the triples that two finders may belong to.
func (r *Reader) suppose(p *plane, a, b *finder) {
	const h = math.Sqrt2 / 2
	dx, dy := b.x-a.x, b.y-a.y
	d := hypot(dx, dy)
	ux, uy := dx/d, dy/d
	vx, vy := h*(ux-uy), h*(ux+uy)
	// A line through a finder along its diagonal is longer than one along its side.
	slant, known := float32(1), false
	var side, slope [2]float32
	for k, f := range [2]*finder{a, b} {
		along, _, ok := r.profile(p, f.x, f.y, ux, uy, f.size, f.sign)
		aslant, _, ok2 := r.profile(p, f.x, f.y, vx, vy, f.size, f.sign)
		side[k], slope[k] = along, along
		if !ok {
			side[k], slope[k] = f.along(ux, uy), math.Sqrt2*f.along(vx, vy)
		}
		if ok && ok2 {
			slant, known = slant*aslant/along, true
		}
	}
	t := triple{sign: a.sign}
	pa, pb := [2]float32{a.x, a.y}, [2]float32{b.x, b.y}
	if (!known || slant > 0.85) && r.between(p, &t, d, side, a, b) {
		w := sqrt(side[0] / side[1])
		// The symbol lies on one side of the line or on the other, and the finder in
		// its corner is the one or the other.
		for range 2 {
			t.at, t.guessed, t.wb, t.wc = [3][2]float32{pa, pb, {pa[0] - dy, pa[1] + dx}}, 2, w, 1
			r.triples = append(r.triples, t)
			t.at, t.guessed, t.wb, t.wc = [3][2]float32{pb, {pb[0] - dy, pb[1] + dx}, pa}, 1, 1, 1/w
			r.triples = append(r.triples, t)
			pa, pb, dx, dy, w = pb, pa, -dx, -dy, 1/w
		}
	}
	if (!known || slant < 1.2) && r.between(p, &t, d, slope, a, b) {
		t.unit /= math.Sqrt2
		t.cost += 0.1
		for range 2 {
			t.at, t.guessed, t.wb, t.wc = [3][2]float32{{(pa[0] + pb[0] + dy) / 2, (pa[1] + pb[1] - dx) / 2}, pb, pa}, 0, 1, 1
			r.triples = append(r.triples, t)
			pa, pb, dx, dy = pb, pa, -dx, -dy
		}
	}
}

// between sets what follows for t from the distance of two finders and the size
// of a module there along the line through both. It reports false when no symbol
// looks like that.
func (r *Reader) between(p *plane, t *triple, d float32, module [2]float32, a, b *finder) bool {
	ma, mb := module[0], module[1]
	t.n = d / sqrt(ma*mb)
	if t.n < minDistance || t.n > maxModules || ma > 1.7*mb || mb > 1.7*ma {
		return false
	}
	t.unit = d / t.n
	p.lift(t.unit)
	t.clip = p.clip(a, b)
	t.cost = off(ma/mb, 1) - 0.05*float32(min(a.hits, b.hits, 4))
	return true
}
