package print

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"codeberg.org/go-pdf/fpdf"

	"github.com/qrgate/qrgate/server/report"
)

// The page of an official letter in millimetres, by decree 30/2020/NĐ-CP: A4,
// 20–25 at the top and bottom, 30–35 at the left, 15–20 at the right.
const (
	paperW, paperH = 210.0, 297.0
	paperTop       = 20.0
	paperBottom    = 22.0
	paperLeft      = 30.0
	paperRight     = 18.0
	paperText      = paperW - paperLeft - paperRight
)

// Sizes of the same decree.
const (
	bodySize  = 13 * pt
	headSize  = 12 * pt
	tableSize = 10.5 * pt
	noteSize  = 9.5 * pt
	listSize  = 11 * pt
)

// Report writes a report as pages of an official letter, as decree 30/2020/NĐ-CP
// lays them out. Its font is ours: the decree wants Times New Roman, which is not
// free.
func Report(w io.Writer, d *report.Document) error {
	p := &paper{set: new(setter), d: d}
	p.f = newPDF(p.clean(d.Kind+" "+d.Subject), d.Made)
	if d.Lang == "en" {
		p.f.SetLang("en-GB")
	}
	p.page()
	p.head()
	for i := range d.Parts {
		p.part(&d.Parts[i])
	}
	p.signature()
	if err := p.f.Output(w); err != nil {
		return fmt.Errorf("print: report: %w", err)
	}
	return nil
}

// A paper is a letter in pages that is being set.
type paper struct {
	f   *fpdf.Fpdf
	set *setter
	d   *report.Document
	y   float64 // where the next thing begins
}

func (p *paper) page() {
	p.f.AddPageFormat("P", fpdf.SizeType{Wd: paperW, Ht: paperH})
	p.y = paperTop
	if n := p.f.PageNo(); n > 1 {
		p.text(strconv.Itoa(n), paperLeft, paperTop-6, paperText, centre, bodySize, regular, false)
	}
	if draft := p.clean(p.d.Draft); draft != "" {
		p.text(draft, paperLeft, paperTop-6, paperText, right, listSize, bold, false)
	}
}

// need begins a page if less than height is left.
func (p *paper) need(height float64) {
	if p.y+height > paperH-paperBottom {
		p.page()
	}
}

// text sets one line, of which base is where it stands.
func (p *paper) text(words string, x, base, width float64, a align, size float64, face face, slanted bool) {
	words = strings.ReplaceAll(words, string(nbsp), " ")
	if a != left {
		x += (width - p.set.measure(face, words)*size) / float64(3-a)
	}
	p.f.SetFont(family, fontStyle[face], 0)
	p.f.SetFontUnitSize(size)
	if slanted { // the font has no italics
		p.f.TransformBegin()
		p.f.TransformSkewX(11, x, base)
		defer p.f.TransformEnd()
	}
	p.f.Text(x, base, words)
}

// clean is that of [setter], of text of any length.
func (p *paper) clean(text string) string {
	var parts []string
	for len(text) > 0 {
		cut, n := len(text), 0
		for i, r := range text {
			if n++; n > maxText/2 && (unicode.IsSpace(r) || n >= maxText) {
				cut = i + utf8.RuneLen(r)
				break
			}
		}
		if part := p.set.clean(text[:min(cut, len(text))]); part != "" {
			parts = append(parts, part)
		}
		text = text[min(cut, len(text)):]
	}
	return strings.Join(parts, " ")
}

