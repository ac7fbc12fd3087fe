package seal_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

func pair(t testing.TB) (*seal.Sealer, *seal.Opener) {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.New(1, key.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	o, err := seal.NewOpener(map[uint32][]byte{1: key.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	return s, o
}

func TestOpensWhatWasSealed(t *testing.T) {
	s, o := pair(t)
	now := time.Unix(1000, 0)
	type sealed struct {
		box wire.Sealed
		ctx wire.Context
		aad []byte
	}
	var all []sealed
	for i := range 600 {
		aad := []byte{byte(i), byte(i >> 8)}
		box, ctx, err := s.Seal(now, aad, []byte("who"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sealed{box, ctx, aad})
	}
	for i := len(all) - 1; i >= 0; i-- { // in any order
		got, err := o.Open(all[i].ctx, all[i].aad, all[i].box)
		if err != nil || string(got) != "who" {
			t.Fatalf("Open(%d) = %q, %v", i, got, err)
		}
	}
	if _, err := o.Open(all[0].ctx, []byte("another header"), all[0].box); !errors.Is(err, seal.ErrBox) {
		t.Errorf("Open under another header: error %v, want ErrBox", err)
	}
	if _, err := o.Open(all[599].ctx, all[0].aad, all[0].box); !errors.Is(err, seal.ErrBox) {
		t.Errorf("Open in another context: error %v, want ErrBox", err)
	}
	box, ctx := all[0].box, all[0].ctx
	box.Key, ctx.Key = 2, 2
	if _, err := o.Open(ctx, all[0].aad, box); !errors.Is(err, seal.ErrKey) {
		t.Errorf("Open with a key that is not held: error %v, want ErrKey", err)
	}
	broken := all[0].box
	broken.Box = bytes.Clone(broken.Box)
	broken.Box[0] ^= 1
	if _, err := o.Open(all[0].ctx, all[0].aad, broken); !errors.Is(err, seal.ErrBox) {
		t.Errorf("Open of a changed box: error %v, want ErrBox", err)
	}
}

func TestContextIsForgotten(t *testing.T) {
	s, _ := pair(t)
	start := time.Unix(1000, 0)
	contextAt := func(now time.Time) uint64 {
		box, _, err := s.Seal(now, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return box.Context
	}
	first := contextAt(start)
	for range seal.MaxPerContext - 1 {
		if got := contextAt(start); got != first {
			t.Fatal("context changed before it was spent")
		}
	}
	second := contextAt(start)
	if second == first {
		t.Errorf("context serves more than %d boxes", seal.MaxPerContext)
	}
	if contextAt(start.Add(seal.MaxAge-time.Second)) != second {
		t.Error("context changed before its time")
	}
	if contextAt(start.Add(seal.MaxAge)) == second {
		t.Errorf("context is older than %s", seal.MaxAge)
	}
}

// Nobody comes after the last visitor of the day: the key must not wait for the
// next one to be dropped.
func TestIdleSealerForgets(t *testing.T) {
	s, _ := pair(t)
	start := time.Unix(1000, 0)
	contextAt := func(now time.Time) uint64 {
		t.Helper()
		box, _, err := s.Seal(now, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return box.Context
	}
	first := contextAt(start)
	s.Forget(start.Add(seal.MaxAge - time.Second))
	if contextAt(start) != first {
		t.Error("context is forgotten before its time")
	}
	s.Forget(start.Add(seal.MaxAge))
	second := contextAt(start)
	if second == first {
		t.Errorf("context is kept for %s by an idle sealer", seal.MaxAge)
	}
	if contextAt(start.Add(-time.Second)) == second {
		t.Error("context of the future is kept: a clock that was set back would keep it for ever")
	}
}

func TestNonceIsNeverUsedTwiceAtOnce(t *testing.T) {
	s, _ := pair(t)
	var mu sync.Mutex
	var tasks sync.WaitGroup
	seen := map[[2]uint64]bool{}
	for range 4 {
		tasks.Go(func() {
			for range seal.MaxPerContext {
				box, _, err := s.Seal(time.Unix(0, 0), nil, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				n := [2]uint64{box.Context, box.Counter}
				if seen[n] {
					t.Errorf("context and counter %v are used twice", n)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	tasks.Wait()
}

func TestNonceIsNeverUsedTwice(t *testing.T) {
	s, _ := pair(t)
	seen := map[[2]uint64]bool{}
	for i := range 3 * seal.MaxPerContext {
		box, _, err := s.Seal(time.Unix(0, 0), []byte("the same number"), []byte("the same person"))
		if err != nil {
			t.Fatal(err)
		}
		n := [2]uint64{box.Context, box.Counter}
		if seen[n] {
			t.Fatalf("box %d repeats context and counter %v", i, n)
		}
		seen[n] = true
	}
}

func TestHostileContext(t *testing.T) {
	_, o := pair(t)
	for _, enc := range [][]byte{nil, {1}, make([]byte, 32), bytes.Repeat([]byte{0xff}, 33)} {
		ctx := wire.NewContext(1, enc)
		if _, err := o.Open(ctx, nil, wire.Sealed{Key: 1, Context: ctx.ID, Box: make([]byte, 20)}); !errors.Is(err, seal.ErrBox) {
			t.Errorf("Open in context %x: error %v, want ErrBox", enc, err)
		}
	}
}

func TestKeysOfAWrongLength(t *testing.T) {
	for _, n := range []int{0, 31, 33} {
		if _, err := seal.New(1, make([]byte, n)); err == nil {
			t.Errorf("New with a public key of %d bytes succeeds", n)
		}
		if _, err := seal.NewOpener(map[uint32][]byte{1: make([]byte, n)}); err == nil {
			t.Errorf("NewOpener with a private key of %d bytes succeeds", n)
		}
	}
}

// FuzzOpen lets a kiosk send any context and box.
func FuzzOpen(f *testing.F) {
	_, o := pair(f)
	f.Add(make([]byte, 32), []byte("header"), make([]byte, 20), uint64(0))
	f.Fuzz(func(t *testing.T, enc, additional, box []byte, counter uint64) {
		ctx := wire.NewContext(1, enc)
		got, err := o.Open(ctx, additional, wire.Sealed{Key: 1, Context: ctx.ID, Counter: counter, Box: box})
		if !errors.Is(err, seal.ErrBox) {
			t.Errorf("Open(box of %d bytes that nobody sealed) = %d bytes, error %v, want ErrBox", len(box), len(got), err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s, _ := pair(b)
	for b.Loop() {
		if _, _, err := s.Seal(time.Unix(0, 0), make([]byte, 90), make([]byte, 12)); err != nil {
			b.Fatal(err)
		}
	}
}

// The server has a new key: what comes next is sealed to it, in a context of its own.
func TestSealsToAnotherKey(t *testing.T) {
	s, o := pair(t)
	next, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	sealed := func() (wire.Sealed, wire.Context) {
		t.Helper()
		box, ctx, err := s.Seal(now, nil, []byte("who"))
		if err != nil {
			t.Fatal(err)
		}
		return box, ctx
	}
	box, ctx := sealed()
	if err := s.To(3, []byte("no key")); err == nil {
		t.Error("To a key that is none: no error")
	}
	if same, _ := sealed(); same.Context != box.Context || same.Key != 1 {
		t.Errorf("after a key that is none: key %d, context %x, want 1 and the same", same.Key, same.Context)
	}
	for range 2 {
		if err := s.To(2, next.PublicKey().Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	box2, ctx2 := sealed()
	if err := s.To(2, next.PublicKey().Bytes()); err != nil {
		t.Fatal(err)
	}
	if again, _ := sealed(); again.Context != box2.Context || again.Counter != box2.Counter+1 {
		t.Error("the key in use begins another context")
	}
	if _, err := o.Open(ctx, nil, box); err != nil {
		t.Errorf("Open what was sealed before: %v", err)
	}
	if _, err := o.Open(ctx2, nil, box2); !errors.Is(err, seal.ErrKey) {
		t.Errorf("Open with the old key alone: error %v, want ErrKey", err)
	}
	o2, err := seal.NewOpener(map[uint32][]byte{2: next.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := o2.Open(ctx2, nil, box2); err != nil || string(got) != "who" {
		t.Errorf("Open with the new key = %q, %v", got, err)
	}
}
