package qrread

// field holds the tables of GF(256) with the polynomial of QR codes, 0x11D.
type field struct {
	exp [512]uint8 // twice over, so that sums of logarithms need no reduction
	log [256]uint8
}

func newField() *field {
	f := new(field)
	x := 1
	for i := range 255 {
		f.exp[i], f.exp[i+255] = uint8(x), uint8(x)
		f.log[x] = uint8(i)
		x <<= 1
		if x > 255 {
			x ^= 0x11D
		}
	}
	return f
}

func (f *field) mul(a, b uint8) uint8 {
	if a == 0 || b == 0 {
		return 0
	}
	return f.exp[int(f.log[a])+int(f.log[b])]
}

func (f *field) inv(a uint8) uint8 { return f.exp[255-int(f.log[a])] }

// maxParity is the largest number of check codewords in a block of any version.
const maxParity = 30

// correct repairs block in place, whose last parity codewords are checks, given
// the places of codewords that are not to be trusted. It returns the number of
// other codewords it changed, and false when the block is beyond repair.
func (f *field) correct(block []uint8, parity int, erased []int) (int, bool) {
	if len(erased) > parity || parity > maxParity {
		return 0, false
	}
	var syndromes [maxParity]uint8
	if f.syndromes(block, syndromes[:parity]) {
		return 0, true
	}
	// Berlekamp and Massey, started with the locator of the erasures.
	var lambda, prev, next [maxParity + 1]uint8
	lambda[0] = 1
	for _, place := range erased {
		x := f.exp[len(block)-1-place]
		for i := parity; i > 0; i-- {
			lambda[i] ^= f.mul(lambda[i-1], x)
		}
	}
	prev = lambda
	degree := len(erased)
	for k := len(erased); k < parity; k++ {
		delta := syndromes[k]
		for i := 1; i <= min(k, parity); i++ {
			delta ^= f.mul(lambda[i], syndromes[k-i])
		}
		copy(prev[1:], prev[:parity])
		prev[0] = 0
		if delta == 0 {
			continue
		}
		for i := range next {
			next[i] = lambda[i] ^ f.mul(delta, prev[i])
		}
		if 2*degree <= k+len(erased) {
			degree = k + 1 + len(erased) - degree
			d := f.inv(delta)
			for i := range prev {
				prev[i] = f.mul(lambda[i], d)
			}
		}
		lambda = next
	}
	if 2*degree-len(erased) > parity {
		return 0, false
	}
	// Forney: the value at each root of the locator.
	var omega [maxParity]uint8
	for i := range parity {
		for j := 0; j <= i; j++ {
			omega[i] ^= f.mul(syndromes[i-j], lambda[j])
		}
	}
	roots := 0
	for place := range block {
		power := len(block) - 1 - place
		xinv := f.exp[255-power]
		var value, slope, over uint8
		x := uint8(1)
		for i := 0; i <= degree; i++ {
			term := f.mul(lambda[i], x)
			value ^= term
			if i%2 == 1 {
				slope ^= term
			}
			if i < parity {
				over ^= f.mul(omega[i], x)
			}
			x = f.mul(x, xinv)
		}
		if value != 0 {
			continue
		}
		roots++
		if slope == 0 {
			return 0, false
		}
		// slope is x times the derivative, which is what the first root 1 asks for.
		block[place] ^= f.mul(over, f.inv(slope))
	}
	if roots != degree || !f.syndromes(block, syndromes[:parity]) {
		return 0, false
	}
	return degree - len(erased), true
}

// syndromes computes the checks of block and reports whether all hold.
func (f *field) syndromes(block, into []uint8) bool {
	ok := true
	for i := range into {
		var s uint8
		for _, c := range block {
			if s != 0 {
				s = f.exp[int(f.log[s])+i]
			}
			s ^= c
		}
		into[i] = s
		ok = ok && s == 0
	}
	return ok
}
