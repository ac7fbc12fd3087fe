package qrread_test

import (
	"encoding/json"
	"image"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/qrgate/qrgate/hw/camera"
)

// A frame is one camera frame with the texts that can be seen in it.
type frame struct {
	name      string
	condition string
	img       *image.Gray
	texts     []string // none: there is no code
}

// right reports whether texts holds one of the frame's and nothing else.
func (f *frame) right(texts []string) bool {
	return len(texts) > 0 && !f.wrong(texts)
}

// wrong reports whether texts holds one that is not in the frame.
func (f *frame) wrong(texts []string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return !slices.Contains(f.texts, s) })
}

// committedFrames is the set that lies in the repository.
var committedFrames = filepath.Join("..", "..", "testdata", "qr")

// framesDir is the folder that benchmarks read: the one that QRGATE_FRAMES
// names, which holds a manifest.json and images of the same form, or the
// committed set.
func framesDir() string {
	if dir := os.Getenv("QRGATE_FRAMES"); dir != "" {
		return dir
	}
	return committedFrames
}

// loadFrames returns the frames of dir that are h pixels high, all for 0.
func loadFrames(tb testing.TB, dir string, h int) []frame {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var list []struct {
		File      string `json:"file"`
		H         int    `json:"h"`
		Condition string `json:"condition"`
		Codes     []struct {
			Text string `json:"text"`
		} `json:"codes"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		tb.Fatalf("%s: %v", dir, err)
	}
	var frames []frame
	for _, l := range list {
		if h != 0 && l.H != h {
			continue
		}
		f := frame{name: l.File, condition: l.Condition}
		for _, c := range l.Codes {
			f.texts = append(f.texts, c.Text)
		}
		if f.img, err = camera.Load(filepath.Join(dir, l.File)); err != nil {
			tb.Fatal(err)
		}
		frames = append(frames, f)
	}
	if len(frames) == 0 {
		tb.Fatalf("%s: no frames of %d lines", dir, h)
	}
	return frames
}
