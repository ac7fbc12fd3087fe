package v4l2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/camera/v4l2"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	vga   = []size{{640, 480, 30}}
	small = []size{{16, 8, 30}}
)

func open(t testing.TB, d *driver, c v4l2.Config) *v4l2.Camera {
	t.Helper()
	cam, err := tryOpen(d, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cam.Close() })
	return cam
}

func tryOpen(d *driver, c v4l2.Config) (*v4l2.Camera, error) {
	if c.Device == "" {
		c.Device = "/dev/video0"
	}
	return v4l2.Open(c, quiet, v4l2.Options{Open: func(string) (v4l2.Node, error) { return d, nil }})
}

// next returns the next picture's first line.
func next(t *testing.T, cam *v4l2.Camera) []byte {
	t.Helper()
	img, _, err := cam.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return img.Pix[:img.Rect.Dx()]
}

// grey is a frame of 16 by 8 grey pixels of one value.
func grey(v byte) []byte { return bytes.Repeat([]byte{v}, 16*8) }

func TestFramesOfEachFormat(t *testing.T) {
	want := image.NewGray(image.Rect(0, 0, 16, 8))
	for i := range want.Pix {
		want.Pix[i] = byte(3 * i)
	}
	// raw lays the picture out with step bytes a pixel, the first of them at
	// offset, and pad bytes after each line.
	raw := func(step, offset, pad int) []byte {
		var b []byte
		for y := range 8 {
			line := bytes.Repeat([]byte{0xee}, 16*step+pad)
			for x := range 16 {
				line[x*step+offset] = want.GrayAt(x, y).Y
			}
			b = append(b, line...)
		}
		return b
	}
	var pressed bytes.Buffer
	if err := jpeg.Encode(&pressed, want, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		fourcc string
		stride int
		frame  []byte
		off    int // a pixel may be off by so much
	}{
		{"GREY", 0, raw(1, 0, 0), 0},
		{"GREY", 16, raw(1, 0, 16), 0},
		{"YUYV", 0, raw(2, 0, 0), 0},
		{"YUYV", 32, raw(2, 0, 32), 0},
		{"UYVY", 0, raw(2, 1, 0), 0},
		{"NV12", 0, append(raw(1, 0, 0), make([]byte, 64)...), 0},
		{"NV12", 0, raw(1, 0, 0), 0}, // colour cut off
		{"MJPG", 0, append(pressed.Bytes(), 0, 0, 0), 8},
	} {
		t.Run(fmt.Sprintf("%s+%d", tt.fourcc, tt.stride), func(t *testing.T) {
			d := newDriver(offer{fourcc: tt.fourcc, sizes: small})
			d.stride = tt.stride
			cam := open(t, d, v4l2.Config{Width: 16, Height: 8})
			d.expose(tt.frame)
			before := time.Now()
			got, at, err := cam.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Rect != want.Rect || at.Before(before) {
				t.Fatalf("picture of %v at %v, want %v after %v", got.Rect, at, want.Rect, before)
			}
			for y := range 8 {
				for x := range 16 {
					g, w := int(got.GrayAt(x, y).Y), int(want.GrayAt(x, y).Y)
					if g-w > tt.off || w-g > tt.off {
						t.Fatalf("pixel %d,%d is %d, want %d", x, y, g, w)
					}
				}
			}
			if s, w := cam.String(), "HD Test Camera: 16x8 "+tt.fourcc+", 25 a second"; s != w {
				t.Errorf("String() = %q, want %q", s, w)
			}
		})
	}
}

