package qrread

import (
	"slices"

	"github.com/makiuchi-d/gozxing/qrcode/decoder"
)

// A layout says where everything lies in a symbol of one version.
type layout struct {
	version *decoder.Version
	dim     int
	known   []mark       // modules whose colour does not depend on the text
	quick   []mark       // those of them that tell one version from another
	some    []mark       // every third of known
	sketch  []mark       // every third of quick
	across  []mark       // the timing row
	down    []mark       // the timing column
	ends    []mark       // the ends of both that lie far from the first finder
	data    []int32      // modules in the order in which they make up the codewords
	format  [2][15]int32 // the two copies of the format bits, highest bit first
}

// A mark is a module of known colour.
type mark struct {
	x, y float32 // its centre, in modules
	i    int32   // its index in the grid
	tone int32   // -1 dark, 1 light
}

// layout returns the layout of a version, from 1 to maxVersion.
func (r *Reader) layout(version int) *layout {
	if r.layouts[version] == nil {
		r.layouts[version] = newLayout(version)
	}
	return r.layouts[version]
}

const aside = 0.25 // modules

const maxVersion = (maxModules + 7 - 17) / 4

func newLayout(number int) *layout {
	v, err := decoder.Version_GetVersionForNumber(number)
	if err != nil {
		panic("qrread: no such version") // numbers come from version, which is bounded
	}
	dim := v.GetDimensionForVersion()
	l := &layout{version: v, dim: dim}
	taken := make([]bool, dim*dim)
	put := func(x, y int, dark bool) mark {
		i := y*dim + x
		m := mark{x: float32(x) + 0.5, y: float32(y) + 0.5, i: int32(i), tone: 1}
		if dark {
			m.tone = -1
		}
		if !taken[i] {
			taken[i] = true
			// Off its centre, each in another direction: where print is sharp the
			// centres alone would fit equally well half a module away.
			off := m
			off.x += [4]float32{aside, -aside, -aside, aside}[len(l.known)%4]
			off.y += [4]float32{aside, aside, -aside, -aside}[len(l.known)%4]
			l.known = append(l.known, off)
		}
		return m
	}
	for y := range 8 {
		for x := range 8 {
			// Rings count from the centre (3, 3); the eighth row and column part the finder from the data.
			ring := max(x-3, 3-x, y-3, 3-y)
			dark := ring != 2 && ring != 4
			put(x, y, dark)
			put(dim-1-x, y, dark)
			put(x, dim-1-y, dark)
		}
	}
	for i := 8; i < dim-8; i++ {
		l.across = append(l.across, put(i, 6, i%2 == 0))
		l.down = append(l.down, put(6, i, i%2 == 0))
	}
	l.quick = slices.Concat(l.across, l.down)
	far := max(len(l.across)-timingEnd, 0)
	l.ends = slices.Concat(l.across[far:], l.down[far:])
	centres := v.GetAlignmentPatternCenters()
	for i, cy := range centres {
		for j, cx := range centres {
			last := len(centres) - 1
			if i == 0 && j == 0 || i == 0 && j == last || i == last && j == 0 {
				continue // a finder is there
			}
			for dy := -2; dy <= 2; dy++ {
				for dx := -2; dx <= 2; dx++ {
					l.quick = append(l.quick, put(cx+dx, cy+dy, max(dx, -dx, dy, -dy) != 1))
				}
			}
		}
	}
	put(8, dim-8, true)
	if number >= 7 {
		bits := decoder.VERSION_DECODE_INFO[number-7]
		for i := range 18 {
			x, y, dark := i%3, i/3, bits>>i&1 == 1
			put(dim-11+x, y, dark)
			put(y, dim-11+x, dark)
		}
	}
	l.some, l.sketch = everyThird(l.known), everyThird(l.quick)
	l.format = formatPlaces(dim)
	for _, places := range l.format {
		for _, i := range places {
			taken[i] = true
		}
	}
	up := true
	for x := dim - 1; x > 0; x -= 2 {
		if x == 6 {
			x-- // the timing column shifts the pairs
		}
		for n := range dim {
			y := n
			if up {
				y = dim - 1 - n
			}
			for _, i := range [2]int{y*dim + x, y*dim + x - 1} {
				if !taken[i] {
					l.data = append(l.data, int32(i))
				}
			}
		}
		up = !up
	}
	return l
}

// timingEnd is the number of modules of a timing row that count as its end.
const timingEnd = 8

func everyThird(all []mark) (some []mark) {
	for i := 0; i < len(all); i += 3 {
		some = append(some, all[i])
	}
	return some
}

func formatPlaces(dim int) (places [2][15]int32) {
	at := func(x, y int) int32 { return int32(y*dim + x) }
	for i := range 6 {
		places[0][i] = at(i, 8)
		places[0][14-i] = at(8, i)
	}
	places[0][6], places[0][7], places[0][8] = at(7, 8), at(8, 8), at(8, 7)
	for i := range 7 {
		places[1][i] = at(8, dim-1-i)
	}
	for i := range 8 {
		places[1][7+i] = at(dim-8+i, 8)
	}
	return places
}

// masked reports whether mask turns over the module at column x, row y.
func masked(mask, x, y int) bool {
	switch mask {
	case 0:
		return (x+y)%2 == 0
	case 1:
		return y%2 == 0
	case 2:
		return x%3 == 0
	case 3:
		return (x+y)%3 == 0
	case 4:
		return (y/2+x/3)%2 == 0
	case 5:
		return x*y%6 == 0
	case 6:
		return x*y%6 < 3
	default:
		return (x+y+x*y%3)%2 == 0
	}
}
