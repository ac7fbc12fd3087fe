package print

import (
	"image"
	"image/color"
	"strings"
)

// A drawing is a poster while it is laid out: the canvas, what sets text on it,
// and what is said.
type drawing struct {
	canvas
	setter
	sheet  Sheet
	symbol symbol
	emblem image.Image
}

// set fits text into a box, draws it from the top and returns where it ends.
func (d *drawing) set(text string, x, y, width, height float64, st style, a align) float64 {
	return d.write(&d.setter, d.fit(text, width, height, st), x, y, width, a)
}

// middle does so in the middle of the height.
func (d *drawing) middle(text string, x, y, width, height float64, st style, a align) {
	b := d.fit(text, width, height, st)
	d.write(&d.setter, b, x, y+(height-b.height())/2, width, a)
}

// both sets a text in two languages, one under the other, in the middle of a
// box: Vietnamese gets share of the height at most.
func (d *drawing) both(t Text, x, y, width, height, share float64, vi, en style, a align) {
	first := d.fit(t.VI, width, height*share, vi)
	second := d.fit(t.EN, width, height-first.height(), en)
	top := y + (height-first.height()-second.height())/2
	top = d.write(&d.setter, first, x, top, width, a)
	d.write(&d.setter, second, x, top, width, a)
}

// heading draws the emblem and who calls for this, white on the brand's colour,
// and returns how much of the height it took: none if there is nothing to draw.
func (d *drawing) heading(x, y, width, height float64) float64 {
	lines := d.sheet.Template.Heading
	if len(lines) == 0 && d.emblem == nil {
		return 0
	}
	side := height
	if d.emblem != nil {
		b := d.emblem.Bounds()
		w, h := side, side*float64(b.Dy())/float64(b.Dx())
		if h > side {
			w, h = side*float64(b.Dx())/float64(b.Dy()), side
		}
		d.items = append(d.items, item{image: &picture{x: x + (side-w)/2, y: y + (side-h)/2, w: w, h: h, image: d.emblem}})
	} else {
		mark(&d.canvas, x, y, side/12, white, brand)
	}
	x, width = x+side+0.28*height, width-side-0.28*height
	const small = 0.74 // of English beside Vietnamese
	lines = lines[:min(len(lines), 4)]
	var vi, en []string
	for _, t := range lines {
		if s := d.clean(t.VI); s != "" {
			vi = append(vi, s)
		}
		if s := d.clean(t.EN); s != "" {
			en = append(en, s)
		}
	}
	// English in one line where several would make all of them tiny.
	if len(en) > 1 {
		en = []string{strings.Join(en, " · ")}
	}
	unit := min(height/3, height/max(float64(len(vi))+small*float64(len(en)), 1))
	top := y + (height-unit*(float64(len(vi))+small*float64(len(en))))/2
	for _, s := range vi {
		d.middle(s, x, top, width, unit, style{face: bold, size: unit / 1.2, least: 4 * pt, colour: white}, left)
		top += unit
	}
	for _, s := range en {
		d.middle(s, x, top, width, unit*small, style{size: unit * small / 1.2, least: 4 * pt, colour: pale}, left)
		top += unit * small
	}
	return height
}

// place draws name and address, and beside them what people type if the code
// is dirty. Its height is the box's.
func (d *drawing) place(x, y, width, height float64) {
	if d.sheet.Code != "" {
		pill := min(0.32*width, 4.3*height)
		px := x + width - pill
		d.fill(brand, frame(px, y, pill, height, height/5, 0.032*height))
		d.middle(codeTag.VI+" · "+codeTag.EN, px, y+0.09*height, pill, 0.3*height, style{size: 0.19 * height, least: 4 * pt, colour: soft}, centre)
		d.middle(d.sheet.Code, px+0.05*pill, y+0.38*height, 0.9*pill, 0.54*height, style{face: bold, size: 0.42 * height, least: 5 * pt, colour: ink}, centre)
		width -= pill + 0.3*height
	}
	name := d.fit(d.sheet.Place, width, 0.68*height, style{face: bold, size: 0.55 * height, least: max(0.17*height, 4.6*pt), leading: 1.14, colour: ink, balanced: true})
	address := d.fit(d.sheet.Address, width, height-name.height(), style{size: 0.25 * height, least: 0.17 * height, leading: 1.15, colour: soft})
	top := d.write(&d.setter, name, x, y+(height-name.height()-address.height())/2, width, left)
	d.write(&d.setter, address, x, top, width, left)
}

