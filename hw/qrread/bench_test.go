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
// read in the first round and the time of the processor that a frame took, the
// quickest of all rounds, which is comparable on a busy machine too: its median,
// 95th percentile and mean, the mean of frames without a code, and for our reader
// the same when these frames follow each other as a video. Our own reader has no
// deadline here, but %late is the share of frames that would not have met it. The
// figures in the package's doc come from
//
//	QRGATE_FRAMES=/path/to/frames go test -tags full -run '^$' -bench Frames -benchtime 3x -v ./hw/qrread
//
// Without QRGATE_FRAMES the committed few are used. With -v the share of each
// condition is printed too.
func BenchmarkFrames640(b *testing.B) { benchmarkFrames(b, 480, own(false), own(true)) }
func BenchmarkFrames720(b *testing.B) { benchmarkFrames(b, 720, own(false), own(true)) }

func BenchmarkFramesGozxing640(b *testing.B) { benchmarkFrames(b, 480, peerGozxing(), nil) }
func BenchmarkFramesGozxing720(b *testing.B) { benchmarkFrames(b, 720, peerGozxing(), nil) }

// A decode returns the texts in a picture.
type decode func(*image.Gray) []string

func own(video bool) decode {
	r := qrread.New(qrread.Options{Deadline: time.Hour, Video: video})
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

// A tally counts what was read of each frame in the first round, and keeps the
// shortest time.
type tally struct {
	frames      []frame
	read, wrong []bool
	took        []time.Duration
	round       int
}

func newTally(frames []frame) *tally {
	n := len(frames)
	return &tally{frames: frames, read: make([]bool, n), wrong: make([]bool, n), took: make([]time.Duration, n)}
}

func (t *tally) add(i int, texts []string, took time.Duration) {
	if t.round == 0 {
		t.read[i], t.wrong[i], t.took[i] = t.frames[i].right(texts), t.frames[i].wrong(texts), took
	}
	t.took[i] = min(t.took[i], took)
}

func (t *tally) report(b *testing.B) {
	var with, read, wrong, late int
	var empty []time.Duration
	by := make(map[string][2]int)
	for i, f := range t.frames {
		c := by[f.condition]
		c[1]++
		if len(f.texts) > 0 {
			with++
		} else {
			empty = append(empty, t.took[i])
		}
		if t.read[i] {
			read++
			c[0]++
		}
		if t.wrong[i] {
			wrong++
		}
		by[f.condition] = c
		if h := time.Duration(f.img.Rect.Dy()); t.took[i] > qrread.DefaultDeadline*h*h/(480*480) {
			late++
		}
	}
	slices.Sort(t.took)
	n := len(t.took)
	b.ReportMetric(0, "ns/op") // a round says nothing
	b.ReportMetric(100*float64(read)/float64(max(with, 1)), "%read")
	b.ReportMetric(float64(wrong), "wrong")
	b.ReportMetric(100*float64(late)/float64(n), "%late")
	b.ReportMetric(ms(t.took[n/2]), "ms-median")
	b.ReportMetric(ms(t.took[n*95/100]), "ms-p95")
	b.ReportMetric(ms(sum(t.took))/float64(n), "ms-mean")
	b.ReportMetric(ms(sum(empty))/float64(max(len(empty), 1)), "ms-empty")
	if testing.Verbose() {
		var line strings.Builder
		for _, c := range slices.SortedFunc(maps.Keys(by), cmp.Compare) {
			fmt.Fprintf(&line, "%s %d/%d, ", c, by[c][0], by[c][1])
		}
		b.Log(strings.TrimSuffix(line.String(), ", "))
	}
}

// benchmarkFrames reads each frame by itself and, if video is given, those
// without a code in a row.
func benchmarkFrames(b *testing.B, height int, read, video decode) {
	frames := loadFrames(b, framesDir(), height)
	t := newTally(frames)
	var empty []time.Duration
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.ReadMemStats(&before)
		for i := range frames {
			start := cpuTime(b)
			texts := read(frames[i].img)
			t.add(i, texts, cpuTime(b)-start)
		}
		runtime.ReadMemStats(&after)
		t.round++
		if video == nil {
			continue
		}
		for i := range frames {
			if len(frames[i].texts) > 0 {
				continue
			}
			start := cpuTime(b)
			if video(frames[i].img) != nil {
				b.Errorf("%s: read", frames[i].name)
			}
			empty = append(empty, cpuTime(b)-start)
		}
	}
	b.StopTimer()
	t.report(b)
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(len(frames)), "allocs/frame")
	if len(empty) > 0 {
		b.ReportMetric(ms(sum(empty))/float64(len(empty)), "ms-empty-video")
	}
}

// cpuTime returns the processor time that this thread has had.
func cpuTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

func sum(ds []time.Duration) (s time.Duration) {
	for _, d := range ds {
		s += d
	}
	return s
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
