package print

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/makiuchi-d/gozxing/qrcode/decoder"
)

// A Layout is how cards lie on paper.
type Layout string

const (
	CardDuplex Layout = "duplex" // ten on A4, their backs on the sheet's other side
	CardFold   Layout = "fold"   // five on A4, each beside its back, to be folded
	CardLarge  Layout = "large"  // four on A4 in large print, backs on the other side
	CardSingle Layout = "single" // one a page, for a printer of plastic cards
)

// Layouts are all layouts, in the order of a menu.
var Layouts = [...]Layout{CardDuplex, CardFold, CardLarge, CardSingle}

// PerSheet returns how many cards lie on one sheet.
func (l Layout) PerSheet() int {
	switch l {
	case CardDuplex:
		return 10
	case CardFold:
		return 5
	case CardLarge:
		return 4
	}
	return 1
}

// Duplex reports whether backs lie on the other side of the sheet.
func (l Layout) Duplex() bool { return l != CardFold }

// A Card is what one card says. Only Text must be there.
type Card struct {
	Text   string // in the code: an own card's, signed
	Code   string // that people type, under the code
	Name   string
	Kind   Text
	Number string
	Until  time.Time // the last day, as of its location
}

// A Deck is what all cards that are printed together have in common.
type Deck struct {
	Layout        Layout
	Title         string // of the file
	Printed       time.Time
	HelpLine      string
	Controller    string // who answers for the data
	RetentionDays int
	Command       bool // cards that tell kiosks what to do, and name nobody
}

// ErrCard means that a card's text does not fit into its code.
var ErrCard = errors.New("print: text of a card is not one")

// Cards writes cards as one PDF, as they come: of thousands it holds one sheet at a
// time. An error that comes instead of a card ends it. Each card's code is at least
// 32 mm wide at level M; in large print 50 mm at level Q.
func Cards(w io.Writer, k Deck, cards iter.Seq2[*Card, error]) error {
	p := &press{deck: k}
	switch k.Layout {
	case CardDuplex:
		p.sheet, p.columns, p.rows, p.card = sizeA4, 2, 5, cardSize
	case CardFold:
		p.sheet, p.columns, p.rows, p.card = sizeA4, 1, 5, cardSize
	case CardLarge:
		p.sheet, p.columns, p.rows, p.card = sizeA4, 2, 2, largeSize
	case CardSingle:
		p.sheet, p.columns, p.rows, p.card = cardSize, 1, 1, cardSize
	default:
		return fmt.Errorf("print: no layout %q", k.Layout)
	}
	p.out = newPDFStream(w, &p.d.setter)
	n := 0
	for c, err := range cards {
		if err != nil {
			return err
		}
		if err := p.add(c); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return errors.New("print: no cards")
	}
	p.finish()
	if err := p.out.close(k.Title, k.Printed, k.Layout.Duplex()); err != nil {
		return fmt.Errorf("print: cards: %w", err)
	}
	return nil
}

var (
	cardSize  = size{width: 85.60, height: 53.98} // ID-1, as bank cards
	largeSize = size{width: 105, height: 148.5}   // a quarter of A4
)

// A press lays cards on sheets.
type press struct {
	deck          Deck
	d             drawing
	out           *pdfStream
	sheet, card   size
	columns, rows int
	on            int // cards on the sheet
	back          int // what the other side of every sheet shows
}

// corner returns where the n-th card of a sheet begins.
func (p *press) corner(n int) (x, y float64) {
	columns := p.columns
	if p.deck.Layout == CardFold {
		columns = 2 // with the backs
	}
	x = (p.sheet.width - float64(columns)*p.card.width) / 2
	y = (p.sheet.height - float64(p.rows)*p.card.height) / 2
	return x + float64(n%p.columns)*p.card.width, y + float64(n/p.columns)*p.card.height
}

