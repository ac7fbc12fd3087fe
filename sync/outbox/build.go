package outbox

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/qrgate/qrgate/sync/wire"
	"go.etcd.io/bbolt"
)

// contents is what a file that is being replaced gives to its successor.
type contents struct {
	state
	known    bool // state.Epoch is
	contexts map[uint64]wire.Context
	letters  []DeadLetter
	count    uint64 // records that each brings with carried set
	lost     uint64
	each     func(fn func(seq uint64, record []byte) error) error
}

// held returns the contents of an open file, whose state is s.
func held(tx *bbolt.Tx, s state) (*contents, error) {
	l := newLedger(tx, &s)
	c := &contents{state: s, known: true, contexts: map[uint64]wire.Context{}}
	if err := l.contexts.ForEach(func(k, v []byte) error {
		h, err := unframeContext(k, v)
		c.contexts[h.ID] = h.Context
		return err
	}); err != nil {
		return nil, err
	}
	if err := tx.Bucket([]byte(lettersBucket)).ForEach(func(k, v []byte) error {
		d, err := unframeLetter(k, v)
		c.letters = append(c.letters, d)
		return err
	}); err != nil {
		return nil, err
	}
	c.count = s.Last - max(s.Safe, s.First-1)
	c.each = func(fn func(seq uint64, record []byte) error) error {
		return l.records.ForEach(func(k, v []byte) error {
			e, err := unframeEntry(k, v)
			if err != nil {
				return err
			}
			return fn(seqOf(k), e.record)
		})
	}
	return c, nil
}

// A builder writes a new file. What counts is the sync at the end: until then it has
// a name that the next Open deletes.
type builder struct {
	q     *Queue
	db    *bbolt.DB
	tx    *bbolt.Tx
	l     *ledger
	s     state
	added int
}

// newBuilder begins a file at path that remembers of from what every epoch does.
func newBuilder(q *Queue, path string, from state) (*builder, error) {
	b := &builder{q: q, s: state{
		Generation: from.Generation, Identity: q.o.Identity,
		Boot: from.Boot, Since: from.Since, Age: from.Age,
	}}
	if b.s.Identity == "" {
		b.s.Identity = from.Identity
	}
	b.s.tick(q.o.Now())
	q.working()
	var err error
	if b.db, _, err = openBolt(path, true); err != nil {
		return nil, err
	}
	err = b.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{contextsBucket, lettersBucket, recordsBucket, stateBucket} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = b.begin()
	}
	if err != nil {
		return nil, errors.Join(err, b.db.Close())
	}
	return b, nil
}

func (b *builder) begin() (err error) {
	if b.tx, err = b.db.Begin(true); err == nil {
		b.l = newLedger(b.tx, &b.s)
	}
	return err
}

func (b *builder) add(record []byte, c wire.Context) error {
	if b.added++; b.added%batch == 0 {
		if err := b.l.save(); err != nil {
			return err
		}
		if err := b.tx.Commit(); err != nil {
			return err
		}
		if b.added%(batch*syncEvery) == 0 && !b.q.o.NoSync {
			if err := b.db.Sync(); err != nil {
				return err
			}
		}
		b.q.working()
		if err := b.begin(); err != nil {
			return err
		}
	}
	return b.l.append(record, c)
}

// open begins an epoch with the record that says what it follows.
func (b *builder) open(o wire.Opened) error {
	b.s.Epoch, b.s.By, b.s.First = wire.NewEpoch(), o.By, 1
	b.s.Carried, b.s.Lost = o.Carried, o.Lost
	h := wire.Header{Seq: 1, Kind: wire.KindOpened, Opened: &o}
	h.At(b.q.o.Now())
	return b.add(wire.Encode(wire.NewRecord(h, wire.Sealed{})), wire.Context{})
}

// carry begins a new epoch and takes over what is held of c and in no backup.
func (b *builder) carry(c *contents, by wire.OpenedBy) error {
	o := wire.Opened{By: by, Last: c.Last, Carried: c.count, Lost: c.lost}
	if c.known {
		o.Previous = &c.Epoch
	}
	if err := b.open(o); err != nil {
		return err
	}
	if err := b.addLetters(c.letters); err != nil {
		return err
	}
	carried := uint64(0)
	err := c.each(func(seq uint64, record []byte) error {
		if seq <= c.Safe {
			return nil
		}
		carried++
		var r wire.Record
		if err := wire.Decode(record, &r); err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if r.Origin == nil {
			r.Origin = &c.Epoch
		}
		var sealed wire.Context
		if len(r.Box) > 0 {
			sealed = c.contexts[r.Context]
		}
		return b.add(wire.Encode(r), sealed)
	})
	if err == nil && carried != c.count {
		return fmt.Errorf("%d records carried of %d", carried, c.count)
	}
	b.q.o.Log.Warn("outbox begins a new epoch", "by", by, "epoch", b.s.Epoch, "previous", c.Epoch, "carried", carried, "lost", c.lost)
	return err
}

// copy takes over an epoch as it is.
func (b *builder) copy(c *contents) error {
	end := c.state.clone()
	b.s = end
	b.s.Last, b.s.Hash, b.s.Sum, b.s.Context, b.s.Uses = end.First-1, end.Base, 0, 0, 0
	if err := b.addLetters(c.letters); err != nil {
		return err
	}
	err := c.each(func(_ uint64, record []byte) error {
		id, err := contextOf(record)
		if err != nil {
			return err
		}
		return b.add(record, c.contexts[id])
	})
	if err == nil && (b.s.Last != end.Last || b.s.Hash != end.Hash) {
		return fmt.Errorf("copy ends at %d, %s instead of %d, %s", b.s.Last, b.s.Hash, end.Last, end.Hash)
	}
	return err
}

// addLetters takes over dead letters, the newest if there are too many.
func (b *builder) addLetters(all []DeadLetter) error {
	byID := map[letterID]DeadLetter{}
	for _, d := range all {
		byID[letterID{d.Epoch, d.Seq}] = d
	}
	all = slices.SortedFunc(maps.Values(byID), func(x, y DeadLetter) int { return cmp.Compare(x.N, y.N) })
	for _, d := range all[max(0, len(all)-MaxDeadLetters):] {
		if err := b.l.addLetter(d); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the file durable and closes it, or drops it if err is not nil.
func (b *builder) finish(err error) error {
	b.q.working()
	if err == nil {
		err = b.l.save()
	}
	if err == nil {
		err = b.tx.Commit()
	} else {
		err = errors.Join(err, b.tx.Rollback())
	}
	if err == nil && !b.q.o.NoSync {
		err = b.db.Sync()
	}
	return errors.Join(err, b.db.Close())
}
