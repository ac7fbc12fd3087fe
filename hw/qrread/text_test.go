package qrread_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/qrgate/qrgate/hw/qrread"
)

// bits writes what stands in a symbol, from the highest bit on.
type bits []byte

func (b *bits) put(n, v int) {
	for i := n - 1; i >= 0; i-- {
		*b = append(*b, byte(v>>i&1))
	}
}

func (b *bits) bytes(s string) {
	b.put(4, 4)
	b.put(8, len(s))
	for _, c := range []byte(s) {
		b.put(8, int(c))
	}
}

// words returns the bits with terminator and padding, in n codewords.
func (b bits) words(n int) []byte {
	b.put(4, 0)
	for len(b)%8 != 0 {
		b.put(1, 0)
	}
	var words []byte
	for i := 0; i < len(b); i += 8 {
		v := byte(0)
		for _, bit := range b[i : i+8] {
			v = v<<1 | bit
		}
		words = append(words, v)
	}
	for pad := byte(0xec); len(words) < n; pad ^= 0xec ^ 0x11 {
		words = append(words, pad)
	}
	return words
}

func TestCharacterSets(t *testing.T) {
	const (
		latin1   = 3
		shiftJIS = 20
		utf8     = 26
	)
	eci := func(set int, raw string) (b bits) {
		b.put(4, 7)
		b.put(8, set)
		b.bytes(raw)
		return b
	}
	plain := func(raw string) (b bits) {
		b.bytes(raw)
		return b
	}
	part := func(n, of int, raw string) (b bits) {
		b.put(4, 3)
		b.put(4, n-1)
		b.put(4, of-1)
		b.put(8, 0x5a)
		b.bytes(raw)
		return b
	}
	for _, tt := range []struct {
		name string
		bits bits
		want qrread.Code
	}{
		{"UTF-8, not declared", plain("Nguyễn Thị Ánh"), qrread.Code{Text: "Nguyễn Thị Ánh", Raw: []byte("Nguyễn Thị Ánh")}},
		{"UTF-8, declared", eci(utf8, "Đà Nẵng"), qrread.Code{Text: "Đà Nẵng", Raw: []byte("Đà Nẵng")}},
		{"Latin-1, not declared", plain("Z\xfcrich, caf\xe9"), qrread.Code{Text: "Zürich, café", Raw: []byte("Z\xfcrich, caf\xe9")}},
		{"Latin-1 that would be UTF-8, declared", eci(latin1, "\xc3\xa9"), qrread.Code{Text: "Ã©", Raw: []byte("\xc3\xa9")}},
		{"Shift-JIS, not declared", plain("\x93\xfa\x96\x7b\x8c\xea"), qrread.Code{Text: "日本語", Raw: []byte("\x93\xfa\x96\x7b\x8c\xea")}},
		{"Shift-JIS, declared", eci(shiftJIS, "\x93\xfa\x96\x7b"), qrread.Code{Text: "日本", Raw: []byte("\x93\xfa\x96\x7b")}},
		{"second of three", part(2, 3, "part"), qrread.Code{Text: "part", Raw: []byte("part"), Part: 2, Parts: 3}},
		{"last of sixteen", part(16, 16, "part"), qrread.Code{Text: "part", Raw: []byte("part"), Part: 16, Parts: 16}},
	} {
		img := blank(160, 160)
		drawSymbol(img, compose(t, tt.bits.words(108), 5, 26), view{module: 3.5, x: 80, y: 80})
		got := patient().Read(img)
		if d := cmp.Diff([]qrread.Code{tt.want}, got, cmpopts.IgnoreFields(qrread.Code{}, "Corners")); d != "" {
			t.Errorf("%s: Read (-want +got)\n%s", tt.name, d)
		}
	}
}

// A symbol that is sound but holds no text is not tried in every other way: whoever
// holds it up must not keep the reader from the next card.
func TestSoundSymbolWithoutTextIsTriedOnce(t *testing.T) {
	words := make([]byte, 108, 108+26)
	copy(words, []byte{0x4f, 0xff, 0xff}) // more bytes than there are
	img := blank(320, 320)
	drawSymbol(img, compose(t, words, 5, 26), view{module: 5, x: 160, y: 160})
	r := patient()
	if got := r.Read(img); got != nil {
		t.Fatalf("Read = %+v, want nothing", got)
	}
	if got := r.Stats().Attempts; got == 0 || got > 3 {
		t.Errorf("Attempts = %d, want 1 to 3", got)
	}
}
