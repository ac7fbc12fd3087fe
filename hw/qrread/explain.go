package qrread

import "image"

// An Explanation tells what was found in a frame, for people who ask why a card
// in it is not read.
type Explanation struct {
	Finders []Finder // in all searches that were needed
	Unread  []Unread
	Hint    Hint // as Reader.Hint
	Late    bool // the deadline came before all was tried
}

// A Finder is a place that looks like the square in a corner of a symbol. A
// symbol needs three of them, at the least two.
type Finder struct {
	Centre   Point
	Module   float64 // pixels
	Inverted bool    // light on dark
}

// An Unread is a symbol that was found but could not be read as it was supposed
// to lie. The same symbol may be among them several times, and be read after all.
type Unread struct {
	Version int      // supposed
	Fit     float64  // of the modules whose colour is known, 1 at best
	Corners [4]Point // as in Code
}

// Explain does what Read does and tells what it found.
func (r *Reader) Explain(img *image.Gray) ([]Code, Explanation) {
	var e Explanation
	r.told, r.finders = &e, r.finders[:0]
	defer func() { r.told = nil }()
	late := r.stats.Late
	codes := r.Read(img)
	e.Hint, e.Late = r.hint, r.stats.Late > late
	for _, f := range r.finders {
		e.Finders = append(e.Finders, Finder{Centre: Point{float64(f.x), float64(f.y)}, Module: float64(f.size), Inverted: f.sign > 0})
	}
	return codes, e
}
