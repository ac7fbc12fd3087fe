package intro

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	_ "image/png" // what cameras and phones save
	"math"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

// Bounds of pictures.
const (
	maxPicture = 8 << 20    // bytes of what is sent
	maxPixels  = 40_000_000 // of what is sent, looked at before it is decoded
	maxScans   = 40         // of a JPEG of so many pixels, of fewer more: cameras make ten, and a film behind it looks like a hundred
	maxSide    = 1600       // pixels of what is kept
	maxKept    = 100_000    // bytes of what is kept
)

// startOfScan is the marker before each scan of a JPEG.
const startOfScan = "\xff\xda"

// What is wrong with a picture that somebody sends.
var (
	errNoPicture  = errors.New("intro: neither JPEG nor PNG nor WebP")
	errManyPixels = errors.New("intro: too many pixels")
)

// drawing lets one picture at a time be decoded: one of the largest takes up to
// half a gigabyte.
var drawing = make(chan struct{}, 1)

// Shrink returns a picture as a JPEG of at most 1600 pixels a side and 100 kB,
// upright, and with nothing of what else stood in the file: where and when it was
// taken and by which device.
func Shrink(ctx context.Context, file []byte) (kept []byte, width, height int, err error) {
	c, kind, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil || c.Width < 1 || c.Height < 1 {
		return nil, 0, 0, errNoPicture
	}
	if c.Width > maxPixels/c.Height {
		return nil, 0, 0, fmt.Errorf("%w: %d x %d", errManyPixels, c.Width, c.Height)
	}
	// Each scan of a JPEG goes over all pixels and may have fifty bytes: a file of 8 MB
	// would take hours.
	if kind == "jpeg" && bytes.Count(file, []byte(startOfScan)) > maxScans*maxPixels/(c.Width*c.Height) {
		return nil, 0, 0, errNoPicture
	}
	select {
	case drawing <- struct{}{}:
		defer func() { <-drawing }()
	case <-ctx.Done():
		return nil, 0, 0, ctx.Err()
	}
	whole, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, 0, 0, errNoPicture
	}
	small := upright(scaled(whole, maxSide), orientation(file))
	for side := maxSide; ; side = side * 3 / 4 {
		if b := small.Bounds(); max(b.Dx(), b.Dy()) > side {
			small = scaled(small, side)
		}
		for _, quality := range []int{85, 75, 65, 55} {
			var out bytes.Buffer
			if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: quality}); err != nil {
				return nil, 0, 0, fmt.Errorf("intro: picture: %w", err)
			}
			if out.Len() <= maxKept {
				return out.Bytes(), small.Bounds().Dx(), small.Bounds().Dy(), nil
			}
		}
	}
}

// scaled returns a picture of at most side pixels a side, on white where it can
// be seen through. Whole steps are averaged and the rest is interpolated, in the
// memory of the result: a better filter wants as much as the picture itself.
func scaled(src image.Image, side int) *image.RGBA {
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	by := 1.0
	if most := max(w, h); most > side {
		by = float64(side) / float64(most)
	}
	whole := averaged(src, min(max(int(1/by), 1), w, h))
	w, h = max(1, int(math.Round(float64(w)*by))), max(1, int(math.Round(float64(h)*by)))
	if whole.Rect.Dx() == w && whole.Rect.Dy() == h {
		return whole
	}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.ApproxBiLinear.Scale(dst, dst.Rect, whole, whole.Rect, draw.Src, nil)
	return dst
}

// averaged returns a picture with one pixel for each square of n.
func averaged(src image.Image, n int) *image.RGBA {
	b := src.Bounds()
	dst := image.NewRGBA(image.Rect(0, 0, b.Dx()/n, b.Dy()/n))
	band := image.NewRGBA(image.Rect(0, 0, b.Dx(), n))
	for y := range dst.Rect.Dy() {
		draw.Draw(band, band.Rect, image.White, image.Point{}, draw.Src)
		draw.Draw(band, band.Rect, src, b.Min.Add(image.Pt(0, y*n)), draw.Over)
		for x := range dst.Rect.Dx() {
			var sum [4]int
			for row := range n {
				pix := band.Pix[band.PixOffset(x*n, row):][:4*n]
				for i, v := range pix {
					sum[i%4] += int(v)
				}
			}
			to := dst.Pix[dst.PixOffset(x, y):][:4]
			for i := range to {
				to[i] = uint8((sum[i] + n*n/2) / (n * n))
			}
		}
	}
	return dst
}

// upright turns and mirrors a picture as its Exif orientation says.
func upright(src *image.RGBA, orientation int) *image.RGBA {
	if orientation < 2 || orientation > 8 {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	dw, dh := w, h
	if orientation >= 5 {
		dw, dh = h, w
	}
	dst := image.NewRGBA(image.Rect(0, 0, dw, dh))
	for y := range h {
		for x := range w {
			dx, dy := x, y
			switch orientation {
			case 2:
				dx = w - 1 - x
			case 3:
				dx, dy = w-1-x, h-1-y
			case 4:
				dy = h - 1 - y
			case 5:
				dx, dy = y, x
			case 6:
				dx, dy = h-1-y, x
			case 7:
				dx, dy = h-1-y, w-1-x
			case 8:
				dx, dy = y, w-1-x
			}
			copy(dst.Pix[dst.PixOffset(dx, dy):][:4], src.Pix[src.PixOffset(x, y):][:4])
		}
	}
	return dst
}
