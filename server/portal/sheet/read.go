package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// Limits of every sheet that somebody uploads.
const (
	maxParts   = 200
	maxColumns = 40
	// maxEquals is how many equals signs may lie between two tags. A tag has one for each
	// of its attributes, of which workbooks write a dozen.
	maxEquals = 10_000

	// MaxCell is how many characters of a cell are read.
	MaxCell = 1000
)

// What is wrong with a sheet as a whole: each is a kind of [qrgate.ErrInvalid],
// and pages have a sentence for each.
var (
	ErrFile    = fmt.Errorf("sheet: neither a workbook nor text in columns: %w", qrgate.ErrInvalid)
	ErrLetters = fmt.Errorf("sheet: not in UTF-8: %w", qrgate.ErrInvalid)
	ErrColumns = fmt.Errorf("sheet: the column that must be there is missing: %w", qrgate.ErrInvalid)
	ErrRows    = fmt.Errorf("sheet: too many rows: %w", qrgate.ErrInvalid)
	ErrEmpty   = fmt.Errorf("sheet: no rows: %w", qrgate.ErrInvalid)
)

// A Form says what sheets of a kind hold and how large they may be. A small file
// may unpack to a large one, and a reader's memory goes by elements of XML.
type Form struct {
	Columns []Column
	Heading string // with a column's key, the key of its heading's text
	Must    string // key of the column without which a sheet is not one

	MaxRows     int
	MaxBytes    int
	MaxUnpacked int
	MaxTags     int
}

// A Column is one of a form. Known are other headings by which it is known, as
// people write them, folded.
type Column struct {
	Key   string
	Known []string
	Width float64
}

// heading folds what stands at the head of a column, without what is added in
// brackets or by a star.
func heading(s string) string {
	s, _, _ = strings.Cut(s, "(")
	return area.Fold(strings.ReplaceAll(strings.ReplaceAll(s, "*", " "), ",", " "))
}

// columnsOf returns which column is where, by key.
func (f *Form) columnsOf(head []string) map[string]int {
	at := map[string]int{}
	for i, cell := range head {
		h := heading(cell)
		if h == "" || i >= maxColumns {
			continue
		}
		for _, c := range f.Columns {
			known := false
			for _, lang := range text.Langs() {
				known = known || h == heading(text.Of(lang, f.Heading+c.Key))
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

// A Line is one row of a sheet, by key of its columns.
type Line struct {
	No    int // as the sheet's program counts rows
	Cells map[string]string
}

// Read reads a workbook of Excel, or text with commas, semicolons or tabs.
func (f *Form) Read(body []byte) (lines []Line, err error) {
	var rows func(yield func(cells []string) error) error
	switch {
	case len(body) > f.MaxBytes:
		return nil, ErrRows
	case bytes.HasPrefix(body, []byte("PK\x03\x04")):
		rows = func(yield func([]string) error) error { return f.workbookRows(body, yield) }
	case bytes.IndexByte(body, 0) >= 0:
		return nil, ErrFile
	case !utf8.Valid(body):
		return nil, ErrLetters
	default:
		rows = func(yield func([]string) error) error { return f.textRows(body, yield) }
	}
	no := 0
	var at map[string]int
	err = rows(func(cells []string) error {
		no++
		if len(strings.TrimSpace(strings.Join(cells, ""))) == 0 {
			return nil
		}
		if at == nil {
			if found := f.columnsOf(cells); len(found) > 0 {
				if _, ok := found[f.Must]; ok {
					at = found
				}
			}
			if at == nil && no >= 10 { // a few lines of title may come first
				return ErrColumns
			}
			return nil
		}
		if len(lines) == f.MaxRows {
			return ErrRows
		}
		l := Line{No: no, Cells: map[string]string{}}
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
		return nil, ErrColumns
	case len(lines) == 0:
		return nil, ErrEmpty
	}
	return lines, nil
}

// plain returns a cell without what an export of ours has put before it.
func plain(cell string) string {
	cell = strings.TrimSpace(cell)
	if len(cell) > 1 && cell[0] == '\'' && strings.ContainsRune(formulas, rune(cell[1])) {
		cell = cell[1:]
	}
	if utf8.RuneCountInString(cell) > MaxCell {
		cell = string([]rune(cell)[:MaxCell])
	}
	return cell
}

// workbookRows calls yield with each row of a workbook's first sheet. The reader
// of workbooks is not ours, and what comes in is anybody's.
func (f *Form) workbookRows(body []byte, yield func([]string) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrFile, p)
		}
	}()
	if err := f.unpacks(body); err != nil {
		return err
	}
	book, err := excelize.OpenReader(bytes.NewReader(body), excelize.Options{UnzipSizeLimit: int64(f.MaxUnpacked), UnzipXMLSizeLimit: int64(f.MaxUnpacked), RawCellValue: true})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer book.Close()
	sheets := book.GetSheetList()
	if len(sheets) == 0 {
		return ErrEmpty
	}
	rows, err := book.Rows(sheets[0])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer rows.Close()
	for n := 0; rows.Next(); n++ {
		if n > f.MaxRows*4 { // formatted, and empty
			return ErrRows
		}
		cells, err := rows.Columns()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFile, err)
		}
		if err := yield(cells[:min(len(cells), maxColumns)]); err != nil {
			return err
		}
	}
	if err := rows.Error(); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	return nil
}

// unpacks refuses a workbook that is larger than it looks. Its reader makes a
// value of each element: 34 kB of nothing but strings took it 285 MB. It holds all
// attributes of an element at once: 22 kB of one element took it 440 MB. In another
// alphabet than UTF-8 neither could be counted here.
func (f *Form) unpacks(body []byte) error {
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	if len(z.File) > maxParts {
		return fmt.Errorf("%w: %d parts", ErrFile, len(z.File))
	}
	size, tags := 0, 0
	for _, part := range z.File {
		text, err := unpacked(part, f.MaxUnpacked-size)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFile, err)
		}
		size += len(text)
		if size > f.MaxUnpacked {
			return ErrRows
		}
		for between := range bytes.SplitSeq(text, []byte("<")) {
			if tags++; tags > f.MaxTags || bytes.Count(between, []byte("=")) > maxEquals {
				return ErrRows
			}
		}
		for { // not all at once: there may be millions
			said := encoding.FindSubmatchIndex(text)
			if said == nil {
				break
			}
			if !strings.EqualFold(string(text[said[2]:said[3]]), "utf-8") {
				return ErrLetters
			}
			text = text[said[1]:]
		}
	}
	return nil
}

// encoding is how a part of a workbook says what it is written in. The reader takes it
// wherever it stands in a part.
var encoding = regexp.MustCompile(`encoding=["']([^"']*)`)

// unpacked returns a part of a workbook; of one that is longer than most one byte more.
func unpacked(part *zip.File, most int) ([]byte, error) {
	r, err := part.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, int64(most)+1))
}

// textRows calls yield with each row of text in columns.
func (f *Form) textRows(body []byte, yield func([]string) error) error {
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
			return fmt.Errorf("%w: %w", ErrFile, err)
		}
		// Empty lines are left out by the reader and counted by people.
		line, _ := r.FieldPos(0)
		if line-next > f.MaxRows*4 {
			return ErrRows
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
