package print

import (
	_ "embed"
	"image/color"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"
)

var (
	//go:embed fonts/BeVietnamPro_400Regular.ttf
	regularTTF []byte
	//go:embed fonts/BeVietnamPro_700Bold.ttf
	boldTTF []byte
)

// A face is one of the fonts that everything is set in.
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

// A setter sets text: it knows every letter's width and outline. It is for
// one goroutine.
type setter struct {
	buf     sfnt.Buffer
	letters [2]map[rune]letter
}

// A letter is of an em of size 1.
type letter struct {
	advance float64
	outline path
}

// replacement stands for letters that the font does not have.
const replacement = '•'

// letter returns the letter for r, and false if the font has none.
func (s *setter) letter(f face, r rune) (letter, bool) {
	if l, ok := s.letters[f][r]; ok {
		return l, true
	}
	fnt := faces()[f]
	g, err := fnt.GlyphIndex(&s.buf, r)
	if err != nil || g == 0 {
		return letter{}, false
	}
	em := fixed.Int26_6(fnt.UnitsPerEm()) << 6
	advance, err := fnt.GlyphAdvance(&s.buf, g, em, font.HintingNone)
	if err != nil {
		return letter{}, false
	}
	segments, err := fnt.LoadGlyph(&s.buf, g, em, nil)
	if err != nil {
		return letter{}, false
	}
	l := letter{advance: float64(advance) / float64(em)}
	at := func(p fixed.Point26_6) (float64, float64) {
		return float64(p.X) / float64(em), float64(p.Y) / float64(em)
	}
	var x, y float64
	for _, seg := range segments {
		switch seg.Op {
		case sfnt.SegmentOpMoveTo:
			x, y = at(seg.Args[0])
			l.outline.move(x, y)
		case sfnt.SegmentOpLineTo:
			x, y = at(seg.Args[0])
			l.outline.line(x, y)
		case sfnt.SegmentOpQuadTo:
			cx, cy := at(seg.Args[0])
			ex, ey := at(seg.Args[1])
			l.outline.curve(x+(cx-x)*2/3, y+(cy-y)*2/3, ex+(cx-ex)*2/3, ey+(cy-ey)*2/3, ex, ey)
			x, y = ex, ey
		case sfnt.SegmentOpCubeTo:
			ax, ay := at(seg.Args[0])
			bx, by := at(seg.Args[1])
			x, y = at(seg.Args[2])
			l.outline.curve(ax, ay, bx, by, x, y)
		}
	}
	if s.letters[f] == nil {
		s.letters[f] = make(map[rune]letter)
	}
	s.letters[f][r] = l
	return l, true
}

// nbsp is the space at which no line is broken.
const nbsp = '\u00a0'

// maxText bounds what a text costs; no box holds as much.
const maxText = 1200

