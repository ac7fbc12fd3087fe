package print

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math"
	"strconv"
)

// writeSVG draws c. Letters are outlines, each drawn once and used where it
// stands: a sign maker's program without our fonts shows them as they are here.
// What they say stands in aria-label.
func (c *canvas) writeSVG(w io.Writer, s *setter, title string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="%smm" height="%smm" viewBox="0 0 %[1]s %[2]s">`,
		short(c.width), short(c.height))
	b.WriteString("\n<title>")
	if err := xml.EscapeText(&b, []byte(title)); err != nil {
		return err
	}
	fmt.Fprintf(&b, "</title>\n<rect width=\"%s\" height=\"%s\" fill=\"#fff\"/>\n<defs>\n", short(c.width), short(c.height))
	defined := make(map[string]bool)
	for _, it := range c.items {
		if it.text == nil {
			continue
		}
		for _, r := range it.text.text {
			l, _ := s.letter(it.text.face, r)
			if id := letterID(it.text.face, r); len(l.outline) > 0 && !defined[id] {
				defined[id] = true
				fmt.Fprintf(&b, `<path id="%s" `, id)
				svgPath(&b, l.outline.mapped(func(p point) point { return point{p.x * svgEm, p.y * svgEm} }))
			}
		}
	}
	b.WriteString("</defs>\n")
	for _, it := range c.items {
		switch {
		case it.text != nil:
			if err := svgText(&b, s, it.text, it.colour); err != nil {
				return err
			}
		case it.image != nil:
			p := it.image
			src := p.image
			if p.upsideDown {
				src = turned(src)
			}
			fmt.Fprintf(&b, `<image x="%s" y="%s" width="%s" height="%s" preserveAspectRatio="none" xlink:href="data:image/png;base64,`,
				short(p.x), short(p.y), short(p.w), short(p.h))
			enc := base64.NewEncoder(base64.StdEncoding, &b)
			if err := png.Encode(enc, src); err != nil {
				return err
			}
			if err := enc.Close(); err != nil {
				return err
			}
			b.WriteString("\"/>\n")
		default:
			fmt.Fprintf(&b, `<path fill="%s" `, hex(it.colour))
			svgPath(&b, it.shape)
		}
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// svgEm is the size at which letters are defined: that of the fonts, so that
// their points stay where they are.
const svgEm = 1000

func letterID(f face, r rune) string { return fmt.Sprintf("%c%x", "rb"[f], r) }

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func svgText(b *bytes.Buffer, s *setter, l *line, colour color.RGBA) error {
	scale := l.size / svgEm
	if l.upsideDown {
		scale = -scale
	}
	b.WriteString(`<g role="img" aria-label="`)
	if err := xml.EscapeText(b, []byte(l.text)); err != nil {
		return err
	}
	fmt.Fprintf(b, `" fill="%s" transform="translate(%s %s) scale(%s)">`, hex(colour), short(l.x), short(l.y),
		strconv.FormatFloat(scale, 'g', 6, 64))
	x := 0.0
	for _, r := range l.text {
		g, _ := s.letter(l.face, r)
		if len(g.outline) > 0 {
			fmt.Fprintf(b, `<use xlink:href="#%s" x="%s"/>`, letterID(l.face, r), short(x))
		}
		x += g.advance * svgEm
	}
	b.WriteString("</g>\n")
	return nil
}

// svgPath writes the rest of an element that starts with <path.
func svgPath(b *bytes.Buffer, p path) {
	b.WriteString(`d="`)
	var at point
	for i, s := range p {
		to := s.points()[len(s.points())-1]
		switch {
		case s.op == 'L' && to.y == at.y:
			b.WriteString("H" + short(to.x))
		case s.op == 'L' && to.x == at.x:
			b.WriteString("V" + short(to.y))
		default:
			if i > 0 && s.op == 'M' {
				b.WriteByte('Z')
			}
			sep := string(s.op)
			for _, q := range s.points() {
				b.WriteString(sep + short(q.x) + " " + short(q.y))
				sep = " "
			}
		}
		at = to
	}
	b.WriteString("Z\"/>\n")
}

// short writes millimetres to the micrometre.
func short(v float64) string {
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}
