package place

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// Limits of a sheet that somebody uploads. A small file may unpack to a large
// one.
const (
	maxSheet    = 2 << 20
	maxUnpacked = 12 << 20
	maxTags     = 600_000 // of XML: what a reader's memory goes by
	maxParts    = 200
	maxRows     = 2000
	maxColumns  = 40
	maxCell     = 1000
)

// What is wrong with a sheet as a whole: each is a kind of [qrgate.ErrInvalid],
// and the page has a sentence for each.
var (
	errSheet   = fmt.Errorf("place: neither a workbook nor text in columns: %w", qrgate.ErrInvalid)
	errLetters = fmt.Errorf("place: sheet is not in UTF-8: %w", qrgate.ErrInvalid)
	errColumns = fmt.Errorf("place: sheet has no column of names: %w", qrgate.ErrInvalid)
	errRows    = fmt.Errorf("place: sheet has too many rows: %w", qrgate.ErrInvalid)
	errEmpty   = fmt.Errorf("place: sheet has no rows: %w", qrgate.ErrInvalid)
)

// A column is one of a sheet of places. Its heading is the text
// "sheet.KEY"; other headings by which it is known are as people write them.
type column struct {
	Key   string
	Known []string // folded
	Width float64
}

// columns are those that come in and go out, in order.
var columns = []column{
	{"name", []string{"ten", "ten dia diem", "name", "place"}, 34},
	{"kind", []string{"loai", "loai hinh", "kind", "type"}, 24},
	{"sector", []string{"nganh", "linh vuc", "sector"}, 24},
	{"commune", []string{"xa", "phuong", "xa phuong", "phuong xa", "phuong/xa", "commune", "ward"}, 26},
	{"street", []string{"dia chi", "duong", "so nha", "street", "address"}, 32},
	{"lat", []string{"vi do", "lat", "latitude"}, 12},
	{"lon", []string{"kinh do", "lon", "lng", "longitude"}, 12},
	{"person", []string{"phu trach", "nguoi phu trach", "lien he", "person"}, 24},
	{"phone1", []string{"dien thoai", "so dien thoai", "sdt", "phone"}, 15},
	{"phone2", []string{"dien thoai 2", "phone 2"}, 15},
	{"phone3", []string{"dien thoai 3", "phone 3"}, 15},
	{"email", []string{"email", "e-mail", "thu dien tu"}, 26},
	{"capacity", []string{"suc chua", "capacity"}, 10},
	{"doors", []string{"so cua", "cua", "doors"}, 8},
	{"hours", []string{"gio mo cua", "hours", "opening hours"}, 34},
}

// heading folds what stands at the head of a column, without what is added in
// brackets or by a star.
func heading(s string) string {
	s, _, _ = strings.Cut(s, "(")
	return area.Fold(strings.ReplaceAll(strings.ReplaceAll(s, "*", " "), ",", " "))
}

// columnsOf returns which column is where, by key.
func columnsOf(head []string) map[string]int {
	at := map[string]int{}
	for i, cell := range head {
		h := heading(cell)
		if h == "" || i >= maxColumns {
			continue
		}
		for _, c := range columns {
			known := false
			for _, lang := range text.Langs() {
				known = known || h == heading(text.Of(lang, "sheet."+c.Key))
			}
			for _, k := range c.Known {
				known = known || h == k
			}
			if _, twice := at[c.Key]; known && !twice {
				at[c.Key] = i
				break
			}
		}
	}
	return at
}

// A line is one row of a sheet, by key of its columns.
type line struct {
	No    int // as the sheet's program counts rows
	Cells map[string]string
}

