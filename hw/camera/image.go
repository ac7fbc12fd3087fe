package camera

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"os"
)

// MaxPixels is the largest picture that this package decodes. Larger ones are
// refused by their header, before any of it is unpacked.
const MaxPixels = 4 << 20

// What one picture may take. A kiosk has little memory.
const (
	maxFile     = 6 << 20  // its bytes
	maxUnpacked = 15 << 20 // what they are unpacked into, up to the grey pixels
)

var errTooLarge = errors.New("picture too large")

// Load reads one JPEG, PNG or PGM file as a grey picture, within the bounds of
// Decode.
func Load(path string) (*image.Gray, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("camera: load: %w", err)
	}
	defer f.Close()
	var data bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		data.Grow(int(min(info.Size(), maxFile)) + bytes.MinRead)
	}
	if _, err := data.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, fmt.Errorf("camera: load: %w", err)
	}
	img, err := decode(data.Bytes())
	if err != nil {
		return nil, fmt.Errorf("camera: load %s: %w", path, err)
	}
	return img, nil
}

// Decode reads one JPEG, PNG or binary PGM as a grey picture. Before unpacking
// them it refuses pictures of more than MaxPixels or 6 MiB, those that take more
// than 15 MiB to unpack, as large ones of 16 bits a colour do, and JPEGs that would
// be unpacked again and again in many small scans. It never panics.
func Decode(data []byte) (*image.Gray, error) {
	img, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("camera: decode: %w", err)
	}
	return img, nil
}

func decode(data []byte) (img *image.Gray, err error) {
	// The decoders are Go's own and have been fuzzed for years, but what they
	// read here is held before the lens by anybody, or sent by any USB device.
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, fmt.Errorf("decoder panicked: %v", p)
		}
	}()
	switch {
	case len(data) > maxFile:
		return nil, errTooLarge
	case bytes.HasPrefix(data, []byte("P5")):
		return decodePGM(data)
	case bytes.HasPrefix(data, []byte("\xff\xd8")):
		return decodeJPEG(data)
	case bytes.HasPrefix(data, []byte("\x89PNG")):
		return decodePNG(data)
	}
	return nil, errors.New("neither JPEG, PNG nor PGM")
}

func decodePNG(data []byte) (*image.Gray, error) {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return nil, err
	}
	if pngBytes(data)*c.Width*c.Height > maxUnpacked {
		return nil, errTooLarge
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return luminance(img), nil
}

// pngBytes returns how many bytes a pixel of a PNG takes at most while it is unpacked.
// The header is whole.
func pngBytes(data []byte) int {
	depth, kind, interlaced := data[24], data[25], data[28]
	n := 5 // and the grey of it
	if kind == 0 && !bytes.Contains(data, []byte("tRNS")) {
		n = 2 // if one of its greys is transparent it becomes a colour
	}
	if depth == 16 {
		n *= 2
	}
	if interlaced != 0 {
		n *= 2 // its passes are pictures of their own
	}
	return n
}

// checkSize refuses what has no or too many pixels.
func checkSize(w, h int) error {
	if w <= 0 || h <= 0 {
		return fmt.Errorf("picture of %dx%d pixels", w, h)
	}
	if w > MaxPixels/h {
		return errTooLarge
	}
	return nil
}

// luminance returns the grey part of img, without a copy where img already has
// one. What is transparent shows white paper.
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
