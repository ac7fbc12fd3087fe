package qrread_test

import (
	"bytes"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"

	"github.com/qrgate/qrgate/hw/qrread"
)

// patient gives every frame all the time it needs, so that tests do not depend
// on how busy the machine is.
func patient() *qrread.Reader { return qrread.New(qrread.Options{Deadline: time.Hour}) }

func texts(codes []qrread.Code) (texts []string) {
	for _, c := range codes {
		texts = append(texts, c.Text)
	}
	return texts
}

// ownCard is as long as the codes on our own cards: 131 characters of upper
// case and digits, which fill version 6 at level M.
var ownCard = "QG1" + strings.Repeat("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 4)

func TestReadTurnedInvertedMirrored(t *testing.T) {
	s := encode(t, ownCard, decoder.ErrorCorrectionLevel_M, 0)
	if len(s) != 41 {
		t.Fatalf("own card is %d modules wide, want 41 (version 6)", len(s))
	}
	r := patient()
	for _, inverted := range []bool{false, true} {
		for _, mirrored := range []bool{false, true} {
			for turn := 0.0; turn < 360; turn += 24 {
				t.Run(fmt.Sprintf("inverted=%t mirrored=%t turn=%v", inverted, mirrored, turn), func(t *testing.T) {
					img := blank(400, 300)
					drawSymbol(img, s, view{module: 3.6, turn: turn, tilt: 0.15, x: 198, y: 151, inverted: inverted, mirrored: mirrored})
					got := r.Read(img)
					if d := cmp.Diff([]string{ownCard}, texts(got)); d != "" {
						t.Fatalf("Read: (-want +got)\n%s", d)
					}
				})
			}
		}
	}
}

func TestCornersGoRoundTheSymbol(t *testing.T) {
	s := encode(t, "corners", decoder.ErrorCorrectionLevel_M, 0)
	half := 5 * float64(len(s)) / 2
	for _, tt := range []struct {
		view view
		want [4]qrread.Point
	}{
		{view{}, [4]qrread.Point{{X: -1, Y: -1}, {X: 1, Y: -1}, {X: 1, Y: 1}, {X: -1, Y: 1}}},
		{view{turn: 90}, [4]qrread.Point{{X: 1, Y: -1}, {X: 1, Y: 1}, {X: -1, Y: 1}, {X: -1, Y: -1}}},
		{view{mirrored: true}, [4]qrread.Point{{X: 1, Y: -1}, {X: -1, Y: -1}, {X: -1, Y: 1}, {X: 1, Y: 1}}},
	} {
		img := blank(320, 240)
		tt.view.module, tt.view.x, tt.view.y = 5, 150, 120
		drawSymbol(img, s, tt.view)
		codes := patient().Read(img)
		if len(codes) != 1 {
			t.Errorf("Read(%+v) = %d codes, want 1", tt.view, len(codes))
			continue
		}
		for k, got := range codes[0].Corners {
			want := qrread.Point{X: 150 + tt.want[k].X*half, Y: 120 + tt.want[k].Y*half}
			// The fourth corner of so small a symbol has nothing to be measured by.
			if math.Hypot(got.X-want.X, got.Y-want.Y) > 5 {
				t.Errorf("Read(%+v): corner %d at %.1f, want %.1f", tt.view, k, got, want)
			}
		}
	}
}

func TestReadSeveral(t *testing.T) {
	img := blank(640, 480)
	want := []string{"first card", "second card", "third card"}
	for i, text := range want {
		s := encode(t, text, decoder.ErrorCorrectionLevel_M, 0)
		drawSymbol(img, s, view{module: 5, turn: 10 * float64(i), x: 120 + 200*float64(i), y: 150 + 90*float64(i)})
	}
	got := texts(patient().Read(img))
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Read: (-want +got)\n%s", d)
	}
}

func TestReadNothing(t *testing.T) {
	noise := blank(320, 240)
	for i := range noise.Pix {
		noise.Pix[i] *= 37
	}
	checks := blank(320, 240)
	for i := range checks.Pix {
		checks.Pix[i] = uint8((i%320/5 ^ i/320/5) & 1 * 200)
	}
	for name, img := range map[string]*image.Gray{
		"grey": blank(320, 240), "noise": noise, "checks": checks, "finders": findersOnly(320, 240),
		"narrow": blank(20, 400), "flat": blank(400, 20), "empty": image.NewGray(image.Rect(0, 0, 0, 0)),
		"short": {Pix: make([]uint8, 100), Stride: 100, Rect: image.Rect(0, 0, 100, 100)},
	} {
		if got := patient().Read(img); got != nil {
			t.Errorf("Read(%s) = %+v, want nothing", name, got)
		}
	}
}

