package outbox

import (
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"go.etcd.io/bbolt"
)

// slots is the number of marks in Options.Keep.
const slots = 16

// maxRanges bounds what is remembered of records received out of order. What
// does not fit is sent again.
const maxRanges = 1024

// An Outcome says what a receipt changed.
type Outcome struct {
	Advanced bool // Through, Safe or the ranges beyond Through moved
	Again    bool // the server lacks records that it had: send again what is not Received
	Fork     bool // the server knows another history; nothing was changed, see NewEpoch
	Rejected int  // records newly known to be set aside; they are received all the same
}

// Apply takes note of a receipt, which must have been verified. What it says is
// on disk after the next Put or Flush, and records that it allows to forget are
// deleted with these.
//
// A receipt for another epoch, of an older generation, or with a lower Through
// within the generation is ignored. A higher generation is a server that was
// restored from a backup: only what it lists is believed to be there.
func (q *Queue) Apply(r *wire.Receipt) (Outcome, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out Outcome
	if err := q.usable(); err != nil {
		return out, fmt.Errorf("outbox: receipt: %w", err)
	}
	s := &q.s
	if r.Epoch != s.Epoch || r.Generation < s.Generation {
		return out, nil
	}
	newer := r.Generation > s.Generation
	if !newer && r.Through < s.Through && !r.Fork {
		return out, nil
	}
	fork, err := q.forks(r)
	if err != nil {
		return out, fmt.Errorf("outbox: receipt: %w", err)
	}
	if fork {
		out.Fork = true
		return out, nil
	}

	before, ranges := s.clone(), q.ranges
	s.tick(q.o.Now())
	s.Safe = max(s.Safe, r.Safe)
	if newer {
		s.Generation, s.Safe = r.Generation, r.Safe
		s.Marks = slices.DeleteFunc(s.Marks, func(m mark) bool { return m.Through > r.Through })
		ranges = nil
		out.Again = r.Through < before.Through || len(q.ranges) > 0
	}
	s.Through = r.Through
	q.ranges = union(s.Through, ranges, r.Ranges)
	if s.Through > before.Through {
		s.mark(q.o.Keep)
	}
	out.Advanced = s.Through > before.Through || s.Safe > before.Safe || !slices.Equal(q.ranges, ranges)
	for _, x := range r.Rejects {
		if q.reject(x) {
			out.Rejected++
		}
	}
	q.noted = q.noted || newer || out.Rejected > 0 || s.Through != before.Through || s.Safe != before.Safe
	q.publish()
	return out, nil
}

// forks reports whether the server's history is not ours.
func (q *Queue) forks(r *wire.Receipt) (bool, error) {
	end := r.Through
	if n := len(r.Ranges); n > 0 {
		end = r.Ranges[n-1].To
	}
	if r.Fork || end > q.s.Last {
		return true, nil
	}
	var ours wire.Hash
	var known bool
	err := q.reading(func(tx *bbolt.Tx) (err error) {
		ours, known, err = newLedger(tx, &q.s).hashAt(r.Through)
		return err
	})
	// A number whose chain we no longer have was forgotten on a receipt that
	// matched.
	return known && ours != r.Hash, err
}

// reject notes a record for the dead letters and reports whether it is new.
func (q *Queue) reject(x wire.Reject) bool {
	if _, known := q.letters[letterID{q.s.Epoch, x.Seq}]; known || x.Seq < q.s.First || x.Seq > q.s.Last {
		return false
	}
	if _, known := q.rejected[x.Seq]; known {
		return false
	}
	if len(q.letters)+len(q.rejected) >= MaxDeadLetters {
		return false
	}
	q.rejected[x.Seq] = x.Reason
	return true
}

