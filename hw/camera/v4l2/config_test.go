package v4l2_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/camera/v4l2"
	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/hw/scan"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		c    v4l2.Config
		want string
	}{
		{v4l2.Config{Device: "auto"}, ""},
		{v4l2.Config{Device: "/dev/v4l/by-id/usb-046d_0825-video-index0", Width: 1280, Height: 720, Rate: 15, Format: "mjpeg", Exposure: 5 * time.Millisecond, Mains: 50}, ""},
		{v4l2.Config{Device: "usb:046d:0825"}, ""},
		{v4l2.Config{}, "device"},
		{v4l2.Config{Device: "video0"}, "device"},
		{v4l2.Config{Device: "auto", Width: 640}, "width"},
		{v4l2.Config{Device: "auto", Width: -640, Height: 480}, "size"},
		{v4l2.Config{Device: "auto", Width: 64000, Height: 48000}, "size"},
		{v4l2.Config{Device: "auto", Rate: -1}, "rate"},
		{v4l2.Config{Device: "auto", Rate: math.NaN()}, "rate"},
		{v4l2.Config{Device: "auto", Rate: 0.0001}, "rate"},
		{v4l2.Config{Device: "auto", Format: "h264"}, "yuyv"},
		{v4l2.Config{Device: "auto", Exposure: time.Microsecond}, "exposure"},
		{v4l2.Config{Device: "auto", Exposure: time.Minute}, "exposure"},
		{v4l2.Config{Device: "auto", Mains: 55}, "mains"},
	} {
		err := tt.c.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("Check(%+v) = %v, want %q", tt.c, err, tt.want)
		}
	}
}

