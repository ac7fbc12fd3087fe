package camera_test

import (
	"context"
	"errors"
	"image"
	"log/slog"
	"testing"
	"time"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
)

// Whoever aims a camera gets a picture in which nothing can be read: of a card that
// fills the frame not even its code.
func TestGlimpseShowsNoText(t *testing.T) {
	const picture = "../../testdata/qr/nominal2_token_480.jpg"
	sharp, err := camera.Load(picture)
	if err != nil {
		t.Fatal(err)
	}
	if len(qrread.New(qrread.Options{Deadline: time.Hour}).Read(sharp)) == 0 {
		t.Fatal("the picture has no code to begin with")
	}
	src := camera.NewSource("1", func() (camera.Frames, error) {
		return camera.OpenFiles(picture, camera.FileOptions{Rate: 20})
	}, qrread.Options{}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := src.Next(ctx); err != nil {
				return
			}
		}
	}()
	defer func() { cancel(); <-ended; src.Close() }()
	img, err := src.Glimpse(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if img.Rect.Dx() > 64 || img.Rect.Dx() < 32 || img.Rect.Dy() < 16 {
		t.Errorf("a glimpse of %v", img.Rect)
	}
	large := image.NewGray(image.Rect(0, 0, 8*img.Rect.Dx(), 8*img.Rect.Dy()))
	for y := range large.Rect.Dy() {
		for x := range large.Rect.Dx() {
			large.Pix[y*large.Stride+x] = img.Pix[y/8*img.Stride+x/8]
		}
	}
	for _, seen := range []*image.Gray{img, large} {
		if codes := qrread.New(qrread.Options{Deadline: time.Second}).Read(seen); len(codes) > 0 {
			t.Errorf("%d codes can be read in a glimpse of %v", len(codes), seen.Rect)
		}
	}
}

func TestGlimpseOfNoCamera(t *testing.T) {
	src := camera.NewSource("1", func() (camera.Frames, error) { return nil, errors.New("no camera") }, qrread.Options{}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if img, err := src.Glimpse(ctx); err == nil {
		t.Errorf("a glimpse of %v", img.Rect)
	}
}
