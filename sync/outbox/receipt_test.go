package outbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestReceiptRules(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "outbox.db"), outbox.Options{})
	for n := range uint64(99) {
		put(t, q, n)
	}
	epoch := q.Stats().Epoch
	other := wire.NewEpoch()
	span := func(from, to uint64) []wire.Range { return []wire.Range{{From: from, To: to}} }
	wrong := func(r *wire.Receipt) { r.Hash[5] ^= 1 }
	steps := []struct {
		name     string
		through  uint64
		change   func(r *wire.Receipt)
		want     outbox.Outcome
		received uint64 // Stats.Last - Stats.Unsent
	}{
		{"first", 10, nil, outbox.Outcome{Advanced: true}, 10},
		{"again", 10, nil, outbox.Outcome{}, 10},
		{"lower", 5, nil, outbox.Outcome{}, 10},
		{"lower, wrong hash", 5, wrong, outbox.Outcome{}, 10},
		{"wrong hash", 20, wrong, outbox.Outcome{Fork: true}, 10},
		{"said to fork", 5, func(r *wire.Receipt) { r.Fork = true }, outbox.Outcome{Fork: true}, 10},
		{"beyond the last", 100, func(r *wire.Receipt) { r.Through = 101 }, outbox.Outcome{Fork: true}, 10},
		{"range beyond the last", 10, func(r *wire.Receipt) { r.Ranges = span(90, 101) }, outbox.Outcome{Fork: true}, 10},
		{"other epoch", 50, func(r *wire.Receipt) { r.Epoch = other }, outbox.Outcome{}, 10},
		{"ranges", 10, func(r *wire.Receipt) { r.Ranges = span(50, 59) }, outbox.Outcome{Advanced: true}, 20},
		{"more ranges", 10, func(r *wire.Receipt) { r.Ranges = span(55, 69) }, outbox.Outcome{Advanced: true}, 30},
		{"ranges it has", 10, func(r *wire.Receipt) { r.Ranges = span(50, 59) }, outbox.Outcome{}, 30},
		{"into the ranges", 54, nil, outbox.Outcome{Advanced: true}, 69},
		{"restored server", 30, func(r *wire.Receipt) { r.Generation = 2 }, outbox.Outcome{Again: true}, 30},
		{"older generation", 80, func(r *wire.Receipt) { r.Generation = 1 }, outbox.Outcome{}, 30},
		{"older generation, wrong hash", 80, func(r *wire.Receipt) { r.Generation = 1; wrong(r) }, outbox.Outcome{}, 30},
		{"to the end", 100, func(r *wire.Receipt) { r.Generation = 2 }, outbox.Outcome{Advanced: true}, 100},
		{"nothing left of it", 0, func(r *wire.Receipt) { r.Generation = 3; r.Hash = wire.Hash{} }, outbox.Outcome{Again: true}, 0},
	}
	for _, s := range steps {
		r := receipt(t, q, s.through, 0)
		r.Epoch, r.Generation = epoch, 1
		if s.change != nil {
			s.change(r)
		}
		got, err := q.Apply(r)
		if err != nil || got != s.want {
			t.Errorf("%s: Apply(%+v) = %+v, %v, want %+v", s.name, r, got, err, s.want)
		}
		if st := q.Stats(); st.Last-st.Unsent != s.received {
			t.Errorf("%s: received = %d, want %d", s.name, st.Last-st.Unsent, s.received)
		}
	}
}

func TestKeptUntilTimeIsUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	c := newClock()
	o := outbox.Options{Now: c.now}
	q := open(t, path, o)
	for n := range uint64(20) {
		put(t, q, n)
	}
	apply := func(through uint64) {
		t.Helper()
		if _, err := q.Apply(receipt(t, q, through, 0)); err != nil {
			t.Fatal(err)
		}
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	first := func(want uint64) {
		t.Helper()
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := q.Stats().First; got != want {
			t.Errorf("oldest held = %d, want %d", got, want)
		}
	}
	const day = 24 * time.Hour
	apply(5)
	c.pass(3 * day)
	apply(10)
	for range 50 { // a busy kiosk must not push the time out
		put(t, q, 0)
		apply(11)
	}
	c.r.Wall += (1000 * day).Milliseconds() // the clock is set
	first(1)
	c.pass(4 * day)
	first(1)
	c.pass(day)
	first(6)
	shut(t, q)
	c.r.Boot, c.r.Since = when.Boot{2}, 0 // off over night
	q = open(t, path, o)
	first(6)
	c.pass(3 * day)
	first(12)
	if s := q.Stats(); s.Early != 0 {
		t.Errorf("Stats().Early = %d, want 0", s.Early)
	}
}

func TestFullRefusesAndReceiptsMakeRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{Limit: outbox.MinLimit})
	var n uint64
	near := false
	for ; ; n++ {
		_, err := q.Put(seen(n, 7000))
		if errors.Is(err, outbox.ErrFull) {
			break
		}
		if err != nil || n > 10000 {
			t.Fatalf("Put(%d) error = %v, want ErrFull in the end", n, err)
		}
		near = q.Stats().Near
	}
	if !near {
		t.Error("Stats().Near = false before the outbox was full")
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() > outbox.MinLimit+128<<10 {
		t.Errorf("file has %d bytes, want at most 128 KiB over %d", fi.Size(), outbox.MinLimit)
	}
	if ids := all(t, q); uint64(len(ids)) != n || ids[0] != 0 {
		t.Errorf("a full outbox holds %d check-ins from %d, want %d from 0", len(ids), ids[0], n)
	}
	calls := 0
	if _, err := q.Put(func(wire.Epoch, uint64) (r wire.Record, c wire.Context, err error) { calls++; return }); !errors.Is(err, outbox.ErrFull) || calls > 0 {
		t.Errorf("Put() when full = %v after %d calls of make, want ErrFull after none", err, calls)
	}
	if _, err := q.Apply(receipt(t, q, 101, 0)); err != nil {
		t.Fatal(err)
	}
	put(t, q, n)
	s := q.Stats()
	if s.First != 102 || s.Early != 101 {
		t.Errorf("Stats() = from %d, %d early, want 102, 101", s.First, s.Early)
	}
	shut(t, q)
	verify(t, path)
}

func TestDeadLetters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	for n := range uint64(30) {
		put(t, q, n)
	}
	epoch := q.Stats().Epoch
	r := receipt(t, q, 31, 31)
	r.Rejects = []wire.Reject{{Seq: 5, Reason: wire.ReasonRecord}, {Seq: 9, Reason: wire.ReasonTooLate}, {Seq: 77, Reason: wire.ReasonRecord}}
	for want := 2; want >= 0; want -= 2 {
		if out, err := q.Apply(r); err != nil || out.Rejected != want {
			t.Errorf("Apply() = %+v, %v, want %d rejected", out, err, want)
		}
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) []outbox.DeadLetter {
		t.Helper()
		got, err := q.DeadLetters()
		if err != nil {
			t.Fatal(err)
		}
		want := []outbox.DeadLetter{{Epoch: epoch, Seq: 5, Reason: wire.ReasonRecord}, {Epoch: epoch, Seq: 9, Reason: wire.ReasonTooLate}}
		less := cmpopts.SortSlices(func(x, y outbox.DeadLetter) bool { return x.Seq < y.Seq })
		if d := cmp.Diff(want, got, less, cmpopts.IgnoreFields(outbox.DeadLetter{}, "N", "Record", "Context")); d != "" {
			t.Errorf("%s: DeadLetters() (-want +got):\n%s", when, d)
		}
		for _, l := range got {
			rec, h, err := wire.DecodeRecord(l.Record)
			if err != nil || h.Seq != l.Seq || l.Context == nil || l.Context.ID != rec.Context {
				t.Errorf("%s: dead letter %d holds record %d with context %v, %v", when, l.Seq, h.Seq, l.Context, err)
			}
		}
		if n := q.Stats().DeadLetters; n != 2 {
			t.Errorf("%s: Stats().DeadLetters = %d, want 2", when, n)
		}
		return got
	}
	check("flushed")
	if err := q.NewEpoch(wire.OpenedFork); err != nil {
		t.Fatal(err)
	}
	check("new epoch")
	shut(t, q)
	verify(t, path)
	q = open(t, path, outbox.Options{})
	got := check("reopened")
	put(t, q, 30)
	put(t, q, 31)
	r = receipt(t, q, 3, 0)
	r.Rejects = []wire.Reject{{Seq: 3, Reason: wire.ReasonRecord}}
	if _, err := q.Apply(r); err != nil {
		t.Fatal(err)
	}
	if err := q.ForgetDeadLetters(got[1].N); err != nil {
		t.Fatal(err)
	}
	if got, err := q.DeadLetters(); len(got) != 1 || got[0].Seq != 3 || err != nil || q.Stats().DeadLetters != 1 {
		t.Errorf("DeadLetters() after all but a new one were fetched = %v, %v, want that of record 3", got, err)
	}
}

