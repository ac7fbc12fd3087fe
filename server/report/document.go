package report

import "time"

// A Document is a report as it is set in pages and in a workbook: the parts that
// decree 30/2020/NĐ-CP gives an official letter, and what stands between them.
type Document struct {
	Lang             string // vi or en
	Nation, Motto    string // head, at the right
	Superior, Agency string // at the left; Superior may be empty
	Number           string // as it is written: "Số: 12/BC-SCT"
	Dated            string // "Huế, ngày 26 tháng 11 năm 2026"
	Kind, Subject    string // "BÁO CÁO", what it is about
	Parts            []Part
	To               string // "Nơi nhận:"
	Recipients       []string
	SignedAs, Signed string // the office and the name of who signs
	Foot             string // who has made it, when, which version
	Draft            string // on each page of what is not finished
	Made             time.Time
}

// A Part is a heading, paragraphs, a table and a chart, each of which may be
// missing.
type Part struct {
	Heading string
	Level   int // of the heading: 1 or 2
	Text    string
	Table   *Table
	Chart   *Drawing
}

// A Table is one of a document.
type Table struct {
	Caption string
	Head    []string
	Wide    []float64 // shares of the width, as many as there are columns
	Rows    [][]Value
	Sum     bool // the last row adds up the others
	Note    string
}

// A Value is one cell: words, or a number with its words.
type Value struct {
	Text    string
	Number  float64
	Numeric bool
}

// Words returns a cell of words.
func Words(s string) Value { return Value{Text: s} }

// Amount returns a cell of a number.
func Amount(n int, words func(int) string) Value {
	return Value{Text: words(n), Number: float64(n), Numeric: true}
}
