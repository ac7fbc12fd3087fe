package deliver_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
	"pgregory.net/rapid"
)

// A history is one life of a kiosk's ledger: records and the chain before each.
type history struct {
	records []cbor.RawMessage
	chain   []wire.Hash
}

// grow appends records up to last. Records of two histories differ by mark.
func (h history) grow(last int, mark string) history {
	h = history{slices.Clone(h.records), slices.Clone(h.chain)}
	if h.chain == nil {
		h.chain = []wire.Hash{{}}
	}
	for n := len(h.records) + 1; n <= last; n++ {
		r := wire.Encode(wire.NewRecord(wire.Header{Seq: uint64(n), Kind: wire.KindCheckin, Gate: mark}, wire.Sealed{}))
		h.records = append(h.records, r)
		h.chain = append(h.chain, h.chain[n-1].Next(r))
	}
	return h
}

func (h history) batch(first, last int) *wire.Batch {
	return &wire.Batch{
		V: wire.Version, Kiosk: "kiosk-00001", First: uint64(first), Prev: h.chain[first-1],
		Last: uint64(len(h.records)), Records: h.records[first-1 : last],
	}
}

// A shelf is what a store does with a ledger: it keeps what is fresh, and the
// ledger's bytes.
type shelf struct {
	t      testing.TB
	blob   []byte
	stored map[uint64][]byte
	twice  int
}

func newShelf(t testing.TB) *shelf { return &shelf{t: t, stored: map[uint64][]byte{}} }

func (s *shelf) ledger() *deliver.Ledger {
	var l deliver.Ledger
	if s.blob != nil {
		if err := l.Unmarshal(s.blob); err != nil {
			s.t.Fatalf("Unmarshal(%x) error = %v", s.blob, err)
		}
	}
	return &l
}

func (s *shelf) known(from, to uint64) ([]wire.Digest, error) {
	var ds []wire.Digest
	for seq := from; seq <= to; seq++ {
		r, ok := s.stored[seq]
		if !ok {
			return nil, fmt.Errorf("record %d is not stored", seq)
		}
		ds = append(ds, deliver.Digest(r))
	}
	return ds, nil
}

func (s *shelf) take(b *wire.Batch) (deliver.Taken, error) {
	l := s.ledger()
	got, err := l.Take(b, s.known)
	if err != nil {
		return got, err
	}
	for _, i := range got.Fresh {
		seq := b.First + uint64(i)
		if _, ok := s.stored[seq]; ok {
			s.twice++
		}
		s.stored[seq] = b.Records[i]
	}
	s.blob = l.Marshal()
	return got, nil
}

func TestLedgerTakesAnyOrderOnce(t *testing.T) {
	h := history{}.grow(40, "a")
	rapid.Check(t, func(rt *rapid.T) {
		s := newShelf(t)
		want := map[uint64]bool{}
		for range rapid.IntRange(1, 60).Draw(rt, "batches") {
			first := rapid.IntRange(1, 40).Draw(rt, "first")
			last := rapid.IntRange(first, min(40, first+9)).Draw(rt, "last")
			got, err := s.take(h.batch(first, last))
			if err != nil || got.Fork {
				rt.Fatalf("Take(%d..%d) = %+v, %v; want no fork, no error", first, last, got, err)
			}
			var fresh []int
			for seq := first; seq <= last; seq++ {
				if !want[uint64(seq)] {
					fresh = append(fresh, seq-first)
					want[uint64(seq)] = true
				}
			}
			if d := cmp.Diff(fresh, got.Fresh); d != "" {
				rt.Fatalf("Take(%d..%d) Fresh (-want +got):\n%s", first, last, d)
			}
			through := uint64(0)
			for want[through+1] {
				through++
			}
			l := s.ledger()
			r := l.Receipt("kiosk-00001", wire.Epoch{}, 99)
			if r.Through != through || r.Hash != h.chain[through] || r.Safe != through {
				rt.Fatalf("Receipt = through %d, hash %s, safe %d; want %d, %s, %[1]d", r.Through, r.Hash, r.Safe, through, h.chain[through])
			}
			for seq := uint64(1); seq <= 40; seq++ {
				in := seq <= r.Through || slices.ContainsFunc(r.Ranges, func(g wire.Range) bool { return g.From <= seq && seq <= g.To })
				if in != want[seq] || l.Holds(seq) != want[seq] {
					rt.Fatalf("record %d: receipt says %t, Holds %t, want %t", seq, in, l.Holds(seq), want[seq])
				}
			}
			missing := map[uint64]bool{}
			for _, g := range l.Gaps(40) {
				for seq := g.From; seq <= g.To; seq++ {
					missing[seq] = true
				}
			}
			if len(missing)+len(want) != 40 {
				rt.Fatalf("Gaps(40) = %v with %d of 40 held", l.Gaps(40), len(want))
			}
		}
		if s.twice > 0 {
			rt.Fatalf("%d records stored twice", s.twice)
		}
	})
}