// A camera's buffer may have padding at the end of lines, and a frame may be a
// part of a larger one.
func TestReadPartOfAnImage(t *testing.T) {
	img := blank(500, 400)
	drawSymbol(img, encode(t, "part", decoder.ErrorCorrectionLevel_Q, 0), view{module: 4, x: 300, y: 250})
	before := bytes.Clone(img.Pix)
	codes := patient().Read(img.SubImage(image.Rect(210, 170, 391, 333)).(*image.Gray))
	if len(codes) != 1 || codes[0].Text != "part" {
		t.Fatalf("Read = %+v, want part", codes)
	}
	if got := codes[0].Corners[0]; math.Hypot(got.X-(300-42-210), got.Y-(250-42-170)) > 2 {
		t.Errorf("Corners[0] = %.1f, want (48, 38) in the part", got)
	}
	if !bytes.Equal(before, img.Pix) {
		t.Error("Read changed the picture")
	}
}

func TestRefuseLargeFrames(t *testing.T) {
	r := qrread.New(qrread.Options{MaxPixels: 300 * 200, Deadline: time.Hour})
	s := encode(t, "large", decoder.ErrorCorrectionLevel_M, 0)
	for _, tt := range []struct{ w, h, codes int }{{300, 200, 1}, {301, 200, 0}, {300, 201, 0}} {
		img := blank(tt.w, tt.h)
		drawSymbol(img, s, view{module: 4, x: 150, y: 100})
		if got := r.Read(img); len(got) != tt.codes {
			t.Errorf("Read(%dx%d) = %d codes, want %d", tt.w, tt.h, len(got), tt.codes)
		}
	}
	if got := r.Stats().Refused; got != 2 {
		t.Errorf("Refused = %d, want 2", got)
	}
}

// findersOnly returns a sheet full of finder patterns: whatever ranks triples
// of them finds tens of millions.
func findersOnly(w, h int) *image.Gray {
	img := blank(w, h)
	for y := range h {
		for x := range w {
			fx, fy := x%36/4, y%36/4 // nine modules: a finder of seven and a gap
			ring := max(fx-4, 4-fx, fy-4, 4-fy)
			if ring <= 1 || ring == 3 {
				img.Pix[y*w+x] = 30
			}
		}
	}
	return img
}

func TestSheetOfFindersIsGivenUp(t *testing.T) {
	r := patient()
	if got := r.Read(findersOnly(1280, 720)); got != nil {
		t.Errorf("Read = %+v, want nothing", got)
	}
	// What costs time is counted, not timed.
	if s := r.Stats(); s.Attempts > 600 || s.Late != 0 {
		t.Errorf("Stats = %+v, want at most 600 attempts", s)
	}
}

func TestDeadline(t *testing.T) {
	r := qrread.New(qrread.Options{Deadline: 1}) // a nanosecond is over before it is looked at
	img := blank(400, 300)
	drawSymbol(img, encode(t, "late", decoder.ErrorCorrectionLevel_M, 0), view{module: 5, x: 200, y: 150})
	for range 3 {
		if got := r.Read(img); got != nil {
			t.Errorf("Read = %+v after the deadline, want nothing", got)
		}
	}
	if d := cmp.Diff(qrread.Stats{Frames: 3, Late: 3}, r.Stats()); d != "" {
		t.Errorf("Stats: (-want +got)\n%s", d)
	}
}

// A kiosk looks at a million frames a day: once the buffers are there, an empty one
// leaves no garbage, and one in which something is tried little.
func TestSteadyFramesAllocateNothing(t *testing.T) {
	card := blank(640, 480)
	drawSymbol(card, encode(t, ownCard, decoder.ErrorCorrectionLevel_M, 0), view{module: 4, turn: 20, x: 300, y: 220})
	for _, tt := range []struct {
		name string
		img  *image.Gray
		most float64
	}{
		{"nothing there", blank(640, 480), 0}, {"finders", findersOnly(160, 120), 4}, {"a card", card, 12},
	} {
		for _, video := range []bool{false, true} {
			r := qrread.New(qrread.Options{Deadline: time.Hour, Video: video})
			for range 4 { // the searches that take turns
				r.Read(tt.img)
			}
			if got := testing.AllocsPerRun(8, func() { r.Read(tt.img) }); got > tt.most {
				t.Errorf("Read of %s, video %t: %v allocations, want at most %v", tt.name, video, got, tt.most)
			}
		}
	}
}

// A reader keeps nothing of a frame: neither its text nor its finders.
func TestFramesDoNotMix(t *testing.T) {
	r := patient()
	a, b := blank(320, 240), blank(400, 300)
	drawSymbol(a, encode(t, "one", decoder.ErrorCorrectionLevel_M, 0), view{module: 5, x: 150, y: 120})
	drawSymbol(b, encode(t, "two", decoder.ErrorCorrectionLevel_M, 0), view{module: 6, x: 200, y: 150, turn: 30})
	for range 2 {
		for _, tt := range []struct {
			img  *image.Gray
			want []string
		}{{a, []string{"one"}}, {blank(320, 240), nil}, {b, []string{"two"}}, {blank(640, 480), nil}} {
			if d := cmp.Diff(tt.want, texts(r.Read(tt.img))); d != "" {
				t.Errorf("Read: (-want +got)\n%s", d)
			}
		}
	}
}
