package qrread

// An edgeFinder finds the places where a line of grey values turns from dark
// to light or back.
type edgeFinder struct {
	ends  []int     // minima and maxima in turn; edge i lies between ends i and i+1
	at    []float32 // where exactly, in pixels from the beginning of the line; unknown when negative
	first float32   // 1 when the first of them leads to light, -1 when to dark
	line  []uint8
}

// scan looks at a line. A turn counts when the grey changes by more than depth
// and by more than share sixteenths of the larger of the two changes before it:
// next to strong edges small ones are dirt or noise. Its place is where grey
// changes fastest: neither a shadow nor the level of the areas on both sides
// moves it, and blur only a little.
func (e *edgeFinder) scan(line []uint8, depth, share int) {
	e.at, e.ends, e.line = e.at[:0], e.ends[:0], line
	if len(line) == 0 {
		return
	}
	lo, hi := int(line[0]), int(line[0])
	loAt, hiAt := 0, 0
	least, was := depth, 0
	swing := func(now int) int {
		d := max(least, max(now, was)*share/16)
		was = now
		return d
	}
	var way float32 // of the last edge that counts
	for x, v := range line {
		v := int(v)
		switch {
		case way >= 0 && v > hi:
			hi, hiAt = v, x
		case way <= 0 && v < lo:
			lo, loAt = v, x
		}
		switch {
		case way <= 0 && v > lo+depth: // the minimum is certain
			if way < 0 {
				e.add(hiAt, loAt)
			} else {
				e.first = 1
			}
			if way < 0 {
				depth = swing(hi - lo)
			}
			way = 1
			hi, hiAt = v, x
		case way >= 0 && v < hi-depth:
			if way > 0 {
				e.add(loAt, hiAt)
			} else {
				e.first = -1
			}
			if way > 0 {
				depth = swing(hi - lo)
			}
			way = -1
			lo, loAt = v, x
		}
	}
	switch {
	case way > 0:
		e.add(loAt, hiAt)
	case way < 0:
		e.add(hiAt, loAt)
	}
}

func (e *edgeFinder) add(from, to int) {
	if len(e.ends) == 0 {
		e.ends = append(e.ends, from)
	}
	e.ends = append(e.ends, to)
	e.at = append(e.at, -1)
}

// finder returns the six edges of the finder pattern that begins with edge i,
// and the size of a module.
func (e *edgeFinder) finder(i int) (at [6]float32, size float32, ok bool) {
	ends := e.ends[i : i+7 : i+7]
	if far := ends[4] - ends[2]; ends[2]-ends[1] > far || ends[5]-ends[4] > far {
		return at, 0, false // between the rings lie four modules, outside them one
	}
	for k := range at {
		if e.at[i+k] < 0 {
			e.at[i+k] = steepest(e.line, ends[k], ends[k+1])
		}
		at[k] = e.at[i+k]
	}
	size = (at[4] - at[1]) / 5
	if off(at[3]-at[2], 3*size) > 1.2*size+0.6 {
		return at, 0, false
	}
	// Where something brighter ends just beyond the quiet zone the grey falls in
	// two steps, and the outer one may be the steeper.
	if reach := 2 * size; at[1]-at[0] > reach {
		at[0] = steepest(e.line, max(ends[0], int(at[1]-reach)), ends[1])
		if !e.steps(at[0]-size/2, ends[1], ends[2]) {
			return at, 0, false
		}
	}
	if reach := 2 * size; at[5]-at[4] > reach {
		at[5] = steepest(e.line, ends[5], min(ends[6], int(at[4]+reach)))
		if !e.steps(at[5]+size/2, ends[5], ends[4]) {
			return at, 0, false
		}
	}
	size, ok = finderRuns([5]float32{at[1] - at[0], at[2] - at[1], at[3] - at[2], at[4] - at[3], at[5] - at[4]})
	return at, size, ok
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
	turn := 1
	if line[b] < line[a] {
		turn = -1
	}
	best, at := -1, a
	for x := a; x < b; x++ {
		if d := turn * (int(line[x+1]) - int(line[x])); d > best {
			best, at = d, x
		}
	}
	// The centre of gravity of the change around it is good to a part of a pixel.
	var sum, moment int
	for x := max(at-2, a); x < min(at+3, b); x++ {
		if d := turn * (int(line[x+1]) - int(line[x])); d > 0 {
			sum += d
			moment += d * (x - at)
		}
	}
	return float32(at) + 1 + float32(moment)/float32(max(sum, 1))
}
