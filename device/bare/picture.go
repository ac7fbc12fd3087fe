package bare

import (
	_ "embed"
	"image"
	"image/color"
	"math"
	"strings"
	"sync"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// Colours of a picture: white on dark blue, which has thirteen times the contrast that
// letters need least.
var (
	back  = color.RGBA{0x0b, 0x25, 0x45, 0xff}
	front = color.RGBA{0xff, 0xff, 0xff, 0xff}
)

var (
	//go:embed fonts/be-vietnam-400.ttf
	regularTTF []byte
	//go:embed fonts/be-vietnam-700.ttf
	boldTTF []byte
)

// nbsp is the space at which no line is broken.
const nbsp = "\u00a0"

// A face is one of the fonts.
type face int

const (
	regular face = iota
	bold
)

var faces = sync.OnceValue(func() (f [2]*sfnt.Font) {
	for i, ttf := range [][]byte{regular: regularTTF, bold: boldTTF} {
		parsed, err := sfnt.Parse(ttf)
		if err != nil {
			panic(err) // embedded: a bug of ours
		}
		f[i] = parsed
	}
	return f
})

// A line is one row of letters. Its top is at y.
type line struct {
	face face
	size int // of an em, in pixels
	text string
	y    int
}

// A paragraph is broken into lines. Its size is a part of that of the largest.
type paragraph struct {
	face  face
	part  float64
	text  string
	above float64 // room above, in ems of its own
}

func (n Notice) paragraphs() []paragraph {
	all := []paragraph{
		{bold, 1, n.Said[0].Head, 0}, {regular, 0.6, n.Door[0], 0.5}, {regular, 0.6, n.Said[0].Do, 0.5},
		{bold, 0.7, n.Said[1].Head, 1.2}, {regular, 0.5, n.Door[1], 0.4}, {regular, 0.5, n.Said[1].Do, 0.4},
		{bold, 0.45, n.Foot, 1.2},
	}
	kept := all[:0]
	for _, p := range all {
		if p.text != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

// lead is from one line's top to the next, in ems: Vietnamese letters carry two marks.
const lead = 1.36

// smallest is the em, in pixels, of the largest letters below which nobody reads.
const smallest = 12

// Draw returns the notice as it looks on a screen of so many pixels, which lies or stands.
func (n Notice) Draw(width, height int) *image.Paletted {
	img := image.NewPaletted(image.Rect(0, 0, width, height), shades())
	margin := min(width, height) / 16
	room := img.Rect.Inset(margin)
	code := n.code(min(width, height) / 4)
	if code != nil { // beside the words, or below them
		at := image.Pt(room.Max.X, room.Max.Y).Sub(code.Rect.Size())
		if width > height {
			room.Max.X = at.X - margin
		} else {
			room.Max.Y = at.Y - margin
		}
		for y := range code.Rect.Dy() {
			copy(img.Pix[img.PixOffset(at.X, at.Y+y):], code.Pix[code.PixOffset(0, y):][:code.Rect.Dx()])
		}
	}
	s := setter{into: img}
	size := height / 9
	lines, fits := s.set(n.paragraphs(), size, room)
	for ; !fits && size > smallest; size -= max(1, size/24) {
		lines, fits = s.set(n.paragraphs(), size, room)
	}
	for _, l := range lines {
		s.draw(l, room.Min.X)
	}
	return img
}

// levels are few, so that what counts colours tells a page's smooth letters from these.
const levels = 16

// shades are from the ground to the letters.
func shades() color.Palette {
	var p color.Palette
	mix := func(a, b uint8, i int) uint8 { return uint8((int(a)*(levels-1-i) + int(b)*i) / (levels - 1)) }
	for i := range levels {
		p = append(p, color.RGBA{mix(back.R, front.R, i), mix(back.G, front.G, i), mix(back.B, front.B, i), 0xff})
	}
	return p
}

// code draws the code for telephones, at most so large; nil if there is none.
func (n Notice) code(most int) *image.Paletted {
	if n.Code == "" {
		return nil
	}
	m, err := qrcode.NewQRCodeWriter().Encode(n.Code, gozxing.BarcodeFormat_QR_CODE, 1, 1, nil)
	if err != nil || m.GetWidth() > most {
		return nil // the words say it as well
	}
	scale := most / m.GetWidth()
	img := image.NewPaletted(image.Rect(0, 0, scale*m.GetWidth(), scale*m.GetHeight()), shades())
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if !m.Get(x/scale, y/scale) {
				img.SetColorIndex(x, y, levels-1)
			}
		}
	}
	return img
}

// A setter sets lines of letters.
type setter struct {
	into *image.Paletted
	buf  sfnt.Buffer
}

// set breaks paragraphs into lines, and reports whether all of them have room.
func (s *setter) set(all []paragraph, size int, room image.Rectangle) (lines []line, fits bool) {
	y, fits := room.Min.Y, true
	for _, p := range all {
		em := max(1, int(math.Round(p.part*float64(size))))
		y += int(p.above * float64(em))
		for _, text := range s.broken(p.face, em, p.text, room.Dx()) {
			fits = fits && s.width(p.face, em, text) <= room.Dx()
			lines = append(lines, line{p.face, em, text, y})
			y += int(lead * float64(em))
		}
	}
	return lines, fits && y <= room.Max.Y
}

// broken breaks a text between words so that no line is wider than most, if it can.
func (s *setter) broken(f face, em int, text string, most int) (lines []string) {
	for word := range strings.SplitSeq(text, " ") { // not at a nbsp
		last := len(lines) - 1
		if last >= 0 && s.width(f, em, lines[last]+" "+word) <= most {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

func (s *setter) width(f face, em int, text string) int {
	var w fixed.Int26_6
	for _, r := range text {
		w += s.advance(f, em, s.glyph(f, r))
	}
	return w.Ceil()
}

// glyph returns a letter's number, and that of an empty box for one that the font lacks.
func (s *setter) glyph(f face, r rune) sfnt.GlyphIndex {
	g, err := faces()[f].GlyphIndex(&s.buf, r)
	if err != nil {
		return 0
	}
	return g
}

func (s *setter) advance(f face, em int, g sfnt.GlyphIndex) fixed.Int26_6 {
	a, err := faces()[f].GlyphAdvance(&s.buf, g, fixed.I(em), font.HintingNone)
	if err != nil {
		return 0
	}
	return a
}

// draw draws a line from x on.
func (s *setter) draw(l line, x int) {
	box := image.Rect(x, l.y, s.into.Rect.Max.X, l.y+int(lead*float64(l.size))+l.size/4).Intersect(s.into.Rect)
	if box.Empty() {
		return
	}
	z := vector.NewRasterizer(box.Dx(), box.Dy())
	const ascent = 1.06 // of Vietnamese capitals with two marks, in ems
	pen, base := fixed.Int26_6(0), float32(ascent*float64(l.size))
	for _, r := range l.text {
		g := s.glyph(l.face, r)
		segments, err := faces()[l.face].LoadGlyph(&s.buf, g, fixed.I(l.size), nil)
		if err == nil {
			trace(z, segments, float32(pen)/64, base)
		}
		pen += s.advance(l.face, l.size, g)
	}
	mask := image.NewAlpha(image.Rect(0, 0, box.Dx(), box.Dy()))
	z.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	for y := range box.Dy() {
		row := s.into.Pix[s.into.PixOffset(box.Min.X, box.Min.Y+y):]
		for i, a := range mask.Pix[y*mask.Stride:][:box.Dx()] {
			row[i] = max(row[i], uint8((int(a)*(levels-1)+127)/255))
		}
	}
}

// trace adds a letter's outline at a place.
func trace(z *vector.Rasterizer, segments sfnt.Segments, dx, dy float32) {
	at := func(p fixed.Point26_6) (x, y float32) { return float32(p.X)/64 + dx, float32(p.Y)/64 + dy }
	for i, seg := range segments {
		ax, ay := at(seg.Args[0])
		bx, by := at(seg.Args[1])
		cx, cy := at(seg.Args[2])
		switch seg.Op {
		case sfnt.SegmentOpMoveTo:
			if i > 0 {
				z.ClosePath()
			}
			z.MoveTo(ax, ay)
		case sfnt.SegmentOpLineTo:
			z.LineTo(ax, ay)
		case sfnt.SegmentOpQuadTo:
			z.QuadTo(ax, ay, bx, by)
		case sfnt.SegmentOpCubeTo:
			z.CubeTo(ax, ay, bx, by, cx, cy)
		}
	}
	z.ClosePath()
}
