package qrread

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/makiuchi-d/gozxing/qrcode/decoder"
)

// decode reads the text out of a sampled grid. It tries the grid as it is or,
// when the format bits fit better so, mirrored.
func (r *Reader) decode(g *grid, l *layout) (c Code, turned, ok bool) {
	r.stats.Attempts++
	format, fit := readFormat(g, l, false)
	mirrored, fitMirrored := readFormat(g, l, true)
	turned = fitMirrored > fit
	if turned {
		format = mirrored
	}
	level, err := decoder.ErrorCorrectionLevel_ForBits(uint(format >> 3))
	if err != nil {
		return Code{}, false, false
	}
	r.codewords(g, l, format&7, turned)
	data, ok := r.repair(l, level, format>>3)
	if !ok {
		return Code{}, false, false
	}
	return r.text(data, l.version, level), turned, true
}

// readFormat returns the five format bits that the modules speak for most, and
// how much so, from -1 to 1.
func readFormat(g *grid, l *layout, turned bool) (format int, fit float32) {
	var sums [15]float32
	var all float32
	for _, places := range l.format {
		for k, i := range places {
			v := min(max(g.tone[g.index(i, turned)], -1), 1)
			sums[k] += v
			all += max(v, -v)
		}
	}
	best := float32(-1000)
	for f := range 32 {
		word := formatWord(f)
		var s float32
		for k, v := range sums {
			if word>>(14-k)&1 == 0 {
				v = -v
			}
			s += v
		}
		if s > best {
			best, format = s, f
		}
	}
	return format, best / max(all, 1)
}

// formatWord returns the 15 bits that stand in a symbol for five bits of format.
func formatWord(f int) int {
	rem := f << 10
	for bits.Len(uint(rem)) > 10 {
		rem ^= 0x537 << (bits.Len(uint(rem)) - 11)
	}
	return (f<<10 | rem) ^ 0x5412
}

// index returns where module i of the symbol lies in the grid.
func (g *grid) index(i int32, turned bool) int {
	if !turned {
		return int(i)
	}
	return int(i)%g.dim*g.dim + int(i)/g.dim
}

// codewords fills r.words and, with how far each can be trusted, r.trust.
func (r *Reader) codewords(g *grid, l *layout, mask int, turned bool) {
	total := l.version.GetTotalCodewords()
	r.words, r.trust = r.words[:0], r.trust[:0]
	for k := range total {
		var word uint8
		trust := float32(100)
		for _, i := range l.data[8*k : 8*k+8] {
			v := g.tone[g.index(i, turned)]
			dark := v > 0
			trust = min(trust, max(v, -v))
			if masked(mask, int(i)%l.dim, int(i)/l.dim) {
				dark = !dark
			}
			word <<= 1
			if dark {
				word |= 1
			}
		}
		r.words = append(r.words, word)
		r.trust = append(r.trust, trust)
	}
}

// repair sorts the codewords into blocks, corrects them and returns the data.
func (r *Reader) repair(l *layout, level decoder.ErrorCorrectionLevel, levelBits int) ([]byte, bool) {
	ec := l.version.GetECBlocksForLevel(level)
	parity := ec.GetECCodewordsPerBlock()
	sizes := r.sizes[:0] // data codewords of each block
	for _, b := range ec.GetECBlocks() {
		for range b.GetCount() {
			sizes = append(sizes, b.GetDataCodewords())
		}
	}
	r.sizes = sizes
	longest := sizes[len(sizes)-1]
	data := slices.Grow(r.data[:0], len(r.words))
	r.data = data
	guarded := false
	for n, size := range sizes {
		// Data codewords go round the blocks, and so do the checks; the last round
		// of data has only the longer blocks.
		r.block, r.blockTrust = r.block[:0], r.blockTrust[:0]
		take := func(i int) {
			r.block = append(r.block, r.words[i])
			r.blockTrust = append(r.blockTrust, r.trust[i])
		}
		shorter := 0
		for _, s := range sizes {
			if s < longest {
				shorter++
			}
		}
		for i := range size {
			if i < sizes[0] {
				take(i*len(sizes) + n)
			} else {
				take(i*len(sizes) + n - shorter)
			}
		}
		total := longest*len(sizes) - shorter
		for i := range parity {
			take(total + i*len(sizes) + n)
		}
		near, ok := r.repairBlock(parity, misreadMargin(l.version.GetVersionNumber(), levelBits))
		if !ok {
			return nil, false
		}
		guarded = guarded || near
		data = append(data, r.block[:size]...)
	}
	if guarded && !padded(data, l.version.GetVersionNumber()) {
		return nil, false
	}
	return data, true
}

