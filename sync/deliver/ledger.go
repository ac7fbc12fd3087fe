package deliver

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"github.com/qrgate/qrgate/sync/wire"
)

// MaxRuns is how many separate runs a [Ledger] holds beyond its watermark. A
// receipt has room for as many.
const MaxRuns = wire.MaxReceiptRanges

// maxCarried bounds the remembered ranges of carried records.
const maxCarried = 256

// maxSeq is above every number that [wire.OpenBatch] lets through.
const maxSeq = 1 << 63

// ErrScattered is returned by [Ledger.Take] for a batch that would begin one run
// too many. It stays unanswered and comes again, when the gaps before it have
// been filled.
var ErrScattered = errors.New("too many gaps")

// A Ledger is what the server holds of one epoch of one kiosk. The zero Ledger
// holds nothing. It does no I/O and is not safe for concurrent use: the store
// reads it, lets it take a batch and writes it back in one transaction.
//
// What it holds is 1..Through, whose chain it knows, and runs beyond that. A
// run's records are taken although the records before it are not here yet; the
// chain is compared as soon as two runs meet.
type Ledger struct {
	through uint64
	hash    wire.Hash    // the chain after through
	runs    []run        // ascending, apart from each other and from through
	carried []wire.Range // ascending, apart from each other; may name what is held too
	forked  bool
}

// A run is a stretch of records beyond the watermark.
type run struct {
	_     struct{} `cbor:",toarray"`
	First uint64
	Last  uint64
	Prev  wire.Hash // the chain before First, as the kiosk says
	End   wire.Hash // the chain after Last
}

// Taken says what became of a batch.
type Taken struct {
	// Fresh are the indexes of the records that were not held before, ascending.
	Fresh []int
	// Carried are those of Fresh whose number has already come under a later
	// epoch. If a record of that number with the same digest came there, it is
	// the same record and makes no second row.
	Carried []int
	// Fork says that this epoch has two histories. Then nothing of the batch is
	// taken, now or later: the kiosk carries it into a new epoch.
	Fork bool
}

// Through returns the watermark: all of 1..Through are held.
func (l *Ledger) Through() uint64 { return l.through }

// Newest returns the highest number that is held.
func (l *Ledger) Newest() uint64 {
	if len(l.runs) > 0 {
		return l.runs[len(l.runs)-1].Last
	}
	return l.through
}

// Forked reports whether the epoch has two histories.
func (l *Ledger) Forked() bool { return l.forked }

// Holds reports whether record seq of this epoch is held under it.
func (l *Ledger) Holds(seq uint64) bool {
	_, held := l.stretch(seq, seq)
	return held && seq > 0
}

// Carry notes that record seq of this epoch has come under a later one, with
// this epoch as its origin. That does not make it held, and does not move the
// watermark: its place in the chain is not known.
func (l *Ledger) Carry(seq uint64) {
	if seq == 0 || seq >= maxSeq {
		return // no epoch has such a number
	}
	i, found := slices.BinarySearchFunc(l.carried, seq, func(r wire.Range, seq uint64) int {
		switch {
		case r.To < seq:
			return -1
		case r.From > seq:
			return 1
		}
		return 0
	})
	if found {
		return
	}
	after := i > 0 && l.carried[i-1].To+1 == seq
	before := i < len(l.carried) && l.carried[i].From == seq+1
	switch {
	case after && before:
		l.carried[i-1].To = l.carried[i].To
		l.carried = slices.Delete(l.carried, i, i+1)
	case after:
		l.carried[i-1].To = seq
	case before:
		l.carried[i].From = seq
	default:
		l.carried = slices.Insert(l.carried, i, wire.Range{From: seq, To: seq})
	}
	if len(l.carried) > maxCarried {
		// Only a badly damaged outbox leaves so many holes. The kiosk has said
		// how many records it lost; which of them is given up here, by closing
		// the narrowest hole.
		narrow := 1
		for i := range l.carried[1:] {
			if hole(l.carried, i+1) < hole(l.carried, narrow) {
				narrow = i + 1
			}
		}
		l.carried[narrow-1].To = l.carried[narrow].To
		l.carried = slices.Delete(l.carried, narrow, narrow+1)
	}
}

func hole(rs []wire.Range, i int) uint64 { return rs[i].From - rs[i-1].To }

func contains(rs []wire.Range, seq uint64) bool {
	return slices.ContainsFunc(rs, func(r wire.Range) bool { return r.From <= seq && seq <= r.To })
}

