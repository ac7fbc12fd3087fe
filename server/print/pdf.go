package print

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

var fontStyle = [...]string{regular: "", bold: "B"}

// family is the name of the fonts in a PDF.
const family = "BeVietnamPro"

// writePDF draws c on one page of its size. Text is text, in the same fonts;
// the time is the only one in the file, so that the same canvas is the same
// file.
func (c *canvas) writePDF(w io.Writer, title string, at time.Time) error {
	f := newPDF(title, at)
	if err := c.addTo(f); err != nil {
		return err
	}
	if err := f.Output(w); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	return nil
}

// newPDF returns a file without pages.
func newPDF(title string, at time.Time) *fpdf.Fpdf {
	f := fpdf.NewCustom(&fpdf.InitType{UnitStr: "mm"})
	f.SetCatalogSort(true)
	f.SetCreationDate(at)
	f.SetModificationDate(at)
	f.SetTitle(title, true)
	f.SetCreator("QRGate", true)
	f.SetLang("vi-VN")
	f.SetMargins(0, 0, 0)
	f.SetAutoPageBreak(false, 0)
	f.AddUTF8FontFromBytes(family, fontStyle[regular], regularTTF)
	f.AddUTF8FontFromBytes(family, fontStyle[bold], boldTTF)
	return f
}

// addTo draws c on a page of its own.
func (c *canvas) addTo(f *fpdf.Fpdf) error {
	f.AddPageFormat("P", fpdf.SizeType{Wd: c.width, Ht: c.height})
	page := f.PageNo()
	for i, it := range c.items {
		switch {
		case it.text != nil:
			l := it.text
			f.SetFont(family, fontStyle[l.face], 0)
			f.SetFontUnitSize(l.size)
			f.SetTextColor(int(it.colour.R), int(it.colour.G), int(it.colour.B))
			if l.upsideDown {
				f.TransformBegin()
				f.TransformRotate(180, l.x, l.y)
			}
			f.Text(l.x, l.y, l.text)
			if l.upsideDown {
				f.TransformEnd()
			}
		case it.image != nil:
			p := it.image
			src := p.image
			if p.upsideDown {
				src = turned(src)
			}
			// fpdf reads fewer kinds of PNG than the standard library, but all that it writes.
			var b bytes.Buffer
			if err := png.Encode(&b, src); err != nil {
				return err
			}
			name := fmt.Sprintf("%d-%d", page, i)
			opt := fpdf.ImageOptions{ImageType: "PNG"}
			f.RegisterImageOptionsReader(name, opt, &b)
			f.ImageOptions(name, p.x, p.y, p.w, p.h, false, opt, 0, "")
		default:
			f.SetFillColor(int(it.colour.R), int(it.colour.G), int(it.colour.B))
			for j, s := range it.shape {
				switch s.op {
				case 'M':
					if j > 0 {
						f.ClosePath()
					}
					f.MoveTo(s.p[0].x, s.p[0].y)
				case 'L':
					f.LineTo(s.p[0].x, s.p[0].y)
				case 'C':
					f.CurveBezierCubicTo(s.p[0].x, s.p[0].y, s.p[1].x, s.p[1].y, s.p[2].x, s.p[2].y)
				}
			}
			f.ClosePath()
			f.DrawPath("f")
		}
	}
	return nil
}
