package camera_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/hw/scan"
)

var (
	quiet  = slog.New(slog.DiscardHandler)
	unread = qrread.Options{MaxPixels: 1} // every frame is larger: for tests in which none holds a code
)

// A film is a camera that shows what next returns, ten frames a second.
type film struct {
	next   func() (*image.Gray, error)
	closed *int
}

func (f *film) Next(ctx context.Context) (*image.Gray, time.Time, error) {
	select {
	case <-ctx.Done():
		return nil, time.Time{}, ctx.Err()
	case <-time.After(100 * time.Millisecond):
	}
	img, err := f.next()
	return img, time.Now(), err
}

func (f *film) Close() error {
	if f.closed != nil {
		*f.closed++
	}
	return nil
}

// show returns the function that opens a film of next.
func show(next func() (*image.Gray, error)) func() (camera.Frames, error) {
	return func() (camera.Frames, error) { return &film{next: next}, nil }
}

// grain returns a picture of one grey value with the noise of a sensor.
func grain(grey, noise int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, 64, 48))
	for i := range img.Pix {
		img.Pix[i] = byte(min(max(grey+rand.IntN(2*noise+1)-noise, 0), 255))
	}
	return img
}

// watch runs a source of no codes for d and returns its health.
func watch(t *testing.T, src *camera.Source, d time.Duration) scan.Health {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	if s, err := src.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Next = %+v, %v, want only the end of ctx", s, err)
	}
	return src.Health()
}

func TestSourceReadsCode(t *testing.T) {
	open := func() (camera.Frames, error) { return camera.OpenFiles("testdata", camera.FileOptions{Rate: -1}) }
	src := camera.NewSource("door", open, qrread.Options{Deadline: time.Minute}, quiet)
	defer src.Close()
	before := time.Now()
	for range 2 { // a code in each frame in which it is seen
		s, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Text != cardText || s.Source != "camera:door" || s.At.Before(before) || time.Since(s.At) < 0 {
			t.Errorf("Next = %+v, want %q from camera:door, now", s, cardText)
		}
	}
	h := src.Health()
	if h.Scans != 2 || !h.Present || h.Faulty() || h.LastScan.IsZero() {
		t.Errorf("health = %+v, want 2 scans of a camera in order", h)
	}
	if err := src.Close(); err != nil || src.Health().Present {
		t.Errorf("Close = %v; present after it: %v", err, src.Health().Present)
	}
}

func TestSourceEndsWithPicturesPlayedOnce(t *testing.T) {
	open := func() (camera.Frames, error) {
		return camera.OpenFiles("testdata", camera.FileOptions{Rate: -1, Once: true})
	}
	src := camera.NewSource("door", open, qrread.Options{Deadline: time.Minute}, quiet)
	defer src.Close()
	if _, err := src.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := src.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the last picture Next = %+v, %v, want io.EOF", s, err)
	}
}

func TestFilesGoOnAfterBadPicture(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"1.pgm": asPGM(ramp(8, 8)), "2.jpg": []byte("\xff\xd8 no picture"), "3.png": asPNG(t, ramp(9, 9)), "notes.txt": []byte("no"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := camera.OpenFiles(dir, camera.FileOptions{Rate: -1, Once: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	for {
		img, _, err := f.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case errors.Is(err, camera.ErrFrame):
			got = append(got, "bad")
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, fmt.Sprint(img.Rect.Dx()))
		}
	}
	if s := strings.Join(got, " "); s != "8 bad 9" {
		t.Errorf("pictures %q, want %q", s, "8 bad 9")
	}
	if _, err := camera.OpenFiles(t.TempDir(), camera.FileOptions{}); err == nil {
		t.Error("a folder without pictures was opened")
	}
}

func TestHealthOfPicture(t *testing.T) {
	same := grain(120, 40)
	half := func(a, b int) *image.Gray { // the upper half a, the lower b
		img := grain(a, 2)
		copy(img.Pix[len(img.Pix)/2:], grain(b, 2).Pix[len(img.Pix)/2:])
		return img
	}
	for _, tt := range []struct {
		name  string
		frame func() *image.Gray
		want  string
	}{
		{"an entrance", func() *image.Gray { return half(40, 160) }, ""},
		{"a card held close", func() *image.Gray { return half(20, 235) }, ""},
		{"covered, by a camera with the range of television", func() *image.Gray { return grain(16, 3) }, camera.Black},
		{"covered and without noise", func() *image.Gray { return grain(0, 0) }, camera.Black},
		{"at night", func() *image.Gray { return half(10, 45) }, camera.Dark},
		{"sun in the lens", func() *image.Gray { return grain(253, 2) }, camera.Bright},
		{"hung", func() *image.Gray { return same }, camera.Frozen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				open := show(func() (*image.Gray, error) { return tt.frame(), nil })
				src := camera.NewSource("door", open, unread, quiet)
				defer src.Close()
				if h := watch(t, src, 2*time.Second); h.Blind != "" {
					t.Errorf("after two seconds: %q", h.Blind)
				}
				h := watch(t, src, 8*time.Second)
				if h.Blind != tt.want || !h.Present || h.Faulty() != (tt.want != "") {
					t.Errorf("after ten seconds: %+v, want blind = %q", h, tt.want)
				}
			})
		})
	}
}

func TestBlindnessEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		img := grain(0, 0)
		src := camera.NewSource("door", show(func() (*image.Gray, error) { return img, nil }), unread, quiet)
		defer src.Close()
		if h := watch(t, src, 10*time.Second); h.Blind != camera.Black {
			t.Fatalf("covered: %+v", h)
		}
		img = grain(120, 40)
		if h := watch(t, src, time.Second); h.Blind != "" {
			t.Errorf("uncovered: %+v", h)
		}
	})
}

func TestPicturesFromFilesMayRepeat(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "1.pgm"), asPGM(grain(120, 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		open := func() (camera.Frames, error) { return camera.OpenFiles(dir, camera.FileOptions{}) }
		src := camera.NewSource("demo", open, unread, quiet)
		defer src.Close()
		if h := watch(t, src, 20*time.Second); h.Faulty() {
			t.Errorf("health = %+v, want no fault", h)
		}
	})
}

func TestFrozenCameraIsOpenedAgainOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		img, opened, closed := grain(120, 40), 0, 0
		open := func() (camera.Frames, error) {
			opened++
			return &film{next: func() (*image.Gray, error) { return img, nil }, closed: &closed}, nil
		}
		src := camera.NewSource("door", open, unread, quiet)
		h := watch(t, src, 5*time.Minute+30*time.Second)
		src.Close()
		if opened != 6 || closed != 6 {
			t.Errorf("in 5.5 minutes opened %d and closed %d times, want 6", opened, closed)
		}
		if !h.Present || h.Unplugs != 0 || h.Blind != camera.Frozen {
			t.Errorf("health = %+v, want present, never unplugged, frozen", h)
		}
	})
}

func TestBadFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, opened := 0, 0
		bad := func(n int) bool { return n%10 == 0 } // one in ten
		open := func() (camera.Frames, error) {
			opened++
			return &film{next: func() (*image.Gray, error) {
				if n++; bad(n) {
					return nil, fmt.Errorf("%w: torn", camera.ErrFrame)
				}
				return grain(120, 40), nil
			}}, nil
		}
		src := camera.NewSource("door", open, unread, quiet)
		defer src.Close()
		h := watch(t, src, 20*time.Second)
		if h.Bad < 18 || h.Bad > 20 || h.Faulty() || opened != 1 || h.BadShare > 0.2 {
			t.Errorf("one bad frame in ten: opened %d times, %+v, want no fault", opened, h)
		}
		bad = func(int) bool { return true }
		h = watch(t, src, 2*time.Second)
		if !h.Babbling || opened != 1 {
			t.Errorf("bad frames only, for 2 s: %+v, want babbling", h)
		}
		h = watch(t, src, 5*time.Second)
		if !h.Silent || !h.Present || opened != 2 {
			t.Errorf("bad frames only, for 7 s: opened %d times, %+v, want opened again, silent", opened, h)
		}
		bad = func(int) bool { return false }
		if h = watch(t, src, 5*time.Second); h.Faulty() {
			t.Errorf("good frames again: %+v, want no fault", h)
		}
	})
}

func TestSilentCameraStaysPresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		open := func() (camera.Frames, error) {
			opened++
			return &film{next: func() (*image.Gray, error) {
				if opened < 3 {
					return nil, fmt.Errorf("%w for 10s", camera.ErrSilent)
				}
				return grain(120, 40), nil
			}}, nil
		}
		src := camera.NewSource("door", open, unread, quiet)
		defer src.Close()
		if h := watch(t, src, 150*time.Millisecond); !h.Present || !h.Silent || !h.Faulty() {
			t.Errorf("silent camera: %+v", h)
		}
		if h := watch(t, src, 3*time.Second); !h.Present || h.Silent || h.Unplugs != 0 || opened != 3 {
			t.Errorf("after opening %d times: %+v, want a camera in order", opened, h)
		}
	})
}

func TestUnpluggedCameraIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		there := true
		var log bytes.Buffer
		open := func() (camera.Frames, error) {
			tries = append(tries, time.Now())
			if !there {
				return nil, fmt.Errorf("attempt %d: no such device", len(tries))
			}
			return &film{next: func() (*image.Gray, error) {
				if !there {
					return nil, errors.New("no such device")
				}
				return grain(120, 40), nil
			}}, nil
		}
		src := camera.NewSource("door", open, unread, slog.New(slog.NewTextHandler(&log, nil)))
		defer src.Close()
		if h := watch(t, src, 10*time.Second); !h.Present {
			t.Fatalf("plugged in: %+v", h)
		}
		there = false
		h := watch(t, src, 10*time.Minute)
		if h.Present || h.Unplugs != 1 || !strings.Contains(h.LastError, "no such device") {
			t.Errorf("pulled out: %+v", h)
		}
		var longest time.Duration
		for i := 2; i < len(tries); i++ {
			longest = max(longest, tries[i].Sub(tries[i-1]))
		}
		if len(tries) < 90 || len(tries) > 200 || longest > 7*time.Second {
			t.Errorf("%d tries in ten minutes, longest pause %v; want about 120, none longer than 7 s", len(tries), longest)
		}
		if n := strings.Count(log.String(), "camera lost"); n > 8 {
			t.Errorf("%d lines of log for one absence:\n%s", n, log.String())
		}
		there = true
		if h = watch(t, src, 10*time.Second); !h.Present || h.Faulty() || h.LastError != "" {
			t.Errorf("plugged in again: %+v", h)
		}
		if n := strings.Count(log.String(), "camera ready"); n != 2 {
			t.Errorf("ready %d times, want 2:\n%s", n, log.String())
		}
	})
}
