package outbox

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/sync/wire"
)

// keepDamaged is the number of damaged files that are kept for an engineer.
const keepDamaged = 2

// salvage replaces a file that does not pass its check by one that holds what
// can be read of it, and keeps the old one under a numbered name.
func (q *Queue) salvage() error {
	f, err := os.Open(q.path)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := scan(f, q.working)
	if err != nil {
		return err
	}
	if err := q.setAside(); err != nil {
		// Only the engineer's copy is lost by this, not a record that can be read.
		q.o.Log.Warn("damaged outbox not kept", "err", err)
	}
	return q.replace(c.state, func(b *builder) error { return b.carry(c, wire.OpenedSalvage) })
}

// setAside gives the damaged file a second name. The first stays, so that a power
// cut before the new file takes it leaves something to salvage again.
func (q *Queue) setAside() error {
	name := func(n int) string { return fmt.Sprintf("%s.damaged-%d", q.path, n) }
	this, err := os.Stat(q.path)
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(q.path + ".damaged-*")
	if err != nil {
		return err
	}
	var kept []int
	for _, p := range paths {
		if n, err := strconv.Atoi(strings.TrimPrefix(p, q.path+".damaged-")); err == nil {
			kept = append(kept, n)
		}
	}
	slices.Sort(kept)
	last := 0
	if len(kept) > 0 {
		last = kept[len(kept)-1]
	}
	if fi, err := os.Stat(name(last)); err == nil && os.SameFile(this, fi) {
		return nil // the power went between this and the rename
	}
	for _, n := range kept[:max(0, len(kept)-keepDamaged+1)] {
		if err := os.Remove(name(n)); err != nil {
			return err
		}
	}
	if err := os.Link(q.path, name(last+1)); err != nil {
		return err
	}
	return q.syncDir()
}

// A find is a record's frame that a scan came upon.
type find struct {
	seq  uint64
	at   int64  // of the frame in the file
	sum  uint32 // its checksum
	link uint32 // that of the entry before
	len  uint16 // of its body
}

// scan reads a damaged file from end to end, pays no heed to its structure, and
// collects every frame that is whole. bbolt never writes a page in place, so
// pages that it has given up hold older copies of what the damaged ones held.
func scan(f *os.File, working func()) (*contents, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c := &contents{state: state{First: 1}, contexts: map[uint64]wire.Context{}}
	letters := map[uint64]DeadLetter{}
	var finds []find
	var epoch wire.Epoch // that contexts name
	frames(f, fi.Size(), working, func(at int64, key, value []byte) {
		switch kind(value[1]) {
		case recordFrame:
			e, err := unframeEntry(key, value)
			if err != nil {
				return
			}
			finds = append(finds, find{seqOf(key), at, checksum(value), e.link, binary.BigEndian.Uint16(value[2:])})
			if h, err := decodeContext(e.context); err == nil {
				c.contexts[h.ID], epoch = h.Context, h.epoch
			}
		case contextFrame:
			if h, err := unframeContext(key, value); err == nil {
				c.contexts[h.ID], epoch = h.Context, h.epoch
			}
		case stateFrame:
			if s, err := unframeState(key, value); err == nil && (!c.known || newer(s, c.state)) {
				c.state, c.known = s, true
			}
		case letterFrame:
			if d, err := unframeLetter(key, value); err == nil {
				letters[d.N] = d
			}
		}
	})
	for _, d := range letters {
		c.letters = append(c.letters, d)
	}
	slices.SortFunc(finds, func(x, y find) int {
		return cmp.Or(cmp.Compare(x.seq, y.seq), cmp.Compare(x.sum, y.sum), cmp.Compare(x.at, y.at))
	})
	finds = slices.CompactFunc(finds, func(x, y find) bool { return x.seq == y.seq && x.sum == y.sum })
	finds = slices.DeleteFunc(finds, func(x find) bool { return x.seq <= c.Safe })
	if !c.known && len(finds) > 0 {
		// What was before the oldest find may have been forgotten in good order.
		c.Epoch, c.known = epoch, epoch != wire.Epoch{}
		c.First, c.Through = finds[0].seq, finds[0].seq-1
	}
	finds = choose(finds, c.state)
	c.tally(finds)
	if !c.known {
		// Without its epoch no box opens.
		c.count, c.lost, finds = 0, c.lost+c.count, nil
	}
	c.each = func(fn func(seq uint64, record []byte) error) error {
		for _, x := range finds {
			record, err := x.read(f)
			if err != nil {
				return err
			}
			if err := fn(x.seq, record); err != nil {
				return err
			}
		}
		return nil
	}
	return c, nil
}