// Gaps returns what is missing of 1..to: neither held nor carried by a later
// epoch. With to = Newest it is what is missing between records that are here;
// with the last number of an epoch that has ended, what will never come. Younger
// gaps are normal, because live records overtake older ones.
func (l *Ledger) Gaps(to uint64) []wire.Range {
	have := append([]wire.Range{{From: 0, To: l.through}}, l.carried...)
	for _, r := range l.runs {
		have = append(have, wire.Range{From: r.First, To: r.Last})
	}
	slices.SortFunc(have, func(a, b wire.Range) int { return cmp.Compare(a.From, b.From) })
	var gaps []wire.Range
	next := uint64(1)
	for _, h := range have {
		if h.From > to {
			break
		}
		if h.From > next {
			gaps = append(gaps, wire.Range{From: next, To: h.From - 1})
		}
		next = max(next, h.To+1)
	}
	if next <= to {
		gaps = append(gaps, wire.Range{From: next, To: to})
	}
	return gaps
}

// Receipt returns the receipt for what is held now of the kiosk's epoch, with
// its records up to safe in a verified backup. Generation, rejects and time are
// the caller's. It must be signed only after what it says is committed.
func (l *Ledger) Receipt(kiosk string, epoch wire.Epoch, safe uint64) *wire.Receipt {
	r := &wire.Receipt{
		V: wire.Version, Kiosk: kiosk, Epoch: epoch,
		Through: l.through, Hash: l.hash, Safe: min(safe, l.through), Fork: l.forked,
	}
	if l.forked {
		// A range carries no hash: it may be of the other history.
		return r
	}
	for _, run := range l.runs {
		r.Ranges = append(r.Ranges, wire.Range{From: run.First, To: run.Last})
	}
	return r
}

// ledgerVersion is the version of a stored ledger.
const ledgerVersion = 1

type ledgerBlob struct {
	V       uint8        `cbor:"1,keyasint"`
	Through uint64       `cbor:"2,keyasint,omitempty"`
	Hash    wire.Hash    `cbor:"3,keyasint"`
	Runs    []run        `cbor:"4,keyasint,omitempty"`
	Carried []wire.Range `cbor:"5,keyasint,omitempty"`
	Forked  bool         `cbor:"6,keyasint,omitempty"`
}

// Marshal returns the ledger as the store keeps it: about 50 bytes while nothing
// is missing, at most 11 kB.
func (l *Ledger) Marshal() []byte {
	return wire.Encode(ledgerBlob{V: ledgerVersion, Through: l.through, Hash: l.hash, Runs: l.runs, Carried: l.carried, Forked: l.forked})
}

// Unmarshal replaces the ledger by what Marshal returned. On an error it is as
// it was.
func (l *Ledger) Unmarshal(b []byte) error {
	var s ledgerBlob
	if err := wire.Decode(b, &s); err != nil {
		return fmt.Errorf("deliver: ledger: %w", err)
	}
	if s.V != ledgerVersion {
		return fmt.Errorf("deliver: ledger version %d: %w", s.V, wire.ErrVersion)
	}
	if len(s.Runs) > MaxRuns || len(s.Carried) > maxCarried {
		return fmt.Errorf("deliver: ledger of %d runs, %d carried: %w", len(s.Runs), len(s.Carried), wire.ErrTooLarge)
	}
	sound := s.Through < maxSeq && (s.Through > 0 || s.Hash == wire.Hash{})
	last := s.Through
	for _, r := range s.Runs {
		sound = sound && r.First > last+1 && r.Last >= r.First && r.Last < maxSeq
		last = r.Last
	}
	for i, r := range s.Carried {
		sound = sound && r.From > 0 && r.To >= r.From && r.To < maxSeq && (i == 0 || r.From > s.Carried[i-1].To+1)
	}
	if !sound {
		return fmt.Errorf("deliver: ledger: runs out of order: %w", wire.ErrMalformed)
	}
	*l = Ledger{through: s.Through, hash: s.Hash, runs: s.Runs, carried: s.Carried, forked: s.Forked}
	return nil
}

// Digest identifies a record by its content, wherever it is carried. Bytes that
// are no record have the digest of the bytes.
func Digest(record []byte) wire.Digest {
	var r wire.Record
	if err := wire.Decode(record, &r); err != nil {
		sum := sha256.Sum256(record)
		return wire.Digest(sum[:])
	}
	return r.Digest()
}

