package qrread_test

import (
	"bytes"
	"image"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/common/reedsolomon"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"
	"github.com/makiuchi-d/gozxing/qrcode/encoder"
)

// FuzzRead reads pictures of any bytes: the first two say the size, the others
// are the pixels, over and over.
func FuzzRead(f *testing.F) {
	img := blank(84, 60)
	drawSymbol(img, encode(f, "seed", decoder.ErrorCorrectionLevel_L, 1), view{module: 2.5, turn: 10, x: 40, y: 30})
	f.Add(append([]byte{84, 60}, img.Pix...))
	f.Add(append([]byte{120, 100}, findersOnly(120, 100).Pix...))
	f.Add([]byte{40, 40, 0, 255, 255})
	r := patient()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 3 {
			return
		}
		img := image.NewGray(image.Rect(0, 0, int(data[0]), int(data[1])))
		for n := 0; n < len(img.Pix); {
			n += copy(img.Pix[n:], data[2:])
		}
		before := bytes.Clone(img.Pix)
		got := r.Read(img)
		if !bytes.Equal(before, img.Pix) {
			t.Error("Read changed the picture")
		}
		if d := cmp.Diff(got, r.Read(img)); d != "" {
			t.Errorf("Read gives something else the second time: %s", d)
		}
		for _, c := range got {
			if c.Text == "" {
				t.Error("Read gave a code without text")
			}
			for _, p := range c.Corners {
				if d := math.Hypot(p.X, p.Y); math.IsNaN(d) || d > 10_000 {
					t.Errorf("corner at %v", p)
				}
			}
		}
	})
}

// FuzzMatrix reads symbols of any modules: the first byte says the version, the
// bits of the others turn modules over, all but the finders'. What is read of a
// picture must not depend on what was read before.
func FuzzMatrix(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x81})
	f.Add(append([]byte{6}, bytes.Repeat([]byte{0x5a, 0xc3, 0x0f}, 60)...))
	r := patient()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		s := encode(t, "matrix", decoder.ErrorCorrectionLevel_M, 1+int(data[0])%4)
		n := len(s)
		for i := range 8 * len(data[1:]) {
			x, y := i%n, i/n
			if y >= n {
				break
			}
			if corner := (x < 8 || x >= n-8) && y < 8 || x < 8 && y >= n-8; !corner && data[1+i/8]>>(i%8)&1 == 1 {
				s[y][x] = !s[y][x]
			}
		}
		img := blank(4*n, 4*n)
		drawSymbol(img, s, view{module: 3, x: 2 * float64(n), y: 2 * float64(n)})
		got := r.Read(img)
		if d := cmp.Diff(patient().Read(img), got); d != "" {
			t.Errorf("a new reader reads something else: %s", d)
		}
		if r.Stats().Panics > 0 {
			t.Error("the library panicked")
		}
	})
}

// FuzzStream reads symbols that are sound but for what they say: any bytes where
// segments should stand. The library's parser, asked directly, must agree.
func FuzzStream(f *testing.F) {
	for _, text := range []string{"0123456789", "UPPER CASE", "bytes", "Nguyễn"} {
		f.Add([]byte(text))
	}
	f.Add([]byte{0x41, 0x46, 0x10, 0xec, 0x11})    // "a", the terminator and padding
	f.Add([]byte{0x71, 0xa4, 0x02, 0xc3, 0xa9, 0}) // ECI 26
	f.Add([]byte{0x4f, 0xff, 0xff})                // more bytes than there are
	f.Add([]byte{0x80, 0x40, 0xff})                // Kanji
	r := patient()
	f.Fuzz(func(t *testing.T, data []byte) {
		const version, room, checks = 5, 108, 26 // at level L it has one block
		words := make([]byte, room, room+checks)
		copy(words, data)
		want := parse(t, words)
		img := blank(160, 160)
		drawSymbol(img, compose(t, words, version, checks), view{module: 3.5, x: 80, y: 80})
		if d := cmp.Diff(want, texts(r.Read(img))); d != "" {
			t.Errorf("Read of % x: (-parser +Read)\n%s", bytes.TrimRight(words, "\x00"), d)
		}
	})
}

// parse returns what the library's parser makes of the words; a panic is no text.
func parse(t *testing.T, words []byte) (texts []string) {
	defer func() {
		if recover() != nil {
			texts = nil
		}
	}()
	v, err := decoder.Version_GetVersionForNumber(5)
	if err != nil {
		t.Fatal(err)
	}
	res, err := decoder.DecodedBitStreamParser_Decode(slices.Clone(words), v, decoder.ErrorCorrectionLevel_L, nil)
	if err != nil || res.GetText() == "" {
		return nil
	}
	return []string{res.GetText()}
}

// compose makes the symbol at level L that holds the words in one block.
func compose(t *testing.T, words []byte, version, checks int) symbol {
	ints := make([]int, len(words)+checks)
	for i, w := range words {
		ints[i] = int(w)
	}
	if err := reedsolomon.NewReedSolomonEncoder(reedsolomon.GenericGF_QR_CODE_FIELD_256).Encode(ints, checks); err != nil {
		t.Fatal(err)
	}
	bits := gozxing.NewEmptyBitArray()
	for _, v := range ints {
		if err := bits.AppendBits(v, 8); err != nil {
			t.Fatal(err)
		}
	}
	v, err := decoder.Version_GetVersionForNumber(version)
	if err != nil {
		t.Fatal(err)
	}
	m := encoder.NewByteMatrix(v.GetDimensionForVersion(), v.GetDimensionForVersion())
	if err := encoder.MatrixUtil_buildMatrix(bits, decoder.ErrorCorrectionLevel_L, v, 3, m); err != nil {
		t.Fatal(err)
	}
	s := make(symbol, m.GetHeight())
	for y := range s {
		for x := range m.GetWidth() {
			s[y] = append(s[y], m.Get(x, y) == 1)
		}
	}
	return s
}
