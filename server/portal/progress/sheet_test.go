package progress_test

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/progress"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
)

// Whatever is uploaded as a list is refused as a whole, or each row that is taken
// is a place with a name, a sector and a commune of today.
func FuzzList(f *testing.F) {
	f.Add([]byte("Tên địa điểm,Xã phường,Điện thoại\nChợ An Cựu,Phường Vỹ Dạ,905123456\n"))
	f.Add([]byte("ten;xa;nganh;loai\nChợ;Phường Thuận Lộc;Y tế;Chợ\n\"a\nb\";;;\n"))
	f.Add([]byte("\ufeffname\tcommune\n=1+1\tVy Da\n\x00\n"))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<16 {
			return
		}
		good, rows, err := progress.ReadList(body, "trade")
		if err != nil && !errors.Is(err, qrgate.ErrInvalid) {
			t.Fatalf("ReadList = %v, which is no ErrInvalid", err)
		}
		if len(good) > rows {
			t.Fatalf("%d places of %d rows", len(good), rows)
		}
		for _, l := range good {
			id, err := area.ParseID(l.AreaNow)
			u, ok := area.Lookup(id)
			if err != nil || !ok || !u.InForce() || u.Level != area.Commune {
				t.Fatalf("commune of today %q", l.AreaNow)
			}
			if _, err := qrgate.FindSector(l.Sector); err != nil || l.Name == "" || len([]rune(l.Name)) > 160 || area.Fold(l.Name) != area.Fold(area.Fold(l.Name)) {
				t.Fatalf("%+v", l)
			}
			for _, s := range []string{l.Name, l.Street, l.Phone, l.Kind} {
				if !utf8.ValidString(s) || bytes.IndexByte([]byte(s), 0) >= 0 {
					t.Fatalf("%q cannot be stored", s)
				}
			}
		}
	})
}

// Whatever is written into a report, no cell of its workbook is a formula, and its
// numbers are numbers.
func TestWorkbookHasNoFormula(t *testing.T) {
	evil := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"http://x\")", "＝1"}
	for _, s := range evil {
		d := &report.Document{
			Superior: s, Agency: s, Number: s, Dated: s, Kind: s, Subject: s, SignedAs: s, Signed: s, Foot: s,
			Parts: []report.Part{{Heading: s, Text: s + "\n" + s, Table: &report.Table{Caption: s, Head: []string{s, "n"}, Rows: [][]report.Value{{report.Words(s), {Text: "1.234", Number: 1234, Numeric: true}}}, Sum: true, Note: s}}},
		}
		var out bytes.Buffer
		if err := progress.Workbook(&out, d); err != nil {
			t.Fatal(err)
		}
		book, err := excelize.OpenReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range book.GetSheetList() {
			rows, err := book.GetRows(name)
			if err != nil {
				t.Fatal(err)
			}
			for r, row := range rows {
				for c, cell := range row {
					at, _ := excelize.CoordinatesToCellName(c+1, r+1)
					if formula, err := book.GetCellFormula(name, at); err != nil || formula != "" {
						t.Errorf("%s %s is the formula %q, %v", name, at, formula, err)
					}
					if cell != "" && bytes.ContainsAny([]byte(cell[:1]), "=+-@\t\r") {
						t.Errorf("%s %s = %q", name, at, cell)
					}
				}
			}
		}
		if got, err := book.GetCellValue("Bảng 1", "B3", excelize.Options{RawCellValue: true}); err != nil || got != "1234" {
			t.Errorf("number = %q, %v", got, err)
		}
		book.Close()
	}
}