// Take enters the batch b of this ledger's epoch, which [wire.OpenBatch] has
// accepted. known returns the digests of the records from..to, all of which the
// ledger holds; it is asked only about what b brings again. A zero digest stands
// for one that is not kept any more and equals every record: a kiosk with
// another history then sees it by the receipt's hash. A record is held once it
// was Fresh, whatever the store then made of it.
//
// On an error, [ErrScattered] or one of known's, the ledger is as it was.
func (l *Ledger) Take(b *wire.Batch, known func(from, to uint64) ([]wire.Digest, error)) (Taken, error) {
	if l.forked {
		return Taken{Fork: true}, nil
	}
	// chain[i] is the state before Records[i].
	chain := make([]wire.Hash, len(b.Records)+1)
	chain[0] = b.Prev
	for i, r := range b.Records {
		chain[i+1] = chain[i].Next(r)
	}
	if l.contradicts(b, chain) {
		l.forked = true
		return Taken{Fork: true}, nil
	}
	var t Taken
	for i := 0; i < len(b.Records); {
		seq := b.First + uint64(i)
		end, held := l.stretch(seq, b.End())
		n := int(end - seq + 1)
		if held {
			same, err := sameDigests(b.Records[i:i+n], seq, known)
			if err != nil {
				return Taken{}, err
			}
			if !same {
				l.forked = true
				return Taken{Fork: true}, nil
			}
		} else {
			for j := i; j < i+n; j++ {
				t.Fresh = append(t.Fresh, j)
				if contains(l.carried, b.First+uint64(j)) {
					t.Carried = append(t.Carried, j)
				}
			}
		}
		i += n
	}
	if len(t.Fresh) == 0 {
		return t, nil
	}
	if !l.join(run{First: b.First, Last: b.End(), Prev: b.Prev, End: chain[len(chain)-1]}) {
		return Taken{}, fmt.Errorf("deliver: batch from %d, through %d: %w", b.First, l.through, ErrScattered)
	}
	return t, nil
}

// contradicts compares b's chain with every state of ours that b passes.
func (l *Ledger) contradicts(b *wire.Batch, chain []wire.Hash) bool {
	differs := func(after uint64, h wire.Hash) bool {
		return after+1 >= b.First && after <= b.End() && chain[after+1-b.First] != h
	}
	if differs(l.through, l.hash) {
		return true
	}
	for _, r := range l.runs {
		if differs(r.First-1, r.Prev) || differs(r.Last, r.End) {
			return true
		}
	}
	return false
}

// stretch returns whether seq is held, and the last number up to limit for
// which the answer is the same.
func (l *Ledger) stretch(seq, limit uint64) (end uint64, held bool) {
	if seq <= l.through {
		return min(l.through, limit), true
	}
	for _, r := range l.runs {
		if seq < r.First {
			return min(r.First-1, limit), false
		}
		if seq <= r.Last {
			return min(r.Last, limit), true
		}
	}
	return limit, false
}

func sameDigests(records []cbor.RawMessage, first uint64, known func(from, to uint64) ([]wire.Digest, error)) (bool, error) {
	last := first + uint64(len(records)) - 1
	ds, err := known(first, last)
	if err != nil {
		return false, err
	}
	if len(ds) != len(records) {
		return false, fmt.Errorf("deliver: %d digests known of records %d to %d", len(ds), first, last)
	}
	for i, r := range records {
		if ds[i] != (wire.Digest{}) && ds[i] != Digest(r) {
			return false, nil
		}
	}
	return true, nil
}

// join enters n, which reaches beyond the watermark and contradicts nothing, and
// reports whether there was room.
func (l *Ledger) join(n run) bool {
	at := 0 // where n goes among the runs that stay apart
	var apart []run
	for _, r := range l.runs {
		switch {
		case r.Last+1 < n.First:
			apart = append(apart, r)
			at = len(apart)
		case n.Last+1 < r.First:
			apart = append(apart, r)
		default:
			if r.First < n.First {
				n.First, n.Prev = r.First, r.Prev
			}
			if r.Last > n.Last {
				n.Last, n.End = r.Last, r.End
			}
		}
	}
	if n.First <= l.through+1 {
		l.through, l.hash, l.runs = n.Last, n.End, apart
		return true
	}
	if len(apart) >= MaxRuns {
		return false
	}
	l.runs = slices.Insert(apart, at, n)
	return true
}
