package outbox_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// newRand returns a source seeded from QRGATE_SEED, or anew, and prints the seed.
func newRand(t testing.TB) *mathrand.Rand {
	t.Helper()
	var seed uint64
	if s := os.Getenv("QRGATE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("QRGATE_SEED: %v", err)
		}
		seed = n
	} else {
		var b [8]byte
		rand.Read(b[:])
		seed = binary.LittleEndian.Uint64(b[:])
	}
	t.Logf("QRGATE_SEED=%d", seed)
	return mathrand.New(mathrand.NewPCG(seed, 1))
}

// template returns the bytes of an outbox that holds check-ins 21 to count, of which
// those above 40 have no receipt. Check-in n is record n+1.
func template(t testing.TB, count uint64) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{NoSync: true})
	for n := uint64(1); n <= count; n++ {
		size := 24
		if n%50 == 0 {
			size = 7000
		}
		if _, err := q.Put(seen(n, size)); err != nil {
			t.Fatal(err)
		}
		if n == 60 {
			r := receipt(t, q, 41, 21)
			r.Rejects = []wire.Reject{{Seq: 30, Reason: wire.ReasonRecord}}
			if _, err := q.Apply(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	shut(t, q)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDamagedFileAlwaysOpens(t *testing.T) {
	const count, through, safe = 400, 40, 20
	whole := template(t, count)
	const page = 4096
	damages := []struct {
		name string
		do   func(r *mathrand.Rand, b []byte) []byte
	}{
		{"one byte", func(r *mathrand.Rand, b []byte) []byte { b[r.IntN(len(b))] ^= byte(1 + r.IntN(255)); return b }},
		{"many bytes", func(r *mathrand.Rand, b []byte) []byte {
			for range 1 + r.IntN(200) {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
			return b
		}},
		{"zero page", func(r *mathrand.Rand, b []byte) []byte { clear(b[r.IntN(len(b)/page)*page:][:page]); return b }},
		{"torn page", func(r *mathrand.Rand, b []byte) []byte { clear(b[r.IntN(len(b)/512)*512:][:512]); return b }},
		{"pages of noise", func(r *mathrand.Rand, b []byte) []byte {
			for range 1 + r.IntN(8) {
				rand.Read(b[r.IntN(len(b)/page)*page:][:page])
			}
			return b
		}},
		{"page in another's place", func(r *mathrand.Rand, b []byte) []byte {
			copy(b[r.IntN(len(b)/page)*page:][:page], b[r.IntN(len(b)/page)*page:])
			return b
		}},
		{"headers", func(r *mathrand.Rand, b []byte) []byte {
			for range 1 + r.IntN(20) {
				b[r.IntN(len(b)/page)*page+r.IntN(16)] = byte(r.Uint32())
			}
			return b
		}},
		{"truncated", func(r *mathrand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] }},
		{"a meta page", func(r *mathrand.Rand, b []byte) []byte { clear(b[r.IntN(2)*page:][:page]); return b }},
		{"both meta pages", func(r *mathrand.Rand, b []byte) []byte { clear(b[:2*page]); return b }},
		{"noise", func(r *mathrand.Rand, b []byte) []byte { rand.Read(b); return b }},
		{"empty", func(r *mathrand.Rand, b []byte) []byte { return nil }},
	}
	random := newRand(t)
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			salvaged, saved, lost, blank := 0, 0, 0, 0
			for range rounds {
				b := d.do(random, slices.Clone(whole))
				path := filepath.Join(t.TempDir(), "outbox.db")
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				q := open(t, path, outbox.Options{NoSync: true})
				s := q.Stats()
				ids, unopened := held(t, q)
				put(t, q, count+1)
				shut(t, q)
				verify(t, path)
				if s.By != wire.OpenedSalvage {
					if len(ids) != count-safe {
						t.Fatalf("a file that passed its check holds %d check-ins, want %d", len(ids), count-safe)
					}
					continue
				}
				salvaged++
				if _, err := os.Stat(path + ".damaged-1"); err != nil {
					t.Errorf("damaged file is not kept: %v", err)
				}
				unsent := 0
				for i, id := range ids {
					if id <= 0 || id > count || i > 0 && id <= ids[i-1] {
						t.Fatalf("salvaged check-ins %v: %d is not one, not in order or twice", ids, id)
					}
					if id > through {
						unsent++
					}
				}
				if s.Carried != s.Last-1 || uint64(len(ids)) != s.Carried && uint64(len(ids)) != s.Carried-1 {
					t.Errorf("salvage says %d carried, holds %d records with %d check-ins", s.Carried, s.Last, len(ids))
				}
				missing := count - through - unsent
				// Without its newest state the outbox cannot know what was received.
				if s.Lost > uint64(count-len(ids)+1) {
					t.Errorf("salvage says %d lost, but %d of %d check-ins are there", s.Lost, len(ids), count)
				}
				saved, lost, blank = saved+unsent, lost+missing, blank+unopened
			}
			t.Logf("%d of %d damages salvaged: %d check-ins saved, of these %d without context, %d lost", salvaged, rounds, saved, blank, lost)
			if blank*20 > saved {
				t.Errorf("%d of %d check-ins cannot be opened, want at most one in twenty", blank, saved)
			}
			if n := saved + lost; (d.name == "both meta pages" || d.name == "a meta page" || d.name == "one byte") && lost*100 > n {
				t.Errorf("%d of %d check-ins lost, want at most one in a hundred", lost, n)
			}
		})
	}
}

