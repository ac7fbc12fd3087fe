package camera

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"os"
)

// MaxPixels is the largest picture that this package decodes. Larger ones are
// refused by their header, before any of it is unpacked.
const MaxPixels = 4 << 20

// maxFile bounds what is read of one image file or one compressed frame.
const maxFile = 16 << 20

var errTooLarge = errors.New("picture too large")

// Load reads one JPEG, PNG or PGM file as a grey picture. It refuses pictures
// of more than MaxPixels.
func Load(path string) (*image.Gray, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("camera: load: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("camera: load: %w", err)
	}
	img, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("camera: load %s: %w", path, err)
	}
	return img, nil
}

// Decode reads one JPEG, PNG or binary PGM as a grey picture. It refuses
// pictures of more than MaxPixels before unpacking them.
func Decode(data []byte) (*image.Gray, error) {
	if len(data) > maxFile {
		return nil, errTooLarge
	}
	var (
		config func(io.Reader) (image.Config, error)
		decode func(io.Reader) (image.Image, error)
	)
	switch {
	case bytes.HasPrefix(data, []byte("P5")):
		return decodePGM(data)
	case bytes.HasPrefix(data, []byte("\xff\xd8")):
		config, decode = jpeg.DecodeConfig, jpeg.Decode
	case bytes.HasPrefix(data, []byte("\x89PNG")):
		config, decode = png.DecodeConfig, png.Decode
	default:
		return nil, errors.New("neither JPEG, PNG nor PGM")
	}
	c, err := config(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > MaxPixels/c.Height {
		return nil, errTooLarge
	}
	img, err := decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return luminance(img), nil
}

// luminance returns the grey part of img, without a copy where img already has one.
func luminance(img image.Image) *image.Gray {
	switch img := img.(type) {
	case *image.Gray:
		return img
	case *image.YCbCr:
		return &image.Gray{Pix: img.Y, Stride: img.YStride, Rect: img.Rect}
	}
	b := img.Bounds()
	gray := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(gray, gray.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(gray, gray.Rect, img, b.Min, draw.Over)
	return gray
}

// decodePGM reads a binary PGM (P5) of 8 bits.
func decodePGM(data []byte) (*image.Gray, error) {
	r := bufio.NewReader(bytes.NewReader(data[2:]))
	var n [3]int
	for i := range n {
		v, err := pgmNumber(r)
		if err != nil {
			return nil, fmt.Errorf("pgm header: %w", err)
		}
		n[i] = v
	}
	w, h, maxVal := n[0], n[1], n[2]
	if w == 0 || h == 0 || maxVal == 0 || maxVal > 255 {
		return nil, fmt.Errorf("pgm header: %dx%d, maximum %d", w, h, maxVal)
	}
	if w > MaxPixels/h {
		return nil, errTooLarge
	}
	if r.Buffered()+len(data) < w*h {
		return nil, io.ErrUnexpectedEOF
	}
	img := image.NewGray(image.Rect(0, 0, w, h))
	if _, err := io.ReadFull(r, img.Pix); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return img, nil
}

// pgmNumber reads one number of the header and the one byte of white space
// behind it. Comments run from '#' to the end of the line.
func pgmNumber(r *bufio.Reader) (int, error) {
	n, digits := 0, 0
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		space := b == ' ' || b == '\t' || b == '\n' || b == '\r'
		switch {
		case b >= '0' && b <= '9':
			n = n*10 + int(b-'0')
			digits++
			if n > MaxPixels {
				return 0, errTooLarge
			}
		case b == '#' && digits == 0:
			if _, err := r.ReadString('\n'); err != nil {
				return 0, io.ErrUnexpectedEOF
			}
		case space && digits > 0:
			return n, nil
		case !space:
			return 0, fmt.Errorf("unexpected byte %#02x", b)
		}
	}
}
