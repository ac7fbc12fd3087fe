package qrread

// A Hint tells who holds up a card why it is not read. Its text is a word for
// programs; what people are told is decided elsewhere.
type Hint string

// The hints. None is given where nothing looks like a code.
const (
	NoHint    Hint = ""
	Closer    Hint = "closer"     // too few pixels a module
	HoldStill Hint = "hold-still" // all that is left: it is blurred, bent or damaged
	Tilt      Hint = "tilt"       // a glare lies on it
	Light     Hint = "light"      // too dark
)

// What hints go by. Of the rendered frames with modules of less than two pixels
// half cannot be read, with larger ones nearly all.
const (
	farModule  = 2.0 // pixels
	darkWhite  = 70  // grey of the brightest tenth around the code
	burntGrey  = 250
	burntShare = 0.03
)

// Hint returns why the frame of the last Read was not read, as far as can be told
// from two corners of a symbol in it. It costs a look at some hundred pixels.
func (r *Reader) Hint() Hint { return r.hint }

// judge returns the hint for the frame in p, in which nothing was read.
func (r *Reader) judge(p *plane) Hint {
	a, b, ok := r.signs()
	if !ok {
		return NoHint
	}
	// The symbol lies somewhere around the two.
	d := hypot(a.x-b.x, a.y-b.y)
	x0, x1 := max(int(min(a.x, b.x)-d/2), 0), min(int(max(a.x, b.x)+d/2), p.w)
	y0, y1 := max(int(min(a.y, b.y)-d/2), 0), min(int(max(a.y, b.y)+d/2), p.h)
	step := max((x1-x0)/32, (y1-y0)/32, 1)
	var count [256]int
	n := 0
	for y := y0; y < y1; y += step {
		for x := x0; x < x1; x += step {
			count[p.pix[y*p.stride+x]]++
			n++
		}
	}
	white, burnt := 255, 0
	for rest := n / 10; white > 0; white-- {
		if rest -= count[white]; rest < 0 {
			break
		}
	}
	for _, c := range count[burntGrey:] {
		burnt += c
	}
	switch {
	case white < darkWhite:
		return Light
	case float32(burnt) > burntShare*float32(n):
		return Tilt
	case min(a.size, b.size) < farModule:
		return Closer
	}
	return HoldStill
}
