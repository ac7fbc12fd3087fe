package report

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// A Drawing is a chart as shapes, in units of about a third of a millimetre, with
// the origin at its upper left corner. What it says is also said by a table beside
// it, and nothing is said by colour alone.
type Drawing struct {
	ID            string // unique on its page
	Title, Desc   string // for whom it is read to
	Width, Height float64
	Marks         []Mark
}

// An Ink is what a mark is for, which decides its colour.
type Ink string

// The inks. Those of steps go from little to much.
const (
	Paper  Ink = "paper"
	Text   Ink = "text"
	Soft   Ink = "soft" // second to the text
	Axis   Ink = "axis"
	First  Ink = "first" // the series of a chart
	Second Ink = "second"
	Third  Ink = "third"
	None   Ink = "step0" // nothing to say
	Step1  Ink = "step1"
	Step2  Ink = "step2"
	Step3  Ink = "step3"
	Step4  Ink = "step4"
	OnStep Ink = "onstep" // text on the darker steps
	OnPale Ink = "onpale" // and on the others, whatever the page is like
)

// colours are the inks on white paper. A number on a step, and text on paper, has
// a contrast of at least 4.5 to 1.
var colours = map[Ink][3]uint8{
	Paper: {255, 255, 255}, Text: {27, 36, 48}, Soft: {74, 87, 102}, Axis: {217, 222, 219},
	First: {11, 93, 82}, Second: {138, 74, 0}, Third: {58, 78, 160},
	None: {240, 242, 241}, Step1: {221, 236, 229}, Step2: {160, 205, 190}, Step3: {52, 118, 101}, Step4: {8, 70, 62}, OnStep: {255, 255, 255}, OnPale: {27, 36, 48},
}

// Colour returns the ink on white paper. A page's style sheet may say otherwise.
func (i Ink) Colour() (r, g, b uint8) {
	c := colours[i]
	return c[0], c[1], c[2]
}

// A Kind is what a mark is.
type Kind int

// The kinds of marks.
const (
	Box   Kind = iota // X, Y, W, H
	Line              // through Points
	Label             // Words at X, Y: the baseline
	Dot               // at X, Y with radius W
	Shape             // Path, as outlines of package area have it, scaled by W and moved by X, Y
)

// A Mark is one shape.
type Mark struct {
	Kind       Kind
	Ink        Ink
	X, Y, W, H float64
	Points     []Point
	Dash       bool
	Words      string
	Size       float64
	Bold       bool
	Align      Align
	Path       string
	Title      string // of what a pointer rests on
}

// A Point is on a drawing.
type Point struct{ X, Y float64 }

// An Align says where a label stands to its X.
type Align string

// The alignments.
const (
	Start  Align = "start"
	Middle Align = "middle"
	End    Align = "end"
)

func (d *Drawing) box(ink Ink, x, y, w, h float64) {
	d.Marks = append(d.Marks, Mark{Kind: Box, Ink: ink, X: x, Y: y, W: w, H: h})
}

func (d *Drawing) label(ink Ink, x, y, size float64, bold bool, align Align, words string) {
	d.Marks = append(d.Marks, Mark{Kind: Label, Ink: ink, X: x, Y: y, Size: size, Bold: bold, Align: align, Words: words})
}

func (d *Drawing) line(ink Ink, width float64, dash bool, points ...Point) {
	d.Marks = append(d.Marks, Mark{Kind: Line, Ink: ink, W: width, Dash: dash, Points: points})
}

// SVG returns the drawing for a page, without script or style.
func (d *Drawing) SVG() string {
	var b strings.Builder
	e := html.EscapeString
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 %s %s" role="img" aria-labelledby="%s-t %s-d" font-family="sans-serif"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
		number(d.Width), number(d.Height), e(d.ID), e(d.ID), e(d.ID), e(d.Title), e(d.ID), e(d.Desc))
	for _, m := range d.Marks {
		red, green, blue := m.Ink.Colour()
		colour := fmt.Sprintf("#%02x%02x%02x", red, green, blue)
		switch m.Kind {
		case Box:
			fmt.Fprintf(&b, `<rect class="ink-%s" x="%s" y="%s" width="%s" height="%s" fill="%s"/>`, m.Ink, number(m.X), number(m.Y), number(m.W), number(m.H), colour)
		case Line:
			fmt.Fprintf(&b, `<polyline class="line-%s" fill="none" stroke="%s" stroke-width="%s" stroke-linejoin="round"`, m.Ink, colour, number(m.W))
			if m.Dash {
				fmt.Fprintf(&b, ` stroke-dasharray="%s"`, number(m.W*3))
			}
			b.WriteString(` points="`)
			for i, p := range m.Points {
				if i > 0 {
					b.WriteByte(' ')
				}
				b.WriteString(number(p.X) + "," + number(p.Y))
			}
			b.WriteString(`"/>`)
		case Label:
			fmt.Fprintf(&b, `<text class="ink-%s" x="%s" y="%s" font-size="%s" text-anchor="%s" fill="%s"`, m.Ink, number(m.X), number(m.Y), number(m.Size), m.Align, colour)
			if m.Bold {
				b.WriteString(` font-weight="600"`)
			}
			b.WriteString(">" + e(m.Words) + "</text>")
		case Dot:
			fmt.Fprintf(&b, `<circle class="ink-%s" cx="%s" cy="%s" r="%s" fill="%s"/>`, m.Ink, number(m.X), number(m.Y), number(m.W), colour)
		case Shape:
			fmt.Fprintf(&b, `<path class="ink-%s" transform="translate(%s %s) scale(%s)" fill="%s" fill-rule="evenodd" stroke="#3f6f5c" stroke-width="%s" d="%s"><title>%s</title></path>`,
				m.Ink, number(m.X), number(m.Y), strconv.FormatFloat(m.W, 'g', 6, 64), colour, number(.5/m.W), m.Path, e(m.Title))
		}
	}
	b.WriteString("</svg>")
	return b.String()
}

func number(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
