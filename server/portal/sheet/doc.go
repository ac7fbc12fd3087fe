// Package sheet reads the tables that people upload and writes those that they
// fetch: workbooks of Excel, and text in columns.
//
//	form := sheet.Form{Columns: columns, Heading: "sheet.", Must: "name", MaxRows: 2000, ...}
//	lines, err := form.Read(body)   // []sheet.Line, cells by the column's key
//	err = sheet.WriteWorkbook(w, title, widths, rows, listsTitle)
//
// The promise: whatever is uploaded is read within the form's limits or refused
// with one of the errors here, and no cell that is written becomes a formula in
// the program that opens it.
//
// What the cells mean is the pages' matter.
package sheet
