package print

import (
	"image"
	"image/color"
	"math"
)

// pt is a typographic point in millimetres, the unit of everything drawn.
const pt = 25.4 / 72

// A canvas is a page as drawn: what lies later covers what lies earlier. The
// origin is its upper left corner, y grows downwards. PDF, SVG and PNG are made
// from the same canvas, so that they differ in nothing but the format.
type canvas struct {
	width, height float64
	items         []item
}

// An item is exactly one of a filled shape, a line of text and an image.
type item struct {
	colour color.RGBA
	shape  path
	text   *line
	image  *picture
}

// A line is text on a baseline that starts at x, y. Upside down it runs to the
// left from there.
type line struct {
	x, y       float64
	size       float64
	face       face
	text       string
	upsideDown bool
}

type picture struct {
	x, y, w, h float64
	image      image.Image
	upsideDown bool
}

type point struct{ x, y float64 }

// A segment moves to, or draws a line, or draws a cubic curve to its last
// point. A move closes what was drawn before it.
type segment struct {
	op byte // 'M', 'L', 'C'
	p  [3]point
}

// A path encloses what it fills by the non-zero rule: shapes that overlap in
// one path are one shape, and a shape that runs the other way is a hole.
type path []segment

func (p *path) move(x, y float64) { *p = append(*p, segment{op: 'M', p: [3]point{{x, y}}}) }
func (p *path) line(x, y float64) { *p = append(*p, segment{op: 'L', p: [3]point{{x, y}}}) }
func (p *path) curve(x1, y1, x2, y2, x, y float64) {
	*p = append(*p, segment{op: 'C', p: [3]point{{x1, y1}, {x2, y2}, {x, y}}})
}

// points returns the points of s that its op uses.
func (s *segment) points() []point {
	if s.op == 'C' {
		return s.p[:3]
	}
	return s.p[:1]
}

// kappa makes of a cubic curve a quarter of a circle.
const kappa = 0.5522847498

func rect(x, y, w, h float64) path {
	var p path
	p.move(x, y)
	p.line(x+w, y)
	p.line(x+w, y+h)
	p.line(x, y+h)
	return p
}

func roundRect(x, y, w, h, r float64) path {
	r = min(r, w/2, h/2)
	k := r * (1 - kappa)
	var p path
	p.move(x+r, y)
	p.line(x+w-r, y)
	p.curve(x+w-k, y, x+w, y+k, x+w, y+r)
	p.line(x+w, y+h-r)
	p.curve(x+w, y+h-k, x+w-k, y+h, x+w-r, y+h)
	p.line(x+r, y+h)
	p.curve(x+k, y+h, x, y+h-k, x, y+h-r)
	p.line(x, y+r)
	p.curve(x, y+k, x+k, y, x+r, y)
	return p
}

func circle(x, y, r float64) path { return roundRect(x-r, y-r, 2*r, 2*r, r) }

// stroke is a straight line of width w with round ends.
func stroke(x1, y1, x2, y2, w float64) path {
	length := math.Hypot(x2-x1, y2-y1)
	p := roundRect(-w/2, -w/2, length+w, w, w/2)
	sin, cos := math.Sincos(math.Atan2(y2-y1, x2-x1))
	return p.mapped(func(q point) point {
		return point{x1 + q.x*cos - q.y*sin, y1 + q.x*sin + q.y*cos}
	})
}

// frame is the outline of a rounded rectangle, of width w inside it.
func frame(x, y, width, height, r, w float64) path {
	outer := roundRect(x, y, width, height, r)
	inner := roundRect(x+w, y+w, width-2*w, height-2*w, max(r-w, 0))
	return append(outer, inner.reversed()...)
}

func (p path) mapped(f func(point) point) path {
	q := make(path, len(p))
	for i, s := range p {
		q[i].op = s.op
		for j := range s.points() {
			q[i].p[j] = f(s.p[j])
		}
	}
	return q
}

// reversed returns p, which is one closed shape, run the other way.
func (p path) reversed() path {
	var q path
	end := func(i int) point { s := p[i]; ps := s.points(); return ps[len(ps)-1] }
	last := end(len(p) - 1)
	q.move(last.x, last.y)
	for i := len(p) - 1; i > 0; i-- {
		to := end(i - 1)
		if p[i].op == 'C' {
			q.curve(p[i].p[1].x, p[i].p[1].y, p[i].p[0].x, p[i].p[0].y, to.x, to.y)
		} else {
			q.line(to.x, to.y)
		}
	}
	return q
}

func (c *canvas) fill(colour color.RGBA, shapes ...path) {
	var all path
	for _, s := range shapes {
		all = append(all, s...)
	}
	if len(all) > 0 {
		c.items = append(c.items, item{colour: colour, shape: all})
	}
}

// turn turns the items from the given one on upside down about the middle of
// the rectangle at 0, y.
func (c *canvas) turn(from int, y, height float64) {
	f := func(p point) point { return point{c.width - p.x, 2*y + height - p.y} }
	for i := range c.items[from:] {
		it := &c.items[from+i]
		switch {
		case it.text != nil:
			p := f(point{it.text.x, it.text.y})
			it.text.x, it.text.y, it.text.upsideDown = p.x, p.y, true
		case it.image != nil:
			p := f(point{it.image.x + it.image.w, it.image.y + it.image.h})
			it.image.x, it.image.y, it.image.upsideDown = p.x, p.y, true
		default:
			it.shape = it.shape.mapped(f)
		}
	}
}

// move moves the items from the given one on.
func (c *canvas) move(from int, dx, dy float64) {
	for i := range c.items[from:] {
		it := &c.items[from+i]
		switch {
		case it.text != nil:
			it.text.x += dx
			it.text.y += dy
		case it.image != nil:
			it.image.x += dx
			it.image.y += dy
		default:
			it.shape = it.shape.mapped(func(p point) point { return point{p.x + dx, p.y + dy} })
		}
	}
}

// copied returns an item that can be moved alone.
func (it item) copied() item {
	if it.text != nil {
		t := *it.text
		it.text = &t
	}
	if it.image != nil {
		p := *it.image
		it.image = &p
	}
	return it
}
