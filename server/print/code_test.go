package print_test

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/qrgate/qrgate/server/print"
)

func TestCodeReadsBack(t *testing.T) {
	for _, text := range []string{"QG1" + strings.Repeat("A7", 64), "https://qr.example/p/ABC", "Chợ Đông Ba"} {
		var b bytes.Buffer
		if err := print.Code(&b, text); err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
		if err != nil {
			t.Fatal(err)
		}
		got, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
		if err != nil || got.GetText() != text {
			t.Errorf("read back %v, %v; want %q", got, err, text)
		}
	}
}

func TestCodeOfTooMuchText(t *testing.T) {
	if err := print.Code(&bytes.Buffer{}, strings.Repeat("x", 4000)); err == nil {
		t.Error("Code(4000 bytes) = nil, want an error: no QR code holds it")
	}
}
