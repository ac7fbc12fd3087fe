package qrread

// An edgeFinder finds the places where a line of grey values turns from dark
// to light or back.
type edgeFinder struct {
	at    []float32 // pixels from the beginning of the line, rising and falling ones in turn
	first float32   // 1 when the first of them leads to light, -1 when to dark
}

// scan looks at a line. A turn counts when the grey changes by more than depth.
// Its place is where grey changes fastest: neither a shadow nor the level of the
// areas on both sides moves it, and blur only a little.
func (e *edgeFinder) scan(line []uint8, depth int) {
	e.at = e.at[:0]
	if len(line) == 0 {
		return
	}
	lo, hi := int(line[0]), int(line[0])
	loAt, hiAt := 0, 0
	least, was := depth, 0
	swing := func(now int) int {
		d := max(least, max(now, was)/4)
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
				e.at = append(e.at, steepest(line, hiAt, loAt))
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
				e.at = append(e.at, steepest(line, loAt, hiAt))
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
		e.at = append(e.at, steepest(line, loAt, hiAt))
	case way < 0:
		e.at = append(e.at, steepest(line, hiAt, loAt))
	}
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