// lines sets a paragraph, broken into lines, from p.y on.
func (p *paper) lines(words string, x, width float64, a align, size float64, face face, slanted bool, indent float64) {
	const leading = 1.38
	words = p.clean(words)
	if words == "" {
		return
	}
	p.f.SetTextColor(0, 0, 0)
	// The first line is shorter by its indent: as if it began with a wide letter.
	if indent > 0 {
		space := p.set.measure(face, string(nbsp)) * size
		words = strings.Repeat(string(nbsp), int(math.Round(indent/space))) + words
	}
	rows := p.set.wrap(face, words, width/size)
	if a == centre && len(rows) > 1 { // lines about equally long, as titles are
		low, high := width/2, width
		for high-low > .2 {
			if mid := (low + high) / 2; len(p.set.wrap(face, words, mid/size)) > len(rows) {
				low = mid
			} else {
				high = mid
			}
		}
		rows = p.set.wrap(face, words, high/size)
	}
	for i, row := range rows {
		p.need(size * leading)
		base := p.y + size
		if a == left && i < len(rows)-1 && strings.Count(row, " ") > 2 && p.set.measure(face, row)*size > width*.8 {
			p.justified(row, x, base, width, size, face, slanted)
		} else {
			p.text(row, x, base, width, a, size, face, slanted)
		}
		p.y += size * leading
	}
}

// justified sets a line as wide as its column.
func (p *paper) justified(row string, x, base, width, size float64, face face, slanted bool) {
	words := strings.Split(row, " ")
	used := 0.0
	for _, w := range words {
		used += p.set.measure(face, w) * size
	}
	gap := (width - used) / float64(len(words)-1)
	for _, w := range words {
		p.text(w, x, base, width, left, size, face, slanted)
		x += p.set.measure(face, w)*size + gap
	}
}

func (p *paper) rule(x1, x2, y, width float64) {
	p.f.SetDrawColor(0, 0, 0)
	p.f.SetLineWidth(width)
	p.f.Line(x1, y, x2, y)
}

// head sets who writes, the nation's name, number, date, and what the letter is.
func (p *paper) head() {
	const leftW = 66.0
	rightX, rightW := paperLeft+leftW+3, paperText-leftW-3
	top := p.y
	if p.d.Superior != "" {
		p.lines(strings.ToUpper(p.d.Superior), paperLeft, leftW, centre, headSize, regular, false, 0)
	}
	p.lines(strings.ToUpper(p.d.Agency), paperLeft, leftW, centre, headSize, bold, false, 0)
	p.rule(paperLeft+leftW*.32, paperLeft+leftW*.68, p.y+.8, .25)
	p.y += 3.2
	p.lines(p.d.Number, paperLeft, leftW, centre, bodySize, regular, false, 0)
	ends := p.y

	p.y = top
	nation := p.clean(p.d.Nation)
	size := min(headSize, rightW/max(p.set.measure(bold, nation), 1))
	p.f.SetTextColor(0, 0, 0)
	p.text(nation, rightX, p.y+headSize, rightW, centre, size, bold, false)
	p.y += headSize * 1.38
	motto := p.clean(p.d.Motto)
	p.text(motto, rightX, p.y+bodySize, rightW, centre, bodySize, bold, false)
	long := p.set.measure(bold, motto) * bodySize
	p.rule(rightX+(rightW-long)/2, rightX+(rightW+long)/2, p.y+bodySize*1.4, .25)
	p.y += bodySize*1.4 + 3.2
	p.lines(p.d.Dated, rightX, rightW, centre, bodySize, regular, true, 0)

	p.y = max(p.y, ends) + 7
	p.lines(p.d.Kind, paperLeft, paperText, centre, 14*pt, bold, false, 0)
	p.lines(p.d.Subject, paperLeft+12, paperText-24, centre, 14*pt, bold, false, 0)
	p.rule(paperLeft+paperText*.4, paperLeft+paperText*.6, p.y+1, .25)
	p.y += 6
}

func (p *paper) part(part *report.Part) {
	if part.Heading != "" {
		p.y += 2
		p.need(bodySize * 1.38 * 4) // not alone at a page's end
		p.lines(part.Heading, paperLeft, paperText, left, bodySize, bold, false, 10)
		p.y += 1
	}
	for paragraph := range strings.SplitSeq(part.Text, "\n") {
		if strings.TrimSpace(paragraph) != "" {
			p.lines(paragraph, paperLeft, paperText, left, bodySize, regular, false, 10)
			p.y += 1.6
		}
	}
	if part.Table != nil {
		p.table(part.Table)
	}
	if part.Chart != nil {
		p.chart(part.Chart)
	}
}

