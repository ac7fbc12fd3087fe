package camera_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
)

// bomb is a progressive JPEG of MaxPixels whose scans of 22 bytes each make the
// decoder look at every coefficient of every block.
func bomb(scans int) []byte {
	const side = 2048
	b := []byte{0xff, 0xd8, 0xff, 0xdb, 0, 67, 0}
	b = append(b, bytes.Repeat([]byte{1}, 64)...)
	b = append(b, 0xff, 0xc2, 0, 11, 8)
	b = binary.BigEndian.AppendUint16(b, side)
	b = binary.BigEndian.AppendUint16(b, side)
	b = append(b, 1, 1, 0x11, 0)
	// One code, of one bit: 16,384 blocks or more without coefficients.
	b = append(b, 0xff, 0xc4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0)
	for range scans {
		b = append(b, 0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0x10)
		b = append(b, make([]byte, 12)...)
	}
	return append(b, 0xff, 0xd9)
}

// The most that one hostile picture can cost.
func BenchmarkHostileJPEG(b *testing.B) {
	data := bomb(24)
	for b.Loop() {
		if _, err := camera.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// From a frame as it arrives to its text.
func BenchmarkFrameToText(b *testing.B) {
	card := readFile(b, "testdata/card.jpg")
	img, err := camera.Decode(card)
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{"mjpeg", card}, {"grey", asPGM(img)}} {
		b.Run(fmt.Sprintf("%s-%dx%d", f.name, img.Rect.Dx(), img.Rect.Dy()), func(b *testing.B) {
			r := qrread.New(qrread.Options{Deadline: time.Minute}) // the machine may be busy
			b.ReportAllocs()
			for b.Loop() {
				img, err := camera.Decode(f.data)
				if err != nil {
					b.Fatal(err)
				}
				if codes := r.Read(img); len(codes) != 1 || codes[0].Text != cardText {
					b.Fatalf("read %v", codes)
				}
			}
		})
	}
}

// What arrives through a camera program's pipe, before it is unpacked.
func BenchmarkCutter(b *testing.B) {
	card := readFile(b, "testdata/card.jpg")
	var c camera.Cutter
	n := 0
	b.SetBytes(int64(len(card)))
	for b.Loop() {
		c.Feed(card, func([]byte) { n++ })
	}
	if n == 0 {
		b.Fatal("no picture")
	}
}
