package qrread

import (
	"encoding/binary"
	"slices"
)

// A plane is one grey picture, with the mean grey of the surroundings of each
// place. The difference of both, the relief, makes shadows and faded print
// harmless without deciding yet what is dark and what is light.
type plane struct {
	w, h, stride int
	pix          []uint8
	scale        float32 // pixels of the plane for one pixel of the frame
	noise        float32 // deviation from pixel to pixel
	depth, share int     // what counts as an edge, see edgeFinder.scan
	reach        int

	own []uint8 // pixels, when the plane is not a view of the frame

	cw, ch  int      // the picture in cells
	cells   []uint32 // the sum of the pixels of each
	columns []uint32
	around  [2][]int32 // the means of narrow and wide surroundings of each cell, in 256ths
	lifted  [2]bool    // which of them are made
	means   []int32    // the one in use
}

// cell is the side of a cell in pixels.
const (
	cellBits = 3
	cell     = 1 << cellBits
)

// forEver is a reach that no picture has: between plain pixels noise would count.
const forEver = 1 << 30

// view makes p show pixels of the frame.
func (p *plane) view(pix []uint8, w, h, stride int) {
	p.w, p.h, p.stride, p.pix, p.scale = w, h, stride, pix, 1
	p.noise, p.share, p.reach = p.measureNoise(), 4, forEver
	p.depth = depthFor(p.noise)
	p.lifted = [2]bool{}
}

// smooth makes p a copy of q, each pixel the mean of 3x3 less one in 64, which
// eight pixels at a time can be had for.
func (p *plane) smooth(q *plane) {
	p.alloc(q.w, q.h)
	p.scale = q.scale
	w, h := q.w, q.h
	for y := range h {
		up := q.pix[max(y-1, 0)*q.stride:][:w]
		mid := q.pix[y*q.stride:][:w]
		down := q.pix[min(y+1, q.h-1)*q.stride:][:w]
		dst := p.pix[y*w:][:w]
		one := func(x int) {
			l, r := max(x-1, 0), min(x+1, w-1)
			sum := int(up[l]) + int(up[x]) + int(up[r]) + int(mid[l]) + int(mid[x]) + int(mid[r]) + int(down[l]) + int(down[x]) + int(down[r])
			dst[x] = uint8(sum * 7 >> 6)
		}
		one(0)
		x := 1
		for ; x+9 <= w; x += 8 {
			// Pixels x, x+2, x+4 and x+6 are summed up in the four quarters of one
			// word, those between them in another.
			evens, odds := sums3(up[x-1 : x+9 : x+9])
			e, o := sums3(mid[x-1 : x+9 : x+9])
			evens, odds = evens+e, odds+o
			e, o = sums3(down[x-1 : x+9 : x+9])
			evens, odds = evens+e, odds+o
			evens = (evens * 7 >> 6) & lowBytes
			odds = (odds * 7 >> 6) & lowBytes
			binary.LittleEndian.PutUint64(dst[x:], evens|odds<<8)
		}
		for ; x < w; x++ {
			one(x)
		}
	}
	p.noise, p.share, p.reach = q.noise/3, 3, 12
	p.depth = max(4, int(3*p.noise))
}

const lowBytes = 0x00ff00ff00ff00ff

// sums3 returns the sums of three neighbours each around the middle eight of ten
// pixels, the first, third, fifth and seventh apart from the others.
func sums3(ten []uint8) (evens, odds uint64) {
	at := binary.LittleEndian.Uint64(ten[1:])
	both := at&lowBytes + at>>8&lowBytes
	return both + binary.LittleEndian.Uint64(ten)&lowBytes, both + binary.LittleEndian.Uint64(ten[2:])>>8&lowBytes
}

// halve makes p a copy of q at half the size.
func (p *plane) halve(q *plane) {
	p.alloc(q.w/2, q.h/2)
	p.scale = q.scale / 2
	for y := range p.h {
		a, b := q.pix[2*y*q.stride:][:q.w], q.pix[(2*y+1)*q.stride:][:q.w]
		dst := p.pix[y*p.w:][:p.w]
		x := 0
		for ; x+4 <= p.w; x += 4 {
			u, v := binary.LittleEndian.Uint64(a[2*x:]), binary.LittleEndian.Uint64(b[2*x:])
			sums := u&lowBytes + u>>8&lowBytes + v&lowBytes + v>>8&lowBytes + 0x0002000200020002
			sums = sums >> 2 & lowBytes
			sums |= sums >> 8
			binary.LittleEndian.PutUint32(dst[x:], uint32(sums&0xffff|sums>>16&0xffff0000))
		}
		for ; x < p.w; x++ {
			dst[x] = uint8((int(a[2*x]) + int(a[2*x+1]) + int(b[2*x]) + int(b[2*x+1]) + 2) >> 2)
		}
	}
	p.noise, p.share, p.reach = q.noise/2, 4, forEver
	p.depth = depthFor(p.noise)
}

func (p *plane) alloc(w, h int) {
	if cap(p.own) < w*h {
		p.own = make([]uint8, w*h)
	}
	p.own = p.own[:w*h]
	p.w, p.h, p.stride, p.pix = w, h, w, p.own
}

// lift makes the relief fit for a symbol with modules of some size. The
// surroundings must be wider than a finder pattern, but no wider than needed to
// follow the edge of a shadow.
func (p *plane) lift(module float32) {
	k, half := 0, p.h/24
	if 3*module > float32(half) {
		k, half = 1, p.h/7
	}
	if !p.lifted[k] {
		if !p.lifted[1-k] {
			p.count()
		}
		p.lifted[k] = true
		p.around[k] = p.spread(p.around[k], max((half+cell/2)/cell, 1))
	}
	p.means = p.around[k]
}