func TestChoiceOfMode(t *testing.T) {
	c270 := []offer{ // a common camera: raw pictures are slow when they are large
		{fourcc: "YUYV", sizes: []size{{640, 480, 30}, {160, 120, 30}, {1280, 720, 7}, {1280, 960, 7}}},
		{fourcc: "MJPG", sizes: []size{{640, 480, 30}, {1280, 720, 30}, {1280, 960, 30}}},
	}
	pi := []offer{
		{fourcc: "H264", steps: []uint32{32, 2592, 2, 32, 1944, 2}},
		{fourcc: "YU12", steps: []uint32{32, 2592, 2, 32, 1944, 2}},
		{fourcc: "YUYV", steps: []uint32{32, 2592, 2, 32, 1944, 2}},
	}
	for _, tt := range []struct {
		name   string
		offers []offer
		want   v4l2.Config
		mode   string
	}{
		{"default", c270, v4l2.Config{}, "640x480 YUYV"},
		{"raw is too slow", c270, v4l2.Config{Width: 1280, Height: 720}, "1280x720 MJPG"},
		{"raw is fast enough for the wish", c270, v4l2.Config{Width: 1280, Height: 720, Rate: 5}, "1280x720 YUYV"},
		{"nearest size", c270, v4l2.Config{Width: 1024, Height: 768}, "1280x720 MJPG"},
		{"larger than all", c270, v4l2.Config{Width: 2048, Height: 1536}, "1280x960 MJPG"},
		{"format given", c270, v4l2.Config{Format: "mjpeg"}, "640x480 MJPG"},
		{"format given, slow or not", c270, v4l2.Config{Format: "yuyv", Width: 1280, Height: 960}, "1280x960 YUYV"},
		{"sizes in steps", pi, v4l2.Config{}, "640x480 YU12"},
		{"between two steps", pi, v4l2.Config{Width: 641, Height: 10}, "642x32 YU12"},
		{"sizes not told", []offer{{fourcc: "GREY"}}, v4l2.Config{}, "640x480 GREY"},
		{"step of zero", []offer{{fourcc: "GREY", steps: []uint32{16, 1000, 0, 16, 1000, 0}}}, v4l2.Config{}, "640x480 GREY"},
		{"sizes upside down", []offer{{fourcc: "GREY", steps: []uint32{1000, 16, 7, 1000, 16, 7}}}, v4l2.Config{}, "1000x1000 GREY"},
		{"sizes without sense", []offer{{fourcc: "GREY", steps: []uint32{1 << 31, 1<<32 - 1, 1 << 30, 0, 0, 0}}}, v4l2.Config{}, "640x480 GREY"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cam := open(t, newDriver(tt.offers...), tt.want)
			if !strings.Contains(cam.String(), ": "+tt.mode+",") {
				t.Errorf("Open(%+v) runs %q, want %s", tt.want, cam, tt.mode)
			}
		})
	}
}

func TestNewestFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(offer{fourcc: "GREY", sizes: small})
		cam := open(t, d, v4l2.Config{Width: 16, Height: 8})
		for v := range byte(3) {
			d.expose(grey(v))
		}
		if got := next(t, cam); got[0] != 2 {
			t.Errorf("frame %d came after three, want 2", got[0])
		}
		// Away for so long that the driver runs out of buffers: what it holds
		// is older than what it had to drop.
		for v := range byte(10) {
			d.expose(grey(10 + v))
		}
		if d.lost != 6 {
			t.Fatalf("driver dropped %d frames, want 6", d.lost)
		}
		time.AfterFunc(33*time.Millisecond, func() { d.expose(grey(20)) })
		if got := next(t, cam); got[0] != 20 {
			t.Errorf("frame %d came after a long pause, want 20, the next one taken", got[0])
		}
		// A camera faster than the program still delivers.
		for v := range byte(4) {
			d.expose(grey(30 + v))
		}
		time.AfterFunc(33*time.Millisecond, func() {
			for v := range byte(4) {
				d.expose(grey(40 + v))
			}
		})
		if got := next(t, cam); got[0] < 40 {
			t.Errorf("frame %d came, want one of the second four", got[0])
		}
		if n := len(d.queued) + len(d.filled); n != 4 {
			t.Errorf("%d of 4 buffers are with the driver", n)
		}
	})
}