// readSheet reads a workbook of Excel, or text with commas, semicolons or tabs.
func readSheet(body []byte) (lines []line, err error) {
	var rows func(yield func(cells []string) error) error
	switch {
	case len(body) > maxSheet:
		return nil, errRows
	case bytes.HasPrefix(body, []byte("PK\x03\x04")):
		rows = func(yield func([]string) error) error { return workbookRows(body, yield) }
	case bytes.IndexByte(body, 0) >= 0:
		return nil, errSheet
	case !utf8.Valid(body):
		return nil, errLetters
	default:
		rows = func(yield func([]string) error) error { return textRows(body, yield) }
	}
	no := 0
	var at map[string]int
	err = rows(func(cells []string) error {
		no++
		if len(strings.TrimSpace(strings.Join(cells, ""))) == 0 {
			return nil
		}
		if at == nil {
			if found := columnsOf(cells); len(found) > 0 {
				if _, ok := found["name"]; ok {
					at = found
				}
			}
			if at == nil && no >= 10 { // a few lines of title may come first
				return errColumns
			}
			return nil
		}
		if len(lines) == maxRows {
			return errRows
		}
		l := line{No: no, Cells: map[string]string{}}
		for key, i := range at {
			if i < len(cells) && strings.TrimSpace(cells[i]) != "" {
				l.Cells[key] = plain(cells[i])
			}
		}
		if len(l.Cells) > 0 {
			lines = append(lines, l)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case at == nil:
		return nil, errColumns
	case len(lines) == 0:
		return nil, errEmpty
	}
	return lines, nil
}

// plain returns a cell without what an export of ours has put before it.
func plain(cell string) string {
	cell = strings.TrimSpace(cell)
	if len(cell) > 1 && cell[0] == '\'' && strings.ContainsRune(formulas, rune(cell[1])) {
		cell = cell[1:]
	}
	if utf8.RuneCountInString(cell) > maxCell {
		cell = string([]rune(cell)[:maxCell])
	}
	return cell
}

// workbookRows calls yield with each row of a workbook's first sheet. The reader
// of workbooks is not ours, and what comes in is anybody's.
func workbookRows(body []byte, yield func([]string) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errSheet, p)
		}
	}()
	if err := unpacks(body); err != nil {
		return err
	}
	f, err := excelize.OpenReader(bytes.NewReader(body), excelize.Options{UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxUnpacked, RawCellValue: true})
	if err != nil {
		return fmt.Errorf("%w: %w", errSheet, err)
	}
	defer f.Close()
	sheets := f.GetSheetList()
	if len(sheets) == 0 {
		return errEmpty
	}
	rows, err := f.Rows(sheets[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errSheet, err)
	}
	defer rows.Close()
	for n := 0; rows.Next(); n++ {
		if n > maxRows*4 { // formatted, and empty
			return errRows
		}
		cells, err := rows.Columns()
		if err != nil {
			return fmt.Errorf("%w: %w", errSheet, err)
		}
		if err := yield(cells[:min(len(cells), maxColumns)]); err != nil {
			return err
		}
	}
	if err := rows.Error(); err != nil {
		return fmt.Errorf("%w: %w", errSheet, err)
	}
	return nil
}

// unpacks refuses a workbook that is larger than it looks. Its reader makes a
// value of each element: 34 kB of nothing but strings took it 285 MB.
func unpacks(body []byte) error {
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return fmt.Errorf("%w: %w", errSheet, err)
	}
	if len(z.File) > maxParts {
		return fmt.Errorf("%w: %d parts", errSheet, len(z.File))
	}
	size, tags := 0, 0
	chunk := make([]byte, 64<<10)
	for _, part := range z.File {
		r, err := part.Open()
		if err != nil {
			return fmt.Errorf("%w: %w", errSheet, err)
		}
		for err == nil {
			var n int
			n, err = r.Read(chunk)
			size += n
			tags += bytes.Count(chunk[:n], []byte("<"))
			if size > maxUnpacked || tags > maxTags {
				err = errRows
			}
		}
		r.Close()
		switch {
		case errors.Is(err, errRows):
			return err
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("%w: %w", errSheet, err)
		}
	}
	return nil
}