// step draws one step: a number, a picture and what to do.
func (d *drawing) step(i int, x, y, width, height float64, line, paper, vi, en color.RGBA) {
	side := 0.8 * height
	steps[i].picture(&d.canvas, x, y+(height-side)/2, side/12, line, paper)
	x, width = x+side+0.2*height, width-side-0.2*height
	d.both(steps[i].text, x, y, width, height, 0.66,
		style{face: bold, size: 0.25 * height, least: 4.5 * pt, leading: 1.2, colour: vi, balanced: true},
		style{size: 0.19 * height, least: 4 * pt, leading: 1.2, colour: en}, left)
}

// without draws what to do without a phone.
func (d *drawing) without(x, y, width, height, picture, text float64) {
	d.fill(amber, roundRect(x, y, width, height, min(2.2, height/5)))
	pad := 0.3 * picture
	card(&d.canvas, x+pad, y+(height-picture)/2, picture/12, brown, amber)
	x, width = x+picture+2*pad, width-picture-3*pad
	d.both(noPhone, x, y+0.06*height, width, 0.88*height, 0.64,
		style{face: bold, size: text, least: 4.5 * pt, leading: 1.2, colour: brown},
		style{size: 0.8 * text, least: 4 * pt, leading: 1.2, colour: brown}, left)
}

// law draws the committee's sentences and the notice of rights in two columns.
func (d *drawing) law(x, y, width, height, text float64) {
	gap := 0.025 * width
	first := 0.54 * (width - gap)
	say, notice := d.sheet.sentences(), d.sheet.notice()
	column := func(say, notice string, x, width, text float64) {
		// A committee that says much must not push the law off the page.
		top := d.set(say, x, y, width, 0.42*height, style{face: bold, size: text, least: 4 * pt, leading: 1.22, colour: ink}, left)
		d.set(notice, x, top, width, y+height-top, style{size: text, least: 4 * pt, leading: 1.22, colour: soft}, left)
	}
	column(say.VI, notice.VI, x, first, text)
	column(say.EN, notice.EN, x+first+gap, width-first-gap, 0.9*text)
}

// lawColumn draws the same in one narrow column, Vietnamese above English.
func (d *drawing) lawColumn(x, y, width, height, text float64) {
	say, notice := d.sheet.sentences(), d.sheet.notice()
	end := y + height
	set := func(t string, share, text float64, st style) {
		st.size, st.least, st.leading = text, 3.4*pt, 1.2
		y = d.set(t, x, y, width, share*(end-y), st, left)
	}
	set(say.VI, 0.25, text, style{face: bold, colour: ink})
	set(notice.VI, 0.6, text, style{colour: ink})
	y += 0.4 * text
	set(say.EN, 0.4, 0.9*text, style{face: bold, colour: soft})
	set(notice.EN, 1, 0.9*text, style{colour: soft})
}

// foot draws the help line, and which print this is in the corner.
func (d *drawing) foot(x, y, width, height float64) {
	e := d.sheet.edition()
	if d.sheet.HelpLine != "" {
		d.middle(helpTag.VI+" · "+helpTag.EN+"  "+d.sheet.HelpLine, x, y, 0.5*width, height,
			style{face: bold, size: 0.8 * height, least: 5 * pt, colour: brand}, left)
	}
	d.middle(e.VI, x+0.5*width, y, 0.5*width, 0.54*height, style{size: 0.46 * height, least: 3.5 * pt, colour: soft}, right)
	d.middle(e.EN, x+0.5*width, y+0.52*height, 0.5*width, 0.48*height, style{size: 0.4 * height, least: 3.5 * pt, colour: soft}, right)
}
