package qrread

// An edgeFinder finds the places where a line of grey values turns from dark
// to light or back.
type edgeFinder struct {
	line  []uint8
	start int     // the extreme before the first edge
	edges []edge  // in turn up and down
	first float32 // 1 when the first of them leads to light, -1 when to dark
}

// An edge lies between two extremes of a line.
type edge struct {
	end  int32   // the extreme after it
	near int32   // where it began to be certain: within a blur's width of its place
	rise int32   // how far the grey changes
	at   float32 // its place, in pixels from the beginning of the line; unknown when negative
}

// scan looks at a line. A turn counts when the grey changes by more than depth
// and by more than share sixteenths of the larger of the two changes before it:
// next to strong edges small ones are dirt or noise. That holds for reach pixels:
// then the small ones may be a faded print, on a card whose border is not faded.
// The place of a turn is where grey changes fastest: neither a shadow nor the level
// of the areas on both sides moves it, and blur only a little.
func (e *edgeFinder) scan(line []uint8, depth, share, reach int) {
	e.edges, e.line = e.edges[:0], line
	if len(line) == 0 {
		return
	}
	lo, hi := int(line[0]), int(line[0])
	loAt, hiAt := 0, 0
	x, up := 0, false
	for ; ; x++ {
		if x == len(line) {
			return
		}
		v := int(line[x])
		if v > hi {
			hi, hiAt = v, x
		}
		if v < lo {
			lo, loAt = v, x
		}
		if hi-lo > depth {
			up = v == hi
			break
		}
	}
	e.first, e.start = -1, hiAt
	if up {
		e.first, e.start = 1, loAt
	}
	edges := e.edges
	least, was := depth, 0
	// Two loops instead of one with a state, for most of the time of an empty
	// frame is spent here.
	for near := x; ; {
		stop := min(x+reach, len(line))
		if depth == least {
			stop = len(line)
		}
		if up {
			limit := hi - depth
		Up:
			for {
				for ; x < stop; x++ {
					if v := int(line[x]); v > hi {
						hi, hiAt, limit = v, x, v-depth
					} else if v < limit {
						break Up
					}
				}
				if stop == len(line) {
					break
				}
				depth, limit, stop = least, hi-least, len(line)
			}
			edges = append(edges, edge{end: int32(hiAt), near: int32(near), rise: int32(hi - lo), at: -1})
		} else {
			limit := lo + depth
		Down:
			for {
				for ; x < stop; x++ {
					if v := int(line[x]); v < lo {
						lo, loAt, limit = v, x, v+depth
					} else if v > limit {
						break Down
					}
				}
				if stop == len(line) {
					break
				}
				depth, limit, stop = least, lo+least, len(line)
			}
			edges = append(edges, edge{end: int32(loAt), near: int32(near), rise: int32(hi - lo), at: -1})
		}
		if x == len(line) {
			e.edges = edges
			return
		}
		depth = max(least, max(hi-lo, was)*share/16)
		was = hi - lo
		if up {
			lo, loAt = int(line[x]), x
		} else {
			hi, hiAt = int(line[x]), x
		}
		up, near = !up, x
	}
}

// promising returns the first edge from i on that may begin a finder pattern, by
// what is known of the edges without looking for their exact places, and false
// when there is none.
func (e *edgeFinder) promising(i int) (int, bool) {
	for ; i+6 <= len(e.edges); i++ {
		s := e.edges[i : i+6 : i+6]
		// Ring, gap and core stand out about equally.
		a, b, c, d := s[1].rise, s[2].rise, s[3].rise, s[4].rise
		least := min(a, b, c, d)
		if unequal*least < max(a, b, c, d) {
			continue
		}
		slack := int32(slackStrong)
		if least < faded {
			slack = slackFaded
		}
		// The core is three of five modules, the gaps are one each.
		left, core, right := s[2].near-s[1].near, s[3].near-s[2].near, s[4].near-s[3].near
		five := left + core + right
		if core < five/5-slack || core > five*9/10+slack || left > five*2/5+slack || right > five*2/5+slack {
			continue
		}
		return i, true
	}
	return i, false
}

const (
	unequal     = 5
	faded       = 32 // grey values
	blur        = 4  // pixels
	slackStrong = 2  // pixels that the distance of two places of edge.near may be off
	slackFaded  = 4
)