func TestBadFrames(t *testing.T) {
	d := newDriver(offer{fourcc: "GREY", sizes: small})
	cam := open(t, d, v4l2.Config{Width: 16, Height: 8})
	for _, tt := range []struct {
		name        string
		used, flags uint32
		ok          bool
	}{
		{"damaged on the bus", 128, 0x40, false},
		{"half", 64, 0, false},
		{"empty", 0, 0, false},
		{"whole", 128, 0, true},
		{"longer than its buffer", 1 << 31, 0, true},
	} {
		d.exposeAs(grey(7), tt.used, tt.flags)
		_, _, err := cam.Next(t.Context())
		if tt.ok && err != nil || !tt.ok && !errors.Is(err, camera.ErrFrame) {
			t.Errorf("%s: %v, want ErrFrame: %v", tt.name, err, !tt.ok)
		}
		if len(d.queued) != 4 {
			t.Errorf("%s: %d of 4 buffers are with the driver", tt.name, len(d.queued))
		}
	}
	pressed := newDriver(offer{fourcc: "MJPG", sizes: small})
	cam = open(t, pressed, v4l2.Config{Width: 16, Height: 8})
	pressed.expose([]byte("\xff\xd8 no picture"))
	if _, _, err := cam.Next(t.Context()); !errors.Is(err, camera.ErrFrame) {
		t.Errorf("no JPEG: %v, want ErrFrame", err)
	}
}

func TestUnplug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(offer{fourcc: "GREY", sizes: small})
		cam, err := tryOpen(d, v4l2.Config{Width: 16, Height: 8})
		if err != nil {
			t.Fatal(err)
		}
		d.expose(grey(1))
		next(t, cam)
		time.AfterFunc(time.Second, d.pull)
		_, _, err = cam.Next(t.Context())
		if !errors.Is(err, unix.ENODEV) || errors.Is(err, camera.ErrFrame) || errors.Is(err, camera.ErrSilent) {
			t.Errorf("pulled out during Next: %v, want ENODEV and nothing that waiting cures", err)
		}
		if err := cam.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		if d.unmapped != 4 || d.closed != 1 {
			t.Errorf("%d of 4 buffers unmapped, closed %d times", d.unmapped, d.closed)
		}
	})
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(offer{fourcc: "GREY", sizes: small})
		cam := open(t, d, v4l2.Config{Width: 16, Height: 8})
		start := time.Now()
		if _, _, err := cam.Next(t.Context()); !errors.Is(err, camera.ErrSilent) || time.Since(start) > 11*time.Second {
			t.Errorf("no first frame: %v after %v, want ErrSilent after 10 s", err, time.Since(start))
		}
		d.expose(grey(1))
		next(t, cam)
		start = time.Now()
		if _, _, err := cam.Next(t.Context()); !errors.Is(err, camera.ErrSilent) || time.Since(start) > 4*time.Second {
			t.Errorf("no second frame: %v after %v, want ErrSilent after 3 s", err, time.Since(start))
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		start = time.Now()
		if _, _, err := cam.Next(ctx); err != context.Canceled || time.Since(start) > 1200*time.Millisecond {
			t.Errorf("ctx ended: %v after %v", err, time.Since(start))
		}
	})
}

func TestOpenFailsWithoutTrace(t *testing.T) {
	for _, name := range []string{"QUERYCAP", "ENUM_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "mmap", "QBUF", "STREAMON"} {
		d := newDriver(offer{fourcc: "YUYV", sizes: vga})
		d.fail = map[string]error{name: unix.EBUSY}
		cam, err := tryOpen(d, v4l2.Config{})
		if err == nil || !strings.Contains(err.Error(), "/dev/video0") {
			t.Errorf("%s failed, Open = %v, %v", name, cam, err)
		}
		mapped := map[string]int{"QBUF": 1, "STREAMON": 4}[name]
		if d.closed != 1 || d.unmapped != mapped {
			t.Errorf("%s failed: closed %d times, unmapped %d of %d buffers", name, d.closed, d.unmapped, mapped)
		}
	}
	// What a camera may lack.
	for _, name := range []string{"ENUM_FRAMESIZES", "ENUM_FRAMEINTERVALS", "S_PARM", "S_CTRL"} {
		d := newDriver(offer{fourcc: "YUYV", sizes: vga})
		d.fail = map[string]error{name: unix.ENOTTY}
		open(t, d, v4l2.Config{})
	}
}

