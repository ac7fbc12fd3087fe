package movement

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// version is the first byte of what [Day.Encode] writes.
const version = 1

// What a body can hold at most; a day of the province is far below.
const (
	mostNames   = 10_000
	mostFigures = 5_000_000
)

var errBody = errors.New("movement: a body that no run wrote")

// Encode returns the figures of a day, without its crowds, as [Day.Decode] reads
// them.
func (d *Day) Encode() []byte {
	no := map[string]uint64{"": 0}
	var names []string
	name := func(id string) {
		if _, ok := no[id]; !ok {
			names = append(names, id)
			no[id] = uint64(len(names))
		}
	}
	for _, list := range [][]Figure{d.Arrivals, d.Moves} {
		for _, f := range list {
			name(f.From)
			name(f.To)
			name(f.Sector)
		}
	}
	b := []byte{version}
	for _, n := range []int{d.Checkins, d.Unsure, d.Doubted, len(names)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, id := range names {
		b = binary.AppendUvarint(b, uint64(len(id)))
		b = append(b, id...)
	}
	for _, list := range [][]Figure{d.Arrivals, d.Moves} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, f := range list {
			for _, n := range []uint64{no[f.From], no[f.To], no[f.Sector], uint64(f.Span), uint64(f.People)} {
				b = binary.AppendUvarint(b, n)
			}
		}
	}
	return b
}

// Decode reads what [Day.Encode] wrote into d, which keeps its Day and Crowds.
func (d *Day) Decode(body []byte) error {
	r := reader{rest: body}
	if v := r.byte(); v != version {
		return fmt.Errorf("%w: version %d", errBody, v)
	}
	d.Checkins, d.Unsure, d.Doubted = int(r.number(1<<40)), int(r.number(1<<40)), int(r.number(1<<40))
	names := []string{""}
	for range r.number(mostNames) {
		id := r.bytes(r.number(64))
		if r.bad || len(id) == 0 {
			return errBody
		}
		names = append(names, string(id))
	}
	last := uint64(len(names) - 1)
	for _, list := range []*[]Figure{&d.Arrivals, &d.Moves} {
		n := r.number(mostFigures)
		if n > uint64(len(r.rest)) { // a figure has five bytes or more
			return errBody
		}
		*list = make([]Figure, 0, n)
		for range n {
			f := Figure{
				From: names[r.number(last)], To: names[r.number(last)], Sector: names[r.number(last)],
				Span: Span(r.number(uint64(AllDay))), People: int(r.number(1 << 40)),
			}
			if r.bad {
				return errBody
			}
			*list = append(*list, f)
		}
	}
	if r.bad || len(r.rest) > 0 {
		return errBody
	}
	return nil
}

// Encode returns a crowd as [Crowd.Decode] reads it.
func (c *Crowd) Encode() []byte {
	var b []byte
	for _, n := range c.People {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// Decode reads what [Crowd.Encode] wrote into c, which keeps its Place.
func (c *Crowd) Decode(body []byte) error {
	r := reader{rest: body}
	for q := range c.People {
		c.People[q] = uint32(r.number(1<<32 - 1))
	}
	if r.bad || len(r.rest) > 0 {
		return errBody
	}
	return nil
}

// A reader reads a body. Once it is bad it returns zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) byte() byte {
	b := r.bytes(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// number reads a number that is at most most, written in the fewest bytes.
func (r *reader) number(most uint64) uint64 {
	n, size := binary.Uvarint(r.rest)
	if r.bad || size <= 0 || n > most || size > 1 && r.rest[size-1] == 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}
