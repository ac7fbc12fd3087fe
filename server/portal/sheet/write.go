package sheet

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"
)

// maxListed is how many rows of a workbook offer what may be chosen.
const maxListed = 10_000

// formulas are the signs by which a cell becomes a formula when a program opens
// text in columns.
const formulas = "=+-@\t\r"

// Harmless returns a cell that no program takes for a formula.
func Harmless(cell string) string {
	if cell != "" && strings.ContainsRune(formulas, rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// WriteText writes rows as text with commas, for programs that know UTF-8 by its
// mark.
func WriteText(w io.Writer, rows [][]string) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, cells := range rows {
		safe := make([]string, len(cells))
		for i, cell := range cells {
			safe[i] = Harmless(cell)
		}
		if err := out.Write(safe); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// A List is what may be chosen in a column of a workbook.
type List struct {
	Column int // from 0
	Values []string
}

// WriteWorkbook writes rows as a workbook, all cells as text. Lists go to a sheet
// of their own.
func WriteWorkbook(w io.Writer, title string, widths []float64, rows [][]string, listsTitle string, lists ...List) (err error) {
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

func addLists(f *excelize.File, sheet, title string, lists []List) error {
	if _, err := f.NewSheet(title); err != nil {
		return err
	}
	for i, l := range lists {
		letter, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return err
		}
		for n, value := range l.Values {
			if err := f.SetCellStr(title, fmt.Sprintf("%s%d", letter, n+1), value); err != nil {
				return err
			}
		}
		if err := f.SetColWidth(title, letter, letter, 40); err != nil {
			return err
		}
		at, err := excelize.ColumnNumberToName(l.Column + 1)
		if err != nil {
			return err
		}
		v := excelize.NewDataValidation(true)
		v.SetSqref(fmt.Sprintf("%s2:%s%d", at, at, maxListed+1))
		v.SetSqrefDropList(fmt.Sprintf("'%s'!$%s$1:$%s$%d", title, letter, letter, len(l.Values)))
		// Old names of communes are welcome: the list offers, it does not refuse.
		v.ShowErrorMessage = false
		if err := f.AddDataValidation(sheet, v); err != nil {
			return err
		}
	}
	return nil
}
