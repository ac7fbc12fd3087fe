package camera_test

import (
	"context"
	"image"
	"image/color"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
)

var darkGrey = color.Gray{Y: 40}

// corners draws three finder patterns with nothing between them: a card that
// cannot be read.
func corners(module int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, 320, 240))
	for i := range img.Pix {
		img.Pix[i] = 200
	}
	for _, at := range [][2]int{{0, 0}, {26, 0}, {0, 26}} {
		for y := range 7 * module {
			for x := range 7 * module {
				fx, fy := x/module-3, y/module-3
				if ring := max(fx, -fx, fy, -fy); ring != 2 {
					img.SetGray(40+at[0]*module+x, 40+at[1]*module+y, darkGrey)
				}
			}
		}
	}
	return img
}

func TestHintIsSteadyAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		picture := grain(200, 2)
		src := camera.NewSource("door", show(func() (*image.Gray, error) { return picture, nil }), qrread.Options{Deadline: time.Hour}, quiet)
		defer src.Close()
		var told []qrread.Hint
		src.OnHint(func(h qrread.Hint) { told = append(told, h) })
		run := func(d time.Duration) qrread.Hint {
			ctx, stop := context.WithTimeout(t.Context(), d)
			defer stop()
			src.Next(ctx)
			return src.Hint()
		}
		if got := run(time.Second); got != qrread.NoHint {
			t.Errorf("hint for an empty scene is %q", got)
		}
		picture = corners(4)
		if got := run(250 * time.Millisecond); got != qrread.NoHint {
			t.Errorf("hint at once is %q, want none yet", got)
		}
		if got := run(time.Second); got != qrread.HoldStill {
			t.Errorf("hint = %q, want %q", got, qrread.HoldStill)
		}
		if got := run(20 * time.Second); got != qrread.NoHint {
			t.Errorf("hint for a thing on the wall is %q", got)
		}
		picture = grain(200, 2)
		run(2 * time.Second)
		picture = corners(4)
		if got := run(time.Second); got != qrread.HoldStill {
			t.Errorf("hint for the next card is %q, want %q", got, qrread.HoldStill)
		}
		src.Close()
		want := []qrread.Hint{qrread.HoldStill, qrread.NoHint, qrread.HoldStill, qrread.NoHint}
		if d := cmp.Diff(want, told); d != "" {
			t.Errorf("OnHint was told (-want +got)\n%s", d)
		}
		if d := cmp.Diff(map[string]uint64{"hold-still": 2}, src.Health().Hints); d != "" {
			t.Errorf("hints in its health (-want +got)\n%s", d)
		}
	})
}

func TestDarkBeforeTheCamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name    string
			picture *image.Gray
			want    bool
		}{
			{"a lit room", grain(200, 2), false},
			{"night", grain(10, 2), true},
			{"dusk", grain(45, 2), true},
			{"a card in dim light", dimmed(corners(4)), true},
			{"a card in the light", corners(4), false},
		} {
			src := camera.NewSource("door", show(func() (*image.Gray, error) { return tt.picture, nil }), qrread.Options{Deadline: time.Hour}, quiet)
			ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
			src.Next(ctx)
			if got := src.Dark(); got != tt.want {
				t.Errorf("%s: Dark = %v, want %v", tt.name, got, tt.want)
			}
			stop()
			src.Close()
		}
	})
}

// dimmed is a picture in a third of its light, in which nothing is black yet.
func dimmed(img *image.Gray) *image.Gray {
	for i := range img.Pix {
		img.Pix[i] /= 3
	}
	return img
}
