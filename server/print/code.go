package print

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"
)

const (
	quiet       = 4 // modules of margin, as ISO/IEC 18004 demands
	moduleScale = 8 // pixels a module
)

// Code writes text to w as a QR code in PNG: error correction level Q, eight
// pixels a module, a quiet zone of four modules.
func Code(w io.Writer, text string) error {
	m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 1, 1, map[gozxing.EncodeHintType]any{
		gozxing.EncodeHintType_ERROR_CORRECTION: decoder.ErrorCorrectionLevel_Q,
		gozxing.EncodeHintType_MARGIN:           quiet,
	})
	if err != nil {
		return fmt.Errorf("print: code: %w", err)
	}
	img := image.NewGray(image.Rect(0, 0, m.GetWidth()*moduleScale, m.GetHeight()*moduleScale))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if !m.Get(x/moduleScale, y/moduleScale) {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	if err := png.Encode(w, img); err != nil {
		return fmt.Errorf("print: code: %w", err)
	}
	return nil
}
