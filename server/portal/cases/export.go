package cases

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"
)

// A table is what is exported as rows. Every cell is text.
type table struct {
	Title  string // of the sheet
	Widths []float64
	Rows   [][]string // the first is the heading
}

// writeCSV writes the table as text with commas, for programs that know UTF-8 by
// its mark.
func (t *table) writeCSV(w io.Writer) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return fmt.Errorf("cases: csv: %w", err)
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, row := range t.Rows {
		if err := out.Write(safe(row)); err != nil {
			return fmt.Errorf("cases: csv: %w", err)
		}
	}
	if out.Flush(); out.Error() != nil {
		return fmt.Errorf("cases: csv: %w", out.Error())
	}
	return nil
}

// writeXLSX writes tables as the sheets of one workbook. Cells are strings, which
// no program calculates; they are inert all the same, for whoever saves the sheet
// as text later.
func writeXLSX(w io.Writer, tables ...table) (err error) {
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	bold, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"DCEBE4"}}, Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}})
	if err != nil {
		return fmt.Errorf("cases: xlsx: %w", err)
	}
	plain, err := f.NewStyle(&excelize.Style{NumFmt: 49, Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}})
	if err != nil {
		return fmt.Errorf("cases: xlsx: %w", err)
	}
	for i, t := range tables {
		if i == 0 {
			err = f.SetSheetName("Sheet1", t.Title)
		} else {
			_, err = f.NewSheet(t.Title)
		}
		if err == nil {
			err = t.stream(f, bold, plain)
		}
		if err != nil {
			return fmt.Errorf("cases: xlsx: %w", err)
		}
	}
	if err := f.Write(w); err != nil {
		return fmt.Errorf("cases: xlsx: %w", err)
	}
	return nil
}

func (t *table) stream(f *excelize.File, bold, plain int) error {
	out, err := f.NewStreamWriter(t.Title)
	if err != nil {
		return err
	}
	for i, width := range t.Widths {
		if err := out.SetColWidth(i+1, i+1, width); err != nil {
			return err
		}
	}
	if err := out.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	for n, row := range t.Rows {
		style := plain
		if n == 0 {
			style = bold
		}
		values := make([]any, len(row))
		for i, cell := range safe(row) {
			values[i] = excelize.Cell{StyleID: style, Value: cell}
		}
		if err := out.SetRow(fmt.Sprintf("A%d", n+1), values); err != nil {
			return err
		}
	}
	return out.Flush()
}

func safe(row []string) []string {
	all := make([]string, len(row))
	for i, cell := range row {
		all[i] = inert(digits(cell))
	}
	return all
}
