package boltread_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/outbox/boltread"
	"go.etcd.io/bbolt"
)

const page = 1024

// build returns a bbolt file after steps random transactions.
func build(t testing.TB, seed uint64, steps int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: page, NoFreelistSync: true, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for range steps {
		if err := db.Update(func(tx *bbolt.Tx) error {
			for range 1 + r.IntN(20) {
				b, err := tx.CreateBucketIfNotExists([]byte{'a' + byte(r.IntN(3))})
				if err != nil {
					return err
				}
				key := binary.BigEndian.AppendUint64(nil, r.Uint64N(500))
				if r.IntN(3) == 0 {
					err = b.Delete(key)
				} else {
					err = b.Put(key, make([]byte, r.IntN(40)*r.IntN(60)))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func walked(b []byte) ([]string, boltread.Info, error) {
	var all []string
	info, err := boltread.Walk(bytes.NewReader(b), int64(len(b)), func(bucket string, key, value []byte) error {
		all = append(all, fmt.Sprintf("%s %x=%x", bucket, key, value))
		return nil
	})
	return all, info, err
}

// mapped returns what bbolt itself reads, and the bytes in use as it counts them.
func mapped(t testing.TB, b []byte) (all []string, live int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatalf("bbolt does not open what Walk took: %v", err)
	}
	defer db.Close()
	if err := db.View(func(tx *bbolt.Tx) error {
		live = tx.Size() - int64(db.Stats().FreePageN*db.Info().PageSize)
		return tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(k, v []byte) error {
				all = append(all, fmt.Sprintf("%s %x=%x", name, k, v))
				return nil
			})
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all, live
}

func TestWalkReadsWhatBboltReads(t *testing.T) {
	for seed := range uint64(60) {
		b := build(t, seed, 2+int(seed)*2)
		got, info, err := walked(b)
		if err != nil {
			t.Fatalf("seed %d: Walk() error = %v", seed, err)
		}
		want, live := mapped(t, b)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("seed %d: Walk() differs from bbolt (-want +got):\n%s", seed, d)
		}
		if info.Live != live || info.PageSize != page {
			t.Errorf("seed %d: Walk() = %+v, want %d bytes live in pages of %d", seed, info, live, page)
		}
	}
}

func TestWalkRefuses(t *testing.T) {
	whole := build(t, 1, 20)
	tests := map[string]func(b []byte) []byte{
		"nothing":        func([]byte) []byte { return nil },
		"one page":       func(b []byte) []byte { return b[:page] },
		"cut":            func(b []byte) []byte { return b[:8*page] },
		"meta page 0":    func(b []byte) []byte { b[20]++; return b },
		"meta page 1":    func(b []byte) []byte { b[page+60]++; return b },
		"all other":      func(b []byte) []byte { clear(b[2*page:]); return b },
		"a page for all": func(b []byte) []byte { copy(b[3*page:], bytes.Repeat(b[2*page:3*page], len(b)/page-3)); return b },
	}
	for name, change := range tests {
		if _, _, err := walked(change(bytes.Clone(whole))); !errors.Is(err, boltread.ErrDamaged) {
			t.Errorf("%s: Walk() error = %v, want ErrDamaged", name, err)
		}
	}
	stop := errors.New("stop")
	if _, err := boltread.Walk(bytes.NewReader(whole), int64(len(whole)), func(string, []byte, []byte) error { return stop }); err != stop {
		t.Errorf("Walk() error = %v, want that of its function", err)
	}
}

type badCard struct{ *bytes.Reader }

var errRead = errors.New("input/output error")

func (badCard) ReadAt([]byte, int64) (int, error) { return 0, errRead }

func TestWalkReportsReadErrors(t *testing.T) {
	_, err := boltread.Walk(badCard{}, 1<<20, nil)
	if !errors.Is(err, errRead) || errors.Is(err, boltread.ErrDamaged) {
		t.Errorf("Walk() error = %v, want the card's", err)
	}
}

// FuzzWalk mends the checksums of the meta pages, or nothing behind them would
// ever be looked at.
func FuzzWalk(f *testing.F) {
	f.Add(build(f, 1, 3))
	f.Add(build(f, 2, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		for id := range 2 {
			if m := b[min(len(b), id*page+16):]; len(m) >= 64 {
				sum := fnv.New64a()
				sum.Write(m[:56])
				binary.NativeEndian.PutUint64(m[56:], sum.Sum64())
			}
		}
		got, _, err := walked(b)
		if err != nil {
			return
		}
		if want, _ := mapped(t, b); !cmp.Equal(want, got) {
			t.Errorf("Walk() differs from bbolt (-want +got):\n%s", cmp.Diff(want, got))
		}
	})
}