func (p *press) add(c *Card) error {
	level := decoder.ErrorCorrectionLevel_M
	if p.deck.Layout == CardLarge {
		level = decoder.ErrorCorrectionLevel_Q
	}
	sym, err := encodeCard(c.Text, level)
	if err != nil {
		return err
	}
	x, y := p.corner(p.on)
	if p.deck.Layout == CardLarge {
		p.d.largeFront(x, y, &p.deck, c, sym)
	} else {
		p.d.cardFront(x, y, &p.deck, c, sym)
	}
	if p.deck.Layout == CardFold {
		p.d.cardBack(x+p.card.width, y, &p.deck)
	}
	if p.on++; p.on == p.columns*p.rows {
		p.finish()
	}
	return p.out.err
}

// finish ends the sheet, if anything is on it.
func (p *press) finish() {
	if p.on == 0 {
		return
	}
	p.on = 0
	p.marks()
	p.emit(p.out.draw(p.lay()))
	if !p.deck.Layout.Duplex() {
		return
	}
	// All backs are the same, and a sheet is the same to the left as to the right:
	// so whichever way it is turned over, a back lies behind each card.
	if p.back == 0 {
		for n := range p.columns * p.rows {
			x, y := p.corner(n)
			if p.deck.Layout == CardLarge {
				p.d.largeBack(x, y, &p.deck)
			} else {
				p.d.cardBack(x, y, &p.deck)
			}
		}
		p.back = p.out.draw(p.lay())
	}
	p.emit(p.back)
}

// lay returns the canvas as it is, and clears it for the next sheet.
func (p *press) lay() *canvas {
	c := &canvas{width: p.sheet.width, height: p.sheet.height, items: p.d.items}
	p.d.items = p.d.items[:0]
	return c
}

func (p *press) emit(drawn int) { p.out.page(drawn, p.sheet.width, p.sheet.height) }

// marks draws where to cut, outside of the cards, and where to fold.
func (p *press) marks() {
	const arm, thin, apart = 4.5, 0.12, 1.2
	if p.deck.Layout == CardSingle {
		return
	}
	var cut path
	if p.deck.Layout == CardLarge { // the cards fill the sheet: ticks on what is cut
		w, h := p.sheet.width/2, p.sheet.height/2
		for _, at := range []float64{6, p.sheet.height - 6 - arm, h - arm/2} {
			cut = append(cut, rect(w-thin/2, at, thin, arm)...)
		}
		for _, at := range []float64{6, p.sheet.width - 6 - arm, w - arm/2} {
			cut = append(cut, rect(at, h-thin/2, arm, thin)...)
		}
		p.d.fill(grey, cut)
		return
	}
	left, top := p.corner(0)
	right, bottom := p.sheet.width-left, p.sheet.height-top
	for i := range 3 {
		x := left + float64(i)*p.card.width
		if p.deck.Layout == CardFold && i == 1 {
			continue
		}
		cut = append(cut, rect(x-thin/2, top-apart-arm, thin, arm)...)
		cut = append(cut, rect(x-thin/2, bottom+apart, thin, arm)...)
	}
	for i := range p.rows + 1 {
		y := top + float64(i)*p.card.height
		cut = append(cut, rect(left-apart-arm, y-thin/2, arm, thin)...)
		cut = append(cut, rect(right+apart, y-thin/2, arm, thin)...)
	}
	p.d.fill(ink, cut)
	if p.deck.Layout == CardFold {
		var fold path
		for y := top - apart - arm; y < bottom+apart+arm; y += 2.4 {
			fold = append(fold, rect(left+p.card.width-thin/2, y, thin, 1.2)...)
		}
		p.d.fill(grey, fold)
		p.d.middle(foldTag.VI+" · "+foldTag.EN, left+p.card.width-30, top-apart-arm-3.6, 60, 3.2, style{size: 7 * pt, colour: soft}, centre)
	}
}

// encodeCard returns the code of an own card's text.
func encodeCard(text string, level decoder.ErrorCorrectionLevel) (symbol, error) {
	const longest = 200 // far beyond an own card: modules stay over half a millimetre
	if text == "" || len(text) > longest {
		return symbol{}, ErrCard
	}
	m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 1, 1, map[gozxing.EncodeHintType]any{
		gozxing.EncodeHintType_ERROR_CORRECTION: level,
		gozxing.EncodeHintType_MARGIN:           0,
	})
	if err != nil {
		return symbol{}, fmt.Errorf("%w: %w", ErrCard, err)
	}
	return symbol{m.GetWidth(), m.Get}, nil
}