// textRows calls yield with each row of text in columns.
func textRows(body []byte, yield func([]string) error) error {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	first, _, _ := bytes.Cut(body, []byte("\n"))
	r := csv.NewReader(bytes.NewReader(body))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	for _, sep := range []rune{';', '\t'} {
		if bytes.Count(first, []byte(string(sep))) > bytes.Count(first, []byte(string(r.Comma))) {
			r.Comma = sep
		}
	}
	next := 1 // line on which a row begins if none is empty before it
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errSheet, err)
		}
		// Empty lines are left out by the reader and counted by people.
		line, _ := r.FieldPos(0)
		if line-next > maxRows*4 {
			return errRows
		}
		for ; next < line; next++ {
			if err := yield(nil); err != nil {
				return err
			}
		}
		next = line + 1 + strings.Count(strings.Join(cells, ""), "\n")
		if err := yield(cells[:min(len(cells), maxColumns)]); err != nil {
			return err
		}
	}
}

// formulas are the signs by which a cell becomes a formula when a program opens
// text in columns.
const formulas = "=+-@\t\r"

// harmless returns a cell that no program takes for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune(formulas, rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// writeText writes rows as text with commas, for programs that know UTF-8 by its
// mark.
func writeText(w io.Writer, rows [][]string) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, cells := range rows {
		safe := make([]string, len(cells))
		for i, cell := range cells {
			safe[i] = harmless(cell)
		}
		if err := out.Write(safe); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// A list is what may be chosen in a column of a workbook.
type list struct {
	column int // from 0
	values []string
}

// writeWorkbook writes rows as a workbook, all cells as text. Lists go to a sheet
// of their own.
func writeWorkbook(w io.Writer, title string, widths []float64, rows [][]string, listsTitle string, lists ...list) (err error) {
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	sheet := title
	if err := f.SetSheetName("Sheet1", sheet); err != nil {
		return err
	}
	bold, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"DCEBE4"}}})
	if err != nil {
		return err
	}
	plain, err := f.NewStyle(&excelize.Style{NumFmt: 49}) // text: telephone numbers keep their zero
	if err != nil {
		return err
	}
	// What a stream has written can no longer be changed.
	if len(lists) > 0 {
		if err := addLists(f, sheet, listsTitle, lists); err != nil {
			return err
		}
	}
	out, err := f.NewStreamWriter(sheet)
	if err != nil {
		return err
	}
	for i, width := range widths {
		if err := out.SetColWidth(i+1, i+1, width); err != nil {
			return err
		}
		if err := out.SetColStyle(i+1, i+1, plain); err != nil {
			return err
		}
	}
	if err := out.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	for n, cells := range rows {
		values := make([]any, len(cells))
		for i, cell := range cells {
			style := plain
			if n == 0 {
				style = bold
			}
			values[i] = excelize.Cell{StyleID: style, Value: cell}
		}
		if err := out.SetRow(fmt.Sprintf("A%d", n+1), values); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Write(w)
}

func addLists(f *excelize.File, sheet, title string, lists []list) error {
	if _, err := f.NewSheet(title); err != nil {
		return err
	}
	for i, l := range lists {
		letter, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return err
		}
		for n, value := range l.values {
			if err := f.SetCellStr(title, fmt.Sprintf("%s%d", letter, n+1), value); err != nil {
				return err
			}
		}
		if err := f.SetColWidth(title, letter, letter, 40); err != nil {
			return err
		}
		at, err := excelize.ColumnNumberToName(l.column + 1)
		if err != nil {
			return err
		}
		v := excelize.NewDataValidation(true)
		v.SetSqref(fmt.Sprintf("%s2:%s%d", at, at, maxRows+1))
		v.SetSqrefDropList(fmt.Sprintf("'%s'!$%s$1:$%s$%d", title, letter, letter, len(l.values)))
		// Old names of communes are welcome: the list offers, it does not refuse.
		v.ShowErrorMessage = false
		if err := f.AddDataValidation(sheet, v); err != nil {
			return err
		}
	}
	return nil
}
