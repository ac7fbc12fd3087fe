//go:build full && linux

package qrread_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// BenchmarkFramesZbar640 and 720 read the same frames with the program zbarimg
// of Debian's zbar-tools. For the time all frames go through one process, which
// unpacks PGM files as well; for the share each goes through its own, so that
// texts are known by their frame.
func BenchmarkFramesZbar640(b *testing.B) { benchmarkZbar(b, 480) }
func BenchmarkFramesZbar720(b *testing.B) { benchmarkZbar(b, 720) }

func benchmarkZbar(b *testing.B, height int) {
	zbar, err := exec.LookPath("zbarimg")
	if err != nil {
		b.Fatal("zbarimg is missing: apt-get install zbar-tools")
	}
	frames := loadFrames(b, framesDir(), height)
	dir := b.TempDir()
	var all []string
	for i, f := range frames {
		path := filepath.Join(dir, fmt.Sprintf("%05d.pgm", i))
		data := append(fmt.Appendf(nil, "P5\n%d %d\n255\n", f.img.Rect.Dx(), f.img.Rect.Dy()), f.img.Pix...)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
		all = append(all, path)
	}
	scan := func(paths ...string) string {
		args := []string{"--raw", "--nodbus", "-q", "-Sdisable", "-Sqrcode.enable", "-Sqrcode.binary"}
		out, err := exec.Command(zbar, append(args, paths...)...).Output()
		// Status 4 says that a picture shows nothing.
		if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 4) {
			b.Fatalf("zbarimg: %v", err)
		}
		return string(out)
	}
	for b.Loop() {
		scan(all...)
	}
	with, read, wrong := 0, 0, 0
	for i := range frames {
		f := &frames[i]
		if len(f.texts) > 0 {
			with++
		}
		out := scan(all[i])
		switch {
		case slices.ContainsFunc(f.texts, func(s string) bool { return strings.Contains(out, s) }):
			read++
		case out != "":
			wrong++
		}
	}
	perFrame := ms(b.Elapsed()) / float64(b.N*len(frames))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(1000/perFrame, "frames/s")
	b.ReportMetric(100*float64(read)/float64(max(with, 1)), "%read")
	b.ReportMetric(float64(wrong), "wrong")
	b.ReportMetric(perFrame, "ms-mean")
}
