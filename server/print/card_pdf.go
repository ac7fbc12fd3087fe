package print

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
)

// A pdfStream writes a PDF page by page and keeps nothing of a page that is
// written but where it lies: fpdf holds all of them until the end, which for a
// thousand sheets of cards is hundreds of megabytes. It knows shapes and text.
type pdfStream struct {
	w       *bufio.Writer
	at      int64
	offsets []int64 // of objects, from 1; 0 while one is only promised
	pages   []int
	set     *setter
	used    [2]map[rune]uint16 // glyphs, by face
	packed  bytes.Buffer
	packer  *zlib.Writer
	plain   []byte
	err     error
}

// The objects that are promised from the start.
const (
	pdfCatalog = 1 + iota
	pdfTree
	pdfInfo
	pdfFont // and that of the other face
	pdfPromised
)

func newPDFStream(w io.Writer, set *setter) *pdfStream {
	p := &pdfStream{w: bufio.NewWriterSize(w, 64<<10), set: set, used: [2]map[rune]uint16{{}, {}}, offsets: make([]int64, pdfPromised+2)}
	p.packer = zlib.NewWriter(&p.packed)
	p.print("%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n")
	return p
}

func (p *pdfStream) print(format string, args ...any) {
	if p.err == nil {
		var n int
		n, p.err = fmt.Fprintf(p.w, format, args...)
		p.at += int64(n)
	}
}

func (p *pdfStream) promise() int {
	p.offsets = append(p.offsets, 0)
	return len(p.offsets) - 1
}

func (p *pdfStream) object(no int, format string, args ...any) {
	p.offsets[no] = p.at
	p.print("%d 0 obj\n", no)
	p.print(format, args...)
	p.print("\nendobj\n")
}

// stream writes bytes as an object, packed; more is added to its dictionary.
func (p *pdfStream) stream(no int, more string, body []byte) {
	p.packed.Reset()
	p.packer.Reset(&p.packed)
	p.packer.Write(body)
	p.packer.Close()
	p.offsets[no] = p.at
	p.print("%d 0 obj\n<</Filter/FlateDecode/Length %d%s>>stream\n", no, p.packed.Len(), more)
	if p.err == nil {
		var n int
		n, p.err = p.w.Write(p.packed.Bytes())
		p.at += int64(n)
	}
	p.print("\nendstream\nendobj\n")
}

// draw writes what is on a canvas and returns the object that pages show.
func (p *pdfStream) draw(c *canvas) int {
	b := append(p.plain[:0], "q "...)
	// Millimetres from the upper left corner.
	b = number(b, 1/pt, 0, 0, -1/pt, 0, c.height/pt)
	b = append(b, "cm\n"...)
	for i := range c.items {
		it := &c.items[i]
		b = number(b, float64(it.colour.R)/255, float64(it.colour.G)/255, float64(it.colour.B)/255)
		b = append(b, "rg\n"...)
		if l := it.text; l != nil {
			s := l.size
			if l.upsideDown {
				s = -s
			}
			b = append(b, "BT /F"...)
			b = strconv.AppendInt(b, int64(l.face), 10)
			b = append(b, " 1 Tf "...)
			b = number(b, s, 0, 0, -s, l.x, l.y)
			b = append(b, "Tm <"...)
			for _, r := range l.text {
				b = fmt.Appendf(b, "%04x", p.glyph(l.face, r))
			}
			b = append(b, "> Tj ET\n"...)
			continue
		}
		b = outlinePDF(b, it.shape)
		b = append(b, "f\n"...)
	}
	p.plain = append(b, 'Q')
	no := p.promise()
	p.stream(no, "", p.plain)
	return no
}

// outlinePDF writes a path; its many rectangles in short.
func outlinePDF(b []byte, path path) []byte {
	for i := 0; i < len(path); i++ {
		if i+4 <= len(path) && (i+4 == len(path) || path[i+4].op == 'M') {
			if x, y, w, h, ok := isRect(path[i : i+4]); ok {
				b = number(b, x, y, w, h)
				b = append(b, "re\n"...)
				i += 3
				continue
			}
		}
		s := path[i]
		if s.op == 'M' && i > 0 {
			b = append(b, "h\n"...)
		}
		for _, q := range s.points() {
			b = number(b, q.x, q.y)
		}
		b = append(b, map[byte]string{'M': "m\n", 'L': "l\n", 'C': "c\n"}[s.op]...)
	}
	return append(b, "h "...)
}

// isRect reports whether four segments are what rect draws.
func isRect(s path) (x, y, w, h float64, ok bool) {
	if s[0].op != 'M' || s[1].op != 'L' || s[2].op != 'L' || s[3].op != 'L' {
		return 0, 0, 0, 0, false
	}
	a, b, c, d := s[0].p[0], s[1].p[0], s[2].p[0], s[3].p[0]
	return a.x, a.y, c.x - a.x, c.y - a.y, a.y == b.y && b.x == c.x && c.y == d.y && d.x == a.x
}