// count sums up the cells. Those at the right and lower edge may be smaller.
func (p *plane) count() {
	p.cw, p.ch = (p.w+cell-1)/cell, (p.h+cell-1)/cell
	p.cells = slices.Grow(p.cells[:0], p.cw*p.ch)[:p.cw*p.ch]
	clear(p.cells)
	for y := range p.h {
		row := p.pix[y*p.stride:][:p.w]
		sums := p.cells[y/cell*p.cw:][:p.cw]
		x := 0
		for ; x+cell <= len(row); x += cell {
			c := row[x : x+cell : x+cell]
			sums[x/cell] += uint32(c[0]) + uint32(c[1]) + uint32(c[2]) + uint32(c[3]) + uint32(c[4]) + uint32(c[5]) + uint32(c[6]) + uint32(c[7])
		}
		for ; x < len(row); x++ {
			sums[x/cell] += uint32(row[x])
		}
	}
}

// spread returns the mean of each cell and those up to reach cells away.
func (p *plane) spread(means []int32, reach int) []int32 {
	means = slices.Grow(means[:0], len(p.cells))[:len(p.cells)]
	p.columns = slices.Grow(p.columns[:0], p.cw)[:p.cw]
	columns := p.columns // the sums over the rows in reach
	clear(columns)
	add := func(cy int) {
		for cx, c := range p.cells[cy*p.cw:][:p.cw] {
			columns[cx] += c
		}
	}
	for cy := range min(reach, p.ch) {
		add(cy)
	}
	for cy := range p.ch {
		if cy+reach < p.ch {
			add(cy + reach)
		}
		if gone := cy - reach - 1; gone >= 0 {
			for cx, c := range p.cells[gone*p.cw:][:p.cw] {
				columns[cx] -= c
			}
		}
		y0, y1 := max(cy-reach, 0), min(cy+reach+1, p.ch)
		high := min(y1*cell, p.h) - y0*cell
		var sum uint32
		for _, c := range columns[:min(reach, p.cw)] {
			sum += c
		}
		for cx := range p.cw {
			if cx+reach < p.cw {
				sum += columns[cx+reach]
			}
			if gone := cx - reach - 1; gone >= 0 {
				sum -= columns[gone]
			}
			x0, x1 := max(cx-reach, 0), min(cx+reach+1, p.cw)
			wide := min(x1*cell, p.w) - x0*cell
			means[cy*p.cw+cx] = int32(uint64(sum) << 8 / uint64(high*wide))
		}
	}
	return means
}

// reliefAt returns the relief at a place, interpolated, and 0 outside.
func (p *plane) reliefAt(x, y float32) float32 {
	x -= 0.5
	y -= 0.5
	if !(x >= 0 && y >= 0 && x < float32(p.w-1) && y < float32(p.h-1)) {
		return 0
	}
	ix, iy := int(x), int(y)
	fx, fy := x-float32(ix), y-float32(iy)
	i := iy*p.stride + ix
	a, b := p.pix[i:i+2:i+2], p.pix[i+p.stride:i+p.stride+2:i+p.stride+2]
	top := float32(a[0]) + fx*(float32(a[1])-float32(a[0]))
	bottom := float32(b[0]) + fx*(float32(b[1])-float32(b[0]))
	return top + fy*(bottom-top) - 1./256*float32(p.means[iy>>cellBits*p.cw+ix>>cellBits])
}

// greyAt returns the grey value at a place, interpolated; places outside take
// the nearest pixel.
func (p *plane) greyAt(x, y float32) float32 {
	x, y = within(x-0.5, p.w), within(y-0.5, p.h)
	ix, iy := int(x), int(y)
	fx, fy := x-float32(ix), y-float32(iy)
	i := iy*p.stride + ix
	a, b := p.pix[i:i+2:i+2], p.pix[i+p.stride:i+p.stride+2:i+p.stride+2]
	top := float32(a[0]) + fx*(float32(a[1])-float32(a[0]))
	bottom := float32(b[0]) + fx*(float32(b[1])-float32(b[0]))
	return top + fy*(bottom-top)
}

// within returns the place nearest to x with a pixel on both sides, also for a
// place that is not a number because the pose runs through the horizon there.
func within(x float32, n int) float32 {
	if !(x > 0) {
		return 0
	}
	return min(x, float32(n-1)-0.001)
}

// Noise must not look like an edge, and a faded edge not like noise.
const (
	minDepth   = 6
	noiseDepth = 3.5 // deviations
)

// measureNoise returns the deviation of the grey from pixel to pixel where
// there is least to see: it looks at short pieces of lines and trusts the
// quietest of them.
func (p *plane) measureNoise() float32 {
	const piece = 16
	var counts [512]int // of the pieces, by their mean difference in halves
	n := 0
	for y := 0; y < p.h; y += 16 {
		row := p.pix[y*p.stride:][:p.w]
		for ; len(row) >= piece+2; row = row[piece:] {
			if v := row[piece/2]; v < 8 || v > 247 {
				continue // too dark or too bright to show noise
			}
			sum := 0
			was, at := int(row[0]), int(row[1])
			for _, v := range row[2 : piece+2] {
				d := was - 2*at + int(v)
				sum += max(d, -d)
				was, at = at, int(v)
			}
			counts[min(sum*2/piece, len(counts)-1)]++
			n++
		}
	}
	seen := 0
	for d, c := range counts {
		if seen += c; c > 0 && 5*seen >= n {
			// The mean of |a-2b+c| is 0.8 times root 6 deviations.
			return (float32(d)/2 + 0.25) / 1.954
		}
	}
	return 0
}

func depthFor(noise float32) int { return max(minDepth, int(noiseDepth*noise+0.5)) }
