package qrread_test

import (
	"image"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"

	"github.com/qrgate/qrgate/hw/qrread"
)

// Whatever a camera has seen before, a card is read a few frames after it came.
func TestVideoReadsWithinFourFrames(t *testing.T) {
	for name, f := range map[string]func(*image.Gray){
		"empty":            func(*image.Gray) {},
		"a row of finders": func(img *image.Gray) { copy(img.Pix[:40*img.Stride], findersOnly(img.Rect.Dx(), img.Rect.Dy()).Pix) },
	} {
		r := qrread.New(qrread.Options{Deadline: time.Hour, Video: true})
		scene := blank(400, 400)
		f(scene)
		for range 10 {
			if got := r.Read(scene); got != nil {
				t.Fatalf("%s: Read = %+v, want nothing", name, got)
			}
		}
		drawSymbol(scene, encode(t, "after all", decoder.ErrorCorrectionLevel_M, 0), view{module: 4, turn: 20, x: 200, y: 280})
		var got []string
		for n := 0; n < 4 && got == nil; n++ {
			got = texts(r.Read(scene))
		}
		if d := cmp.Diff([]string{"after all"}, got); d != "" {
			t.Errorf("%s: four frames: (-want +got)\n%s", name, d)
		}
	}
}

// What a reader holds does not grow with what it is shown.
func TestMemoryUnderHostileFrames(t *testing.T) {
	r := patient()
	var frames []*image.Gray
	for _, size := range [][2]int{{2048, 2048}, {4096, 1024}, {1024, 4096}} {
		frames = append(frames, findersOnly(size[0], size[1]))
	}
	noise := blank(2048, 2048)
	for i := range noise.Pix {
		noise.Pix[i] = byte(uint32(i) * 2654435761 >> 24)
	}
	frames = append(frames, noise, image.NewGray(image.Rect(0, 0, 0, 0)), image.NewGray(image.Rect(0, 0, 4<<20, 1)))
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	for range 2 {
		for _, f := range frames {
			r.Read(f)
		}
	}
	if grown := int64(held()) - int64(before); grown > 24<<20 {
		t.Errorf("the reader holds %d MiB, want at most 24", grown>>20)
	}
	runtime.KeepAlive(frames)
	runtime.KeepAlive(r)
}