// finder returns the six edges of the finder pattern that begins with edge i,
// and the size of a module.
func (e *edgeFinder) finder(i int) (at [6]float32, size float32, ok bool) {
	ends := [7]int{e.end(i - 1), e.end(i), e.end(i + 1), e.end(i + 2), e.end(i + 3), e.end(i + 4), e.end(i + 5)}
	if far := ends[4] - ends[2]; ends[2]-ends[1] > far || ends[5]-ends[4] > far {
		return at, 0, false // between the rings lie four modules, outside them one
	}
	// The likeliest to disappoint come first.
	at[1], at[4] = e.place(i+1), e.place(i+4)
	if size = (at[4] - at[1]) / 5; size < 0.8*minModule {
		return at, 0, false
	}
	at[2], at[3] = e.place(i+2), e.place(i+3)
	if off(at[3]-at[2], 3*size) > 1.2*size+0.6 {
		return at, 0, false
	}
	if !couldBeFinder(at[2]-at[1], at[3]-at[2], at[4]-at[3]) {
		return at, 0, false
	}
	at[0], at[5] = e.place(i), e.place(i+5)
	// Where something brighter ends just beyond the quiet zone the grey falls in
	// two steps, and the outer one may be the steeper.
	if reach := 2 * size; at[1]-at[0] > reach {
		at[0] = steepest(e.line, min(max(ends[0], int(at[1]-reach)), ends[1]-1), ends[1])
		if !e.steps(at[0]-size/2, ends[1], ends[2]) {
			return at, 0, false
		}
	}
	if reach := 2 * size; at[5]-at[4] > reach {
		at[5] = steepest(e.line, ends[5], max(min(ends[6], int(at[4]+reach)), ends[5]+1))
		if !e.steps(at[5]+size/2, ends[5], ends[4]) {
			return at, 0, false
		}
	}
	size, ok = finderRuns([5]float32{at[1] - at[0], at[2] - at[1], at[3] - at[2], at[4] - at[3], at[5] - at[4]})
	return at, size, ok
}

// end returns the extreme after edge i, which is the one before the next.
func (e *edgeFinder) end(i int) int {
	if i < 0 {
		return e.start
	}
	return int(e.edges[i].end)
}

// place returns where edge i lies.
func (e *edgeFinder) place(i int) float32 {
	s := &e.edges[i]
	if s.at < 0 {
		// The grey has hardly changed before the edge became certain.
		s.at = steepest(e.line, max(e.end(i-1), int(s.near)-blur), int(s.end))
	}
	return s.at
}

// steps reports whether the grey at out differs from that at ring about as
// much as that at in.
func (e *edgeFinder) steps(out float32, ring, in int) bool {
	x := min(max(int(out), 0), len(e.line)-1)
	v, r, w := int(e.line[x]), int(e.line[ring]), int(e.line[in])
	if w < r {
		v, r, w = -v, -r, -w
	}
	return 2*(v-r) > w-r
}

// way returns 1 when edge i leads to light and -1 when to dark.
func (e *edgeFinder) way(i int) float32 {
	if i&1 == 0 {
		return e.first
	}
	return -e.first
}

// steepest returns where between two pixels, a minimum and a maximum in either
// order, the grey changes fastest.
func steepest(line []uint8, a, b int) float32 {
	line = line[a : b+1]
	from, to := int(line[0]), int(line[len(line)-1])
	rising := to >= from
	stop := to + (from-to)/8 // what follows is flat
	best, at := -1, 0
	was := from
	if rising {
		for x, v := range line[1:] {
			v := int(v)
			if d := v - was; d > best {
				best, at = d, x
			}
			if v > stop {
				break
			}
			was = v
		}
	} else {
		for x, v := range line[1:] {
			v := int(v)
			if d := was - v; d > best {
				best, at = d, x
			}
			if v < stop {
				break
			}
			was = v
		}
	}
	// The centre of gravity of the change around it is good to a part of a pixel.
	var sum, moment int
	if at >= 2 && at+4 <= len(line) {
		w := line[at-2 : at+4 : at+4]
		a, b, c, d, e, f := int(w[0]), int(w[1]), int(w[2]), int(w[3]), int(w[4]), int(w[5])
		if !rising {
			a, b, c, d, e, f = -a, -b, -c, -d, -e, -f
		}
		d0, d1, d2, d3, d4 := max(b-a, 0), max(c-b, 0), max(d-c, 0), max(e-d, 0), max(f-e, 0)
		sum, moment = d0+d1+d2+d3+d4, d3-d1+2*(d4-d0)
	} else {
		for x := max(at-2, 0); x < min(at+3, len(line)-1); x++ {
			d := int(line[x+1]) - int(line[x])
			if !rising {
				d = -d
			}
			if d > 0 {
				sum += d
				moment += d * (x - at)
			}
		}
	}
	return float32(a+at) + 1 + float32(moment)/float32(max(sum, 1))
}
