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

// What a letter says can be read, and its reader's address alone stands where the
// envelope's window is, folded twice.
func TestLetterInItsEnvelope(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if err := print.Notices(&out, letters(), lettersOf(12)); err != nil {
		t.Fatal(err)
	}
	pdf := filepath.Join(dir, "letters.pdf")
	if err := os.WriteFile(pdf, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(strings.Fields(run(t, "poppler-utils", "pdftotext", "-f", "1", "-l", "1", pdf, "-")), " ")
	for _, want := range []string{"Kính gửi ông/bà Nguyễn Văn An", "Ngày 20/11/2026, tại Chợ Đông Ba", "Xin gọi số 19001075 và đọc mã thư K7QM-2FXA", "không ai bị phạt"} {
		if !strings.Contains(said, want) {
			t.Errorf("a letter does not say %q:\n%s", want, said)
		}
	}
	for _, never := range []string{"COVID", "sởi", "dương tính", "ca bệnh"} {
		if strings.Contains(said, never) {
			t.Errorf("a letter says %q:\n%s", never, said)
		}
	}
	// In points at 72 an inch, as pdftotext takes them: the window with some slack
	// for how the sheet lies.
	window := run(t, "poppler-utils", "pdftotext", "-f", "1", "-l", "1", "-r", "72", "-x", "51", "-y", "123", "-W", "261", "-H", "138", pdf, "-")
	if got := strings.Join(strings.Fields(window), " "); got != "CDC Huế, 10-12 Nguyễn Văn Cừ, Huế Nguyễn Văn An 12/3 kiệt 45 Nguyễn Trãi, tổ 7 Phường Phú Xuân Thành phố Huế" {
		t.Errorf("through the window one reads %q", got)
	}
}
