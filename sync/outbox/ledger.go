package outbox

import (
	"encoding/binary"
	"fmt"

	"github.com/qrgate/qrgate/sync/wire"
	"go.etcd.io/bbolt"
)

// The buckets, in bbolt's order. All keys are eight bytes, see frame.go.
const (
	stateBucket    = "chain"
	contextsBucket = "contexts"
	lettersBucket  = "letters"
	recordsBucket  = "records"
)

func stateKey() []byte { return keyOf(1) }

// ledger is the file within one transaction, with the state that the
// transaction will leave.
type ledger struct {
	*state
	tx       *bbolt.Tx
	records  *bbolt.Bucket
	contexts *bbolt.Bucket
}

func newLedger(tx *bbolt.Tx, s *state) *ledger {
	l := &ledger{state: s, tx: tx, records: tx.Bucket([]byte(recordsBucket)), contexts: tx.Bucket([]byte(contextsBucket))}
	// Keys only rise: pages are filled to the end instead of split in halves.
	l.records.FillPercent = 1
	return l
}

// save writes the state.
func (l *ledger) save() error {
	l.Revision++
	k := stateKey()
	return l.tx.Bucket([]byte(stateBucket)).Put(k, frame(k, stateFrame, wire.Encode(l.state)))
}

// append adds an encoded record; c is the context of its box, if it has one.
func (l *ledger) append(record []byte, c wire.Context) error {
	seq := l.Last + 1
	check := seq%checkEvery == 0
	var held *heldContext
	if len(c.Enc) > 0 {
		held = &heldContext{epoch: l.Epoch, Context: c}
		added, err := l.use(*held)
		if err != nil {
			return err
		}
		check = check || added
	}
	var prev *wire.Hash
	if check {
		prev = &l.Hash
	}
	k := keyOf(seq)
	v := frameEntry(k, l.Sum, prev, held, record)
	if err := l.records.Put(k, v); err != nil {
		return err
	}
	l.Last, l.Hash, l.Sum = seq, l.Hash.Next(record), checksum(v)
	return nil
}

// use counts one more record sealed in c and reports whether c was not held. The
// count of the context in use is kept in the state alone: on its own page it
// would cost each record 4 KiB more.
func (l *ledger) use(c heldContext) (added bool, err error) {
	if l.Uses > 0 && l.Context == c.ID {
		l.Uses++
		return false, nil
	}
	if l.Uses > 0 {
		if err := l.setUses(l.Context, l.Uses); err != nil {
			return false, err
		}
	}
	k := keyOf(c.ID)
	if v := l.contexts.Get(k); v != nil {
		if c, err = unframeContext(k, v); err != nil {
			return false, err
		}
	} else {
		added = true
		if err := l.contexts.Put(k, frameContext(k, c)); err != nil {
			return false, err
		}
	}
	l.Context, l.Uses = c.ID, c.uses+1
	return added, nil
}

func (l *ledger) setUses(id uint64, uses uint32) error {
	k := keyOf(id)
	h, err := unframeContext(k, l.contexts.Get(k))
	if err != nil {
		return err
	}
	h.uses = uses
	return l.contexts.Put(k, frameContext(k, h))
}

// unuse takes n records from the count of a context and deletes it at zero.
func (l *ledger) unuse(id uint64, n uint32) error {
	k := keyOf(id)
	v := l.contexts.Get(k)
	if v == nil {
		return nil // lost to damage and not salvaged
	}
	h, err := unframeContext(k, v)
	if err != nil {
		return err
	}
	current := l.Uses > 0 && l.Context == id
	if current {
		h.uses = l.Uses
	}
	if h.uses > n {
		if current {
			l.Uses -= n
			return nil
		}
		return l.setUses(id, h.uses-n)
	}
	if current {
		l.Context, l.Uses = 0, 0
	}
	return l.contexts.Delete(k)
}

// forget deletes the oldest records up to upTo, at most most of them.
func (l *ledger) forget(upTo uint64, most int) error {
	unused := map[uint64]uint32{}
	for ; most > 0 && l.First <= min(upTo, l.Last); most-- {
		k := keyOf(l.First)
		e, err := unframeEntry(k, l.records.Get(k))
		if err != nil {
			return err
		}
		id, err := contextOf(e.record)
		if err != nil {
			return err
		}
		if id != 0 {
			unused[id]++
		}
		l.First, l.Base = l.First+1, l.Base.Next(e.record)
		if err := l.records.Delete(k); err != nil {
			return err
		}
	}
	for id, n := range unused {
		if err := l.unuse(id, n); err != nil {
			return err
		}
	}
	return nil
}

// bury copies a rejected record to the dead letters.
func (l *ledger) bury(seq uint64, reason wire.Reason) error {
	k := keyOf(seq)
	v := l.records.Get(k)
	if v == nil {
		return nil // forgotten meanwhile; the server has it
	}
	e, err := unframeEntry(k, v)
	if err != nil {
		return err
	}
	d := DeadLetter{Epoch: l.Epoch, Seq: seq, Reason: reason, Record: e.record}
	id, err := contextOf(e.record)
	if err != nil {
		return err
	}
	if id != 0 {
		c, err := l.context(id)
		if err != nil {
			return err
		}
		d.Context = c
	}
	return l.addLetter(d)
}

func (l *ledger) addLetter(d DeadLetter) error {
	l.Letters++
	d.N = l.Letters
	k := keyOf(d.N)
	return l.tx.Bucket([]byte(lettersBucket)).Put(k, frame(k, letterFrame, wire.Encode(d)))
}

// context returns a held context, or nil.
func (l *ledger) context(id uint64) (*wire.Context, error) {
	k := keyOf(id)
	v := l.contexts.Get(k)
	if v == nil {
		return nil, nil
	}
	h, err := unframeContext(k, v)
	if err != nil {
		return nil, err
	}
	return &h.Context, nil
}

// hashAt returns the chain after seq; ok is false if that was forgotten.
func (l *ledger) hashAt(seq uint64) (h wire.Hash, ok bool, err error) {
	if seq+1 < l.First || seq > l.Last {
		return h, false, nil
	}
	h, err = l.hashBefore(seq + 1)
	return h, err == nil, err
}

// hashBefore returns the chain before seq, which is from First to Last+1. It
// goes on from the next lower checkpoint.
func (l *ledger) hashBefore(seq uint64) (wire.Hash, error) {
	if seq == l.Last+1 {
		return l.Hash, nil
	}
	h, at := l.Base, seq
	for ; at > l.First; at-- {
		k := keyOf(at)
		e, err := unframeEntry(k, l.records.Get(k))
		if err != nil {
			return h, err
		}
		if e.prev != nil {
			h = *e.prev
			break
		}
	}
	for ; at < seq; at++ {
		k := keyOf(at)
		e, err := unframeEntry(k, l.records.Get(k))
		if err != nil {
			return h, err
		}
		h = h.Next(e.record)
	}
	return h, nil
}

// contextOf returns the id of the context in which a record was sealed, or 0.
func contextOf(record []byte) (uint64, error) {
	var r wire.Record
	if err := wire.Decode(record, &r); err != nil {
		return 0, fmt.Errorf("outbox: record: %w", err)
	}
	if len(r.Box) == 0 {
		return 0, nil
	}
	return r.Context, nil
}

func seqOf(key []byte) uint64 { return binary.BigEndian.Uint64(key) }
