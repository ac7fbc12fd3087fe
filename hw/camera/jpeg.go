package camera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"sync"
)

// Markers of JPEG, the byte after 0xff.
const (
	markerSOI  = 0xd8 // start of image
	markerEOI  = 0xd9 // end of image
	markerSOF0 = 0xc0 // start of frame: baseline, extended, progressive
	markerSOF1 = 0xc1
	markerSOF2 = 0xc2
	markerSOS  = 0xda // start of scan
	markerDHT  = 0xc4 // Huffman tables
	markerRST  = 0xd0 // first of the eight restart markers
	markerTEM  = 0x01 // stands alone, like the restart markers
)

// maxScans bounds the work of unpacking: a progressive JPEG touches all its
// pixels once a scan, and a scan may be as short as a dozen bytes. Cameras send
// one, programs that save photographs about ten.
const maxScans = 24

var (
	errScans = errors.New("jpeg: too many scans")
	eoi      = []byte{0xff, markerEOI}
)

// decodeJPEG reads what image/jpeg reads, and frames of cameras that leave out
// the Huffman tables or the end.
func decodeJPEG(data []byte) (*image.Gray, error) {
	// Scans are counted as any decoder that is lenient about garbage might see
	// them: by their marker, wherever it stands.
	if bytes.Count(data, []byte{0xff, markerSOS}) > maxScans {
		return nil, errScans
	}
	c, err := jpeg.DecodeConfig(completeJPEG(data))
	if err != nil {
		return nil, err
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return nil, err
	}
	if jpegBytes(data, c) > maxUnpacked {
		return nil, errTooLarge
	}
	img, err := jpeg.Decode(completeJPEG(data))
	if err != nil {
		return nil, err
	}
	return luminance(img), nil
}

// jpegBytes returns how many bytes a JPEG takes while it is unpacked, its first
// scan's header being c.
func jpegBytes(data []byte, c image.Config) int {
	pixels := c.Width * c.Height
	// Of all components in the smallest unit, and of the largest. The decoder also
	// finds a header behind garbage; the worst is supposed of that.
	samples, most, deep := 3, 1, 5
	eachSegment(data, func(marker byte, s []byte) {
		if marker != markerSOF0 && marker != markerSOF1 && marker != markerSOF2 || len(s) < 6 {
			return
		}
		if deep = 1; marker == markerSOF2 {
			deep = 5 // coefficients of four bytes are kept until the last scan
		}
		samples, most = 0, 1
		for s = s[6:]; len(s) >= 3; s = s[3:] {
			n := int(s[1]>>4) * int(s[1]&15)
			samples, most = samples+n, max(most, n)
		}
	})
	n := pixels * samples / most * deep
	switch c.ColorModel {
	case color.RGBAModel:
		n += 4 * pixels // a second picture, of the first
	case color.CMYKModel:
		n += 5 * pixels
	}
	return n
}

// completeJPEG returns data with the tables and the end that it may lack. Many
// USB cameras leave the tables out, because the AVI files for which Motion JPEG
// was made fix them; some end a frame where its last pixel ends.
func completeJPEG(data []byte) io.Reader {
	sos, tables := findScan(data)
	if sos == 0 || tables {
		return io.MultiReader(bytes.NewReader(data), bytes.NewReader(eoi))
	}
	return io.MultiReader(bytes.NewReader(data[:sos]), bytes.NewReader(standardTables()), bytes.NewReader(data[sos:]), bytes.NewReader(eoi))
}

// findScan returns where the first scan begins, 0 if nowhere, and whether
// Huffman tables stand before it.
func findScan(data []byte) (sos int, tables bool) {
	sos = eachSegment(data, func(marker byte, _ []byte) { tables = tables || marker == markerDHT })
	return sos, tables
}

// eachSegment calls fn with every segment before the first scan, and returns where
// that begins, 0 if nowhere.
func eachSegment(data []byte, fn func(marker byte, content []byte)) (sos int) {
	for i := 2; i+4 <= len(data) && data[i] == 0xff; {
		marker := data[i+1]
		if marker == 0xff { // a fill byte
			i++
			continue
		}
		if marker == markerSOS {
			return i
		}
		end := i + 2 + int(binary.BigEndian.Uint16(data[i+2:]))
		fn(marker, data[i+4:max(min(end, len(data)), i+4)])
		i = end
	}
	return 0
}

// standardTables returns the Huffman tables of the JPEG standard's section K.3
// as one or more segments. Go's encoder knows no others.
var standardTables = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 8, 8)), nil); err != nil {
		panic(err) // eight by eight pixels into memory
	}
	data := b.Bytes()
	var tables []byte
	for i := 2; data[i+1] != markerSOS; {
		n := 2 + int(binary.BigEndian.Uint16(data[i+2:]))
		if data[i+1] == markerDHT {
			tables = append(tables, data[i:i+n]...)
		}
		i += n
	}
	return tables
})
