package print

// margin is what a printer leaves white.
const margin = 10

// A size is what differs between the posters for a wall; all in millimetres.
type size struct {
	width, height float64
	side          float64 // of the code
	band          float64 // height of the coloured band with the title
	edge          float64 // to mount it by, at the bottom
	narrow        bool    // what to do without a phone stands in its own row
}

var (
	sizeA4   = size{width: 210, height: 297, side: 150, band: 44}
	sizeA5   = size{width: 148, height: 210, side: 86, band: 31, narrow: true}
	sizePost = size{width: 297, height: 420, side: 205, band: 62, edge: 18}
)

// poster lays out a wall poster: the band, the code, and below it from what is
// needed at once to what is needed once.
func (d *drawing) poster(z size) {
	d.width, d.height = z.width, z.height
	width := z.width - 2*margin
	q := d.symbol.margin(z.side)
	y := margin + z.band + q
	// The white of the code first: it touches the band.
	d.code(d.symbol, (z.width-z.side)/2, y, z.side)
	d.band(margin, margin, width, z.band)
	y += z.side + q

	end := z.height - margin - z.edge
	if z.edge > 0 {
		d.edge(end, z.edge)
		end -= 5
	}
	// The rest is shared out in parts of 52.
	u := (end - y) / 52
	if z.narrow {
		d.place(margin, y, width, 10.5*u)
		d.steps(margin, y+12.5*u, width, 12.5*u)
		d.without(margin, y+27*u, width, 6.6*u, 5*u, 2.5*u)
		d.law(margin, y+35.6*u, width, 11.4*u, 2.15*u)
	} else {
		d.place(margin, y, width, 13.5*u)
		const share = 0.665
		d.steps(margin, y+16.5*u, share*width, 14*u)
		d.without(margin+share*width+2*u, y+16.5*u, (1-share)*width-2*u, 14*u, 9.5*u, 2.85*u)
		d.law(margin, y+33*u, width, 13*u, 2.6*u)
	}
	d.foot(margin, end-4.5*u, width, 4.5*u)
}

// band draws the coloured head: who calls for it, and the title.
func (d *drawing) band(x, y, width, height float64) {
	d.fill(brand, roundRect(x, y, width, height, 0.09*height))
	pad := 0.1 * height
	x, y, width, height = x+1.5*pad, y+pad, width-3*pad, height-1.7*pad
	if took := d.heading(x, y, width, 0.29*height); took > 0 {
		y, height = y+took+0.04*height, height-took-0.04*height
	}
	d.both(title, x, y, width, height, 0.74,
		style{face: bold, size: 0.63 * height, least: 10 * pt, colour: white},
		style{size: 0.24 * height, least: 6 * pt, colour: mint}, left)
}

// steps draws the three steps side by side.
func (d *drawing) steps(x, y, width, height float64) {
	d.fill(tint, roundRect(x, y, width, height, min(2.2, height/5)))
	pad := 0.16 * height
	x, width = x+pad, width-2*pad
	each := width / float64(len(steps))
	for i := range steps {
		d.step(i, x+float64(i)*each, y+0.06*height, each-0.5*pad, 0.88*height, brand, tint, ink, soft)
	}
}

// edge draws where the sheet is bent around its holder: a line of dots and two
// marks to drill through, which a poster that is only hung does not need.
func (d *drawing) edge(y, height float64) {
	var p path
	for x := margin + 0.5; x+2 < d.width-margin; x += 4 {
		p = append(p, stroke(x, y, x+1.6, y, 0.3)...)
	}
	mid := y + height/2
	for _, x := range [...]float64{d.width / 4, d.width * 3 / 4} {
		p = append(p, frame(x-3, mid-3, 6, 6, 3, 0.3)...)
		p = append(p, rect(x-5, mid-0.15, 10, 0.3)...)
		p = append(p, rect(x-0.15, mid-5, 0.3, 10)...)
	}
	d.fill(grey, p)
	d.middle(edgeTag.VI+" · "+edgeTag.EN, margin, y, d.width-2*margin, height, style{size: 9 * pt, least: 6 * pt, colour: grey}, centre)
}
