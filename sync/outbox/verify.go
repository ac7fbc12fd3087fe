package outbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/sync/outbox/boltread"
	"github.com/qrgate/qrgate/sync/wire"
	"golang.org/x/sys/unix"
)

// A Report is what a closed outbox holds.
type Report struct {
	Epoch   wire.Epoch
	By      wire.OpenedBy
	First   uint64 // oldest record held; Last+1 if none is
	Last    uint64 // newest record
	Hash    wire.Hash
	Through uint64       // all up to here have a receipt
	Safe    uint64       // all up to here are in a backup
	Held    uint64       // records held
	Missing []wire.Range // numbers from First to Last that are not held; at most 64 ranges
	Carried uint64
	Lost    uint64
	Bytes   int64 // in use
	Size    int64 // of the file
}

// String tells what a person asks of a ledger: is it complete?
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %s (%s): 1…%s ", r.Epoch, r.By, thousands(r.Last))
	if len(r.Missing) == 0 {
		b.WriteString("complete")
	} else {
		b.WriteString("lacks")
		for _, m := range r.Missing {
			fmt.Fprintf(&b, " %s…%s", thousands(m.From), thousands(m.To))
		}
	}
	fmt.Fprintf(&b, "; %s received, %s in a backup, %s held", thousands(r.Through), thousands(r.Safe), thousands(r.Held))
	return b.String()
}

func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Verify reads the closed outbox at path and checks all of it: the structure,
// each value's checksum, the chain, and that no number is missing. The report is
// filled as far as the file could be read. The error is ErrLocked if a process
// has the outbox open. It changes nothing and does not map the file. working, unless
// it is nil, is called now and then: a large file takes minutes on a slow card.
func Verify(ctx context.Context, path string, working func()) (Report, error) {
	if working == nil {
		working = func() {}
	}
	r, err := verify(ctx, path, working)
	if err != nil {
		return r, fmt.Errorf("outbox: verify: %w", err)
	}
	return r, nil
}

func verify(ctx context.Context, path string, working func()) (Report, error) {
	var r Report
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return r, ErrLocked
		}
		return r, err
	}
	fi, err := f.Stat()
	if err != nil {
		return r, err
	}
	if !fi.Mode().IsRegular() {
		return r, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	r.Size = fi.Size()
	// The tree jumps about in the file; a card reads it faster in one go.
	_ = unix.Fadvise(int(f.Fd()), 0, r.Size, unix.FADV_WILLNEED)

	var c *check
	info, err := boltread.Walk(f, r.Size, func(bucket string, key, value []byte) error {
		var err error
		switch bucket {
		case stateBucket:
			var s state
			if s, err = unframeState(key, value); err == nil {
				c = &check{report: &r, next: s.First, hash: s.Base, chained: true, end: s}
			}
		case contextsBucket:
			_, err = unframeContext(key, value)
		case lettersBucket:
			_, err = unframeLetter(key, value)
		case recordsBucket:
			if c == nil {
				return errNoState
			}
			if r.Held%1024 == 0 {
				working()
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			err = c.record(key, value)
		default:
			err = fmt.Errorf("bucket %q is unknown: %w", bucket, boltread.ErrDamaged)
		}
		return err
	})
	r.Bytes = info.Live
	switch {
	case err != nil:
		return r, err
	case c == nil:
		return r, errNoState
	}
	return r, c.finish()
}

var errNoState = fmt.Errorf("no state: %w", boltread.ErrDamaged)

// check follows the chain from one record to the next.
type check struct {
	report  *Report
	next    uint64 // number of the next record
	hash    wire.Hash
	chained bool   // hash is the chain before next
	link    uint32 // checksum of the last entry, 0 before the first
	end     state
}

func (c *check) record(key, value []byte) error {
	e, err := unframeEntry(key, value)
	if err != nil {
		return err
	}
	seq := seqOf(key)
	switch {
	case seq < c.next || seq > c.end.Last:
		return fmt.Errorf("record %d is not between %d and %d: %w", seq, c.next, c.end.Last, errFrame)
	case seq > c.next:
		c.report.miss(c.next, seq-1)
		c.chained = false
	case c.report.Held > 0 && e.link != c.link:
		return fmt.Errorf("record %d does not follow the one before: %w", seq, errFrame)
	}
	if e.prev != nil {
		if c.chained && *e.prev != c.hash {
			return fmt.Errorf("chain breaks before record %d: %w", seq, errFrame)
		}
		c.hash, c.chained = *e.prev, true
	}
	c.next, c.hash, c.link = seq+1, c.hash.Next(e.record), checksum(value)
	c.report.Held++
	return nil
}

func (c *check) finish() error {
	r, s := c.report, c.end
	r.Epoch, r.By, r.First, r.Last, r.Hash = s.Epoch, s.By, s.First, s.Last, s.Hash
	r.Through, r.Safe, r.Carried, r.Lost = s.Through, s.Safe, s.Carried, s.Lost
	if c.next <= s.Last {
		r.miss(c.next, s.Last)
	}
	switch {
	case len(r.Missing) > 0:
		return fmt.Errorf("records %d to %d are missing: %w", r.Missing[0].From, r.Missing[0].To, boltread.ErrDamaged)
	case c.hash != s.Hash:
		return fmt.Errorf("chain ends in %s instead of %s: %w", c.hash, s.Hash, errFrame)
	}
	return nil
}

func (r *Report) miss(from, to uint64) {
	if len(r.Missing) < 64 {
		r.Missing = append(r.Missing, wire.Range{From: from, To: to})
	}
}