// repairBlock corrects r.block. near is true when so little of the checks was
// left over that the result needs another proof.
func (r *Reader) repairBlock(parity, margin int) (near, ok bool) {
	r.spare = append(r.spare[:0], r.block...)
	if n, ok := r.field.correct(r.block, parity, nil); ok && 2*n <= parity-margin {
		return 2*n > parity-margin-2, true
	}
	r.order = r.order[:0]
	for i := range r.spare {
		r.order = append(r.order, i)
	}
	slices.SortStableFunc(r.order, func(a, b int) int { return cmp.Compare(r.blockTrust[a], r.blockTrust[b]) })
	for _, share := range [3]int{2, 3, 4} {
		e := min(parity*share/6, len(r.order))
		copy(r.block, r.spare)
		if n, ok := r.field.correct(r.block, parity, r.order[:e]); ok && 2*n+e <= parity-margin-2 {
			return true, true
		}
	}
	return false, false
}

// misreadMargin returns the checks that the standard keeps back in small symbols
// against correcting one text into another.
func misreadMargin(version, levelBits int) int {
	const m, l = 0, 1
	switch {
	case version == 1 && levelBits == l:
		return 3
	case version == 1 && levelBits == m, version == 2 && levelBits == l:
		return 2
	case version == 1, version == 3 && levelBits == l:
		return 1
	}
	return 0
}

// padded reports whether what follows the last segment is what the standard
// puts there: zeros to the end of the byte, then 0xEC and 0x11 in turn.
func padded(data []byte, version int) bool {
	at, ok := segmentsEnd(data, version)
	if !ok {
		return false
	}
	at = min(at+4, 8*len(data))
	for ; at%8 != 0; at++ {
		if data[at/8]>>(7-at%8)&1 != 0 {
			return false
		}
	}
	want := byte(0xEC)
	for _, b := range data[at/8:] {
		if b != want {
			return false
		}
		want ^= 0xEC ^ 0x11
	}
	return true
}

// segmentsEnd returns the bit at which the terminator stands.
func segmentsEnd(data []byte, version int) (int, bool) {
	at := 0
	take := func(n int) int {
		v := 0
		for range n {
			v <<= 1
			if at < 8*len(data) {
				v |= int(data[at/8] >> (7 - at%8) & 1)
			}
			at++
		}
		return v
	}
	size := 0 // small, middle and large symbols count with different widths
	if version > 26 {
		size = 2
	} else if version > 9 {
		size = 1
	}
	for 8*len(data)-at >= 4 {
		switch mode := take(4); mode {
		case 0:
			return at - 4, true
		case 1: // digits
			n := take([3]int{10, 12, 14}[size])
			at += n/3*10 + [3]int{0, 4, 7}[n%3]
		case 2: // digits, upper case and signs
			n := take([3]int{9, 11, 13}[size])
			at += n/2*11 + n%2*6
		case 4: // bytes
			at += 8 * take([3]int{8, 16, 16}[size])
		case 8, 13: // Kanji, Hanzi
			if mode == 13 {
				at += 4
			}
			at += 13 * take([3]int{8, 10, 12}[size])
		case 3: // structured append
			at += 16
		case 5, 9: // FNC1; the second position is followed by an application indicator
			if mode == 9 {
				at += 8
			}
		case 7: // ECI: as many more bytes as its first has leading ones
			first := take(8)
			at += 8 * min(bits.LeadingZeros8(^uint8(first)), 2)
		default:
			return 0, false
		}
		if at > 8*len(data) {
			return 0, false
		}
	}
	return at, true
}

// text makes a Code of corrected data, which has no text if there is none in it.
func (r *Reader) text(data []byte, version *decoder.Version, level decoder.ErrorCorrectionLevel) (c Code) {
	defer func() {
		if recover() != nil {
			r.stats.Panics++
			c = Code{}
		}
	}()
	res, err := decoder.DecodedBitStreamParser_Decode(data, version, level, nil)
	if err != nil || res.GetText() == "" {
		return Code{}
	}
	c.Text = res.GetText()
	if res.HasStructuredAppend() {
		n := res.GetStructuredAppendSequenceNumber()
		c.Part, c.Parts = n>>4&15+1, n&15+1
	}
	for _, s := range res.GetByteSegments() {
		c.Raw = append(c.Raw, s...)
	}
	return c
}
