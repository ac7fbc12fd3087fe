// Package phone reads the QR codes of pictures as a visitor's phone does, by a reader
// that shares nothing with a kiosk's. For tests.
package phone

import (
	"errors"
	"image"
	"image/color"
	"image/draw"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// Read returns what the QR code in a picture says: of a picture of nothing but a code,
// which the search below misses once in sixty, or of any other.
func Read(img image.Image) (string, error) {
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		return "", err
	}
	if alone, err := qrcode.NewQRCodeReader().Decode(bitmap, hint(gozxing.DecodeHintType_PURE_BARCODE)); err == nil {
		return alone.GetText(), nil
	}
	text, _, err := Search(img)
	return text, err
}

// Search finds a QR code in a picture, and returns what it says and the middles of its
// finder patterns: lower left, upper left, upper right.
//
// The library looks for them in few lines and now and then takes a speck for one. A phone
// looks again from elsewhere: so does this, at half and at a third of the size.
func Search(img image.Image) (string, []gozxing.ResultPoint, error) {
	grey := image.NewGray(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(grey, grey.Rect, img, img.Bounds().Min, draw.Src)
	var errs []error
	for scale := 1; scale <= 3; scale++ {
		bitmap, err := gozxing.NewBinaryBitmapFromImage(Shrink(grey, scale))
		if err != nil {
			return "", nil, err
		}
		got, err := qrcode.NewQRCodeReader().Decode(bitmap, hint(gozxing.DecodeHintType_TRY_HARDER))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		finders := got.GetResultPoints()
		for i, p := range finders {
			finders[i] = gozxing.NewResultPoint(p.GetX()*float64(scale), p.GetY()*float64(scale))
		}
		return got.GetText(), finders, nil
	}
	return "", nil, errors.Join(errs...)
}

func hint(h gozxing.DecodeHintType) map[gozxing.DecodeHintType]any {
	return map[gozxing.DecodeHintType]any{h: true}
}

// Shrink returns a picture whose every dot is the mean of by times by dots.
func Shrink(img *image.Gray, by int) *image.Gray {
	small := image.NewGray(image.Rect(0, 0, img.Rect.Dx()/by, img.Rect.Dy()/by))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			sum := 0
			for i := range by * by {
				sum += int(img.GrayAt(x*by+i%by, y*by+i/by).Y)
			}
			small.SetGray(x, y, color.Gray{Y: uint8(sum / (by * by))})
		}
	}
	return small
}
