package camera_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
)

// The test binary is the camera program too: "camera ROLE ARGUMENTS".
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "camera" {
		if err := act(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program returns the command that acts out a role.
func program(format camera.Format, role string, args ...string) camera.Program {
	p := camera.Program{Args: append([]string{"/proc/self/exe", "camera", role}, args...), Format: format}
	if format == camera.YUV420 {
		p.Width, p.Height = 64, 48
	}
	return p
}

// patience is how long a program that would go on for ever goes on.
const patience = 5 * time.Minute

const planes = 64 * 48 * 3 / 2

// numbered is a frame of yuv420 whose first pixels are a number.
func numbered(n uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, n)
}

func act(role string, args []string) error {
	out := os.Stdout
	frame := make([]byte, planes)
	switch role {
	case "film": // the file, with words between, until nobody reads
		picture, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		for {
			if _, err := fmt.Fprintf(out, "#1 (30.00 fps)\n%s", picture); err != nil {
				return err
			}
		}
	case "torn": // half a picture, then a whole one
		picture, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		out.Write(picture[:len(picture)/2])
		out.Write(picture)
	case "few": // three frames of yuv420 and a rest, then an error
		for n := range uint32(3) {
			copy(frame, numbered(n+1))
			out.Write(frame)
		}
		out.Write(frame[:100])
		fmt.Fprint(os.Stderr, "\x1b[1;31mERROR\x1b[0m: starting\n\n", strings.Repeat("x", 5000), "\n*** no cameras available ***")
		return errors.New("")
	case "many": // 2,000 frames of yuv420 as fast as they go, then a released lock
		lock, err := hold(args[0])
		if err != nil {
			return err
		}
		for n := range uint32(2000) {
			copy(frame, numbered(n+1))
			if _, err := out.Write(frame); err != nil {
				return err
			}
		}
		lock.Close()
		time.Sleep(patience)
		return nil
	case "hung": // one frame, then none
		out.Write(frame)
		time.Sleep(patience)
		return nil
	case "deaf": // does not end when asked, and neither does its child
		signal.Ignore(syscall.SIGTERM)
		child := exec.Command("/proc/self/exe", "camera", "child", args[0])
		child.Stdout, child.Stderr = out, os.Stderr
		if err := child.Start(); err != nil {
			return err
		}
		time.Sleep(patience)
		return nil
	case "leaves": // ends, and leaves a child that writes frames
		child := exec.Command("/proc/self/exe", "camera", "child", args[0])
		child.Stdout, child.Stderr = out, os.Stderr
		if err := child.Start(); err != nil {
			return err
		}
		_, err := hold(args[0] + ".seen") // the test lets it go
		return err
	case "child":
		signal.Ignore(syscall.SIGTERM)
		if _, err := hold(args[0]); err != nil {
			return err
		}
		out.Write(frame)
		time.Sleep(patience)
		return nil
	case "closes": // its output, and goes on
		out.Close()
		time.Sleep(patience)
		return nil
	}
	return errors.New("no role " + role)
}

// hold waits for the lock at path and holds it until the process or the file ends.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return f, err
		}
	}
}