// newer reports whether s was written after t. Of two writes with one revision,
// of which the first never became durable, the one that claims less is believed.
func newer(s, t state) bool {
	if s.Revision != t.Revision {
		return s.Revision > t.Revision
	}
	return s.Through < t.Through
}

// tally counts what is carried and what is lost.
func (c *contents) tally(finds []find) {
	c.count = uint64(len(finds))
	covered := c.Through
	for _, x := range finds {
		if x.seq > c.Last {
			c.Last = x.seq
		}
		if x.seq > covered {
			c.lost += x.seq - covered - 1
			covered = x.seq
		}
	}
	if c.Last > covered {
		c.lost += c.Last - covered
	}
}

// choose decides between records that claim one number: a write that failed
// leaves one, and the next start gives its number to another. The one to which
// the next record is linked is the ledger's; if that cannot be told, all are
// kept, for one that is too much is seen and one that is lost is not.
func choose(finds []find, s state) []find {
	kept := finds[:0:0]
	for end := len(finds); end > 0; {
		from := end - 1
		for from > 0 && finds[from-1].seq == finds[from].seq {
			from--
		}
		group := finds[from:end]
		end = from
		want, known := s.Sum, group[0].seq == s.Last
		if n := len(kept); n > 0 && kept[n-1].seq == group[0].seq+1 && (n == 1 || kept[n-2].seq != kept[n-1].seq) {
			want, known = kept[n-1].link, true
		}
		if i := slices.IndexFunc(group, func(x find) bool { return x.sum == want }); known && i >= 0 {
			group = group[i : i+1]
		}
		kept = append(kept, group...)
	}
	slices.Reverse(kept)
	return kept
}

// read returns the record of a find.
func (x find) read(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, keySize+frameHead+int(x.len))
	if _, err := f.ReadAt(b, x.at-keySize); err != nil {
		return nil, err
	}
	e, err := unframeEntry(b[:keySize], b[keySize:])
	return e.record, err
}

// frames calls fn with all that begins like a frame, and working now and then.
func frames(r io.ReaderAt, size int64, working func(), fn func(at int64, key, value []byte)) {
	const step = 1 << 20
	buf := make([]byte, keySize+step+frameHead+maxBody)
	for base := int64(0); base < size; base += step {
		working()
		chunk := buf[:min(int64(len(buf)), size-base)]
		readAll(r, chunk, base)
		end := min(keySize+step, len(chunk)-frameHead) // the next chunk begins here
		for i := keySize; i < end; i++ {
			skip := bytes.IndexByte(chunk[i:end], frameMark)
			if skip < 0 {
				break
			}
			i += skip
			fn(base+int64(i), chunk[i-keySize:i], chunk[i:])
		}
	}
}

// readAll fills p from offset at. Where the card fails it goes block by block
// and takes those that cannot be read as empty.
func readAll(r io.ReaderAt, p []byte, at int64) {
	if n, _ := r.ReadAt(p, at); n == len(p) {
		return
	}
	for len(p) > 0 {
		n := min(int64(len(p)), pageSize-at%pageSize)
		if m, err := r.ReadAt(p[:n], at); err != nil {
			clear(p[m:n])
		}
		p, at = p[n:], at+n
	}
}
