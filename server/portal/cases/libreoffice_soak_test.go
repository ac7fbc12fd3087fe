//go:build soak

package cases_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/portal/cases"
)

// A real program that opens the exports of a thousand payloads calculates nothing.
func TestSoakInjectionInLibreOffice(t *testing.T) {
	office, err := exec.LookPath("soffice")
	if err != nil {
		t.Fatal("soffice is missing: apt-get install libreoffice-calc")
	}
	rows := [][]string{{"Họ và tên", "Ghi chú"}}
	for _, p := range payloads() {
		rows = append(rows, []string{p, "x" + p})
	}
	var text, book bytes.Buffer
	if err := cases.WriteCSV(&text, rows); err != nil {
		t.Fatal(err)
	}
	if err := cases.WriteXLSX(&book, rows); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	convert := func(name string, body []byte, filter ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"-env:UserInstallation=file://" + dir + "/profile", "--headless", "--convert-to", "fods", "--outdir", dir}, filter...)
		if out, err := exec.Command(office, append(args, path)...).CombinedOutput(); err != nil {
			t.Fatalf("soffice %s: %v: %s", name, err, out)
		}
		made, err := os.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".fods")
		if err != nil {
			t.Fatal(err)
		}
		return string(made)
	}
	// That the test would see a formula if there were one.
	if got := convert("formula.csv", []byte("a,=1+1\r\n")); !strings.Contains(got, "table:formula") {
		t.Fatal("a formula is not seen")
	}
	for name, made := range map[string]string{
		"csv":            convert("comma.csv", text.Bytes()),
		"csv, semicolon": convert("semicolon.csv", text.Bytes(), "--infilter=CSV:59,34,76,1"),
		"csv, tab":       convert("tab.csv", text.Bytes(), "--infilter=CSV:9,34,76,1"),
		"csv, no quotes": convert("plain.csv", text.Bytes(), "--infilter=CSV:44/59/9/124,,76,1"),
		"xlsx":           convert("book.xlsx", book.Bytes()),
	} {
		if n := strings.Count(made, "table:formula"); n > 0 {
			t.Errorf("%s has %d cells with formulas", name, n)
		}
		if !strings.Contains(made, "Ghi ch") {
			t.Errorf("%s was not read", name)
		}
	}
}
