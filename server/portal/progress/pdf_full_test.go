//go:build full

package progress_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The way of a report from the cockpit to paper: what the page shows stands in the
// file.
func TestReportOnPaper(t *testing.T) {
	w := newWorld(t)
	at := w.furnish()
	status, pdf := w.get("admin", at+"/bao-cao.pdf")
	w.want("pdf", status, pdf[:5], 200, "%PDF-")
	file := filepath.Join(t.ArtifactDir(), "bao-cao.pdf")
	if err := os.WriteFile(file, []byte(pdf), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pdftotext", "-layout", file, "-").Output()
	if err != nil {
		t.Fatalf("pdftotext: %v (apt-get install poppler-utils)", err)
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{
		"CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "SỞ KHOA HỌC VÀ CÔNG NGHỆ", "Số: 112/BC-SKHCN", "Huế, ngày 26 tháng 11 năm 2026", "BÁO CÁO",
		"163 địa điểm cần đăng ký", "≥ 54.", "1. Kết quả chung", "Bảng 1.", "Hình 1.", "Công Thương", "Một số chợ ở vùng núi", "Đề nghị Sở Công Thương hỗ trợ",
		"Nơi nhận:", "Lưu: VT.", "GIÁM ĐỐC", "Nguyễn Văn An", "BẢN NHÁP", "75–100 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the file lacks %q:\n%.3000s", want, text)
		}
	}
	if png, err := exec.Command("pdftoppm", "-r", "60", "-png", file, strings.TrimSuffix(file, ".pdf")).CombinedOutput(); err != nil {
		t.Errorf("pdftoppm: %v %s", err, png)
	}
}
