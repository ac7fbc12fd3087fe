//go:build full

package progress_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// A browser goes from the cockpit to a report that is issued, by the words on the
// pages alone and without script; what it fetches there is a file of pages that says
// what the cockpit said.
func TestWalkOfAReport(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	tab := browser.Start(t).Open()
	tab.Look(360, 740, "light")
	tab.Visit(w.url + "/blank")
	tab.Eval(`fetch("/as/admin", {method: "POST"}).then(() => true)`)
	tab.Script(false)
	shots := 0
	see := func(name, says string) {
		t.Helper()
		if said := fmt.Sprint(tab.Eval("document.body.innerText")); !strings.Contains(said, says) || strings.Contains(said, "⟦") {
			t.Fatalf("%s does not say %q but:\n%.3000s", name, says, said)
		}
		if over := tab.Eval("document.documentElement.scrollWidth - document.documentElement.clientWidth"); over != 0.0 {
			t.Errorf("%s scrolls sideways by %v", name, over)
		}
		shots++
		tab.ShootAll(fmt.Sprintf("bao-cao-%d-%s", shots, name))
	}
	tab.Visit(w.url + "/tien-do?tu=2026-11-01&den=2026-11-26")
	see("cockpit", "163 địa điểm cần đăng ký")
	tab.Press("Lập báo cáo")
	see("form", "Khó khăn, vướng mắc")
	tab.Fill("Cơ quan báo cáo", "")
	tab.Press("Lưu bản nháp")
	see("wrong", "Xin xem lại")
	tab.Fill("Cơ quan báo cáo", "Sở Công Thương")
	tab.Fill("Khó khăn, vướng mắc", "Một số chợ chưa có mạng ổn định.")
	tab.Fill("Kiến nghị, đề xuất", "Đề nghị hỗ trợ in áp phích.")
	tab.Press("Lưu bản nháp")
	see("draft", "Đã lưu bản nháp")
	tab.Press("Ban hành")
	see("issued", "Báo cáo không đổi nữa")
	at, err := url.Parse(fmt.Sprint(tab.Eval(`document.querySelector('a[href*="bao-cao.pdf"]').href`)))
	if err != nil {
		t.Fatal(err)
	}
	status, pdf := w.get("admin", at.RequestURI())
	w.want("pdf", status, pdf[:5], 200, "%PDF-")
	file := filepath.Join(t.ArtifactDir(), "ban-hanh.pdf")
	if err := os.WriteFile(file, []byte(pdf), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pdftotext", "-layout", file, "-").Output()
	if err != nil {
		t.Fatalf("pdftotext: %v (apt-get install poppler-utils)", err)
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{"163 địa điểm cần đăng ký", "SỞ CÔNG THƯƠNG", "Một số chợ chưa có mạng ổn định.", "Đề nghị hỗ trợ in áp phích."} {
		if !strings.Contains(text, want) {
			t.Errorf("the file lacks %q:\n%.2000s", want, text)
		}
	}
	if strings.Contains(text, "BẢN NHÁP") {
		t.Error("what was issued is called a draft")
	}
}

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