const cellPad = 1.3

// row measures one row of a table: its cells in lines, and how high it is.
func (p *paper) row(cells []string, wide []float64, face face) (rows [][]string, height float64) {
	for i, c := range cells {
		lines := p.set.wrap(face, p.clean(c), max(wide[i]-2*cellPad, 4)/tableSize)
		rows = append(rows, lines)
		height = max(height, float64(max(len(lines), 1)))
	}
	return rows, height*tableSize*1.3 + 2*cellPad
}

func (p *paper) table(t *report.Table) {
	if len(t.Head) == 0 {
		return
	}
	wide := make([]float64, len(t.Head))
	sum := 0.0
	for i := range wide {
		wide[i] = 1
		if i < len(t.Wide) && t.Wide[i] > 0 {
			wide[i] = t.Wide[i]
		}
		sum += wide[i]
	}
	for i := range wide {
		wide[i] *= paperText / sum
	}
	head, headHigh := p.row(t.Head, wide, bold)
	if t.Caption != "" {
		p.need(bodySize*1.4 + headHigh*2)
		p.lines(t.Caption, paperLeft, paperText, centre, listSize, bold, false, 0)
		p.y += 1
	}
	numeric := make([]bool, len(wide))
	for _, r := range t.Rows {
		for i := range min(len(r), len(wide)) {
			numeric[i] = numeric[i] || r[i].Numeric
		}
	}
	draw := func(rows [][]string, high float64, face face, shade bool) {
		x := paperLeft
		p.f.SetLineWidth(.15)
		p.f.SetDrawColor(120, 130, 128)
		p.f.SetFillColor(230, 239, 235)
		for i, lines := range rows {
			style := "D"
			if shade {
				style = "FD"
			}
			p.f.Rect(x, p.y, wide[i], high, style)
			a := left
			switch {
			case shade && face == bold && numeric[i]:
				a = centre
			case numeric[i]:
				a = right
			}
			for n, l := range lines {
				p.text(l, x+cellPad, p.y+cellPad+tableSize*(1+1.3*float64(n)), wide[i]-2*cellPad, a, tableSize, face, false)
			}
			x += wide[i]
		}
		p.y += high
	}
	p.need(headHigh * 2)
	p.f.SetTextColor(0, 0, 0)
	draw(head, headHigh, bold, true)
	for n, r := range t.Rows {
		cells := make([]string, len(wide))
		for i := range min(len(r), len(wide)) {
			cells[i] = r[i].Text
		}
		face := regular
		if t.Sum && n == len(t.Rows)-1 {
			face = bold
		}
		rows, high := p.row(cells, wide, face)
		if p.y+high > paperH-paperBottom {
			p.page()
			draw(head, headHigh, bold, true)
		}
		draw(rows, high, face, false)
	}
	p.y += 1.2
	if t.Note != "" {
		p.lines(t.Note, paperLeft, paperText, left, noteSize, regular, true, 0)
	}
	p.y += 3
}

// chartShown is how wide a chart is shown.
const chartShown = 122.0

