package print

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // emblems
	_ "image/png"
	"io"
	"net/url"
	"strings"
	"time"
)

// A Kind is what a poster is printed as.
type Kind string

const (
	PosterA4 Kind = "a4" // a wall poster; its code is 15 x 15 cm
	PosterA5 Kind = "a5"
	Stand    Kind = "stand"    // a table stand: A4, folded in the middle, a face on each side
	Post     Kind = "post"     // a sign for a post ("cột QR"): A3, with an edge to mount it by
	Sticker  Kind = "sticker"  // 10 x 10 cm
	Stickers Kind = "stickers" // four stickers on A4 with marks where to cut
)

// Kinds are all kinds, in the order of a menu.
var Kinds = [...]Kind{PosterA4, PosterA5, Stand, Post, Sticker, Stickers}

// A Format is what a poster is written as.
type Format string

const (
	PDF Format = "pdf"
	SVG Format = "svg"
	PNG Format = "png"
)

// ContentType returns the media type of f.
func (f Format) ContentType() string {
	switch f {
	case PDF:
		return "application/pdf"
	case SVG:
		return "image/svg+xml"
	}
	return "image/png"
}

// A Text says the same in both languages. Where one is missing nothing stands
// in its place.
type Text struct{ VI, EN string }

// A Template is what the steering committee sets for all posters. A changed
// template has a new version, so that a poster on a wall tells which it shows.
type Template struct {
	Version   int
	Heading   []Text // who calls for this, at most four lines
	Emblem    []byte // PNG or JPEG; without it our own mark stands beside the heading
	Sentences []Text // that the committee wants on every poster
	Notice    Text   // of rights, after what the law asks for
}

// A Sheet is what a poster says. Only Kind and URL must be there; what is empty
// is left out. Text that is too long for its place is set smaller and then cut:
// a name of 120 characters is whole on every kind.
type Sheet struct {
	Kind          Kind
	URL           string // in the code, at most [MaxURL] bytes
	Place         string
	Address       string
	Code          string // that people type, under the QR
	Version       int
	Printed       time.Time // its date is shown as of its location
	HelpLine      string
	Controller    string // who answers for the data
	RetentionDays int
	Template      Template
	PixelWidth    int // of a PNG, at most [MaxPixels]; 0 means 300 dots an inch
}

// MaxPixels is the widest PNG that is drawn.
const MaxPixels = 5000

// The errors that a caller tells people about.
var (
	ErrURL    = errors.New("print: not a URL for a poster")
	ErrEmblem = errors.New("print: emblem cannot be used")
)

// Poster writes the poster that s describes to w. The same sheet is always the
// same file. As PNG an A4 sheet takes a process to 85 MB and an A3 sheet to 150 MB
// while it is drawn: callers bound how many are at once.
func Poster(w io.Writer, f Format, s Sheet) error {
	d, err := layOut(s)
	if err != nil {
		return err
	}
	title := d.clean(s.Place)
	if title == "" {
		title = s.URL
	}
	switch f {
	case PDF:
		err = d.writePDF(w, title, s.Printed)
	case SVG:
		err = d.writeSVG(w, &d.setter, title)
	case PNG:
		scale := 300 / 25.4
		if s.PixelWidth > 0 {
			scale = float64(s.PixelWidth) / d.width
		}
		err = d.writePNG(w, &d.setter, scale)
	default:
		return fmt.Errorf("print: no format %q", f)
	}
	if err != nil {
		return fmt.Errorf("print: poster %s: %w", s.Kind, err)
	}
	return nil
}

// Book writes one PDF with a page for each sheet, for a press or a printer that is
// to print many at once. It is dated as the first. A sheet that cannot be printed
// fails it whole.
func Book(w io.Writer, title string, sheets []Sheet) error {
	if len(sheets) == 0 {
		return errors.New("print: a book without pages")
	}
	f := newPDF(title, sheets[0].Printed)
	for _, s := range sheets {
		d, err := layOut(s)
		if err != nil {
			return err
		}
		if err := d.addTo(f); err != nil {
			return fmt.Errorf("print: poster %s: %w", s.Kind, err)
		}
	}
	if err := f.Output(w); err != nil {
		return fmt.Errorf("print: book: %w", err)
	}
	return nil
}

// layOut draws a sheet on its canvas.
func layOut(s Sheet) (*drawing, error) {
	if err := checkURL(s.URL); err != nil {
		return nil, err
	}
	if s.PixelWidth < 0 || s.PixelWidth > MaxPixels {
		return nil, fmt.Errorf("print: PNG of %d pixels: at most %d", s.PixelWidth, MaxPixels)
	}
	emblem, err := decodeEmblem(s.Template.Emblem)
	if err != nil {
		return nil, err
	}
	sym, err := encode(s.URL)
	if err != nil {
		return nil, err
	}
	d := &drawing{sheet: s, symbol: sym, emblem: emblem}
	switch s.Kind {
	case PosterA4:
		d.poster(sizeA4)
	case PosterA5:
		d.poster(sizeA5)
	case Post:
		d.poster(sizePost)
	case Stand:
		d.stand()
	case Sticker:
		d.width, d.height = stickerSide, stickerSide
		d.sticker()
	case Stickers:
		d.stickers()
	default:
		return nil, fmt.Errorf("print: no poster of kind %q", s.Kind)
	}
	return d, nil
}

// checkURL refuses what a phone would not open.
func checkURL(s string) error {
	if len(s) > MaxURL {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrURL, len(s), MaxURL)
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%w: https:// and a host are missing", ErrURL)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("%w: characters that are not ASCII", ErrURL)
	}
	return nil
}

// maxEmblem is the side of the largest emblem in pixels: more is not seen in
// print.
const maxEmblem = 2000

func decodeEmblem(b []byte) (image.Image, error) {
	if len(b) == 0 {
		return nil, nil
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: neither PNG nor JPEG: %w", ErrEmblem, err)
	}
	if min(c.Width, c.Height) < 1 || max(c.Width, c.Height) > maxEmblem {
		return nil, fmt.Errorf("%w: %d x %d pixels, at most %d x %[4]d", ErrEmblem, c.Width, c.Height, maxEmblem)
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEmblem, err)
	}
	return img, nil
}
