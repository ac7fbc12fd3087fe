//go:build linux

package qrread_test

import (
	"cmp"
	"fmt"
	"image"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/hw/qrread"
)

// The benchmarks read a folder of frames again and again. They report what was
// read in the first round and the time of the processor that a frame took, which
// is comparable on a busy machine too: its median, 95th percentile and mean, and
// the mean of frames without a code. Our own reader has no deadline here, but %late
// is the share of frames that would have met it. The figures in the package's
// doc come from
//
//	QRGATE_FRAMES=/path/to/frames go test -tags full -run '^$' -bench Frames -benchtime 1x -v ./hw/qrread
//
// Without QRGATE_FRAMES the committed few are used. With -v the share of each
// condition is printed too.
func BenchmarkFrames640(b *testing.B) { benchmarkFrames(b, 480, own()) }
func BenchmarkFrames720(b *testing.B) { benchmarkFrames(b, 720, own()) }

func BenchmarkFramesGozxing640(b *testing.B) { benchmarkFrames(b, 480, peerGozxing()) }
func BenchmarkFramesGozxing720(b *testing.B) { benchmarkFrames(b, 720, peerGozxing()) }

// A decode returns the texts in a picture.
type decode func(*image.Gray) []string

func own() decode {
	r := patient()
	return func(img *image.Gray) (texts []string) {
		for _, c := range r.Read(img) {
			texts = append(texts, c.Text)
		}
		return texts
	}
}

// peerGozxing is the library alone, as hard as it can try.
func peerGozxing() decode {
	r := qrcode.NewQRCodeReader()
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	return func(img *image.Gray) []string {
		src, err := gozxing.NewPlanarYUVLuminanceSource(img.Pix, img.Stride, img.Rect.Dy(), 0, 0, img.Rect.Dx(), img.Rect.Dy(), false)
		if err != nil {
			return nil
		}
		bmp, err := gozxing.NewBinaryBitmap(gozxing.NewHybridBinarizer(src))
		if err != nil {
			return nil
		}
		res, err := r.Decode(bmp, hints)
		if err != nil {
			return nil
		}
		return []string{res.GetText()}
	}
}

// A tally counts what was read in a round.
type tally struct {
	frames, read, wrong int
	took                []time.Duration
}

func benchmarkFrames(b *testing.B, height int, read decode) {
	frames := loadFrames(b, framesDir(), height)
	with, none := new(tally), new(tally)
	by := make(map[string]*tally)
	round, late := 0, 0
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		for i := range frames {
			f := &frames[i]
			start := cpuTime(b)
			texts := read(f.img)
			took := cpuTime(b) - start
			if limit := qrread.DefaultDeadline * time.Duration(height*height) / (480 * 480); took > limit {
				late++
			}
			t := with
			if len(f.texts) == 0 {
				t = none
			}
			t.took = append(t.took, took)
			if round > 0 {
				continue
			}
			if by[f.condition] == nil {
				by[f.condition] = new(tally)
			}
			for _, t := range []*tally{t, by[f.condition]} {
				t.frames++
				if f.right(texts) {
					t.read++
				}
				if f.wrong(texts) {
					t.wrong++
				}
			}
		}
		round++
	}
	b.StopTimer()
	all := slices.Concat(with.took, none.took)
	slices.Sort(all)
	b.ReportMetric(0, "ns/op") // a round says nothing
	b.ReportMetric(float64(len(all))/sum(all).Seconds(), "frames/s")
	b.ReportMetric(100*float64(with.read)/float64(max(with.frames, 1)), "%read")
	b.ReportMetric(float64(with.wrong+none.wrong), "wrong")
	b.ReportMetric(100*float64(late)/float64(len(all)), "%late")
	b.ReportMetric(ms(all[len(all)/2]), "ms-median")
	b.ReportMetric(ms(all[len(all)*95/100]), "ms-p95")
	b.ReportMetric(ms(sum(all))/float64(len(all)), "ms-mean")
	b.ReportMetric(ms(sum(none.took))/float64(max(len(none.took), 1)), "ms-empty")
	if testing.Verbose() {
		var line strings.Builder
		for _, c := range slices.SortedFunc(maps.Keys(by), cmp.Compare) {
			fmt.Fprintf(&line, "%s %d/%d, ", c, by[c].read, by[c].frames)
		}
		b.Log(strings.TrimSuffix(line.String(), ", "))
	}
}

// cpuTime returns the processor time that this thread has had.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func sum(ds []time.Duration) (s time.Duration) {
	for _, d := range ds {
		s += d
	}
	return s
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
