// Package boltread reads a closed bbolt file with plain reads and checks all
// that bbolt takes on trust when it maps such a file: a damaged file makes bbolt
// panic, run for ever or, where the card cannot read, die of SIGBUS.
//
//	info, err := boltread.Walk(file, size, func(bucket string, key, value []byte) error { ... })
//
// The promise: for any bytes, Walk ends, does not panic, takes memory of a few
// pages and a bit for each, and after it returns nil bbolt reads the same keys
// and values. It knows the part of the format that package outbox uses: buckets
// of one level and a free list that is not stored.
package boltread

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// ErrDamaged is the error of a file that is not as bbolt leaves it. An error of
// reading is returned as it is.
var ErrDamaged = errors.New("damaged")

// The format, as in bbolt's internal/common. Numbers are in the order of bytes
// of the machine that wrote them.
const (
	magic   = 0xED0CDAED
	version = 2

	headerSize  = 16 // id, flags, count, overflow
	elementSize = 16
	metaSize    = 64
	bucketSize  = 16 // root, sequence

	branchFlag = 0x01
	leafFlag   = 0x02
	metaFlag   = 0x04
	bucketFlag = 0x01

	noFreelist = ^uint64(0)

	maxDepth    = 16
	maxOverflow = 64 // pages of one node; ours have five at most
)

var order = binary.NativeEndian

// Info is the size of what a file holds.
type Info struct {
	PageSize int
	High     int64 // bytes below the high-water mark
	Live     int64 // bytes of pages in use
}

type walker struct {
	r    io.ReaderAt
	size uint64 // of a page
	high uint64 // no page has this id or a higher one
	seen []uint64
	live uint64
	fn   func(bucket string, key, value []byte) error
}

// Walk calls fn with each key and value of each bucket, both in order, and
// checks the structure on the way. key and value are valid during the call. The
// first error of fn ends the walk and is returned as it is.
func Walk(r io.ReaderAt, size int64, fn func(bucket string, key, value []byte) error) (Info, error) {
	w := &walker{r: r, fn: fn}
	root, err := w.meta(size)
	if err != nil {
		return Info{}, err
	}
	w.seen = make([]uint64, w.high/64+1)
	w.seen[0] = 3
	w.live = 2
	info := Info{PageSize: int(w.size), High: int64(w.high * w.size)}
	err = w.tree(root, nil, nil, 0, func(flags uint32, key, value []byte) error {
		if flags != bucketFlag {
			return fmt.Errorf("boltread: %q is not a bucket: %w", key, ErrDamaged)
		}
		return w.bucket(string(key), value)
	})
	info.Live = int64(w.live * w.size)
	return info, err
}

// meta reads both meta pages and returns the root page of the newer. bbolt is
// content with one that is valid; but the other may be the newer one, and with it
// a commit that was acknowledged would be gone without a trace.
func (w *walker) meta(size int64) (root uint64, err error) {
	var head [headerSize + metaSize]byte
	if _, err := w.r.ReadAt(head[:], 0); err != nil {
		return 0, short(err)
	}
	w.size = uint64(order.Uint32(head[headerSize+8:]))
	if w.size < 1024 || w.size > 64<<10 || w.size&(w.size-1) != 0 {
		return 0, fmt.Errorf("boltread: page of %d bytes: %w", w.size, ErrDamaged)
	}
	var newest uint64
	for id := range uint64(2) {
		if _, err := w.r.ReadAt(head[:], int64(id*w.size)); err != nil {
			return 0, short(err)
		}
		m := head[headerSize:]
		sum := fnv.New64a()
		sum.Write(m[:metaSize-8])
		switch {
		case order.Uint64(head[0:]) != id || order.Uint16(head[8:]) != metaFlag,
			order.Uint32(m[0:]) != magic || order.Uint32(m[4:]) != version,
			uint64(order.Uint32(m[8:])) != w.size,
			order.Uint64(m[56:]) != sum.Sum64():
			return 0, fmt.Errorf("boltread: meta page %d: %w", id, ErrDamaged)
		}
		if tx := order.Uint64(m[48:]); id == 0 || tx > newest {
			newest = tx
			root, w.high = order.Uint64(m[16:]), order.Uint64(m[40:])
			if order.Uint64(m[32:]) != noFreelist {
				return 0, fmt.Errorf("boltread: meta page %d stores a free list: %w", id, ErrDamaged)
			}
		}
	}
	if w.high < 3 || w.high > uint64(size)/w.size {
		return 0, fmt.Errorf("boltread: %d pages in %d bytes: %w", w.high, size, ErrDamaged)
	}
	return root, nil
}

func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("boltread: file too short: %w", ErrDamaged)
	}
	return fmt.Errorf("boltread: %w", err)
}

