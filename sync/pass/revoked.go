package pass

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"slices"
)

// MaxRevoked is the largest number of cards in one list.
const MaxRevoked = 1 << 20

// AllIssues in a [Revocation] is every issue of the card, also those to come.
const AllIssues = 255

// A Revocation says that a card is void: its issues up to and including
// Through, because it was replaced, or [AllIssues].
type Revocation struct {
	Number  uint32
	Through uint8 // from 1
}

// Revocations are the cards that are void. They are exact, so no filter's chance
// ever stops an honest holder: Rice-coded, a list takes little more than a
// filter that is wrong once in a thousand. The zero value is empty; a
// Revocations never changes and is safe for concurrent use.
type Revocations struct {
	numbers []uint32 // ascending
	through []uint8
}

// NewRevocations returns the list of the given revocations, in any order. Of
// two for one card the wider counts.
func NewRevocations(list []Revocation) (*Revocations, error) {
	if len(list) > MaxRevoked {
		return nil, fmt.Errorf("pass: %d revocations, at most %d", len(list), MaxRevoked)
	}
	sorted := slices.SortedFunc(slices.Values(list), func(a, b Revocation) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(b.Through, a.Through))
	})
	sorted = slices.CompactFunc(sorted, func(a, b Revocation) bool { return a.Number == b.Number })
	r := &Revocations{}
	for _, v := range sorted {
		if v.Through == 0 {
			return nil, fmt.Errorf("pass: a revocation of no issue")
		}
		r.numbers = append(r.numbers, v.Number)
		r.through = append(r.through, v.Through)
	}
	return r, nil
}

// Len returns the number of cards in the list.
func (r *Revocations) Len() int { return len(r.numbers) }

// Contains reports whether an issue of a card is void.
func (r *Revocations) Contains(number uint32, issue uint8) bool {
	i, ok := slices.BinarySearch(r.numbers, number)
	return ok && issue <= r.through[i]
}

// All yields the cards of the list by number.
func (r *Revocations) All() iter.Seq[Revocation] {
	return func(yield func(Revocation) bool) {
		for i, number := range r.numbers {
			if !yield(Revocation{number, r.through[i]}) {
				return
			}
		}
	}
}

// With returns the cards of both lists. Of two lines for one card the wider counts.
func (r *Revocations) With(s *Revocations) (*Revocations, error) {
	both := &Revocations{}
	for i, j := 0, 0; i < r.Len() || j < s.Len(); {
		var v Revocation
		inR := j == s.Len() || i < r.Len() && r.numbers[i] <= s.numbers[j]
		inS := i == r.Len() || j < s.Len() && s.numbers[j] <= r.numbers[i]
		if inR {
			v = Revocation{r.numbers[i], r.through[i]}
			i++
		}
		if inS {
			v = Revocation{s.numbers[j], max(v.Through, s.through[j])}
			j++
		}
		both.numbers, both.through = append(both.numbers, v.Number), append(both.through, v.Through)
	}
	if both.Len() > MaxRevoked {
		return nil, fmt.Errorf("pass: %d revocations, at most %d", both.Len(), MaxRevoked)
	}
	return both, nil
}

// Digest returns the SHA-256 of what the list says, however it is encoded.
func (r *Revocations) Digest() [sha256.Size]byte {
	d := sha256.New()
	var b []byte
	for i, number := range r.numbers {
		b = append(binary.BigEndian.AppendUint32(b, number), r.through[i])
		if len(b) >= 4096 {
			d.Write(b)
			b = b[:0]
		}
	}
	d.Write(b)
	return [sha256.Size]byte(d.Sum(nil))
}

// listVersion begins an encoded list.
const listVersion = 1

// Encode returns the list as it travels: version, count, Rice parameter, and
// for each card in bits the distance from the card before and the issue. A
// list of 100,000 among a million dense numbers takes 76 kB.
func (r *Revocations) Encode() []byte {
	n := len(r.numbers)
	// The quotients of all distances sum up to at most twice the count, however
	// the numbers lie.
	k := 0
	if n > 0 {
		k = max(bits.Len32(r.numbers[n-1]/uint32(n))-1, 0)
	}
	w := bitWriter{b: append(binary.AppendUvarint([]byte{listVersion}, uint64(n)), byte(k))}
	next := uint32(0)
	for i, number := range r.numbers {
		d := number - next
		w.unary(int(d >> k))
		w.bits(d, k)
		// Most cards are void as a whole, most others were replaced once.
		w.unary(int(r.through[i]) % AllIssues)
		next = number + 1
	}
	return w.b
}

// DecodeRevocations reads an encoded list. The error is [ErrMalformed]. What it
// allocates is bounded by the length of b.
func DecodeRevocations(b []byte) (*Revocations, error) {
	bad := func(fact string) (*Revocations, error) {
		return nil, fmt.Errorf("pass: %w: revocations: %s", ErrMalformed, fact)
	}
	if len(b) == 0 || b[0] != listVersion {
		return bad("version")
	}
	count, used := binary.Uvarint(b[1:])
	if used <= 0 || count > MaxRevoked || len(b) <= 1+used {
		return bad("head")
	}
	k, in := int(b[1+used]), bitReader{b: b[2+used:]}
	// A card takes two bits at the least.
	if k > 31 || count > uint64(len(in.b))*4 {
		return bad("count")
	}
	r := &Revocations{numbers: make([]uint32, 0, count), through: make([]uint8, 0, count)}
	next := uint64(0)
	for range count {
		q, rest := in.unary(), in.bits(k)
		number := next + uint64(q)<<k + uint64(rest)
		issue := in.unary()
		switch {
		case in.ended:
			return bad("too short")
		case number > math.MaxUint32 || issue >= AllIssues:
			return bad("out of range")
		case issue == 0:
			issue = AllIssues
		}
		r.numbers = append(r.numbers, uint32(number))
		r.through = append(r.through, uint8(issue))
		next = number + 1
	}
	if len(in.b)-(in.at+7)/8 > 0 {
		return bad("bytes after the end")
	}
	return r, nil
}

// A bitWriter appends bits, the first in the highest place of a byte.
type bitWriter struct {
	b    []byte
	free int // bits left in the last byte
}

func (w *bitWriter) bit(one bool) {
	if w.free == 0 {
		w.b, w.free = append(w.b, 0), 8
	}
	w.free--
	if one {
		w.b[len(w.b)-1] |= 1 << w.free
	}
}

// unary writes n ones and a zero.
func (w *bitWriter) unary(n int) {
	for range n {
		w.bit(true)
	}
	w.bit(false)
}

// bits writes the n lowest bits of v.
func (w *bitWriter) bits(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		w.bit(v>>i&1 == 1)
	}
}

// A bitReader reads what a bitWriter wrote. After the end it reads zeros and
// says so.
type bitReader struct {
	b     []byte
	at    int // in bits
	ended bool
}

func (r *bitReader) bit() uint32 {
	if r.at >= len(r.b)*8 {
		r.ended = true
		return 0
	}
	v := r.b[r.at/8] >> (7 - r.at%8) & 1
	r.at++
	return uint32(v)
}

func (r *bitReader) unary() int {
	n := 0
	for r.bit() == 1 {
		n++
	}
	return n
}

func (r *bitReader) bits(n int) uint32 {
	v := uint32(0)
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}
