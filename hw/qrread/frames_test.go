package qrread_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A frame is one camera frame with the texts that can be seen in it.
type frame struct {
	name      string
	condition string
	img       *image.Gray
	texts     []string // none: there is no code

	// Of a frame of a video.
	sequence, ms int
	inside       bool // the whole symbol is in view
}

// right reports whether texts holds one of the frame's and nothing else.
func (f *frame) right(texts []string) bool {
	return len(texts) > 0 && !f.wrong(texts)
}

// wrong reports whether texts holds one that is not in the frame.
func (f *frame) wrong(texts []string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return !slices.Contains(f.texts, s) })
}

// The conditions of the committed frames, and how many frames of each must be
// read at least. A change that reads more raises its floor.
var floors = map[string]int{
	"creased": 2, "curved": 2, "defocus": 2, "far": 3, "finger": 2, "glare": 3, "inverted": 2, "lowcontrast": 2,
	"lowlight": 2, "mixed": 1, "moire": 2, "motion": 2, "nominal": 2, "none": 0, "rotation": 2, "shadow": 1,
	"tilt": 2, "twocards": 3, "worn": 3,
}

func TestCommittedFrames(t *testing.T) {
	r, library := patient(), peerGozxing()
	read, seen := make(map[string]int), make(map[string]int)
	for _, f := range loadFrames(t, committedFrames, 0) {
		seen[f.condition]++
		got := texts(r.Read(f.img))
		if f.wrong(got) {
			t.Errorf("Read(%s) = %q, want only %q", f.name, got, f.texts)
		}
		if f.right(got) {
			read[f.condition]++
		} else if texts := library(f.img); f.right(texts) {
			t.Errorf("Read(%s) = %q, the library's own reader says %q", f.name, got, texts)
		}
	}
	for c := range seen {
		if floor, ok := floors[c]; !ok || read[c] < floor {
			t.Errorf("%s: read %d of %d frames, want at least %d", c, read[c], seen[c], floor)
		}
	}
	if got := r.Stats().Panics; got > 0 {
		t.Errorf("Panics = %d, want 0", got)
	}
}

// The manifest says what the folder holds, no more and no less.
func TestManifestIsComplete(t *testing.T) {
	images, err := filepath.Glob(filepath.Join(committedFrames, "*.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	var named, got []string
	for _, f := range loadFrames(t, committedFrames, 0) {
		named = append(named, f.name)
	}
	for _, path := range images {
		got = append(got, filepath.Base(path))
	}
	slices.Sort(named)
	slices.Sort(got)
	if d := cmp.Diff(named, got); d != "" {
		t.Errorf("images (-in the manifest +in the folder)\n%s", d)
	}
}

// committedFrames is the set that lies in the repository.
var committedFrames = filepath.Join("..", "..", "testdata", "qr")

// committedVideos and committedPhotos are those of videos and of photographs.
var (
	committedVideos = filepath.Join("..", "..", "testdata", "qr-video")
	committedPhotos = filepath.Join("..", "..", "testdata", "qr-photos")
)

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
		Sequence  int    `json:"sequence"`
		MS        int    `json:"t_ms"`
		Codes     []struct {
			Text   string `json:"text"`
			Inside bool   `json:"inside"`
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
		f := frame{name: l.File, condition: l.Condition, sequence: l.Sequence, ms: l.MS}
		for _, c := range l.Codes {
			f.texts = append(f.texts, c.Text)
			f.inside = f.inside || c.Inside
		}
		if f.img, err = load(filepath.Join(dir, l.File)); err != nil {
			tb.Fatal(err)
		}
		frames = append(frames, f)
	}
	if len(frames) == 0 {
		tb.Fatalf("%s: no frames of %d lines", dir, h)
	}
	return frames
}

// load reads a JPEG, a PNG or a binary PGM.
func load(path string) (*image.Gray, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if strings.HasSuffix(path, ".pgm") {
		var w, h, most int
		in := bufio.NewReader(f)
		if _, err := fmt.Fscanf(in, "P5\n%d %d\n%d\n", &w, &h, &most); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		img := image.NewGray(image.Rect(0, 0, w, h))
		if _, err := io.ReadFull(in, img.Pix); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return img, nil
	}
	src, _, err := image.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	img := image.NewGray(image.Rect(0, 0, src.Bounds().Dx(), src.Bounds().Dy()))
	draw.Draw(img, img.Rect, src, src.Bounds().Min, draw.Src)
	return img, nil
}
