package print

const (
	stickerSide = 100
	inset       = 6 // white inside the cut, so that a cut may be a little off
)

// sticker lays out one sticker at the upper left of the canvas.
func (d *drawing) sticker() {
	const (
		width = stickerSide - 2*inset
		band  = 14.0
		side  = 51.0
	)
	q := d.symbol.margin(side)
	x, y := max(q, inset), inset+band+q
	d.code(d.symbol, x, y, side)
	d.fill(brand, roundRect(inset, inset, width, band, 2.5))
	d.both(title, inset+4, inset+1.2, width-8, band-2.4, 0.68,
		style{face: bold, size: 20 * pt, least: 9 * pt, colour: white},
		style{size: 9 * pt, least: 6 * pt, colour: mint}, centre)

	below := y + side + q
	x += side + q
	column := stickerSide - inset - x
	// A phone is narrower than its square: let the first begin where the text does.
	picture := 0.28 * column
	hang := 2.4 * picture / 12
	for i := range steps {
		steps[i].picture(&d.canvas, x-hang+float64(i)*(column+hang-picture)/2, y, picture/12, brand, white)
	}
	y = d.set(noPhone.VI, x, y+picture+2.5, column, 9, style{face: bold, size: 5.4 * pt, least: 4 * pt, colour: brown}, left)
	y = d.set(noPhone.EN, x, y, column, 6, style{size: 4.6 * pt, least: 4 * pt, colour: brown}, left)
	d.lawColumn(x, y+1.2, column, below-2-y-1.2, 4.6*pt)
	d.place(inset, below, width, 8)
	d.foot(inset, stickerSide-inset-2.8, width, 2.8)
}

// stickers lays out four on A4 and marks where to cut. They touch, and as each
// is white along its edges the page keeps its margin.
func (d *drawing) stickers() {
	d.width, d.height = 210, 297
	const (
		left, top = 5.0, 48.5
		arm       = 3.0
	)
	d.sticker()
	one := append([]item(nil), d.items...)
	d.items = d.items[:0]
	for row := range 2 {
		for col := range 2 {
			from := len(d.items)
			for _, it := range one {
				d.items = append(d.items, it.copied())
			}
			d.move(from, left+float64(col)*stickerSide, top+float64(row)*stickerSide)
		}
	}
	var p path
	for row := range 3 {
		for col := range 3 {
			x, y := left+float64(col)*stickerSide, top+float64(row)*stickerSide
			p = append(p, rect(x-arm, y-0.08, 2*arm, 0.16)...)
			p = append(p, rect(x-0.08, y-arm, 0.16, 2*arm)...)
		}
	}
	d.fill(grey, p)
}
