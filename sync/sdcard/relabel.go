package sdcard

import (
	"bytes"
	"fmt"
	"io"
)

// A system does not know into which slot it goes until it is there: the first line of
// its cmdline.txt, which begins a sector, has the mark in place of a slot, and this is
// replaced as it is written.
const (
	slotWord = "qrgate.slot="
	mark     = '_'
)

// CmdlineStart is how cmdline.txt begins in a system that is in no slot.
const CmdlineStart = slotWord + string(mark)

// A Relabeled is a system of which the mark, or the slot, is another as it is read.
type Relabeled struct {
	r        io.Reader
	from, to byte
	at       int64
	found    int
	buf      []byte // what is read and not yet given
}

// Read reads whole sectors, whatever it is asked for.
func (l *Relabeled) Read(p []byte) (int, error) {
	if len(l.buf) == 0 {
		b := make([]byte, 128*Sector)
		n, err := io.ReadFull(l.r, b)
		if err == io.ErrUnexpectedEOF {
			err = nil
		}
		if err != nil {
			return 0, err
		}
		l.buf = b[:n]
		for at := 0; at+Sector <= n && l.at < RootOffset; at += Sector {
			s := l.buf[at:]
			if bytes.HasPrefix(s, []byte(slotWord)) && s[len(slotWord)] == l.from {
				s[len(slotWord)] = l.to
				l.found++
			}
			l.at += Sector
		}
	}
	n := copy(p, l.buf)
	l.buf = l.buf[n:]
	return n, nil
}

// Once returns an error unless there was one place for the slot.
func (l *Relabeled) Once() error {
	if l.found != 1 {
		return fmt.Errorf("%w: a system with %d places for its slot", ErrSum, l.found)
	}
	return nil
}

// Label returns a system as it lies in a slot.
func Label(r io.Reader, s Slot) *Relabeled { return &Relabeled{r: r, from: mark, to: byte(s)} }

// Unlabel returns a system of a slot as it was before it lay there.
func Unlabel(r io.Reader, s Slot) *Relabeled { return &Relabeled{r: r, from: byte(s), to: mark} }
