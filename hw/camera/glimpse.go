package camera

import (
	"context"
	"errors"
	"image"
	"time"
)

// A glimpse is as wide as this, and each of its pixels is the mean of a block of the
// picture: whoever aims a camera sees a card, a hand and the light, and nobody reads a
// word or knows a face.
const glimpseWide = 64

// ErrGlimpse is returned when the camera gives no picture in time.
var ErrGlimpse = errors.New("camera: no picture")

const glimpseTime = 10 * time.Second

// Glimpse returns the next picture, made so coarse that no text can be read in it. It
// waits for a frame while Next runs, and is for one caller at a time.
func (s *Source) Glimpse(ctx context.Context) (*image.Gray, error) {
	late := time.NewTimer(glimpseTime)
	defer late.Stop()
	to := make(chan *image.Gray, 1)
	s.glimpse.Store(&to)
	defer s.glimpse.Store(nil)
	select {
	case img := <-to:
		return img, nil
	case <-late.C:
		return nil, ErrGlimpse
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// show gives a frame to whoever waits for a glimpse.
func (s *Source) show(img *image.Gray) {
	to := s.glimpse.Swap(nil)
	if to == nil {
		return
	}
	*to <- coarse(img)
}

// coarse returns img in so few pixels that text is gone.
func coarse(img *image.Gray) *image.Gray {
	wide, high := img.Rect.Dx(), img.Rect.Dy()
	block := max((wide+glimpseWide-1)/glimpseWide, 1)
	small := image.NewGray(image.Rect(0, 0, (wide+block-1)/block, (high+block-1)/block))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			sum, n := 0, 0
			for v := y * block; v < min((y+1)*block, high); v++ {
				line := img.Pix[v*img.Stride:][:wide]
				for _, p := range line[x*block : min((x+1)*block, wide)] {
					sum, n = sum+int(p), n+1
				}
			}
			small.Pix[y*small.Stride+x] = uint8(sum / n)
		}
	}
	return small
}