// number writes numbers to a thousandth, and a space after each.
func number(b []byte, all ...float64) []byte {
	for _, v := range all {
		b = strconv.AppendFloat(b, v, 'f', 4, 64)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
		if b[len(b)-1] == '.' {
			b = b[:len(b)-1]
		}
		b = append(b, ' ')
	}
	return b
}

func (p *pdfStream) glyph(f face, r rune) uint16 {
	if g, ok := p.used[f][r]; ok {
		return g
	}
	g, err := faces()[f].GlyphIndex(&p.set.buf, r)
	if err != nil {
		g = 0
	}
	p.used[f][r] = uint16(g)
	return uint16(g)
}

// page adds a page that shows what was drawn.
func (p *pdfStream) page(drawn int, width, height float64) {
	no := p.promise()
	p.object(no, "<</Type/Page/Parent %d 0 R/MediaBox[0 0 %.3f %.3f]/Resources<</Font<</F0 %d 0 R/F1 %d 0 R>>>>/Contents %d 0 R>>",
		pdfTree, width/pt, height/pt, pdfFont, pdfFont+1, drawn)
	p.pages = append(p.pages, no)
}

// close ends the file. A printer must neither shrink it nor turn its sheets over
// the wrong edge.
func (p *pdfStream) close(title string, at time.Time, duplex bool) error {
	for f, ttf := range [][]byte{regular: regularTTF, bold: boldTTF} {
		p.font(face(f), ttf)
	}
	p.offsets[pdfTree] = p.at
	p.print("%d 0 obj\n<</Type/Pages/Count %d/Kids[", pdfTree, len(p.pages))
	for _, no := range p.pages {
		p.print("%d 0 R\n", no)
	}
	p.print("]>>\nendobj\n")
	sides := "/Simplex"
	if duplex {
		sides = "/DuplexFlipLongEdge"
	}
	p.object(pdfCatalog, "<</Type/Catalog/Pages %d 0 R/Lang(vi-VN)/ViewerPreferences<</PrintScaling/None/Duplex%s/DisplayDocTitle true>>>>", pdfTree, sides)
	p.object(pdfInfo, "<</Title<feff%s>/Creator(QRGate)/CreationDate(D:%sZ)>>", hex16(title), at.UTC().Format("20060102150405"))
	start := p.at
	p.print("xref\n0 %d\n0000000000 65535 f \n", len(p.offsets))
	for _, at := range p.offsets[1:] {
		p.print("%010d 00000 n \n", at)
	}
	p.print("trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(p.offsets), pdfCatalog, pdfInfo, start)
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}

// hex16 returns text in UTF-16, in hexadecimal.
func hex16(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04x", u)
	}
	return b.String()
}

// font writes a face: the whole of it, with the widths and the meaning of what was
// used, so that the text can be searched and copied.
func (p *pdfStream) font(f face, ttf []byte) {
	fnt := faces()[f]
	em := fixed.Int26_6(fnt.UnitsPerEm()) << 6
	scaled := func(v fixed.Int26_6) int { return int(int64(v) * 1000 / int64(em)) }
	runes := make([]rune, 0, len(p.used[f]))
	for r := range p.used[f] {
		runes = append(runes, r)
	}
	slices.Sort(runes)
	var widths, meaning strings.Builder
	for i, r := range runes {
		g := p.used[f][r]
		l, _ := p.set.letter(f, r)
		fmt.Fprintf(&widths, "%d[%d]", g, int(l.advance*1000+0.5))
		if i%100 == 0 { // the most that one section may hold
			if i > 0 {
				meaning.WriteString("endbfchar\n")
			}
			fmt.Fprintf(&meaning, "%d beginbfchar\n", min(100, len(runes)-i))
		}
		fmt.Fprintf(&meaning, "<%04x><%s>\n", g, hex16(string(r)))
	}
	if len(runes) > 0 {
		meaning.WriteString("endbfchar\n")
	}
	name := family + []string{regular: "-Regular", bold: "-Bold"}[f]
	file, descriptor, descendant, unicode := p.promise(), p.promise(), p.promise(), p.promise()
	p.stream(file, fmt.Sprintf("/Length1 %d", len(ttf)), ttf)
	box, err := fnt.Bounds(&p.set.buf, em, font.HintingNone)
	if err != nil {
		p.err = err
		return
	}
	metrics, err := fnt.Metrics(&p.set.buf, em, font.HintingNone)
	if err != nil {
		p.err = err
		return
	}
	p.object(descriptor, "<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[%d %d %d %d]/ItalicAngle 0/Ascent %d/Descent %d/CapHeight %d/StemV 80/FontFile2 %d 0 R>>",
		name, scaled(box.Min.X), -scaled(box.Max.Y), scaled(box.Max.X), -scaled(box.Min.Y), scaled(metrics.Ascent), -scaled(metrics.Descent), scaled(metrics.CapHeight), file)
	p.object(descendant, "<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap/Identity/W[%s]>>",
		name, descriptor, widths.String())
	p.stream(unicode, "", []byte("/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def /CMapName /QRGate def\n"+
		"1 begincodespacerange <0000><ffff> endcodespacerange\n"+meaning.String()+"endcmap end end"))
	p.object(pdfFont+int(f), "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>", name, descendant, unicode)
}
