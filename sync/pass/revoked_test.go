package pass_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/qrgate/qrgate/sync/pass"
	"pgregory.net/rapid"
)

func revocations(t testing.TB, list []pass.Revocation) *pass.Revocations {
	t.Helper()
	r, err := pass.NewRevocations(list)
	if err != nil {
		t.Fatalf("NewRevocations(%d cards) error = %v", len(list), err)
	}
	return r
}

// tenth returns 100,000 of a million cards, every third of them replaced once.
func tenth() []pass.Revocation {
	r := rand.New(rand.NewPCG(3, 4))
	var list []pass.Revocation
	for _, n := range r.Perm(1_000_000)[:100_000] {
		v := pass.Revocation{Number: uint32(n) + 1, Through: pass.AllIssues}
		if n%3 == 0 {
			v.Through = 1
		}
		list = append(list, v)
	}
	return list
}

func TestRevocationsAreExact(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		number := rapid.OneOf(rapid.Uint32Range(0, 300), rapid.Uint32(), rapid.Just(uint32(math.MaxUint32)))
		want := map[uint32]uint8{}
		var list []pass.Revocation
		for range rapid.IntRange(0, 60).Draw(r, "cards") {
			v := pass.Revocation{
				Number:  number.Draw(r, "number"),
				Through: rapid.OneOf(rapid.Uint8Range(1, 3), rapid.Just(uint8(pass.AllIssues)), rapid.Uint8Range(1, 255)).Draw(r, "through"),
			}
			list = append(list, v)
			want[v.Number] = max(want[v.Number], v.Through)
		}
		made, err := pass.NewRevocations(list)
		if err != nil {
			r.Fatalf("NewRevocations(%v) error = %v", list, err)
		}
		encoded := made.Encode()
		read, err := pass.DecodeRevocations(encoded)
		if err != nil {
			r.Fatalf("DecodeRevocations(Encode(%v)) error = %v", list, err)
		}
		for _, got := range []*pass.Revocations{made, read} {
			if got.Len() != len(want) {
				r.Fatalf("Len() = %d, want %d", got.Len(), len(want))
			}
			for _, v := range list {
				for _, n := range []uint32{v.Number - 1, v.Number, v.Number + 1} {
					for _, issue := range []uint8{1, v.Through, want[n], min(want[n], 254) + 1} {
						void := want[n] > 0 && issue <= want[n]
						if c := got.Contains(n, issue); c != void {
							r.Fatalf("Contains(%d, %d) = %t, want %t; through %d", n, issue, c, void, want[n])
						}
					}
				}
			}
		}
		if cut := encoded[:len(encoded)-1]; len(want) > 0 {
			if _, err := pass.DecodeRevocations(cut); !errors.Is(err, pass.ErrMalformed) {
				r.Fatalf("DecodeRevocations(cut off) error = %v, want %v", err, pass.ErrMalformed)
			}
		}
	})
}

func TestManyRevocationsAreSmall(t *testing.T) {
	list := tenth()
	encoded := revocations(t, list).Encode()
	if len(encoded) > 80_000 {
		t.Errorf("Encode() of %d cards = %d bytes, want at most 80,000", len(list), len(encoded))
	}
	read, err := pass.DecodeRevocations(encoded)
	if err != nil || read.Len() != len(list) {
		t.Fatalf("DecodeRevocations(%d bytes) = %d cards, %v, want %d", len(encoded), read.Len(), err, len(list))
	}
	void := map[uint32]uint8{}
	for _, v := range list {
		void[v.Number] = v.Through
	}
	for n := range uint32(1_000_002) {
		if got, want := read.Contains(n, 2), void[n] >= 2; got != want {
			t.Fatalf("Contains(%d, 2) = %t, want %t", n, got, want)
		}
	}
}

func TestNewRevocationsRefuses(t *testing.T) {
	for name, list := range map[string][]pass.Revocation{
		"no issue": {{Number: 1}},
		"too many": make([]pass.Revocation, pass.MaxRevoked+1),
	} {
		if r, err := pass.NewRevocations(list); err == nil {
			t.Errorf("NewRevocations(%s) = %d cards, want an error", name, r.Len())
		}
	}
}

func TestNoRevocations(t *testing.T) {
	var none pass.Revocations
	if none.Contains(0, 0) || none.Len() != 0 {
		t.Errorf("the zero Revocations hold a card")
	}
	if r, err := pass.DecodeRevocations(none.Encode()); err != nil || r.Len() != 0 {
		t.Errorf("DecodeRevocations(nothing) error = %v, want an empty list", err)
	}
}

func FuzzDecodeRevocations(f *testing.F) {
	f.Add(revocations(f, []pass.Revocation{{1, 1}, {7, pass.AllIssues}, {48211, 3}}).Encode())
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0x3f, 31, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := pass.DecodeRevocations(b)
		if err != nil {
			if !errors.Is(err, pass.ErrMalformed) {
				t.Fatalf("DecodeRevocations(%x) error = %v, want %v", b, err, pass.ErrMalformed)
			}
			return
		}
		encoded := r.Encode()
		again, err := pass.DecodeRevocations(encoded)
		if err != nil || again.Len() != r.Len() || string(again.Encode()) != string(encoded) {
			t.Fatalf("DecodeRevocations(%x) does not survive another round: %v", b, err)
		}
	})
}

func BenchmarkContains(b *testing.B) {
	r := revocations(b, tenth())
	n := uint32(0)
	for b.Loop() {
		n = (n + 7919) % 1_000_000
		r.Contains(n, 1)
	}
}

// Applying what is new to a list gives the list that has both, whoever did it.
func TestRevocationsWith(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		line := rapid.Custom(func(r *rapid.T) pass.Revocation {
			return pass.Revocation{
				Number:  rapid.OneOf(rapid.Uint32Range(0, 30), rapid.Just(uint32(math.MaxUint32))).Draw(r, "number"),
				Through: rapid.OneOf(rapid.Uint8Range(1, 3), rapid.Just(uint8(pass.AllIssues))).Draw(r, "through"),
			}
		})
		a, b := rapid.SliceOfN(line, 0, 30).Draw(r, "a"), rapid.SliceOfN(line, 0, 30).Draw(r, "b")
		got, err := revocations(t, a).With(revocations(t, b))
		if err != nil {
			r.Fatal(err)
		}
		want := revocations(t, append(slices.Clone(a), b...))
		if got.Digest() != want.Digest() || !slices.Equal(slices.Collect(got.All()), slices.Collect(want.All())) {
			r.Fatalf("%v with %v = %v", a, b, slices.Collect(got.All()))
		}
		if empty := new(pass.Revocations); want.Len() > 0 && want.Digest() == empty.Digest() {
			r.Fatalf("%v has the digest of nothing", a)
		}
	})
	all := make([]pass.Revocation, pass.MaxRevoked)
	for i := range all {
		all[i] = pass.Revocation{Number: uint32(i) + 1, Through: 1}
	}
	if r, err := revocations(t, all).With(revocations(t, []pass.Revocation{{Number: 0, Through: 1}})); err == nil {
		t.Errorf("a list of %d", r.Len())
	}
}
