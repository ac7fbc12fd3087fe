package qrread_test

import (
	"image"
	"testing"

	"github.com/makiuchi-d/gozxing/qrcode/decoder"

	"github.com/qrgate/qrgate/hw/qrread"
)

func TestHints(t *testing.T) {
	s := encode(t, ownCard, decoder.ErrorCorrectionLevel_M, 0)
	// A thumb over most of the text leaves the three corners.
	hidden := func(img *image.Gray, v view) {
		drawSymbol(img, s, v)
		h := int(13 * v.module)
		for y := -h; y < h; y++ {
			for x := -h; x < h; x++ {
				img.Pix[img.PixOffset(int(v.x)+x, int(v.y)+y)] = 120
			}
		}
	}
	for _, tt := range []struct {
		name string
		draw func(*image.Gray)
		want qrread.Hint
	}{
		{"nothing there", func(*image.Gray) {}, qrread.NoHint},
		{"a card that is read", func(img *image.Gray) { drawSymbol(img, s, view{module: 4, x: 200, y: 150}) }, qrread.NoHint},
		{"far", func(img *image.Gray) { hidden(img, view{module: 1.7, x: 200, y: 150}) }, qrread.Closer},
		{"damaged", func(img *image.Gray) { hidden(img, view{module: 5, x: 200, y: 150}) }, qrread.HoldStill},
		{"dark", func(img *image.Gray) {
			hidden(img, view{module: 5, x: 200, y: 150})
			for i := range img.Pix {
				img.Pix[i] /= 4
			}
		}, qrread.Light},
		{"glare", func(img *image.Gray) {
			hidden(img, view{module: 5, x: 200, y: 150})
			for y := 110; y < 190; y++ {
				for x := 160; x < 240; x++ {
					img.Pix[img.PixOffset(x, y)] = 255
				}
			}
		}, qrread.Tilt},
	} {
		img := blank(400, 300)
		tt.draw(img)
		r := patient()
		codes := r.Read(img)
		if got := r.Hint(); got != tt.want || (len(codes) > 0) != (tt.name == "a card that is read") {
			t.Errorf("%s: %d codes and hint %q, want %q", tt.name, len(codes), got, tt.want)
		}
	}
}
