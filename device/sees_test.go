package main

import (
	"context"
	"image"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/sync/words"
)

func TestEveryHintHasWords(t *testing.T) {
	hints := []string{string(qrread.Closer), string(qrread.HoldStill), string(qrread.Tilt), string(qrread.Light)}
	if d := cmp.Diff(hints, words.Hints()); d != "" {
		t.Errorf("hints that have words (-given +said)\n%s", d)
	}
}

// cornersOnly is a picture of the corners of a symbol, and of nothing in it.
func cornersOnly() *image.Gray {
	img := image.NewGray(image.Rect(0, 0, 320, 240))
	for i := range img.Pix {
		img.Pix[i] = 200
	}
	const module = 4
	for _, at := range [][2]int{{10, 10}, {36, 10}, {10, 36}} {
		for y := range 7 * module {
			for x := range 7 * module {
				fx, fy := x/module-3, y/module-3
				if ring := max(fx, -fx, fy, -fy); ring != 2 {
					img.Pix[img.PixOffset(at[0]*module+x, at[1]*module+y)] = 40
				}
			}
		}
	}
	return img
}

// A shown picture comes fifteen times a second.
type shown struct{ picture *image.Gray }

func (s *shown) Next(ctx context.Context) (*image.Gray, time.Time, error) {
	select {
	case <-ctx.Done():
		return nil, time.Time{}, ctx.Err()
	case <-time.After(time.Second / 15):
		return s.picture, time.Now(), nil
	}
}

func (*shown) Close() error { return nil }

func TestAdviceOfTwoCameras(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		empty := image.NewGray(image.Rect(0, 0, 320, 240))
		for i := range empty.Pix {
			empty.Pix[i] = 150 + uint8(i*7%5)
		}
		var views []*shown
		var cameras []*camera.Source
		for _, name := range []string{"1", "2"} {
			v := &shown{picture: empty}
			views = append(views, v)
			open := func() (camera.Frames, error) { return v, nil }
			cameras = append(cameras, camera.NewSource(name, open, qrread.Options{Deadline: time.Hour}, slog.New(slog.NewTextHandler(io.Discard, nil))))
		}
		var said []string
		advise(cameras, func(hint string) { said = append(said, hint) })
		look := func() {
			for _, c := range cameras {
				ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
				c.Next(ctx)
				stop()
			}
		}
		look()
		views[1].picture = cornersOnly()
		look()
		views[0].picture = cornersOnly()
		look()
		cameras[1].Close()
		cameras[0].Close()
		if d := cmp.Diff([]string{"hold-still", ""}, slices.Compact(said)); d != "" {
			t.Errorf("said (-want +got)\n%s", d)
		}
	})
}

func TestLightShinesWhileItIsNeededAndTenMinutesMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var dark, on atomic.Bool
		var times atomic.Int32
		ended := make(chan error)
		go func() {
			never := func() bool { return false }
			ended <- light(ctx, []func() bool{never, dark.Load}, func(b bool) { on.Store(b); times.Add(1) })
		}()
		// Looked at between two of its looks.
		time.Sleep(500 * time.Millisecond)
		for _, tt := range []struct {
			dark bool
			pass time.Duration
			on   bool
		}{
			{false, time.Minute, false}, {true, time.Second, true}, {true, time.Hour, true},
			// It makes the picture bright.
			{false, 9 * time.Minute, true}, {false, 2 * time.Minute, false},
		} {
			dark.Store(tt.dark)
			time.Sleep(tt.pass)
			synctest.Wait()
			if on.Load() != tt.on {
				t.Errorf("%+v: the light is on: %v", tt, on.Load())
			}
		}
		if got := times.Load(); got != 2 {
			t.Errorf("the light was switched %d times, want 2", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("light = %v, want nil", err)
		}
	})
}