// machine is a root folder with cameras as udev and sysfs show them.
func machine(t *testing.T, links ...string) string {
	t.Helper()
	root := t.TempDir()
	var errs []error
	write := func(path, text string) {
		path = filepath.Join(root, path)
		errs = append(errs, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text+"\n"), 0o644))
	}
	for _, l := range links {
		write("dev/v4l/by-id/"+l, "")
	}
	// Two nodes of one camera, the one with pictures second, and a codec of the board.
	usb := "sys/devices/usb1/1-1"
	write(usb+"/idVendor", "046d")
	write(usb+"/idProduct", "0825")
	write(usb+"/serial", "A1B2")
	for node, index := range map[string]string{"video0": "1", "video1": "0"} {
		write(usb+"/1-1:1.0/video4linux/"+node+"/index", index)
		dir := filepath.Join(root, usb, "1-1:1.0/video4linux", node)
		errs = append(errs, os.Symlink("../../../1-1:1.0", filepath.Join(dir, "device")))
		class := filepath.Join(root, "sys/class/video4linux")
		errs = append(errs, os.MkdirAll(class, 0o755), os.Symlink(dir, filepath.Join(class, node)))
	}
	write("sys/devices/platform/codec/video4linux/video10/index", "0")
	codec := filepath.Join(root, "sys/devices/platform/codec/video4linux/video10")
	errs = append(errs, os.Symlink("../../../codec", filepath.Join(codec, "device")))
	errs = append(errs, os.Symlink(codec, filepath.Join(root, "sys/class/video4linux/video10")))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestFind(t *testing.T) {
	links := []string{"usb-046d_0825_A1B2-video-index1", "usb-046d_0825_A1B2-video-index0", "usb-zzz-video-index0"}
	for _, tt := range []struct {
		device string
		links  []string
		want   string // the node, or part of the error
		bad    bool
	}{
		{device: "auto", links: links, want: "dev/v4l/by-id/usb-046d_0825_A1B2-video-index0"},
		{device: "auto", want: "no camera in /dev/v4l/by-id", bad: true},
		{device: "usb:046d:0825", want: "dev/video1"},
		{device: "usb:046D:0825:A1B2", want: "dev/video1"},
		{device: "usb:046d:0825:OTHER", want: "no camera usb:046d:0825:OTHER", bad: true},
		{device: "usb:046d:0826", want: "no camera", bad: true},
	} {
		root := machine(t, tt.links...)
		stop := errors.New("found")
		var path string
		_, err := v4l2.Open(v4l2.Config{Device: tt.device}, slog.New(slog.DiscardHandler), v4l2.Options{
			Root: root,
			Open: func(p string) (v4l2.Node, error) { path = p; return nil, stop },
		})
		switch {
		case tt.bad && (errors.Is(err, stop) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: found %s, error %v, want %q", tt.device, path, err, tt.want)
		case !tt.bad && (!errors.Is(err, stop) || path != filepath.Join(root, tt.want)):
			t.Errorf("%s: found %s, error %v, want %s", tt.device, path, err, tt.want)
		}
	}
}

// The kernel's own ioctl, on a device that is none of ours.
func TestNotACamera(t *testing.T) {
	_, err := v4l2.Open(v4l2.Config{Device: "/dev/null"}, slog.New(slog.DiscardHandler), v4l2.Options{})
	if err == nil || !strings.Contains(err.Error(), "/dev/null: not a video device") {
		t.Errorf("Open of /dev/null: %v, want that it is none", err)
	}
	_, err = v4l2.Open(v4l2.Config{Device: filepath.Join(t.TempDir(), "video0")}, slog.New(slog.DiscardHandler), v4l2.Options{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of no device: %v, want that there is none", err)
	}
}

// A camera that is pulled out and put in again may come back under another
// number. The source goes on reading it.
func TestCameraComesBackUnderAnotherNumber(t *testing.T) {
	root := machine(t)
	class := filepath.Join(root, "sys/class/video4linux")
	synctest.Test(t, func(t *testing.T) {
		drivers := map[string]*driver{}
		for _, node := range []string{"video1", "video7"} {
			drivers[filepath.Join(root, "dev", node)] = newDriver(offer{fourcc: "GREY", sizes: small})
		}
		first, second := drivers[filepath.Join(root, "dev/video1")], drivers[filepath.Join(root, "dev/video7")]
		open := func() (camera.Frames, error) {
			return v4l2.Open(v4l2.Config{Device: "usb:046d:0825", Width: 16, Height: 8}, quiet, v4l2.Options{
				Root: root,
				Open: func(p string) (v4l2.Node, error) { return drivers[p], nil },
			})
		}
		src := camera.NewSource("door", open, qrread.Options{MaxPixels: 1}, quiet)
		defer src.Close()
		run := func(d *driver) scan.Health { // for five seconds, with frames from d
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for v := byte(0); ctx.Err() == nil; v++ {
					time.Sleep(100 * time.Millisecond)
					d.expose(bytes.Repeat([]byte{100, v}, 64))
				}
			}()
			if _, err := src.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("Next = %v", err)
			}
			<-done
			return src.Health()
		}
		if h := run(first); !h.Present || h.Faulty() {
			t.Fatalf("plugged in: %+v", h)
		}
		first.pull()
		if err := os.Remove(filepath.Join(class, "video1")); err != nil {
			t.Fatal(err)
		}
		if h := run(first); h.Present || h.Unplugs != 1 || !strings.Contains(h.LastError, "no camera usb:046d:0825") {
			t.Errorf("pulled out: %+v", h)
		}
		node := filepath.Join(root, "sys/devices/usb1/1-1/1-1:1.0/video4linux/video1")
		if err := os.Symlink(node, filepath.Join(class, "video7")); err != nil {
			t.Fatal(err)
		}
		run(second)
		if h := run(second); !h.Present || h.Faulty() {
			t.Errorf("plugged in as video7: %+v", h)
		}
		if first.closed != 1 || second.lost > 60 {
			t.Errorf("first closed %d times; second dropped %d of 100 frames", first.closed, second.lost)
		}
	})
}
