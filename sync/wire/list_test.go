package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

var listHead = wire.ListHead{Stamp: wire.Stamp{Generation: 3, Version: 9}, Digest: wire.Hash{7}}

func findKey(id uint32) ed25519.PublicKey {
	if id != 1 {
		return nil
	}
	return public(testKey(1))
}

// What was promised for 100,000 void cards of a million, as it travels: signed, in
// messages of at most 32 KiB.
func TestListOfAHundredThousand(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var cards []pass.Revocation
	for i, n := range r.Perm(1_000_000)[:100_000] {
		v := pass.Revocation{Number: uint32(n) + 1, Through: pass.AllIssues}
		if i%3 == 0 {
			v.Through = 1
		}
		cards = append(cards, v)
	}
	list, err := pass.NewRevocations(cards)
	if err != nil {
		t.Fatal(err)
	}
	encoded := list.Encode()
	parts, ok := wire.SealList(1, testKey(1), listHead, encoded)
	total, joined := 0, []byte(nil)
	for i, b := range parts {
		p, err := wire.OpenListPart(b, findKey)
		if err != nil {
			t.Fatal(err)
		}
		head := listHead
		head.Parts = len(parts)
		if p.Part != i || p.Head != head {
			t.Errorf("part %d = %d of %+v", i, p.Part, p.Head)
		}
		total += len(b)
		joined = append(joined, p.Data...)
	}
	if !ok || total > 150_000 || !bytes.Equal(joined, encoded) {
		t.Errorf("%t, %d bytes in %d parts, want at most 150,000 and the same list", ok, total, len(parts))
	}
	t.Logf("%d bytes in %d messages", total, len(parts))
}

func TestListPartsRefused(t *testing.T) {
	part := func(change func(*wire.ListPart)) []byte {
		p := wire.ListPart{V: wire.Version, Head: listHead, Data: []byte{1, 0, 0}}
		p.Head.Parts = 2
		change(&p)
		return wire.Seal(wire.ForList, 1, testKey(1), p)
	}
	if _, err := wire.OpenListPart(part(func(*wire.ListPart) {}), findKey); err != nil {
		t.Fatalf("a part in order: %v", err)
	}
	random := make([]byte, wire.MaxListPart)
	rand.NewChaCha8([32]byte{}).Read(random)
	flipped := part(func(*wire.ListPart) {})
	flipped[len(flipped)-1] ^= 1
	for _, tt := range []struct {
		name string
		data []byte
		want error
	}{
		{"newer version", part(func(p *wire.ListPart) { p.V++ }), wire.ErrVersion},
		{"no version of the list", part(func(p *wire.ListPart) { p.Head.Stamp.Version = 0 }), wire.ErrMalformed},
		{"change of a later one", part(func(p *wire.ListPart) { p.Head.From, p.Head.Parts = 9, 1 }), wire.ErrMalformed},
		{"change in two parts", part(func(p *wire.ListPart) { p.Head.From = 8 }), wire.ErrMalformed},
		{"past the end", part(func(p *wire.ListPart) { p.Part = 2 }), wire.ErrMalformed},
		{"before the beginning", part(func(p *wire.ListPart) { p.Part = -1 }), wire.ErrMalformed},
		{"of none", part(func(p *wire.ListPart) { p.Head.Parts = 0 }), wire.ErrMalformed},
		{"of too many", part(func(p *wire.ListPart) { p.Head.Parts = wire.MaxListParts + 1 }), wire.ErrTooLarge},
		{"without content", part(func(p *wire.ListPart) { p.Data = nil }), wire.ErrMalformed},
		{"too long", part(func(p *wire.ListPart) { p.Data = random }), wire.ErrTooLarge},
		{"inflates to too much", part(func(p *wire.ListPart) { p.Data = make([]byte, wire.MaxListPart+1) }), wire.ErrTooLarge},
		{"another key", wire.Seal(wire.ForList, 1, testKey(2), wire.ListPart{}), wire.ErrSignature},
		{"a key that is not listed", wire.Seal(wire.ForList, 2, testKey(1), wire.ListPart{}), wire.ErrSignature},
		{"another purpose", wire.Seal(wire.ForBeat, 1, testKey(1), wire.ListPart{}), wire.ErrSignature},
		{"a bit flipped", flipped, wire.ErrSignature},
	} {
		if p, err := wire.OpenListPart(tt.data, findKey); !errors.Is(err, tt.want) {
			t.Errorf("%s: OpenListPart = %+v, %v, want %v", tt.name, p, err, tt.want)
		}
	}
}

func TestListThatDoesNotFit(t *testing.T) {
	h := listHead
	for _, tt := range []struct {
		name  string
		from  uint64
		bytes int
		want  int
	}{
		{"empty", 0, 0, 0},
		{"small", 0, 1, 1},
		{"largest change", 8, wire.MaxListPart - 512, 1},
		{"change too large", 8, wire.MaxListPart - 511, 0},
		{"two parts", 0, wire.MaxListPart - 511, 2},
		{"largest", 0, wire.MaxListParts * (wire.MaxListPart - 512), wire.MaxListParts},
		{"too large", 0, wire.MaxListParts*(wire.MaxListPart-512) + 1, 0},
	} {
		h.From = tt.from
		content := make([]byte, tt.bytes)
		rand.NewChaCha8([32]byte{}).Read(content)
		parts, ok := wire.SealList(1, testKey(1), h, content)
		if len(parts) != tt.want || ok != (tt.want > 0) {
			t.Errorf("%s: %d parts, %t, want %d", tt.name, len(parts), ok, tt.want)
		}
		for _, p := range parts {
			if len(p) > wire.MaxListPart {
				t.Errorf("%s: part of %d bytes", tt.name, len(p))
			}
		}
	}
}

func TestBeatWithTooManyParts(t *testing.T) {
	l := &wire.ListBeat{}
	for i := range wire.MaxListParts {
		l.Add(i)
	}
	b := wire.Beat{V: wire.Version, List: l}
	if _, err := wire.OpenBeat(wire.Seal(wire.ForBeat, 0, testKey(1), b), public(testKey(1))); err != nil {
		t.Errorf("a beat with all parts: %v", err)
	}
	l.Add(wire.MaxListParts)
	if _, err := wire.OpenBeat(wire.Seal(wire.ForBeat, 0, testKey(1), b), public(testKey(1))); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a beat with one part more: %v", err)
	}
}
