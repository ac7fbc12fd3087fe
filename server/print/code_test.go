package print_test

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/sync/e2e/phone"
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
		if got, err := phone.Read(img); err != nil || got != text {
			t.Errorf("read back %q, %v; want %q", got, err, text)
		}
	}
}

func TestCodeOfTooMuchText(t *testing.T) {
	if err := print.Code(&bytes.Buffer{}, strings.Repeat("x", 4000)); err == nil {
		t.Error("Code(4000 bytes) = nil, want an error: no QR code holds it")
	}
}
