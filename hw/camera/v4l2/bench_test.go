package v4l2_test

import (
	"os"
	"testing"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/camera/v4l2"
)

// A frame from the driver's buffer to a grey picture.
func BenchmarkNext(b *testing.B) {
	card, err := os.ReadFile("../testdata/card.jpg")
	if err != nil {
		b.Fatal(err)
	}
	img, err := camera.Decode(card)
	if err != nil {
		b.Fatal(err)
	}
	var yuyv []byte
	for _, v := range img.Pix {
		yuyv = append(yuyv, v, 128)
	}
	for _, f := range []struct {
		fourcc string
		frame  []byte
	}{{"GREY", img.Pix}, {"YUYV", yuyv}, {"MJPG", card}} {
		b.Run(f.fourcc, func(b *testing.B) {
			d := newDriver(offer{fourcc: f.fourcc, sizes: vga})
			cam := open(b, d, v4l2.Config{})
			b.ReportAllocs()
			for b.Loop() {
				d.expose(f.frame)
				if _, _, err := cam.Next(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