func TestStrangeDrivers(t *testing.T) {
	settle := func(f string, w, h int) func(*driver) {
		return func(d *driver) { d.settle = func(string, int, int) (string, int, int) { return f, w, h } }
	}
	for _, tt := range []struct {
		name   string
		change func(*driver)
		want   string // in the error
	}{
		{"a node for metadata", func(d *driver) { d.caps = [2]uint32{0x84a00001, 0x04a00000} }, "not a camera"},
		{"an old driver without node capabilities", func(d *driver) { d.caps = [2]uint32{0x04000001, 0} }, ""},
		{"a radio", func(d *driver) { d.caps = [2]uint32{0x00010000, 0} }, "not a camera"},
		{"only formats we cannot read", func(d *driver) { d.offers[0].fourcc = "pRAA" }, `"pRAA"`},
		{"another format than asked for, which we can read", settle("MJPG", 640, 480), ""},
		{"another format than asked for", settle("H264", 640, 480), `"H264"`},
		{"no size", settle("MJPG", 640, 0), "640x0"},
		{"a size without sense", settle("MJPG", 1<<31-1, 1<<31-1), "pixels"},
		{"one buffer", func(d *driver) { d.count = 1 }, "1 buffers"},
		{"a million buffers", func(d *driver) { d.count = 1 << 20 }, "buffers"},
		{"a buffer of 4 GB", func(d *driver) { d.length = 1<<32 - 1 }, "bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDriver(offer{fourcc: "YUYV", sizes: vga})
			tt.change(d)
			cam, err := tryOpen(d, v4l2.Config{})
			switch {
			case tt.want == "" && err == nil:
				cam.Close()
			case tt.want == "" || err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("Open = %v, %v, want error %q", cam, err, tt.want)
			}
			if d.closed != 1 {
				t.Errorf("closed %d times", d.closed)
			}
		})
	}
	d := newDriver(offer{fourcc: "GREY", sizes: small})
	cam := open(t, d, v4l2.Config{Width: 16, Height: 8})
	d.filled = append(d.filled, filled{index: 7, used: 128})
	if _, _, err := cam.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "buffer 7 of 4") {
		t.Errorf("a buffer that does not exist: %v", err)
	}
}

func TestExposure(t *testing.T) {
	for _, tt := range []struct {
		c    v4l2.Config
		want []string
	}{
		{v4l2.Config{Mains: 50}, []string{"980918=1", "9a090c=1", "9a0901=3", "9a0903=0", "980912=1"}},
		{v4l2.Config{Mains: 60, Exposure: 5 * time.Millisecond}, []string{"980918=2", "9a090c=1", "9a0901=1", "9a0902=50", "980912=1"}},
		{v4l2.Config{}, []string{"9a090c=1", "9a0901=3", "9a0903=0", "980912=1"}},
		{v4l2.Config{Focus: 40, Gain: 12}, []string{"9a090c=0", "9a090a=40", "9a0901=3", "9a0903=0", "980912=0", "980913=12"}},
	} {
		d := newDriver(offer{fourcc: "YUYV", sizes: vga})
		open(t, d, tt.c)
		if diff := cmp.Diff(tt.want, slices.Clone(d.controls)); diff != "" {
			t.Errorf("Open(%+v): controls -want +got\n%s", tt.c, diff)
		}
	}
}

// Whoever set a focus that the camera does not have looks for the reason in the log,
// where a camera that is ready stands as its String.
func TestCameraSaysWhatItHasNotTaken(t *testing.T) {
	d := newDriver(offer{fourcc: "YUYV", sizes: vga})
	d.fail = map[string]error{"S_CTRL": unix.EINVAL}
	cam := open(t, d, v4l2.Config{Mains: 50, Focus: 40, Exposure: 5 * time.Millisecond})
	if want := "a second, takes no focus, exposure"; !strings.HasSuffix(cam.String(), want) {
		t.Errorf("String() = %q, want it to end with %q", cam, want)
	}
}
