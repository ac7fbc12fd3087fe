//go:build full && linux

package qrread_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkFramesZbar640 and 720 read the same frames with the program zbarimg
// of Debian's zbar-tools. For the time all frames go through one process, which
// unpacks PGM files as well; for the share each goes through its own, so that
// texts are known by their frame.
func BenchmarkFramesZbar640(b *testing.B) { benchmarkZbar(b, 480) }
func BenchmarkFramesZbar720(b *testing.B) { benchmarkZbar(b, 720) }

// writeFrames writes the frames as PGM files and returns their paths.
func writeFrames(b testing.TB, frames []frame) (paths []string) {
	dir := b.TempDir()
	for i, f := range frames {
		path := filepath.Join(dir, fmt.Sprintf("%05d.pgm", i))
		data := append(fmt.Appendf(nil, "P5\n%d %d\n255\n", f.img.Rect.Dx(), f.img.Rect.Dy()), f.img.Pix...)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// BenchmarkFramesZxingCpp640 and 720 read the same frames with zxing-cpp, as
// Debian's python3-zxing-cpp has it. Its time is that of its own call.
func BenchmarkFramesZxingCpp640(b *testing.B) { benchmarkZxing(b, 480) }
func BenchmarkFramesZxingCpp720(b *testing.B) { benchmarkZxing(b, 720) }

func benchmarkZxing(b *testing.B, height int) {
	frames := loadFrames(b, framesDir(), height)
	paths := writeFrames(b, frames)
	t := newTally(frames)
	for b.Loop() {
		for i, got := range zxing(b, paths) {
			t.add(i, got.texts, got.took)
		}
		t.round++
	}
	t.report(b)
}

// A peerResult is what another reader made of one frame.
type peerResult struct {
	texts []string
	took  time.Duration
}

// zxing reads PGM files with zxing-cpp.
func zxing(b testing.TB, paths []string) (results []peerResult) {
	cmd := exec.Command("/usr/bin/python3", filepath.Join("testdata", "zxing.py"))
	cmd.Stdin = strings.NewReader(strings.Join(paths, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("zxing-cpp: %v; apt-get install python3-zxing-cpp python3-numpy", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var line struct {
			Texts []string
			NS    time.Duration
		}
		if err := dec.Decode(&line); err != nil {
			b.Fatal(err)
		}
		r := peerResult{took: line.NS}
		for _, t := range line.Texts {
			text, err := hex.DecodeString(t)
			if err != nil {
				b.Fatal(err)
			}
			r.texts = append(r.texts, string(text))
		}
		results = append(results, r)
	}
	if len(results) != len(paths) {
		b.Fatalf("zxing-cpp: %d results of %d frames", len(results), len(paths))
	}
	return results
}

// BenchmarkSequences reads the short videos of the folder that QRGATE_SEQUENCES
// names, or the committed few: how many cards are read within 300 milliseconds
// and within a second of being wholly in view, by our reader and by zxing-cpp
// frame by frame. The figures in the package's doc come from
//
//	QRGATE_SEQUENCES=/path/to/videos go test -tags full -run '^$' -bench Sequences -benchtime 1x ./hw/qrread
func BenchmarkSequences(b *testing.B) {
	dir := committedVideos
	if d := os.Getenv("QRGATE_SEQUENCES"); d != "" {
		dir = d
	}
	frames := loadFrames(b, dir, 0)
	b.Run("own", func(b *testing.B) {
		for b.Loop() {
			var read decode
			sequences(b, frames, func(i int) []string {
				if i == 0 || frames[i].sequence != frames[i-1].sequence {
					read = own(true)
				}
				return read(frames[i].img)
			})
		}
	})
	b.Run("zxing-cpp", func(b *testing.B) {
		paths := writeFrames(b, frames)
		for b.Loop() {
			results := zxing(b, paths)
			sequences(b, frames, func(i int) []string { return results[i].texts })
		}
	})
}

func sequences(b *testing.B, frames []frame, read func(i int) []string) {
	var all, early, second, ever, wrong int
	from, done := -1, false
	for i, f := range frames {
		if i == 0 || f.sequence != frames[i-1].sequence {
			all++
			from, done = -1, false
		}
		if from < 0 && f.inside {
			from = f.ms
		}
		texts := read(i)
		if f.wrong(texts) {
			wrong++
		}
		if done || !f.right(texts) {
			continue
		}
		done = true
		ever++
		if took := f.ms - from; took <= 1000 || from < 0 {
			second++
			if took <= 300 || from < 0 {
				early++
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(wrong), "wrong")
	for name, n := range map[string]int{"%300ms": early, "%1s": second, "%ever": ever} {
		b.ReportMetric(100*float64(n)/float64(all), name)
	}
}

func benchmarkZbar(b *testing.B, height int) {
	zbar, err := exec.LookPath("zbarimg")
	if err != nil {
		b.Fatal("zbarimg is missing: apt-get install zbar-tools")
	}
	frames := loadFrames(b, framesDir(), height)
	all := writeFrames(b, frames)
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