func TestLedgerSeesForks(t *testing.T) {
	base := history{}.grow(100, "a")
	ours, theirs := base.grow(200, "a"), base.grow(200, "b")
	longer := theirs.grow(350, "b")
	type take struct {
		of          history
		first, last int
		fresh       int
		fork        bool
	}
	tests := []struct {
		name    string
		takes   []take
		through uint64
	}{
		{"known number, other record", []take{{ours, 1, 200, 200, false}, {theirs, 101, 150, 0, true}}, 200},
		{"the copy's untouched part is no fork", []take{{ours, 1, 200, 200, false}, {theirs, 51, 100, 0, false}}, 200},
		{"chain differs at the watermark", []take{{ours, 1, 200, 200, false}, {longer, 201, 250, 0, true}}, 200},
		{"chain differs inside the overlap", []take{{ours, 1, 150, 150, false}, {theirs, 141, 200, 0, true}}, 150},
		{"one bad record takes its whole batch along", []take{{ours, 1, 110, 110, false}, {theirs, 91, 200, 0, true}}, 110},
		{"run beyond a gap turns out another history when the gap closes",
			[]take{{ours, 1, 100, 100, false}, {theirs, 151, 200, 50, false}, {ours, 101, 150, 0, true}}, 100},
		{"run before a run of another history",
			[]take{{theirs, 151, 200, 50, false}, {ours, 121, 150, 0, true}}, 0},
		{"run after a run of another history",
			[]take{{theirs, 121, 150, 30, false}, {ours, 151, 200, 0, true}}, 0},
		{"run across a run of another history",
			[]take{{theirs, 121, 150, 30, false}, {ours, 111, 160, 0, true}}, 0},
		{"a fork is final", []take{{ours, 1, 100, 100, false}, {theirs, 101, 200, 100, false}, {ours, 101, 110, 0, true}, {theirs, 1, 50, 0, true}}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newShelf(t)
			for _, k := range tt.takes {
				got, err := s.take(k.of.batch(k.first, k.last))
				if err != nil || len(got.Fresh) != k.fresh || got.Fork != k.fork {
					t.Fatalf("Take(%d..%d) = %d fresh, fork %t, %v; want %d, %t, nil", k.first, k.last, len(got.Fresh), got.Fork, err, k.fresh, k.fork)
				}
			}
			l := s.ledger()
			r := l.Receipt("kiosk-00001", wire.Epoch{}, 0)
			if l.Through() != tt.through || l.Forked() != r.Fork {
				t.Errorf("Through() = %d, Forked() = %t, Receipt.Fork = %t; want through %d", l.Through(), l.Forked(), r.Fork, tt.through)
			}
			if r.Fork && r.Ranges != nil {
				t.Errorf("Receipt().Ranges = %v of a forked epoch; want none, they may be the other history's", r.Ranges)
			}
		})
	}
}

func TestLedgerRefusesOneRunTooMany(t *testing.T) {
	h := history{}.grow(4*deliver.MaxRuns, "a")
	s := newShelf(t)
	for i := range deliver.MaxRuns {
		if got, err := s.take(h.batch(3+2*i, 3+2*i)); err != nil || len(got.Fresh) != 1 {
			t.Fatalf("Take(%d) = %+v, %v; want one fresh", 3+2*i, got, err)
		}
	}
	far := 3 + 2*deliver.MaxRuns
	if got, err := s.take(h.batch(far, far)); !errors.Is(err, deliver.ErrScattered) {
		t.Fatalf("Take(%d) with %d runs = %+v, %v; want ErrScattered", far, deliver.MaxRuns, got, err)
	}
	if got := len(s.ledger().Gaps(s.ledger().Newest())); got != deliver.MaxRuns {
		t.Errorf("Gaps(Newest) = %d gaps, want %d", got, deliver.MaxRuns)
	}
	// What fills a gap is always taken, and makes room.
	for i := range deliver.MaxRuns {
		if got, err := s.take(h.batch(1+2*i, 2+2*i)); err != nil || got.Fork {
			t.Fatalf("Take(%d..%d) = %+v, %v; want it taken", 1+2*i, 2+2*i, got, err)
		}
	}
	if got, err := s.take(h.batch(far, far)); err != nil || len(got.Fresh) != 1 {
		t.Errorf("Take(%d) after the gaps closed = %+v, %v; want one fresh", far, got, err)
	}
}

