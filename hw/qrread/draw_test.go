package qrread_test

import (
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"
	"github.com/makiuchi-d/gozxing/qrcode/encoder"
)

// A symbol is a code as the library's writer makes it, true for dark.
type symbol [][]bool

// encode writes text; version 0 is the smallest that holds it.
func encode(tb testing.TB, text string, level decoder.ErrorCorrectionLevel, version int) symbol {
	tb.Helper()
	hints := map[gozxing.EncodeHintType]any{gozxing.EncodeHintType_CHARACTER_SET: "UTF-8"}
	if version > 0 {
		hints[gozxing.EncodeHintType_QR_VERSION] = version
	}
	code, err := encoder.Encoder_encode(text, level, hints)
	if err != nil {
		tb.Fatalf("encode %d characters: %v", len(text), err)
	}
	m := code.GetMatrix()
	s := make(symbol, m.GetHeight())
	for y := range s {
		s[y] = make([]bool, m.GetWidth())
		for x := range s[y] {
			s[y][x] = m.Get(x, y) == 1
		}
	}
	return s
}

// A view says how a symbol is drawn.
type view struct {
	module   float64 // pixels
	turn     float64 // degrees, clockwise
	tilt     float64 // how much deeper the far side lies than the near one, as a share
	x, y     float64 // centre
	inverted bool
	mirrored bool
}

// blank returns a frame of light grey with a little noise.
func blank(w, h int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, w, h))
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = uint8(205 + rnd.IntN(7))
	}
	return img
}

// drawSymbol draws s with a quiet zone, each pixel the mean of 2x2 points.
func drawSymbol(img *image.Gray, s symbol, v view) {
	n := float64(len(s))
	sin, cos := math.Sincos(v.turn * math.Pi / 180)
	const fine = 2
	reach := (n + 8) * v.module * (1 + v.tilt)
	for y := max(int(v.y-reach), 0); y < min(int(v.y+reach), img.Rect.Dy()); y++ {
		for x := max(int(v.x-reach), 0); x < min(int(v.x+reach), img.Rect.Dx()); x++ {
			sum, points := 0, 0
			for k := range fine * fine {
				px := float64(x) + (float64(k%fine)+0.5)/fine - v.x
				py := float64(y) + (float64(k/fine)+0.5)/fine - v.y
				a, b := cos*px+sin*py, cos*py-sin*px
				w := 1 / (1 + v.tilt*a/(n*v.module))
				a, b = a*w/v.module+n/2, b*w/v.module+n/2
				if v.mirrored {
					a = n - a
				}
				if a < -4 || b < -4 || a >= n+4 || b >= n+4 {
					continue
				}
				points++
				dark := a >= 0 && b >= 0 && a < n && b < n && s[int(b)][int(a)]
				if dark == v.inverted {
					sum += 210
				} else {
					sum += 40
				}
			}
			if points > 0 {
				i := img.PixOffset(x, y)
				sum += (fine*fine - points) * int(img.Pix[i])
				noise := int(img.Pix[i]) % 7
				img.Pix[i] = uint8(sum/(fine*fine) + noise)
			}
		}
	}
}
