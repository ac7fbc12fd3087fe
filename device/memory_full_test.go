//go:build full && linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever files decode is given, the whole process stays under 48 MiB.
func TestDecodeMemory(t *testing.T) {
	const most = 48 << 10 // KiB
	dir := t.TempDir()
	kiosk := filepath.Join(dir, "kiosk")
	if out, err := exec.Command("go", "build", "-o", kiosk, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	frames, err := filepath.Glob(filepath.Join("..", "testdata", "qr", "*_720*.jpg"))
	if err != nil || len(frames) == 0 {
		t.Fatalf("no committed frames of 1280x720: %v", err)
	}
	var many []string
	for range 10 {
		many = append(many, frames...)
	}
	hostile := hostileImages(t, dir)
	for _, tt := range []struct {
		name  string
		files []string
	}{
		{"frames of 1280x720", many},
		{"hostile images", hostile},
		{"both in turn", append(append(append([]string{}, hostile...), frames...), hostile...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The process waits for the last file, which is no file, and can be asked.
			pipe := filepath.Join(t.TempDir(), "pipe")
			if err := unix.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(kiosk, append(append([]string{"decode"}, tt.files...), pipe)...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			lines := bufio.NewScanner(out)
			for _, name := range tt.files {
				var line struct{ File string }
				if !lines.Scan() || json.Unmarshal(lines.Bytes(), &line) != nil || line.File != name {
					t.Fatalf("decode of %s prints %q", name, lines.Text())
				}
			}
			peak := peakKiB(t, cmd.Process.Pid)
			t.Logf("%d images: %d KiB", len(tt.files), peak)
			if peak > most {
				t.Errorf("decode took %d KiB, want at most %d", peak, most)
			}
		})
	}
}

// peakKiB returns the most memory that a process has had.
func peakKiB(t *testing.T, pid int) (kib int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib
		}
	}
	t.Fatalf("no VmHWM in %s", status)
	return 0
}

// hostileImages writes pictures that are as large as they may be and full of what
// looks like codes, some that are larger, and some of no size.
func hostileImages(t *testing.T, dir string) (paths []string) {
	t.Helper()
	file := func(name string, write func(w io.Writer) error) {
		t.Helper()
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := write(f); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	sheet := image.NewGray(image.Rect(0, 0, 2000, 2000))
	colours := image.NewNRGBA(image.Rect(0, 0, 1900, 1600))
	deep := image.NewNRGBA64(sheet.Rect)
	for y := range 2000 {
		for x := range 2000 {
			fx, fy := x%36/4-4, y%36/4-4 // finder patterns, side by side
			v := uint8(200)
			if ring := max(fx, -fx, fy, -fy); ring <= 1 || ring == 3 {
				v = 30
			}
			sheet.SetGray(x, y, color.Gray{Y: v})
			colours.SetNRGBA(x, y, color.NRGBA{R: v, G: v, B: uint8(x), A: 254})
			deep.SetNRGBA64(x, y, color.NRGBA64{R: uint16(v) << 8, G: uint16(v) << 8, B: uint16(x * y), A: 0xfffe})
		}
	}
	fast := png.Encoder{CompressionLevel: png.BestSpeed}
	for i := range 3 {
		file(fmt.Sprintf("sheet%d.pgm", i), func(w io.Writer) error {
			fmt.Fprintf(w, "P5\n2000 2000\n255\n")
			_, err := w.Write(sheet.Pix)
			return err
		})
		file(fmt.Sprintf("colours%d.png", i), func(w io.Writer) error { return fast.Encode(w, colours) })
		file(fmt.Sprintf("colours%d.jpg", i), func(w io.Writer) error { return jpeg.Encode(w, colours, nil) })
		file(fmt.Sprintf("deep%d.png", i), func(w io.Writer) error { return fast.Encode(w, deep) })
	}
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	file("nothing.png", text(""))
	file("none.pgm", text("P5\n0 0\n255\n"))
	file("gigapixels.pgm", text("P5\n65535 65535\n255\n"))
	file("long.jpg", text("\xff\xd8"+strings.Repeat("\xff\xfe\x00\x02", 4<<20)))
	return paths
}
