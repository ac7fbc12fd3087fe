package print

import "image/color"

// The colours are those of the portal on white paper.
var (
	black = color.RGBA{0, 0, 0, 255}
	white = color.RGBA{255, 255, 255, 255}
	ink   = color.RGBA{0x1b, 0x24, 0x30, 255}
	soft  = color.RGBA{0x4a, 0x57, 0x66, 255}
	grey  = color.RGBA{0x9a, 0xa5, 0xa8, 255}
	brand = color.RGBA{0x0b, 0x5d, 0x52, 255}
	mint  = color.RGBA{0x6f, 0xd3, 0xc1, 255}
	pale  = color.RGBA{0xd3, 0xf1, 0xea, 255}
	tint  = color.RGBA{0xec, 0xf6, 0xf3, 255}
	amber = color.RGBA{0xfd, 0xee, 0xd8, 255}
	brown = color.RGBA{0x7a, 0x42, 0x00, 255}
)

// A pictogram draws itself into a square of twelve units whose upper left
// corner is at x, y; u is the unit. Line is the colour of its lines and paper
// that of what lies behind.
type pictogram func(c *canvas, x, y, u float64, line, paper color.RGBA)

// finder draws three squares and some modules: a code as everybody knows it.
func finder(x, y, u float64) path {
	var p path
	for _, at := range [...]point{{0, 0}, {2.4, 0}, {0, 2.4}} {
		p = append(p, frame(x+at.x*u, y+at.y*u, 1.7*u, 1.7*u, 0, 0.42*u)...)
		p = append(p, rect(x+(at.x+0.68)*u, y+(at.y+0.68)*u, 0.34*u, 0.34*u)...)
	}
	for _, at := range [...]point{{2.4, 2.4}, {3.5, 2.4}, {2.95, 2.95}, {2.4, 3.5}, {3.5, 3.5}} {
		p = append(p, rect(x+at.x*u, y+at.y*u, 0.6*u, 0.6*u)...)
	}
	return p
}

func phone(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, roundRect(x+2.4*u, y, 7.2*u, 12*u, 1.4*u))
	c.fill(paper, roundRect(x+3.1*u, y+1.4*u, 5.8*u, 8.9*u, 0.4*u))
	c.fill(paper, stroke(x+5.4*u, y+0.72*u, x+6.6*u, y+0.72*u, 0.32*u), circle(x+6*u, y+11.15*u, 0.42*u))
}

// scanning is a phone that looks at a code.
func scanning(c *canvas, x, y, u float64, line, paper color.RGBA) {
	phone(c, x, y, u, line, paper)
	c.fill(line, finder(x+3.95*u, y+3.8*u, u))
}

// tapping is a phone with one large button and a finger on it.
func tapping(c *canvas, x, y, u float64, line, paper color.RGBA) {
	phone(c, x-1.2*u, y, u, line, paper)
	c.fill(line, roundRect(x+2.5*u, y+3.6*u, 4.6*u, 2.1*u, 1.05*u))
	hand := func(grow float64) []path {
		g := grow
		return []path{
			stroke(x+6.1*u, y+5.1*u, x+6.1*u, y+9.4*u, (1.5+g)*u),
			stroke(x+7.6*u, y+7.6*u, x+7.6*u, y+9.4*u, (1.4+g)*u),
			stroke(x+9*u, y+7.9*u, x+9*u, y+9.4*u, (1.4+g)*u),
			stroke(x+10.3*u, y+8.3*u, x+10.3*u, y+9.6*u, (1.3+g)*u),
			stroke(x+4.3*u, y+8.5*u, x+6.4*u, y+10.8*u, (1.3+g)*u),
			roundRect(x+(5.35-g/2)*u, y+(8.4-g/2)*u, (5.6+g)*u, (3.6+g)*u, 1.5*u),
		}
	}
	c.fill(paper, hand(0.8)...)
	c.fill(line, hand(0)...)
}

// done is a big check.
func done(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, circle(x+6*u, y+6*u, 6*u))
	c.fill(paper, stroke(x+3.3*u, y+6.3*u, x+5.2*u, y+8.2*u, 1.3*u), stroke(x+5.2*u, y+8.2*u, x+8.8*u, y+4.3*u, 1.3*u))
}

// card is a card with a code.
func card(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, roundRect(x, y+2*u, 12*u, 8*u, 1.2*u))
	c.fill(paper, roundRect(x+0.7*u, y+2.7*u, 10.6*u, 6.6*u, 0.6*u))
	c.fill(line, finder(x+1.7*u, y+3.95*u, u), stroke(x+7.4*u, y+4.7*u, x+10*u, y+4.7*u, 0.7*u),
		stroke(x+7.4*u, y+6.2*u, x+9.4*u, y+6.2*u, 0.7*u))
}

// mark is our own emblem.
func mark(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, roundRect(x, y, 12*u, 12*u, 2.6*u))
	var p path
	for _, at := range [...]point{{2.25, 2.25}, {6.4, 2.25}, {2.25, 6.4}} {
		p = append(p, frame(x+at.x*u, y+at.y*u, 3.35*u, 3.35*u, 0, 0.75*u)...)
		p = append(p, rect(x+(at.x+1.3)*u, y+(at.y+1.3)*u, 0.75*u, 0.75*u)...)
	}
	c.fill(paper, p)
	c.fill(paper, stroke(x+6.8*u, y+8.3*u, x+7.8*u, y+9.3*u, 0.95*u), stroke(x+7.8*u, y+9.3*u, x+9.7*u, y+7.1*u, 0.95*u))
}
