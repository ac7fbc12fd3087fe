package print

// stand lays out A4 that is folded into a tent: the lower half is a face, the
// upper half the same face upside down, so that both are upright when folded.
func (d *drawing) stand() {
	d.width, d.height = 210, 297
	half := d.height / 2
	d.face()
	d.move(0, 0, half)
	there := append([]item(nil), d.items...)
	from := len(d.items)
	for _, it := range there {
		d.items = append(d.items, it.copied())
	}
	d.move(from, 0, -half)
	d.turn(from, 0, half)

	var p path
	for _, x := range [...]float64{5, d.width - 11} {
		p = append(p, stroke(x, half, x+6, half, 0.25)...)
	}
	d.fill(grey, p)
	d.middle(foldTag.VI+" · "+foldTag.EN, 13, half-1.6, 60, 3.2, style{size: 5.5 * pt, least: 5 * pt, colour: grey}, left)
}

// face draws one face at the top of the canvas.
func (d *drawing) face() {
	const (
		width, height = 210.0, 148.5
		side          = 84.0
		foot          = 5.0
	)
	q := d.symbol.margin(side)
	x, y := float64(margin), float64(margin)
	d.code(d.symbol, x, y, side)
	below := y + side + q
	d.place(x, below, side, 12.5)
	d.law(x, below+14.5, side, height-margin-below-14.5, 5.6*pt)

	left0 := x + side + q
	panel := width - margin - left0
	d.fill(brand, roundRect(left0, margin, panel, height-2*margin, 4))
	pad := 6.0
	px, pw := left0+pad, panel-2*pad
	top := margin + pad
	if took := d.heading(px, top, pw, 10.5); took > 0 {
		top += took + 3
	}
	end := height - margin - pad
	name := d.fit(titleVI[1], pw, 13, style{face: bold, size: 31 * pt, least: 12 * pt, leading: 1.12, colour: white})
	name.lines = titleVI[:]
	top = d.write(&d.setter, name, px, top, pw, left)
	top = d.set(title.EN, px, top+0.5, pw, 9, style{size: 15 * pt, least: 7 * pt, colour: mint}, left) + 4
	row := (end - top - foot - 19) / float64(len(steps))
	for i := range steps {
		d.step(i, px, top+float64(i)*row, pw, 0.86*row, white, brand, white, pale)
	}
	top += row * float64(len(steps))
	d.without(px, top+1, pw, 15, 9, 7.6*pt)
	if d.sheet.HelpLine != "" {
		d.middle(helpTag.VI+" · "+helpTag.EN+"  "+d.sheet.HelpLine, px, end-foot+1.5, 0.6*pw, foot, style{face: bold, size: 9 * pt, least: 5 * pt, colour: white}, left)
	}
	e := d.sheet.edition()
	d.both(e, px+0.6*pw, end-foot+1.5, 0.4*pw, foot, 0.5, style{size: 4.6 * pt, least: 3.5 * pt, colour: pale}, style{size: 4.2 * pt, least: 3.5 * pt, colour: pale}, right)
}
