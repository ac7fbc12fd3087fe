package camera_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/hw/camera"
)

// cardText is what the code in testdata/card.jpg says.
const cardText = "QG1.3LuFmQSWyyQiE49XiixEh1njC7LWrdklKA8zJqgvJst_RbIACcLvMoiVc_9R9NyWqp2Y84BGHpXJF6mCQqQwSoGzvipEmdCBbu"

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ramp is a picture whose pixels all differ from their neighbours.
func ramp(w, h int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = byte(i/w*7 + i%w*3)
	}
	return img
}

func asJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPGM(img *image.Gray) []byte {
	b := fmt.Appendf(nil, "P5\n%d %d\n255\n", img.Rect.Dx(), img.Rect.Dy())
	for y := range img.Rect.Dy() {
		b = append(b, img.Pix[y*img.Stride:][:img.Rect.Dx()]...)
	}
	return b
}

// segments calls each with every segment of a JPEG before its first scan.
func segments(data []byte, each func(marker byte, segment []byte)) (scan []byte) {
	i := 2
	for data[i+1] != 0xda {
		n := 2 + int(binary.BigEndian.Uint16(data[i+2:]))
		each(data[i+1], data[i:i+n])
		i += n
	}
	return data[i:]
}

// withoutTables takes the Huffman tables out of a JPEG, as USB cameras do.
func withoutTables(data []byte) []byte {
	out := []byte{0xff, 0xd8}
	scan := segments(data, func(marker byte, segment []byte) {
		if marker != 0xc4 {
			out = append(out, segment...)
		}
	})
	return append(out, scan...)
}

func TestDecode(t *testing.T) {
	img := ramp(40, 24)
	deep := image.NewGray16(img.Rect)
	clear := image.NewNRGBA(img.Rect) // transparent all over
	for y := range 24 {
		for x := range 40 {
			deep.SetGray16(x, y, color.Gray16{Y: uint16(img.GrayAt(x, y).Y) * 257})
		}
	}
	white := image.NewGray(img.Rect)
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	colour := image.NewRGBA(img.Rect)
	for i, v := range img.Pix {
		copy(colour.Pix[4*i:], []byte{v, v, v, 255})
	}
	tests := []struct {
		name string
		data []byte
		want *image.Gray
		off  int // a pixel may be off by so much
	}{
		{"grey JPEG", asJPEG(t, img), img, 40},
		{"colour JPEG", asJPEG(t, colour), img, 40},
		{"JPEG of a camera that leaves out the tables", withoutTables(asJPEG(t, colour)), img, 40},
		{"JPEG without its end", bytes.TrimSuffix(asJPEG(t, colour), []byte("\xff\xd9")), img, 40},
		{"JPEG padded by the driver", append(asJPEG(t, colour), make([]byte, 5000)...), img, 40},
		{"PNG", asPNG(t, img), img, 0},
		{"PNG of 16 bits", asPNG(t, deep), img, 0},
		{"PNG in colour", asPNG(t, colour), img, 1},
		{"transparent PNG is paper", asPNG(t, clear), white, 0},
		{"PGM", asPGM(img), img, 0},
		{"PGM with a second picture", append(asPGM(img), asPGM(white)...), img, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := camera.Decode(tt.data)
			if err != nil {
				t.Fatal(err)
			}
			if got.Rect != tt.want.Rect {
				t.Fatalf("picture of %v, want %v", got.Rect, tt.want.Rect)
			}
			for y := range 24 {
				for x := range 40 {
					g, w := int(got.GrayAt(x, y).Y), int(tt.want.GrayAt(x, y).Y)
					if g-w > tt.off || w-g > tt.off {
						t.Fatalf("pixel %d,%d is %d, want %d", x, y, g, w)
					}
				}
			}
		})
	}
}

