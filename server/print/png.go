package print

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/draw"
	"golang.org/x/image/vector"
)

// writePNG draws c with scale pixels a millimetre. The file says so, and prints
// at its true size.
func (c *canvas) writePNG(w io.Writer, s *setter, scale float64) error {
	img := image.NewRGBA(image.Rect(0, 0, px(c.width*scale), px(c.height*scale)))
	for i := range img.Pix {
		img.Pix[i] = 0xff
	}
	var z vector.Rasterizer
	for _, it := range c.items {
		switch {
		case it.text != nil:
			paint(img, &z, s.outline(it.text), scale, it.colour)
		case it.image != nil:
			p := it.image
			r := image.Rect(px(p.x*scale), px(p.y*scale), px((p.x+p.w)*scale), px((p.y+p.h)*scale))
			src := p.image
			if p.upsideDown {
				src = turned(src)
			}
			draw.CatmullRom.Scale(img, r, src, src.Bounds(), draw.Over, nil)
		default:
			paint(img, &z, it.shape, scale, it.colour)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	const header = 8 + 25 // the signature and IHDR, after which pHYs may stand
	file := b.Bytes()
	for _, part := range [][]byte{file[:header], density(scale), file[header:]} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func px(v float64) int { return int(math.Round(v)) }

// density returns the chunk that says how many pixels a metre has.
func density(perMM float64) []byte {
	perM := uint32(math.Round(perMM * 1000))
	c := binary.BigEndian.AppendUint32(nil, 9)
	c = append(c, "pHYs"...)
	c = binary.BigEndian.AppendUint32(c, perM)
	c = binary.BigEndian.AppendUint32(c, perM)
	c = append(c, 1)
	return binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:]))
}

// paint fills p. The rasteriser's cost is that of the area it is given, so it
// is given what p covers and no more.
func paint(img *image.RGBA, z *vector.Rasterizer, p path, scale float64, colour color.RGBA) {
	low, high := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, s := range p {
		for _, q := range s.points() {
			low.x, low.y = min(low.x, q.x), min(low.y, q.y)
			high.x, high.y = max(high.x, q.x), max(high.y, q.y)
		}
	}
	r := image.Rect(int(math.Floor(low.x*scale)), int(math.Floor(low.y*scale)),
		int(math.Ceil(high.x*scale)), int(math.Ceil(high.y*scale))).Intersect(img.Rect)
	if len(p) == 0 || r.Empty() {
		return
	}
	z.Reset(r.Dx(), r.Dy())
	at := func(q point) (float32, float32) {
		return float32(q.x*scale - float64(r.Min.X)), float32(q.y*scale - float64(r.Min.Y))
	}
	for i, s := range p {
		x, y := at(s.p[0])
		switch s.op {
		case 'M':
			if i > 0 {
				z.ClosePath()
			}
			z.MoveTo(x, y)
		case 'L':
			z.LineTo(x, y)
		case 'C':
			x2, y2 := at(s.p[1])
			x3, y3 := at(s.p[2])
			z.CubeTo(x, y, x2, y2, x3, y3)
		}
	}
	z.ClosePath()
	z.Draw(img, r, image.NewUniform(colour), image.Point{})
}

func turned(src image.Image) image.Image {
	b := src.Bounds()
	dst := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			dst.Set(b.Dx()-1-x, b.Dy()-1-y, src.At(b.Min.X+x, b.Min.Y+y))
		}
	}
	return dst
}