func TestLostIsCounted(t *testing.T) {
	const count, through = 400, 40
	b := template(t, count)
	// Wipe every copy of the frames of check-ins 101 to 120: their key is the
	// number, eight bytes before the mark.
	for n := uint64(101); n <= 120; n++ {
		key := append(binary.BigEndian.AppendUint64(nil, n+1), 0xF5, 'r')
		for at := range b[:len(b)-len(key)] {
			if string(b[at:at+len(key)]) == string(key) {
				b[at+20] ^= 1
			}
		}
	}
	path := filepath.Join(t.TempDir(), "outbox.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	q := open(t, path, outbox.Options{})
	run, err := q.Peek(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, h, err := wire.DecodeRecord(run.Records[0])
	if err != nil || h.Opened == nil || h.Opened.By != wire.OpenedSalvage || h.Opened.Lost != 20 || h.Opened.Last != count+1 {
		t.Errorf("first record = %+v, %v, want 20 lost of %d", h.Opened, err, count+1)
	}
	if ids := all(t, q); len(ids) < count-through-20 {
		t.Errorf("salvaged %d check-ins, want at least %d", len(ids), count-through-20)
	}
	if d, err := q.DeadLetters(); err != nil || len(d) != 1 || d[0].Seq != 30 {
		t.Errorf("DeadLetters() after salvage = %v, %v, want that of record 30", d, err)
	}
}

// A write that failed leaves a record on pages that were never committed, and
// the next start gives its number to another. Salvage must not bring the first
// back.
func TestSalvageTakesTheChainedRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	for n := uint64(1); n <= 10; n++ {
		put(t, q, n)
	}
	shut(t, q)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	q = open(t, path, outbox.Options{})
	put(t, q, 99)
	shut(t, q)
	orphan, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	q = open(t, path, outbox.Options{})
	put(t, q, 11)
	put(t, q, 12)
	shut(t, q)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[:4096])
	if err := os.WriteFile(path, append(b, orphan...), 0o600); err != nil {
		t.Fatal(err)
	}
	q = open(t, path, outbox.Options{})
	if got, want := fmt.Sprint(all(t, q)), "[1 2 3 4 5 6 7 8 9 10 11 12]"; got != want {
		t.Errorf("salvaged %s, want %s", got, want)
	}
}

func TestDamagedFilesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	for i := range 5 {
		if err := os.WriteFile(path, []byte("no outbox"), 0o600); err != nil {
			t.Fatal(err)
		}
		shut(t, open(t, path, outbox.Options{}))
		kept, err := filepath.Glob(path + ".damaged-*")
		if want := min(i+1, 2); err != nil || len(kept) != want || kept[want-1] != fmt.Sprintf("%s.damaged-%d", path, i+1) {
			t.Errorf("after damage %d kept %v, %v, want %d", i+1, kept, err, want)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckDecides(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	q := open(t, path, outbox.Options{})
	put(t, q, 1)
	shut(t, q)
	q = open(t, path, outbox.Options{Check: func(_ context.Context, p string) error {
		if p != path {
			t.Errorf("Check(%q), want %q", p, path)
		}
		return errors.New("signal: killed")
	}})
	if s := q.Stats(); s.By != wire.OpenedSalvage || s.Carried != 2 || s.Lost != 0 {
		t.Errorf("Stats() after a check that failed = %+v, want salvage of 2 records", s)
	}
	shut(t, q)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := outbox.Open(ctx, path, outbox.Options{Now: newClock().now, Check: func(ctx context.Context, p string) error {
		cancel()
		return ctx.Err()
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Open() cancelled in its check: error = %v, want context.Canceled", err)
	}
	verify(t, path)
}

func FuzzOpen(f *testing.F) {
	f.Add(template(f, 60))
	f.Add([]byte("no outbox"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "outbox.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		q := open(t, path, outbox.Options{NoSync: true})
		held(t, q)
		put(t, q, 1)
		shut(t, q)
		verify(t, path)
	})
}
