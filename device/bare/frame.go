package bare

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"
)

// A Frame says how the kernel's picture of a screen lies in memory.
type Frame struct {
	Width, Height    int // in pixels
	Bits             int // of a pixel
	Line             int // bytes from one row to the next, which may be more than its pixels have
	From             int // byte of the first pixel that is shown
	Red, Green, Blue Field
}

// A Field is where a colour's bits lie in a pixel, counted from its lowest.
type Field struct{ Offset, Length int }

// maxSide is more pixels than a side of any screen has.
const maxSide = 16384

// check returns an error for a frame that cannot be drawn into.
func (f Frame) check() error {
	bytes := f.Bits / 8
	ok := f.Width > 0 && f.Height > 0 && f.Width <= maxSide && f.Height <= maxSide && f.Bits%8 == 0 && bytes >= 2 && bytes <= 4 && f.Line >= f.Width*bytes && f.From >= 0
	for _, c := range []Field{f.Red, f.Green, f.Blue} {
		ok = ok && c.Length > 0 && c.Length <= 8 && c.Offset >= 0 && c.Offset+c.Length <= f.Bits
	}
	if !ok {
		return fmt.Errorf("bare: no way to draw into %+v", f)
	}
	return nil
}

// pixel returns a colour as the frame has it.
func (f Frame) pixel(c color.Color) uint32 {
	r, g, b, _ := c.RGBA() // of 16 bits each
	part := func(v uint32, at Field) uint32 { return v >> (16 - at.Length) << at.Offset }
	return part(r, f.Red) | part(g, f.Green) | part(b, f.Blue)
}

// Put writes a picture of the frame's size, row by row.
func (f Frame) Put(w io.WriterAt, img *image.Paletted) error {
	if err := f.check(); err != nil {
		return err
	}
	if img.Rect.Dx() != f.Width || img.Rect.Dy() != f.Height {
		return fmt.Errorf("bare: a picture of %s for %+v", img.Rect, f)
	}
	bytes := f.Bits / 8
	colours := make([][4]byte, len(img.Palette))
	for i, c := range img.Palette {
		// Every board of this kind has its lowest byte first.
		binary.LittleEndian.PutUint32(colours[i][:], f.pixel(c))
	}
	row := make([]byte, f.Width*bytes)
	for y := range f.Height {
		for x, c := range img.Pix[y*img.Stride:][:f.Width] {
			copy(row[x*bytes:][:bytes], colours[c][:])
		}
		if _, err := w.WriteAt(row, int64(f.From+y*f.Line)); err != nil {
			return fmt.Errorf("bare: row %d: %w", y, err)
		}
	}
	return nil
}