func TestLedgerStaysAsItWasOnAnError(t *testing.T) {
	h := history{}.grow(20, "a")
	s := newShelf(t)
	if _, err := s.take(h.batch(1, 10)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("database is gone")
	l := s.ledger()
	_, err := l.Take(h.batch(5, 20), func(uint64, uint64) ([]wire.Digest, error) { return nil, broken })
	if !errors.Is(err, broken) || l.Through() != 10 {
		t.Errorf("Take with a broken store: error %v, Through() = %d; want %v, 10", err, l.Through(), broken)
	}
	_, err = l.Take(h.batch(5, 20), func(uint64, uint64) ([]wire.Digest, error) { return nil, nil })
	if err == nil || l.Through() != 10 {
		t.Errorf("Take with too few digests: error %v, Through() = %d; want an error, 10", err, l.Through())
	}
	// A store past its retention no longer knows what it held.
	got, err := l.Take(h.batch(5, 20), func(from, to uint64) ([]wire.Digest, error) { return make([]wire.Digest, to-from+1), nil })
	if err != nil || len(got.Fresh) != 10 || l.Through() != 20 {
		t.Errorf("Take with digests forgotten = %+v, %v, Through() = %d; want 10 fresh, 20", got, err, l.Through())
	}
}

func TestLedgerKnowsWhatWasCarried(t *testing.T) {
	h := history{}.grow(60, "a")
	s := newShelf(t)
	if _, err := s.take(h.batch(1, 10)); err != nil {
		t.Fatal(err)
	}
	l := s.ledger()
	for seq := uint64(21); seq <= 50; seq++ {
		if seq != 30 {
			l.Carry(seq)
		}
	}
	l.Carry(0)
	l.Carry(1 << 63)
	s.blob = l.Marshal()
	want := []wire.Range{{From: 11, To: 20}, {From: 30, To: 30}, {From: 51, To: 60}}
	if d := cmp.Diff(want, s.ledger().Gaps(60), ignoreRange); d != "" {
		t.Errorf("Gaps(60) (-want +got):\n%s", d)
	}
	got, err := s.take(h.batch(11, 32))
	if err != nil || len(got.Fresh) != 22 {
		t.Fatalf("Take(11..32) = %+v, %v; want 22 fresh", got, err)
	}
	if want := []int{10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21}; !slices.Equal(got.Carried, want) {
		t.Errorf("Take(11..32).Carried = %v, want %v", got.Carried, want)
	}
}

// However an outbox was damaged, the ledger stays small and what was carried is
// never called missing.
func TestLedgerBoundsWhatWasCarried(t *testing.T) {
	var l deliver.Ledger
	for seq := uint64(2); seq <= 4000; seq += 2 {
		l.Carry(seq)
	}
	if n := len(l.Marshal()); n > 16<<10 {
		t.Errorf("Marshal() = %d bytes after 2,000 holes", n)
	}
	var again deliver.Ledger
	if err := again.Unmarshal(l.Marshal()); err != nil {
		t.Fatalf("Unmarshal error = %v", err)
	}
	for _, g := range again.Gaps(4000) {
		for seq := g.From; seq <= g.To; seq++ {
			if seq%2 == 0 {
				t.Fatalf("Gaps(4000) has %d, which was carried", seq)
			}
		}
	}
}

func FuzzLedgerUnmarshal(f *testing.F) {
	h := history{}.grow(100, "a")
	s := newShelf(f)
	for _, r := range [][2]int{{1, 10}, {15, 20}, {40, 41}, {95, 100}} {
		if _, err := s.take(h.batch(r[0], r[1])); err != nil {
			f.Fatal(err)
		}
		f.Add(s.blob)
	}
	l := s.ledger()
	l.Carry(33)
	f.Add(l.Marshal())
	f.Fuzz(func(t *testing.T, blob []byte) {
		var l deliver.Ledger
		if err := l.Unmarshal(blob); err != nil {
			return
		}
		var again deliver.Ledger
		if err := again.Unmarshal(l.Marshal()); err != nil {
			t.Fatalf("Unmarshal(Marshal()) error = %v", err)
		}
		if d := cmp.Diff(l.Marshal(), again.Marshal()); d != "" {
			t.Fatalf("round trip (-first +second):\n%s", d)
		}
		l.Gaps(l.Newest())
		// Whatever a ledger says, a batch is taken whole, in part, or not at all,
		// and what it brought is held afterwards.
		for _, r := range [][2]int{{1, 30}, {20, 60}, {90, 100}} {
			b := h.batch(r[0], r[1])
			before := l.Newest()
			got, err := l.Take(b, func(from, to uint64) ([]wire.Digest, error) { return make([]wire.Digest, to-from+1), nil })
			if err != nil || got.Fork {
				if len(got.Fresh) != 0 || l.Newest() != before {
					t.Fatalf("Take(%v) = %+v, %v, yet Newest() went from %d to %d", r, got, err, before, l.Newest())
				}
				continue
			}
			for seq := b.First; seq <= b.End(); seq++ {
				if !l.Holds(seq) {
					t.Fatalf("Take(%v) = %+v, yet Holds(%d) = false", r, got, seq)
				}
			}
			if err := again.Unmarshal(l.Marshal()); err != nil {
				t.Fatalf("Unmarshal after Take(%v) error = %v", r, err)
			}
		}
	})
}