// clean returns what of text can be drawn: composed, in one paragraph, without
// what has no shape and without pictures that the font does not have, and with
// one [replacement] for each run of letters that it does not have.
func (s *setter) clean(text string) string {
	var b strings.Builder
	n, space, missing := 0, false, false
	for _, r := range norm.NFC.String(text) {
		if n >= maxText {
			break
		}
		if r == nbsp {
			b.WriteRune(r)
			n++
			continue
		}
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			space = b.Len() > 0
			continue
		}
		// Marks that were not composed would stand beside their letter.
		if unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me, unicode.Co, unicode.Cs) {
			continue
		}
		if !s.has(r) {
			if unicode.IsSymbol(r) {
				continue
			}
			if missing && !space {
				continue
			}
			r, missing = replacement, true
		} else {
			missing = false
		}
		if space {
			b.WriteByte(' ')
			space = false
			n++
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// has tells whether both faces have a shape for r: some fonts name letters that
// they leave empty.
func (s *setter) has(r rune) bool {
	for f := range s.letters {
		if l, _ := s.letter(face(f), r); len(l.outline) == 0 {
			return false
		}
	}
	return true
}

// measure returns how wide text is that is set in an em of size 1.
func (s *setter) measure(f face, text string) float64 {
	w := 0.0
	for _, r := range text {
		l, _ := s.letter(f, r)
		w += l.advance
	}
	return w
}

// outline returns the shapes of l's letters.
func (s *setter) outline(l *line) path {
	var p path
	x, sign := l.x, 1.0
	if l.upsideDown {
		sign = -1
	}
	for _, r := range l.text {
		g, _ := s.letter(l.face, r)
		for _, seg := range g.outline {
			for i := range seg.points() {
				seg.p[i] = point{x + sign*l.size*seg.p[i].x, l.y + sign*l.size*seg.p[i].y}
			}
			p = append(p, seg)
		}
		x += sign * l.size * g.advance
	}
	return p
}

// wrap breaks text, which is clean, into lines that are no wider than width at
// size 1. A word that is wider is broken where it must be.
func (s *setter) wrap(f face, text string, width float64) []string {
	var lines []string
	current, used := "", 0.0
	space := s.measure(f, " ")
	for word := range strings.SplitSeq(text, " ") {
		w := s.measure(f, word)
		if current != "" && used+space+w <= width {
			current += " " + word
			used += space + w
			continue
		}
		if current != "" {
			lines = append(lines, current)
		}
		current, used = "", 0
		if w <= width {
			current, used = word, w
			continue
		}
		for _, r := range word {
			l, _ := s.letter(f, r)
			if current != "" && used+l.advance > width {
				lines = append(lines, current)
				current, used = "", 0
			}
			current += string(r)
			used += l.advance
		}
	}
	if current != "" {
		lines = append(lines, current)
	}
	return lines
}

// A style says how text is set: no larger than size, no smaller than least.
type style struct {
	face        face
	size, least float64
	leading     float64 // of a line to the next, in sizes; 0 means 1.25
	colour      color.RGBA
	balanced    bool // lines about equally long, as titles and names are
}

// A block is text that was fitted into a box.
type block struct {
	style
	lines []string
}

// The metrics of the fonts that matter to the eye, in sizes.
const (
	capHeight = 0.70
	ascent    = 0.93 // to the top of Ế
	descent   = 0.24
)

func (b block) height() float64 {
	if len(b.lines) == 0 {
		return 0
	}
	return b.size * (ascent + descent + b.leading*float64(len(b.lines)-1))
}

// fit sets text into a box: as large as the style allows, smaller until it
// fits, and at its least size cut with an ellipsis. What it returns is never
// larger than the box unless the box is lower than one line of the least size.
func (s *setter) fit(text string, width, height float64, st style) block {
	if st.leading == 0 {
		st.leading = 1.25
	}
	b := block{style: st}
	text = s.clean(text)
	if text == "" {
		return b
	}
	for {
		b.lines = s.wrap(b.face, text, width/b.size)
		if b.height() <= height {
			break
		}
		if b.size *= 0.97; b.size < st.least {
			b.size = st.least
			b.lines = s.wrap(b.face, text, width/b.size)
			s.cut(&b, width, height)
			break
		}
	}
	if b.balanced && len(b.lines) > 1 {
		low, high := width/2, width
		for high-low > 0.1 {
			if mid := (low + high) / 2; len(s.wrap(b.face, text, mid/b.size)) > len(b.lines) {
				low = mid
			} else {
				high = mid
			}
		}
		if even := s.wrap(b.face, text, high/b.size); len(even) == len(b.lines) && !strings.HasSuffix(b.lines[len(b.lines)-1], "…") {
			b.lines = even
		}
	}
	return b
}

func (s *setter) cut(b *block, width, height float64) {
	n := len(b.lines)
	for n > 1 && b.height() > height {
		n--
		b.lines = b.lines[:n]
		last := []rune(strings.TrimRight(b.lines[n-1], "…"))
		for len(last) > 0 && s.measure(b.face, string(last)+"…")*b.size > width {
			last = last[:len(last)-1]
		}
		b.lines[n-1] = strings.TrimRight(string(last), " ,.;:·-") + "…"
	}
}

// An align says where lines stand in their box.
type align int

const (
	left align = iota
	centre
	right
)

// write draws b with the top of its box at y and returns where the box ends.
func (c *canvas) write(s *setter, b block, x, y, width float64, a align) float64 {
	base := y + ascent*b.size
	for _, text := range b.lines {
		text = strings.ReplaceAll(text, string(nbsp), " ")
		at := x
		if a != left {
			at += (width - s.measure(b.face, text)*b.size) / float64(3-a)
		}
		c.items = append(c.items, item{colour: b.colour, text: &line{x: at, y: base, size: b.size, face: b.face, text: text}})
		base += b.leading * b.size
	}
	return y + b.height()
}
