package camera

import (
	"bytes"
	"fmt"
	"image"
	"io"
)

// decodePGM reads the first picture of a binary PGM (P5) of 8 bits.
func decodePGM(data []byte) (*image.Gray, error) {
	rest := data[2:]
	var w, h, white int
	for _, n := range []*int{&w, &h, &white} {
		var err error
		if *n, rest, err = pgmNumber(rest); err != nil {
			return nil, fmt.Errorf("pgm header: %w", err)
		}
	}
	if white == 0 || white > 255 {
		return nil, fmt.Errorf("pgm header: white is %d, not 1 to 255", white)
	}
	if err := checkSize(w, h); err != nil {
		return nil, err
	}
	if len(rest) < w*h {
		return nil, io.ErrUnexpectedEOF
	}
	img := &image.Gray{Pix: bytes.Clone(rest[:w*h]), Stride: w, Rect: image.Rect(0, 0, w, h)}
	if white < 255 {
		for i, v := range img.Pix {
			img.Pix[i] = byte(min(int(v), white) * 255 / white)
		}
	}
	return img, nil
}

// pgmNumber reads one number of the header and the one byte of white space
// behind it. Comments run from '#' to the end of the line.
func pgmNumber(b []byte) (n int, rest []byte, err error) {
	digits := 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			digits++
			if n = n*10 + int(c-'0'); n > MaxPixels {
				return 0, nil, errTooLarge
			}
		case c == ' ' || c >= '\t' && c <= '\r':
			if digits > 0 {
				return n, b[i+1:], nil
			}
		case c == '#' && digits == 0:
			end := bytes.IndexAny(b[i:], "\r\n")
			if end < 0 {
				return 0, nil, io.ErrUnexpectedEOF
			}
			i += end
		default:
			return 0, nil, fmt.Errorf("unexpected byte %#02x", c)
		}
	}
	return 0, nil, io.ErrUnexpectedEOF
}
