package v4l2

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"math"

	"github.com/qrgate/qrgate/hw/camera"
)

// A layout is one way in which a camera lays down pixels. Of those that are not
// compressed, only the grey is read: step bytes from one grey value to the
// next, first of them at offset. Planes of colour that follow do not matter.
type layout struct {
	name         string // in a configuration
	fourcc       fourcc
	step, offset int // zero: each frame is a JPEG
}

// layouts are those that we read, cheapest first.
var layouts = []layout{
	{"grey", code("GREY"), 1, 0},
	{"nv12", code("NV12"), 1, 0},
	{"yu12", code("YU12"), 1, 0},
	{"yuyv", code("YUYV"), 2, 0},
	{"uyvy", code("UYVY"), 2, 1},
	{"mjpeg", code("MJPG"), 0, 0},
	{"jpeg", code("JPEG"), 0, 0},
}

func layoutOf(f fourcc) (rank int, l layout) {
	for i, l := range layouts {
		if l.fourcc == f {
			return i, l
		}
	}
	return -1, layout{}
}

// A mode is one way in which a camera can be run.
type mode struct {
	layout        int // index into layouts
	width, height int
	rate          float64 // fastest, frames a second; 0 if the driver does not tell
}

// fluent is the rate below which a compressed format is better than a raw one:
// the bus is too slow for raw pictures of this size.
const fluent = 15

// closer reports whether a serves c better than b: first by size, then by a
// fluent rate, then by cost.
func (c Config) closer(a, b mode) bool {
	if x, y := c.distance(a), c.distance(b); x != y {
		return x < y
	}
	if x, y := c.slow(a), c.slow(b); x != y {
		return y
	}
	return a.layout < b.layout
}

func (c Config) distance(m mode) float64 {
	return math.Abs(float64(m.width-c.Width)) + math.Abs(float64(m.height-c.Height))
}

func (c Config) slow(m mode) bool { return m.rate != 0 && m.rate < min(c.Rate, fluent) }

// A picture is how the frames of an opened camera lie in its buffers.
type picture struct {
	layout        layout
	width, height int
	stride        int // bytes a line
}

func newPicture(p pixelFormat) (picture, error) {
	rank, l := layoutOf(p.fourcc)
	if rank < 0 {
		return picture{}, fmt.Errorf("driver chose format %q, which is not read", p.fourcc)
	}
	w, h := int(p.width), int(p.height)
	if p.width == 0 || p.height == 0 || p.width > camera.MaxPixels || p.height > camera.MaxPixels || w > camera.MaxPixels/h {
		return picture{}, fmt.Errorf("driver chose %dx%d pixels", p.width, p.height)
	}
	stride := int(p.bytesPerLine)
	if p.bytesPerLine > 1<<20 || stride < w*l.step {
		stride = w * l.step // some drivers leave it out
	}
	return picture{l, w, h, stride}, nil
}

var errShort = errors.New("shorter than a picture")

// unpack returns the grey picture in data. It may use into's memory, and does
// not keep data.
func (p picture) unpack(data []byte, into *image.Gray) (*image.Gray, error) {
	if p.layout.step == 0 {
		return camera.Decode(data)
	}
	if len(data) < (p.height-1)*p.stride+p.width*p.layout.step {
		return nil, errShort
	}
	if into.Rect.Dx() != p.width || into.Rect.Dy() != p.height {
		into = image.NewGray(image.Rect(0, 0, p.width, p.height))
	}
	for y := range p.height {
		line := data[y*p.stride:][:p.width*p.layout.step]
		grey := into.Pix[y*into.Stride:][:p.width]
		switch p.layout.step {
		case 1:
			copy(grey, line)
		default:
			line = line[p.layout.offset:]
			for x := range grey {
				grey[x] = line[2*x]
			}
		}
	}
	return into, nil
}

// text returns a string of a driver's, which ends with a zero.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(bytes.ToValidUTF8(bytes.TrimSpace(b), []byte("?")))
}
