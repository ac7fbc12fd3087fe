package reel_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/qrgate/qrgate/sync/reel"
)

// However codes are seen, they make what was cut.
func TestCodesInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, reel.Piece, reel.Piece + 1, 40 * reel.Piece} {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		var reader reel.Reader
		if _, err := reader.Add(reel.Cut(append(b, 1))[0]); err != nil { // of another reel, not seen to its end
			t.Fatal(err)
		}
		codes := reel.Cut(b)
		var got []byte
		for n := 0; got == nil; n++ {
			if n > 100*len(codes) {
				t.Fatalf("%d bytes are not whole after %d codes", size, n)
			}
			var err error
			if got, err = reader.Add(codes[r.IntN(len(codes))]); err != nil {
				t.Fatal(err)
			}
			if size == 0 && err == nil {
				break
			}
		}
		if !bytes.Equal(got, b) {
			t.Errorf("%d bytes came as %d others", len(b), len(got))
		}
	}
}

func TestNoCodes(t *testing.T) {
	var r reel.Reader
	good := reel.Cut([]byte("a bundle"))[0]
	for _, text := range []string{"", "QGF1", "QGF1A", "QGE1AAAA", good[1:], good + "A", good[:len(good)-1], good[:10] + "A" + good[11:]} {
		if text == good {
			continue
		}
		if whole, err := r.Add(text); !errors.Is(err, reel.ErrNoCode) || whole != nil {
			t.Errorf("Add(%q) = %q, %v", text, whole, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range reel.Cut(bytes.Repeat([]byte("check-in"), 100)) {
		f.Add(text, text)
	}
	f.Add("QGF1", "HTTPS://EXAMPLE.VN")
	f.Fuzz(func(t *testing.T, a, b string) {
		var r reel.Reader
		for _, text := range []string{a, b, a} {
			whole, err := r.Add(text)
			if err != nil && !errors.Is(err, reel.ErrNoCode) && !errors.Is(err, reel.ErrBroken) {
				t.Fatalf("Add(%q) = %v", text, err)
			}
			if n, of := r.Seen(); n > of || of > reel.MaxPieces {
				t.Fatalf("seen %d of %d", n, of)
			}
			if err == nil && whole != nil && len(whole) <= reel.Piece && reel.Cut(whole)[0] != text {
				t.Fatalf("%q made %q, which is cut into %q", text, whole, reel.Cut(whole)[0])
			}
		}
	})
}