// union joins two lists of ranges beyond through into one in ascending order.
func union(through uint64, a, b []wire.Range) []wire.Range {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y wire.Range) int {
		switch {
		case x.From < y.From:
			return -1
		case x.From > y.From:
			return 1
		}
		return 0
	})
	var out []wire.Range
	for _, r := range all {
		r.From = max(r.From, through+1)
		if r.To < r.From {
			continue
		}
		if n := len(out); n > 0 && r.From <= out[n-1].To+1 {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out[:min(len(out), maxRanges)]
}

// tick adds the time since the last tick to the age. Only time that the kiosk
// was on counts, by a clock that nobody sets: no leap of the wall clock makes
// records expire.
func (s *state) tick(r when.Reading) {
	passed := r.Since
	if r.Boot == s.Boot {
		passed -= s.Since
	}
	s.Age += max(passed, 0)
	s.Boot, s.Since = r.Boot, r.Since
}

func slotOf(age int64, keep time.Duration) int64 { return age / max(keep.Milliseconds()/slots, 1) }

// mark remembers when Through was reached.
func (s *state) mark(keep time.Duration) {
	now := slotOf(s.Age, keep)
	if n := len(s.Marks); n > 0 && s.Marks[n-1].Slot == now {
		s.Marks[n-1].Through = s.Through
		return
	}
	s.Marks = append(s.Marks, mark{Slot: now, Through: s.Through})
	// Of the marks that have expired the newest says all.
	for len(s.Marks) > 1 && now-s.Marks[1].Slot > slots {
		s.Marks = s.Marks[1:]
	}
}

// floor returns up to where records may be forgotten, and up to where they may
// be without being counted as forgotten early.
func (q *Queue) floor() (upTo, due uint64) {
	due = q.s.Safe
	now := slotOf(q.s.Age, q.o.Keep)
	for _, m := range q.s.Marks {
		if now-m.Slot > slots {
			due = max(due, m.Through)
		}
	}
	due = min(due, q.s.Through)
	if q.tight() {
		return q.s.Through, due
	}
	return due, due
}

// NewEpoch begins a new epoch and carries over what is held and in no backup.
// The sender calls it with [wire.OpenedFork] when Apply reports a fork. Unless
// the error is ErrBroken, the old epoch stands as it was.
func (q *Queue) NewEpoch(by wire.OpenedBy) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.usable(); err != nil {
		return fmt.Errorf("outbox: new epoch: %w", err)
	}
	if err := q.begin(by); err != nil {
		return fmt.Errorf("outbox: new epoch: %w", err)
	}
	q.signal()
	return nil
}

func (q *Queue) begin(by wire.OpenedBy) error {
	if len(q.rejected) > 0 { // no receipt of the next epoch names them again
		if err := q.room(); err != nil {
			return err
		}
		if err := q.commit(perPut, nothing); err != nil {
			return err
		}
	}
	return q.rebuild(by)
}

// DeadLetters returns the records that the server took and set aside, oldest
// first. A record that the last receipt named is among them after the next Put
// or Flush.
func (q *Queue) DeadLetters() ([]DeadLetter, error) {
	var all []DeadLetter
	err := q.reading(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(lettersBucket)).ForEach(func(k, v []byte) error {
			d, err := unframeLetter(k, v)
			all = append(all, d)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("outbox: dead letters: %w", err)
	}
	return all, nil
}

// ForgetDeadLetters deletes the dead letters up to number n, once an operator
// has them.
func (q *Queue) ForgetDeadLetters(n uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.usable(); err != nil {
		return fmt.Errorf("outbox: dead letters: %w", err)
	}
	gone := map[letterID]struct{}{}
	err := q.commit(perPut, func(l *ledger) error {
		b := l.tx.Bucket([]byte(lettersBucket))
		c := b.Cursor()
		for k, v := c.First(); k != nil && seqOf(k) <= n; k, v = c.First() {
			d, err := unframeLetter(k, v)
			if err != nil {
				return err
			}
			gone[letterID{d.Epoch, d.Seq}] = struct{}{}
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("outbox: dead letters: %w", err)
	}
	for id := range gone {
		delete(q.letters, id)
	}
	q.publish()
	return nil
}