func (p *paper) chart(d *report.Drawing) {
	if d.Width <= 0 {
		return
	}
	scale := chartShown / d.Width
	high := d.Height * scale
	if room := paperH - paperTop - paperBottom - 12; high > room {
		scale, high = scale*room/high, room
	}
	p.need(high + 12)
	p.f.SetTextColor(0, 0, 0)
	p.lines(d.Title, paperLeft, paperText, centre, listSize, bold, false, 0)
	p.y += 2
	x0, y0 := paperLeft+(paperText-d.Width*scale)/2, p.y
	at := func(x, y float64) (float64, float64) { return x0 + x*scale, y0 + y*scale }
	for _, m := range d.Marks {
		r, g, b := m.Ink.Colour()
		p.f.SetFillColor(int(r), int(g), int(b))
		p.f.SetDrawColor(int(r), int(g), int(b))
		switch m.Kind {
		case report.Box:
			x, y := at(m.X, m.Y)
			p.f.Rect(x, y, m.W*scale, m.H*scale, "F")
		case report.Dot:
			x, y := at(m.X, m.Y)
			p.f.Circle(x, y, m.W*scale, "F")
		case report.Line:
			p.f.SetLineWidth(m.W * scale)
			if m.Dash {
				p.f.SetDashPattern([]float64{m.W * scale * 3, m.W * scale * 3}, 0)
			}
			for i := 1; i < len(m.Points); i++ {
				x1, y1 := at(m.Points[i-1].X, m.Points[i-1].Y)
				x2, y2 := at(m.Points[i].X, m.Points[i].Y)
				p.f.Line(x1, y1, x2, y2)
			}
			p.f.SetDashPattern([]float64{}, 0)
		case report.Label:
			p.f.SetTextColor(int(r), int(g), int(b))
			face := regular
			if m.Bold {
				face = bold
			}
			x, y := at(m.X, m.Y)
			a := left
			switch m.Align {
			case report.Middle:
				a = centre
			case report.End:
				a = right
			}
			// A column of no width is a point: what is centred or ends there does.
			p.text(p.clean(m.Words), x, y, 0, a, m.Size*scale, face, false)
		case report.Shape:
			p.f.SetDrawColor(63, 111, 92)
			p.f.SetLineWidth(.12)
			p.shape(m.Path, func(x, y float64) (float64, float64) { return at(m.X+x*m.W, m.Y+y*m.W) })
		}
	}
	p.y = y0 + high + 4
}

// shape fills an outline of package area: M and l with numbers, z.
func (p *paper) shape(d string, at func(x, y float64) (float64, float64)) {
	var op byte
	var x, y float64
	var have []float64
	drawn := false
	for i := 0; i < len(d); {
		c := d[i]
		switch {
		case c == 'M' || c == 'l' || c == 'z':
			if op, have = c, have[:0]; c == 'z' && drawn {
				p.f.ClosePath()
			}
			i++
		case c == '-' || c >= '0' && c <= '9':
			j := i + 1
			for j < len(d) && d[j] >= '0' && d[j] <= '9' {
				j++
			}
			n, err := strconv.Atoi(d[i:j])
			if err != nil {
				return
			}
			i = j
			if have = append(have, float64(n)); len(have) < 2 {
				continue
			}
			switch op {
			case 'M':
				x, y = have[0], have[1]
				p.f.MoveTo(at(x, y))
				drawn = true
			case 'l':
				x, y = x+have[0], y+have[1]
				p.f.LineTo(at(x, y))
			}
			have = have[:0]
		default:
			i++
		}
	}
	if drawn {
		p.f.DrawPath("B*")
	}
}

// signature sets who gets the letter, who signs it, and who has made it.
func (p *paper) signature() {
	if p.d.To == "" && p.d.SignedAs == "" && p.d.Signed == "" { // nobody signs it
		p.need(5 + noteSize*3)
		p.y += 5
		p.lines(p.d.Foot, paperLeft, paperText, left, noteSize, regular, true, 0)
		return
	}
	high := 46.0 + float64(len(p.d.Recipients))*listSize*1.38
	p.need(high)
	p.y += 5
	top := p.y
	const leftW = 76.0
	p.lines(p.d.To, paperLeft, leftW, left, headSize, bold, true, 0)
	for _, r := range p.d.Recipients {
		p.lines("- "+r, paperLeft, leftW, left, listSize, regular, false, 0)
	}
	ends := p.y
	p.y = top
	rightX, rightW := paperLeft+leftW, paperText-leftW
	p.lines(strings.ToUpper(p.d.SignedAs), rightX, rightW, centre, bodySize, bold, false, 0)
	p.y += 24
	p.lines(p.d.Signed, rightX, rightW, centre, bodySize, bold, false, 0)
	p.y = max(p.y, ends) + 5
	if p.d.Foot != "" {
		p.need(noteSize * 3)
		p.lines(p.d.Foot, paperLeft, paperText, left, noteSize, regular, true, 0)
	}
}
