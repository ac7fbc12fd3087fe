//go:build full

package print_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/print"
)

// The report's words can be read by a program, in their order, and its pages have
// ink within their margins only.
func TestReportReadsBack(t *testing.T) {
	var out bytes.Buffer
	if err := print.Report(&out, monthly()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if keep := os.Getenv("QRGATE_SHOTS"); keep != "" {
		dir = keep
	}
	pdf := filepath.Join(dir, "report.pdf")
	if err := os.WriteFile(pdf, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(run(t, "poppler-utils", "pdftotext", "-layout", pdf, "-")), " ")
	for _, want := range []string{
		"CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc", "SỞ CÔNG THƯƠNG", "Số: 12/BC-SCT", "BÁO CÁO",
		"≥ 1.240 lượt", "Bảng 1. Theo xã, phường", "<10", "Đã đăng ký", "75–100 %", "GIÁM ĐỐC", "Nguyễn Văn An", "Nơi nhận:", "DỰ THẢO",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	img := rasterise(t, pdf)
	const mm = 300 / 25.4
	for y := range img.Rect.Dy() {
		for _, strip := range [][2]float64{{0, 29}, {193, 210}} {
			for x := int(strip[0] * mm); x < min(int(strip[1]*mm), img.Rect.Dx()); x++ {
				if img.GrayAt(x, y).Y < 128 {
					t.Fatalf("ink in the margin at %.0f, %.0f mm", float64(x)/mm, float64(y)/mm)
				}
			}
		}
	}
}
