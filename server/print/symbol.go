package print

import (
	"fmt"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"
)

const (
	// MaxURL is the longest URL of a poster in bytes: what a symbol of version
	// 10 holds at level H, whose modules are still 1 mm wide on a sticker.
	MaxURL = 119
	// A symbol under version 5 has modules so large that its quiet zone takes
	// the room of the words; there is nothing to be gained from it.
	leastVersion = 5
)

// A symbol is a QR code at level H: it is read with 15 per cent of it covered.
type symbol struct {
	size int // modules on a side
	dark func(x, y int) bool
}

func encode(text string) (symbol, error) {
	hints := map[gozxing.EncodeHintType]any{
		gozxing.EncodeHintType_ERROR_CORRECTION: decoder.ErrorCorrectionLevel_H,
		gozxing.EncodeHintType_MARGIN:           0,
	}
	for {
		m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 1, 1, hints)
		if err != nil {
			return symbol{}, fmt.Errorf("print: code: %w", err)
		}
		if m.GetWidth() >= 17+4*leastVersion {
			return symbol{m.GetWidth(), m.Get}, nil
		}
		hints[gozxing.EncodeHintType_QR_VERSION] = leastVersion
	}
}

// margin returns the width of the quiet zone of s drawn with the given side.
func (s symbol) margin(side float64) float64 { return quiet * side / float64(s.size) }

// code draws s with its quiet zone, black on white whatever lies below. The
// symbol itself stands at x, y.
func (c *canvas) code(s symbol, x, y, side float64) {
	q := s.margin(side)
	c.fill(white, rect(x-q, y-q, side+2*q, side+2*q))
	// One path: rectangles that touch leave no hairline between them.
	var dark path
	module := side / float64(s.size)
	for row := range s.size {
		for from := 0; from < s.size; from++ {
			to := from
			for to < s.size && s.dark(to, row) {
				to++
			}
			if to > from {
				dark = append(dark, rect(x+float64(from)*module, y+float64(row)*module, float64(to-from)*module, module)...)
				from = to
			}
		}
	}
	c.fill(black, dark)
}
