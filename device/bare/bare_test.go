package bare_test

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/image/font/sfnt"

	"github.com/qrgate/qrgate/device/bare"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/sync/words"
)

var update = flag.Bool("update", false, "write the pictures of testdata anew")

// notices are all that is said, with the longest of everything.
func notices() map[string]bare.Notice {
	all := map[string]bare.Notice{"starting": bare.Starting(), "ending": bare.Ending()}
	doors := map[string]*screen.Brief{"gone": nil, "new": {}}
	for _, s := range words.States() {
		doors[string(s)] = &screen.Brief{State: s, Help: "0234 3 822 500"}
	}
	for name, d := range doors {
		all["M4 "+name] = bare.Broken(bare.Missing, "exit-code 133", "1.22.333-rc.4", d)
	}
	for _, c := range bare.Causes() {
		all[string(c)] = bare.Broken(c, "exit-code 133", "1.22.333-rc.4", nil)
	}
	return all
}

func TestEverythingHasItsWords(t *testing.T) {
	var fonts []*sfnt.Font
	for _, name := range []string{"be-vietnam-400.ttf", "be-vietnam-700.ttf"} {
		b, err := os.ReadFile(filepath.Join("fonts", name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := sfnt.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		fonts = append(fonts, f)
	}
	letters := map[rune]string{}
	for name, n := range notices() {
		broken := n.Foot != ""
		for i, s := range n.Said {
			if utf8.RuneCountInString(s.Head) > words.MaxHead || s.Head == "" || s.Do == "" || broken != (n.Door[i] != "") {
				t.Errorf("%s: %q, %q, want a headline of at most %d letters, what to do, and of a trouble whether the door works", name, s, n.Door[i], words.MaxHead)
			}
			for _, text := range []string{s.Head, s.Do, n.Door[i], n.Foot} {
				if strings.ContainsAny(text, "{}") {
					t.Errorf("%s says %q", name, text)
				}
				for _, r := range text {
					letters[r] = name
				}
			}
			if code := n.Foot[:min(2, len(n.Foot))]; broken && !strings.Contains(s.Do, code) {
				t.Errorf("%s: %q does not have the code %s", name, s.Do, code)
			}
		}
	}
	for r, name := range letters {
		for i, f := range fonts {
			if g, err := f.GlyphIndex(nil, r); err != nil || g == 0 {
				t.Errorf("%s: font %d has no %q", name, i, r)
			}
		}
	}
	help := bare.Broken(bare.NoMemory, "oom-kill 9", "1.0.0", &screen.Brief{State: words.Ready, Help: "19001075"})
	nobody := bare.Broken(bare.NoMemory, "oom-kill 9", "1.0.0", nil)
	for i := range help.Said {
		if !strings.Contains(help.Said[i].Do, "19001075") {
			t.Errorf("%q does not say whom to call", help.Said[i].Do)
		}
		if help.Door[i] == nobody.Door[i] {
			t.Errorf("of a door that works and of one that is gone the same is said: %q", help.Door[i])
		}
	}
}

// sizes are screens that kiosks have, lying and standing, from the smallest to the largest.
var sizes = []image.Point{{320, 240}, {480, 320}, {800, 480}, {1024, 600}, {1920, 1080}, {3840, 2160}, {480, 800}, {600, 1024}, {1080, 1920}}

func TestAllWordsHaveRoomOnEveryScreen(t *testing.T) {
	for _, size := range sizes {
		for name, n := range notices() {
			if size.X > 1024 && name != "M4 locked" && name != "starting" {
				continue // the same, larger
			}
			img := n.Draw(size.X, size.Y)
			if img.Rect.Size() != size {
				t.Fatalf("%s: Draw(%s) = %s", name, size, img.Rect)
			}
			margin := min(size.X, size.Y) / 16
			ink, outside := 0, 0
			for y := range size.Y {
				row := img.Pix[y*img.Stride:][:size.X]
				inked := size.X - bytes.Count(row, []byte{0})
				inner := row[margin : size.X-margin]
				in := len(inner) - bytes.Count(inner, []byte{0})
				if y < margin || y >= size.Y-margin {
					in = 0
				}
				ink, outside = ink+in, outside+inked-in
			}
			if ink < size.X*size.Y/100 || outside > 0 {
				t.Errorf("%s on %s: %d pixels of letters, and %d in the margin", name, size, ink, outside)
			}
		}
	}
}

func TestTheCodeIsRead(t *testing.T) {
	n := bare.Broken(bare.NoScreen, "exit-code 1", "1.22.333-rc.4", nil)
	for _, size := range sizes {
		if min(size.X, size.Y) < 480 {
			continue // for telephones that are held close
		}
		img := n.Draw(size.X, size.Y)
		corner := img.SubImage(image.Rect(size.X/2, size.Y/2, size.X, size.Y))
		got := qrread.New(qrread.Options{Deadline: time.Minute}).Read(grey(corner))
		if len(got) != 1 || got[0].Text != n.Code {
			t.Errorf("on %s the code reads %v, want %q", size, got, n.Code)
		}
	}
}

func grey(img image.Image) *image.Gray {
	g := image.NewGray(image.Rectangle{Max: img.Bounds().Size()})
	draw.Draw(g, g.Rect, img, img.Bounds().Min, draw.Src)
	return g
}

// TestPictures compares with pictures that somebody has looked at. Processors that count
// otherwise may be one shade off.
func TestPictures(t *testing.T) {
	for name, tt := range map[string]struct {
		notice bare.Notice
		size   image.Point
	}{
		"starting": {bare.Starting(), image.Pt(800, 480)},
		"memory":   {bare.Broken(bare.NoMemory, "oom-kill 9", "1.0.0", &screen.Brief{State: words.Ready, Help: "0234 3 822 500"}), image.Pt(1024, 600)},
		"upright":  {bare.Broken(bare.NoScreen, "exit-code 1", "1.0.0", nil), image.Pt(480, 800)},
	} {
		t.Run(name, func(t *testing.T) {
			got := tt.notice.Draw(tt.size.X, tt.size.Y)
			path := filepath.Join("testdata", name+".png")
			if *update {
				f, err := os.Create(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(f, got); err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			img, err := png.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			want, ok := img.(*image.Paletted)
			if !ok || want.Rect != got.Rect {
				t.Fatalf("%s is a %T of %s, want %s", path, img, img.Bounds(), got.Rect)
			}
			off := 0
			for i := range got.Pix {
				if d := int(got.Pix[i]) - int(want.Pix[i]); d > 1 || d < -1 {
					off++
				}
			}
			if off > 0 {
				t.Errorf("%d pixels are not those of %s; -update writes it anew, to be looked at", off, path)
			}
		})
	}
}

// TestFrames draws into files that stand for the kernel's picture, and reads them as the
// screen would.
func TestFrames(t *testing.T) {
	field := func(offset, length int) bare.Field { return bare.Field{Offset: offset, Length: length} }
	red, green, blue := field(16, 8), field(8, 8), field(0, 8)
	for name, f := range map[string]bare.Frame{
		"32 bits":                  {Width: 800, Height: 480, Bits: 32, Line: 3200, Red: red, Green: green, Blue: blue},
		"32 bits, longer rows":     {Width: 1366, Height: 768, Bits: 32, Line: 5504, Red: red, Green: green, Blue: blue},
		"32 bits, blue first":      {Width: 480, Height: 320, Bits: 32, Line: 1920, Red: blue, Green: green, Blue: red},
		"32 bits, second half":     {Width: 480, Height: 320, Bits: 32, Line: 1920, From: 320 * 1920, Red: red, Green: green, Blue: blue},
		"24 bits":                  {Width: 641, Height: 480, Bits: 24, Line: 1924, Red: red, Green: green, Blue: blue},
		"16 bits, 565":             {Width: 1024, Height: 600, Bits: 16, Line: 2048, Red: field(11, 5), Green: field(5, 6), Blue: field(0, 5)},
		"16 bits, 565, long rows":  {Width: 1023, Height: 600, Bits: 16, Line: 2112, Red: field(11, 5), Green: field(5, 6), Blue: field(0, 5)},
		"16 bits, 555":             {Width: 320, Height: 240, Bits: 16, Line: 640, Red: field(10, 5), Green: field(5, 5), Blue: field(0, 5)},
		"an upright one of 16 bit": {Width: 480, Height: 800, Bits: 16, Line: 960, Red: field(11, 5), Green: field(5, 6), Blue: field(0, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "fb")
			before := bytes.Repeat(untouched, f.From+f.Height*f.Line+64)
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			img := bare.Broken(bare.Crashed, "signal 11", "1.0.0", nil).Draw(f.Width, f.Height)
			if err := f.Put(file, img); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(path)
			if err != nil || len(after) != len(before) {
				t.Fatalf("%d bytes, %v, want the %d that were there", len(after), err, len(before))
			}
			size := f.Bits / 8
			for y := range f.Height {
				row := after[f.From+y*f.Line:][:f.Line]
				for x := range f.Width {
					if got, want := shown(f, row[x*size:][:size]), img.At(x, y); !near(got, want) {
						t.Fatalf("pixel %d, %d is %v, want %v", x, y, got, want)
					}
				}
				if rest := row[f.Width*size:]; bytes.Count(rest, untouched) != len(rest) {
					t.Fatalf("row %d is written beyond its pixels: %x", y, rest)
				}
			}
			if bytes.Count(after[:f.From], untouched) != f.From || bytes.Count(after[len(after)-64:], untouched) != 64 {
				t.Error("written before or behind what is shown")
			}
		})
	}
}

// untouched is what a file has before it is drawn into.
var untouched = []byte{0xa5}

// shown is the colour of a pixel's bytes.
func shown(f bare.Frame, b []byte) color.RGBA {
	v := uint64(0)
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	part := func(at bare.Field) uint8 {
		most := uint64(1)<<at.Length - 1
		return uint8(v >> at.Offset & most * 255 / most)
	}
	return color.RGBA{part(f.Red), part(f.Green), part(f.Blue), 255}
}

// near reports whether two colours are the same but for what five bits cannot tell.
func near(a, b color.Color) bool {
	r, g, bl, _ := a.RGBA()
	r2, g2, bl2, _ := b.RGBA()
	for _, d := range []int{int(r) - int(r2), int(g) - int(g2), int(bl) - int(bl2)} {
		if d > 9<<8 || d < -9<<8 {
			return false
		}
	}
	return true
}

func TestFramesThatCannotBeDrawnIntoAreRefused(t *testing.T) {
	good := bare.Frame{Width: 8, Height: 4, Bits: 32, Line: 32, Red: bare.Field{Offset: 16, Length: 8}, Green: bare.Field{Offset: 8, Length: 8}, Blue: bare.Field{Length: 8}}
	for name, spoil := range map[string]func(*bare.Frame){
		"no size":         func(f *bare.Frame) { f.Width = 0 },
		"a palette":       func(f *bare.Frame) { f.Bits = 8 },
		"short rows":      func(f *bare.Frame) { f.Line = 31 },
		"no red":          func(f *bare.Frame) { f.Red.Length = 0 },
		"a field outside": func(f *bare.Frame) { f.Red.Offset = 28 },
		"64 bits":         func(f *bare.Frame) { f.Bits, f.Line = 64, 64 },
		"another size":    func(f *bare.Frame) { f.Height = 5 },
		"much too large":  func(f *bare.Frame) { f.Width, f.Line = 1<<20, 1<<22 },
	} {
		f := good
		spoil(&f)
		path := filepath.Join(t.TempDir(), "fb")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Put(file, bare.Starting().Draw(8, 4))
		if info, _ := file.Stat(); err == nil || info.Size() != 0 {
			t.Errorf("%s: Put = %v, %d bytes written", name, err, info.Size())
		}
		file.Close()
	}
	if err := (&bare.Kernel{Frame: filepath.Join(t.TempDir(), "none")}).Show(bare.Starting().Draw, true); err == nil {
		t.Error("Show without a screen = nil")
	}
	if got := fmt.Sprint(bare.Starting().Draw(1, 1).Rect); got != "(0,0)-(1,1)" {
		t.Errorf("Draw(1, 1) = %s", got)
	}
}
