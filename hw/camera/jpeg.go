package camera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"sync"
)

// Markers of JPEG, the byte after 0xff.
const (
	markerSOI = 0xd8 // start of image
	markerEOI = 0xd9 // end of image
	markerSOS = 0xda // start of scan
	markerDHT = 0xc4 // Huffman tables
	markerRST = 0xd0 // first of the eight restart markers
	markerTEM = 0x01 // stands alone, like the restart markers
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
	img, err := jpeg.Decode(completeJPEG(data))
	if err != nil {
		return nil, err
	}
	return luminance(img), nil
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
	for i := 2; i+4 <= len(data) && data[i] == 0xff; {
		switch marker := data[i+1]; {
		case marker == 0xff: // a fill byte
			i++
			continue
		case marker == markerSOS:
			return i, tables
		case marker == markerDHT:
			tables = true
		}
		i += 2 + int(binary.BigEndian.Uint16(data[i+2:]))
	}
	return 0, tables
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