func (w *walker) bucket(name string, value []byte) error {
	if len(value) < bucketSize {
		return fmt.Errorf("boltread: bucket %q of %d bytes: %w", name, len(value), ErrDamaged)
	}
	each := func(flags uint32, key, value []byte) error {
		if flags != 0 {
			return fmt.Errorf("boltread: bucket within bucket %q: %w", name, ErrDamaged)
		}
		return w.fn(name, key, value)
	}
	if root := order.Uint64(value); root != 0 {
		return w.tree(root, nil, nil, 0, each)
	}
	p := value[bucketSize:]
	if len(p) < headerSize || order.Uint16(p[8:]) != leafFlag {
		return fmt.Errorf("boltread: inline bucket %q: %w", name, ErrDamaged)
	}
	_, err := leaf(p, nil, nil, each)
	return err
}

// tree walks the pages below id, whose keys are at least low and less than high
// where these are not nil.
func (w *walker) tree(id uint64, low, high []byte, depth int, each func(flags uint32, key, value []byte) error) error {
	if depth > maxDepth {
		return fmt.Errorf("boltread: page %d at depth %d: %w", id, depth, ErrDamaged)
	}
	p, err := w.page(id)
	if err != nil {
		return err
	}
	if order.Uint16(p[8:]) == leafFlag {
		n, err := leaf(p, low, high, each)
		if err == nil && n == 0 && depth > 0 {
			return fmt.Errorf("boltread: page %d is empty: %w", id, ErrDamaged)
		}
		return err
	}
	count := int(order.Uint16(p[10:]))
	if count == 0 || headerSize+count*elementSize > len(p) {
		return fmt.Errorf("boltread: page %d with %d children: %w", id, count, ErrDamaged)
	}
	child := func(i int) (key []byte, id uint64, ok bool) {
		at := headerSize + i*elementSize
		e := p[at:]
		key, ok = part(p, at, order.Uint32(e[0:]), 0, order.Uint32(e[4:]))
		return key, order.Uint64(e[8:]), ok
	}
	key, next, ok := child(0)
	for i := range count {
		end := high
		if !ok || !within(key, low, high) {
			return fmt.Errorf("boltread: page %d, child %d: %w", id, i, ErrDamaged)
		}
		k, down := key, next
		if i+1 < count {
			key, next, ok = child(i + 1)
			if !ok || bytes.Compare(k, key) >= 0 {
				return fmt.Errorf("boltread: page %d, child %d out of order: %w", id, i+1, ErrDamaged)
			}
			end = key
		}
		if err := w.tree(down, k, end, depth+1, each); err != nil {
			return err
		}
	}
	return nil
}

// leaf calls each with the elements of the leaf page p and returns their number.
func leaf(p, low, high []byte, each func(flags uint32, key, value []byte) error) (int, error) {
	count := int(order.Uint16(p[10:]))
	if headerSize+count*elementSize > len(p) {
		return 0, fmt.Errorf("boltread: leaf of %d elements: %w", count, ErrDamaged)
	}
	var last []byte
	for i := range count {
		at := headerSize + i*elementSize
		e := p[at:]
		pos, ksize, vsize := order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
		key, ok1 := part(p, at, pos, 0, ksize)
		value, ok2 := part(p, at, pos, ksize, vsize)
		if !ok1 || !ok2 || !within(key, low, high) || i > 0 && bytes.Compare(last, key) >= 0 {
			return 0, fmt.Errorf("boltread: leaf element %d: %w", i, ErrDamaged)
		}
		if err := each(order.Uint32(e[0:]), key, value); err != nil {
			return 0, err
		}
		last = key
	}
	return count, nil
}

// part returns size bytes of p that begin skip after an element's position.
func part(p []byte, element int, pos, skip, size uint32) ([]byte, bool) {
	from := uint64(element) + uint64(pos) + uint64(skip)
	if pos == 0 || from+uint64(size) > uint64(len(p)) {
		return nil, false
	}
	return p[from : from+uint64(size)], true
}

func within(key, low, high []byte) bool {
	return len(key) > 0 && (low == nil || bytes.Compare(key, low) >= 0) && (high == nil || bytes.Compare(key, high) < 0)
}

// page reads a page with its overflow and notes that it is in use.
func (w *walker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= w.high {
		return nil, fmt.Errorf("boltread: page %d of %d: %w", id, w.high, ErrDamaged)
	}
	p := make([]byte, w.size)
	if _, err := w.r.ReadAt(p, int64(id*w.size)); err != nil {
		return nil, short(err)
	}
	flags, more := order.Uint16(p[8:]), uint64(order.Uint32(p[12:]))
	if order.Uint64(p) != id || flags != branchFlag && flags != leafFlag || more > maxOverflow || id+more >= w.high {
		return nil, fmt.Errorf("boltread: page %d: header: %w", id, ErrDamaged)
	}
	if more > 0 {
		p = append(p, make([]byte, more*w.size)...)
		if _, err := w.r.ReadAt(p[w.size:], int64((id+1)*w.size)); err != nil {
			return nil, short(err)
		}
	}
	for i := id; i <= id+more; i++ {
		if w.seen[i/64]&(1<<(i%64)) != 0 {
			return nil, fmt.Errorf("boltread: page %d is used twice: %w", i, ErrDamaged)
		}
		w.seen[i/64] |= 1 << (i % 64)
		w.live++
	}
	return p, nil
}
