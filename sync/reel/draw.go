package reel

import (
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"io"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

const (
	margin   = 4   // modules of white around a code
	width    = 640 // pixels, about
	standing = 35  // hundredths of a second that each code is shown
)

// Draw writes the codes as a picture that shows one after the other, over and over. Any
// browser plays it, without a script.
func Draw(w io.Writer, codes []string) error {
	var matrices []*gozxing.BitMatrix
	most := 0
	for _, text := range codes {
		hints := map[gozxing.EncodeHintType]any{gozxing.EncodeHintType_ERROR_CORRECTION: "L", gozxing.EncodeHintType_MARGIN: 0}
		m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 1, 1, hints)
		if err != nil {
			return fmt.Errorf("reel: draw: %w", err)
		}
		matrices, most = append(matrices, m), max(most, m.GetWidth())
	}
	scale := max(2, width/(most+2*margin))
	side := scale * (most + 2*margin)
	var film gif.GIF
	for _, m := range matrices {
		img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
		from := (side - scale*m.GetWidth()) / 2 // the last code may be a smaller one
		for y := range scale * m.GetHeight() {
			for x := range scale * m.GetWidth() {
				if m.Get(x/scale, y/scale) {
					img.SetColorIndex(from+x, from+y, 1)
				}
			}
		}
		film.Image, film.Delay = append(film.Image, img), append(film.Delay, standing)
	}
	if err := gif.EncodeAll(w, &film); err != nil {
		return fmt.Errorf("reel: draw: %w", err)
	}
	return nil
}