func TestRejectsNotedBeforeAForkAreKept(t *testing.T) {
	q := open(t, filepath.Join(t.TempDir(), "outbox.db"), outbox.Options{})
	for n := range uint64(9) {
		put(t, q, n)
	}
	epoch := q.Stats().Epoch
	r := receipt(t, q, 5, 0)
	r.Rejects = []wire.Reject{{Seq: 4, Reason: wire.ReasonSeal}}
	if _, err := q.Apply(r); err != nil {
		t.Fatal(err)
	}
	if err := q.NewEpoch(wire.OpenedFork); err != nil {
		t.Fatal(err)
	}
	got, err := q.DeadLetters()
	if err != nil || len(got) != 1 || got[0].Seq != 4 || got[0].Epoch != epoch {
		t.Errorf("DeadLetters() after a fork = %v, %v, want that of record 4 of %s", got, err, epoch)
	}
	if ids := all(t, q); len(ids) != 9 {
		t.Errorf("carried %d check-ins, want 9", len(ids))
	}
}

// A server that keeps what deliver's ledger keeps: rows by epoch and number, and
// carried records known by origin, number and content.
type rows map[string]bool

func (r rows) take(t *testing.T, q *outbox.Queue) {
	t.Helper()
	s := q.Stats()
	for from := max(s.Through+1, s.First); from <= s.Last; {
		run, err := q.Peek(from, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range run.Records {
			rec, h, err := wire.DecodeRecord(b)
			if err != nil {
				t.Fatal(err)
			}
			if h.Kind != wire.KindCheckin {
				continue
			}
			epoch, digest := run.Epoch, rec.Digest()
			if rec.Origin != nil {
				epoch = *rec.Origin
			}
			r[string(epoch[:])+string(wire.Encode(h.Seq))+string(digest[:])] = true
		}
		from = run.End() + 1
	}
}

func TestCardCopiedBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "outbox.db")
	server := rows{}
	n := uint64(0)
	scan := func(q *outbox.Queue, count int) {
		for range count {
			put(t, q, n)
			n++
		}
	}
	q := open(t, path, outbox.Options{})
	scan(q, 100)
	shut(t, q)
	copied, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	q = open(t, path, outbox.Options{})
	scan(q, 100)
	server.take(t, q)
	truth := receipt(t, q, 201, 0)
	shut(t, q)
	if err := os.WriteFile(path, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	q = open(t, path, outbox.Options{})
	scan(q, 50)
	out, err := q.Apply(truth)
	if err != nil || !out.Fork {
		t.Fatalf("Apply(receipt of the other history) = %+v, %v, want a fork", out, err)
	}
	if err := q.NewEpoch(wire.OpenedFork); err != nil {
		t.Fatal(err)
	}
	server.take(t, q)
	if len(server) != 250 {
		t.Errorf("server holds %d check-ins, want 250", len(server))
	}
}