func TestDecodePGMHeader(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string // pixels, or part of the error
		bad  bool
	}{
		{text: "P5 2 1 255 \x07\x09", want: "\x07\x09"},
		{text: "P5\n# made by hand\n2 # wide\n1\r255\n\x07\x09", want: "\x07\x09"},
		{text: "P5\n2 1\n15\n\x00\x0f", want: "\x00\xff"},
		{text: "P5\n2 1\n15\n\x07\x80", want: "\x77\xff"},
		{text: "P5 2 1 255 \x07", want: "unexpected EOF", bad: true},
		{text: "P5 2 1 65535 \x00\x07\x00\x09", want: "white is 65535", bad: true},
		{text: "P5 2 1 0 \x00\x00", want: "white is 0", bad: true},
		{text: "P5 0 1 255 \x00", want: "0x1 pixels", bad: true},
		{text: "P5 -2 1 255 \x00\x00", want: "unexpected byte 0x2d", bad: true},
		{text: "P5 99999999999999999999 1 255 \x00", want: "too large", bad: true},
		{text: "P5 4194304 2 255 \x00", want: "too large", bad: true},
		{text: "P5 # no end", want: "unexpected EOF", bad: true},
		{text: "P5 2 1 255", want: "unexpected EOF", bad: true},
	} {
		img, err := camera.Decode([]byte(tt.text))
		switch {
		case tt.bad && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("Decode(%q) error = %v, want %q", tt.text, err, tt.want)
		case !tt.bad && (err != nil || string(img.Pix) != tt.want):
			t.Errorf("Decode(%q) = %v, %v, want pixels %q", tt.text, img, err, tt.want)
		}
	}
}

// pngOf returns a PNG whose header alone says how large it is.
func pngOf(t testing.TB, w, h uint32) []byte {
	b := asPNG(t, ramp(8, 8))
	binary.BigEndian.PutUint32(b[16:], w)
	binary.BigEndian.PutUint32(b[20:], h)
	binary.BigEndian.PutUint32(b[29:], crc(b[12:29]))
	return b
}

// pngAs returns one of a kind of pixels as well.
func pngAs(t testing.TB, w, h uint32, depth, kind, interlaced byte) []byte {
	b := pngOf(t, w, h)
	b[24], b[25], b[28] = depth, kind, interlaced
	binary.BigEndian.PutUint32(b[29:], crc(b[12:29]))
	return b
}

// progressive makes a JPEG say that it is one.
func progressive(b []byte) []byte {
	b[bytes.Index(b, []byte{0xff, 0xc0})+1] = 0xc2
	return b
}

// jpegOf returns a JPEG whose header says that it is w by h pixels.
func jpegOf(t testing.TB, w, h uint16) []byte {
	b := asJPEG(t, ramp(8, 8))
	i := bytes.Index(b, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(b[i+5:], h)
	binary.BigEndian.PutUint16(b[i+7:], w)
	return b
}

func TestDecodeRefuses(t *testing.T) {
	card := readFile(t, "testdata/card.jpg")
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "neither"},
		{"text", []byte("<svg/>"), "neither"},
		{"a JPEG of four gigapixels", jpegOf(t, 65535, 65535), "too large"},
		{"a JPEG one line too high", jpegOf(t, 4096, 1025), "too large"},
		{"a JPEG of no width", jpegOf(t, 0, 64), "pixels"},
		{"a PNG of four gigapixels", pngOf(t, 65535, 65535), ""},
		{"a PNG of 16 megapixels", pngOf(t, 4096, 4096), "too large"},
		{"a PNG of 2^62 pixels", pngOf(t, 1<<31-1, 1<<31-1), ""},
		{"half a JPEG", card[:len(card)/2], ""},
		{"a JPEG of many scans", bomb(25), "too many scans"},
		{"7 MB", append(bytes.Clone(card), make([]byte, 7<<20)...), "too large"},
		{"a PNG of 4 megapixels in colours of 16 bits", pngAs(t, 2000, 2000, 16, 2, 0), "too large"},
		{"the same interlaced in 8 bits", pngAs(t, 2000, 2000, 8, 2, 1), "too large"},
		{"a progressive JPEG of 4 megapixels", progressive(jpegOf(t, 2000, 2000)), "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			img, err := camera.Decode(tt.data)
			if err == nil {
				t.Fatalf("Decode = a picture of %v", img.Rect)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Decode error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	img, err := camera.Load("testdata/card.jpg")
	if err != nil || img.Rect != image.Rect(0, 0, 640, 480) {
		t.Fatalf("Load = %v, %v", img, err)
	}
	dir := t.TempDir()
	if _, err := camera.Load(dir); err == nil {
		t.Error("a folder was loaded as a picture")
	}
	if _, err := camera.Load(filepath.Join(dir, "none.jpg")); err == nil || !strings.Contains(err.Error(), "none.jpg") {
		t.Errorf("Load of no file: error %v does not name it", err)
	}
	// A device without an end is read up to the bound.
	if _, err := camera.Load("/dev/zero"); err == nil {
		t.Error("/dev/zero was loaded as a picture")
	}
}