func start(t *testing.T, p camera.Program) camera.Frames {
	t.Helper()
	f, err := camera.Start(p, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestProgramShowsCode(t *testing.T) {
	p := program(camera.MJPEG, "film", "testdata/card.jpg")
	open := func() (camera.Frames, error) { return camera.Start(p, quiet) }
	src := camera.NewSource("door", open, qrread.Options{Deadline: time.Minute}, quiet)
	s, err := src.Next(t.Context())
	if err != nil || s.Text != cardText {
		t.Errorf("Next = %+v, %v, want %q", s, err, cardText)
	}
	if h := src.Health(); h.Faulty() {
		t.Errorf("health = %+v, want no fault", h)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := src.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended ctx = %v", err)
	}
	src.Close()
}

func TestProgramTearsFrame(t *testing.T) {
	f := start(t, program(camera.MJPEG, "torn", "testdata/card.jpg"))
	defer f.Close()
	if _, _, err := f.Next(t.Context()); !errors.Is(err, camera.ErrFrame) {
		t.Fatalf("half a picture: %v, want ErrFrame", err)
	}
	img, _, err := f.Next(t.Context())
	if err != nil || img.Rect.Dx() != 640 {
		t.Fatalf("the picture after it: %v, %v", img, err)
	}
	_, _, err = f.Next(t.Context())
	if err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "ended: exit status") {
		t.Errorf("after the end: %v, want an error that says so and is not io.EOF", err)
	}
}

func TestProgramEndsWithItsLastWords(t *testing.T) {
	var log bytes.Buffer
	f, err := camera.Start(program(camera.YUV420, "few"), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	last := uint32(0)
	for {
		img, at, err := f.Next(t.Context())
		if err != nil {
			for _, want := range []string{"exit status 3", "*** no cameras available ***"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("end = %v, want %q in it", err, want)
				}
			}
			break
		}
		n := binary.BigEndian.Uint32(img.Pix)
		if n <= last || img.Rect.Dx() != 64 || img.Rect.Dy() != 48 || time.Since(at) < 0 {
			t.Errorf("frame %d of %v at %v after frame %d", n, img.Rect, at, last)
		}
		last = n
	}
	if last != 3 {
		t.Errorf("last frame is %d, want 3", last)
	}
	f.Close()
	if log.Len() > 2000 || !strings.Contains(log.String(), "ERROR") {
		t.Errorf("log of %d bytes:\n%.500s", log.Len(), log.String())
	}
}

func TestNewestFrameFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f := start(t, program(camera.YUV420, "many", path))
	defer f.Close()
	next := func() uint32 {
		img, _, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.Uint32(img.Pix)
	}
	last := next()
	lock, err := hold(path) // while the program writes all its frames
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	seen := 1
	for last < 2000 {
		n := next()
		if n <= last {
			t.Fatalf("frame %d after frame %d", n, last)
		}
		last = n
		seen++
	}
	// What may come besides the newest is what the pipe still held.
	if most := 3 + 65536/planes; seen > most {
		t.Errorf("%d frames came, want at most %d: the others were old", seen, most)
	}
}

func TestProgramHangs(t *testing.T) {
	f := start(t, program(camera.YUV420, "hung"))
	defer f.Close()
	if _, _, err := f.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Next(t.Context()); !errors.Is(err, camera.ErrSilent) {
		t.Errorf("Next = %v, want ErrSilent", err)
	}
}

func TestProgramClosesItsOutput(t *testing.T) {
	f := start(t, program(camera.YUV420, "closes"))
	defer f.Close()
	if _, _, err := f.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "program") {
		t.Errorf("Next = %v, want what became of the program", err)
	}
}

func TestCloseEndsDeafProgramAndItsChild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f := start(t, program(camera.YUV420, "deaf", path))
	if _, _, err := f.Next(t.Context()); err != nil { // from the child
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	lock, err := hold(path) // which a living child does not let go
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
}

func TestProgramEndsAndLeavesChild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	seen, err := hold(path + ".seen")
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, program(camera.YUV420, "leaves", path))
	if _, _, err := f.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen.Close()
	if _, _, err := f.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 0") {
		t.Errorf("Next = %v, want the end of the program", err)
	}
	lock, err := hold(path) // the child has ended with it, before Close
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	f.Close()
}

func TestNoSuchProgram(t *testing.T) {
	p := camera.Program{Args: []string{filepath.Join(t.TempDir(), "rpicam-vid")}, Format: camera.MJPEG}
	if _, err := camera.Start(p, quiet); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start = %v, want that there is no such file", err)
	}
}

func TestProgramCheck(t *testing.T) {
	args := []string{"rpicam-vid"}
	for _, tt := range []struct {
		p    camera.Program
		want string
	}{
		{camera.Program{Args: args, Format: camera.MJPEG}, ""},
		{camera.Program{Args: args, Format: camera.YUV420, Width: 640, Height: 480}, ""},
		{camera.Program{Format: camera.MJPEG}, "no camera program"},
		{camera.Program{Args: []string{""}, Format: camera.MJPEG}, "no camera program"},
		{camera.Program{Args: args}, "format"},
		{camera.Program{Args: args, Format: "h264"}, "format"},
		{camera.Program{Args: args, Format: camera.MJPEG, Width: 640}, "yuv420 only"},
		{camera.Program{Args: args, Format: camera.YUV420}, "0x0"},
		{camera.Program{Args: args, Format: camera.YUV420, Width: 800, Height: 600}, "steps of 64"},
		{camera.Program{Args: args, Format: camera.YUV420, Width: 640, Height: 481}, "even"},
		{camera.Program{Args: args, Format: camera.YUV420, Width: 1 << 20, Height: 1 << 20}, "pixels"},
	} {
		err := tt.p.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("Check(%+v) = %v, want %q", tt.p, err, tt.want)
		}
	}
}
