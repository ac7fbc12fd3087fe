package store

import (
	"database/sql"
	"slices"
	"strings"
)

// portions are how many rows one statement of a bulk may have, so that few
// statements are parsed, each once. SQLite takes 32,766 values, PostgreSQL 65,535.
var portions = [...]int{256, 64, 8, 1}

// A bulk is a statement about any number of rows.
type bulk struct {
	width int                               // values a row
	text  map[dialect][len(portions)]string // bound
	fill  bool                              // a row that is there twice changes nothing
}

// bulkOf returns the bulk of head, then row for each row, then tail.
func bulkOf(head, row, tail string) *bulk {
	var plain, numbered [len(portions)]string
	for i, n := range portions {
		plain[i] = head + strings.TrimSuffix(strings.Repeat(row+", ", n), ", ") + tail
		numbered[i] = rebind(plain[i])
	}
	return &bulk{width: strings.Count(row, "?"), text: map[dialect][len(portions)]string{sqlite: plain, postgres: numbered}}
}

// insertOf returns the bulk that inserts rows of a table.
func insertOf(table, columns, tail string) *bulk {
	row := "(?" + strings.Repeat(", ?", strings.Count(columns, ",")) + ")"
	return bulkOf("INSERT INTO "+table+" ("+columns+") VALUES ", row, " "+tail)
}

// inOf returns the bulk of a statement with a list of values after head.
func inOf(head, tail string) *bulk {
	b := bulkOf(head+" IN (", "?", ")"+tail)
	b.fill = true
	return b
}

// run runs b with the values of its rows and returns how many rows it changed.
// If scan is not nil, it is called with the rows that come back.
func (t *tx) run(b *bulk, args []any, scan func(*sql.Rows) error) (changed int64, err error) {
	for len(args) > 0 {
		i := b.portion(len(args) / b.width)
		size := portions[i] * b.width
		part := args[:min(size, len(args))]
		args = args[len(part):]
		if short := size - len(part); short > 0 {
			part = slices.Concat(part, slices.Repeat(part[len(part)-b.width:], short/b.width))
		}
		query := b.text[t.s.dialect][i]
		if scan != nil {
			err = t.eachBound(scan, query, part)
		} else {
			var n int64
			n, err = t.execBound(query, part)
			changed += n
		}
		if err != nil {
			return 0, err
		}
	}
	return changed, nil
}

// portion returns which portion n more rows begin with: the largest that they
// fill, or rather one that they do not fill than several.
func (b *bulk) portion(n int) int {
	i := 0
	for portions[i] > n {
		i++
	}
	if b.fill && portions[i] < n && i > 0 {
		i--
	}
	return i
}
