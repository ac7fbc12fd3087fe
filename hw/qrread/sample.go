package qrread

import "slices"

// A grid holds one value a module: how dark it is compared with its
// neighbourhood, in units of that neighbourhood's deviation; above 0 means dark.
type grid struct {
	dim   int
	tone  []float32
	grey  []float32
	truth []float32 // 1 dark, -1 light, 0 unknown
	sums  []float64 // sums and sums of squares over all modules above and to the left
}

// neighbourhood is half the side, in modules, of the square a module is compared with.
const neighbourhood = 5

// sample fills g from the plane under a pose.
func (g *grid) sample(p *plane, q *pose, sign float32) {
	g.dim = q.dim
	n := g.dim * g.dim
	if cap(g.grey) < n {
		g.grey, g.tone = make([]float32, n), make([]float32, n)
	}
	g.grey, g.tone = g.grey[:n], g.tone[:n]
	const d = 0.22
	for y := range g.dim {
		for x := range g.dim {
			u, v := float32(x)+0.5, float32(y)+0.5
			var sum float32
			for _, s := range [5][2]float32{{0, 0}, {-d, -d}, {d, -d}, {-d, d}, {d, d}} {
				px, py := q.at(u+s[0], v+s[1])
				sum += p.greyAt(px, py)
			}
			g.grey[y*g.dim+x] = sign * sum / 5
		}
	}
	g.normalise()
}

// normalise computes tone from grey.
func (g *grid) normalise() {
	dim, w := g.dim, g.dim+1
	if cap(g.sums) < 2*w*w {
		g.sums = make([]float64, 2*w*w)
	}
	g.sums = g.sums[:2*w*w]
	clear(g.sums[:2*w])
	for y := range dim {
		var sum, squares float64
		row := (y + 1) * w
		g.sums[2*row], g.sums[2*row+1] = 0, 0
		for x := range dim {
			v := float64(g.grey[y*dim+x])
			sum += v
			squares += v * v
			i := 2 * (row + x + 1)
			g.sums[i] = g.sums[i-2*w] + sum
			g.sums[i+1] = g.sums[i-2*w+1] + squares
		}
	}
	for y := range dim {
		y0, y1 := max(y-neighbourhood, 0), min(y+neighbourhood+1, dim)
		for x := range dim {
			x0, x1 := max(x-neighbourhood, 0), min(x+neighbourhood+1, dim)
			a, b, c, d := 2*(y0*w+x0), 2*(y0*w+x1), 2*(y1*w+x0), 2*(y1*w+x1)
			n := float64((y1 - y0) * (x1 - x0))
			mean := (g.sums[d] - g.sums[c] - g.sums[b] + g.sums[a]) / n
			variance := (g.sums[d+1]-g.sums[c+1]-g.sums[b+1]+g.sums[a+1])/n - mean*mean
			i := y*dim + x
			g.tone[i] = (g.grey[i] - float32(mean)) / sqrt(float32(max(variance, 1)))
		}
	}
}

// equalise undoes blur: it fits the nine weights with which a module and its
// neighbours best explain the modules that are known, and replaces each module
// by what they give. The first round knows the layout's modules; the second
// also those that the first left in little doubt.
func (g *grid) equalise(l *layout) {
	dim := g.dim
	out := g.grey // no longer needed
	g.truth = slices.Grow(g.truth[:0], dim*dim)[:dim*dim]
	truth := g.truth
	clear(truth)
	for _, m := range l.known {
		truth[m.i] = -float32(m.tone)
	}
	for round := range 2 {
		var normal [9][10]float64
		for y := 1; y < dim-1; y++ {
			for x := 1; x < dim-1; x++ {
				i := y*dim + x
				want := truth[i]
				if round > 0 && want == 0 {
					if out[i] > confident {
						want = 1
					} else if out[i] < -confident {
						want = -1
					}
				}
				if want == 0 {
					continue
				}
				at := g.around(x, y)
				for j := range at {
					for k := j; k < 9; k++ {
						normal[j][k] += float64(at[j] * at[k])
					}
					normal[j][9] += float64(at[j] * want)
				}
			}
		}
		weights, ok := solve(&normal, len(l.known))
		if !ok {
			return
		}
		for y := range dim {
			for x := range dim {
				at := g.around(x, y)
				var sum float32
				for j := range at {
					sum += at[j] * weights[j]
				}
				out[y*dim+x] = sum
			}
		}
	}
	g.tone, g.grey = out, g.tone
}

// confident is the size of an equalised value that is taken for decided.
const confident = 0.5

// around returns the module at (x, y) and its neighbours; beyond the edge lies
// the quiet zone, which is light.
func (g *grid) around(x, y int) (at [9]float32) {
	k := 0
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			if cx, cy := x+dx, y+dy; cx >= 0 && cy >= 0 && cx < g.dim && cy < g.dim {
				at[k] = g.tone[cy*g.dim+cx]
			} else {
				at[k] = -1
			}
			k++
		}
	}
	return at
}

// solve returns the solution of the symmetric normal equations, drawn a little
// towards "the module itself and nothing of its neighbours".
func solve(m *[9][10]float64, n int) (weights [9]float32, ok bool) {
	ridge := 0.05 * float64(n)
	for j := range 9 {
		for k := range j {
			m[j][k] = m[k][j]
		}
		m[j][j] += ridge
	}
	m[4][9] += ridge
	for j := range 9 {
		if m[j][j] < 1e-9 {
			return weights, false
		}
		for k := j + 1; k < 9; k++ {
			f := m[k][j] / m[j][j]
			for i := j; i < 10; i++ {
				m[k][i] -= f * m[j][i]
			}
		}
	}
	for j := 8; j >= 0; j-- {
		v := m[j][9]
		for k := j + 1; k < 9; k++ {
			v -= m[j][k] * float64(weights[k])
		}
		weights[j] = float32(v / m[j][j])
	}
	return weights, true
}
