package register

import "strings"

// Within says of which places somebody may know: those of any of these
// organisations, sectors and areas of today, or all. The zero Within is none.
type Within struct {
	All           bool
	Organisations []string
	Sectors       []string
	Areas         []string
}

// where returns the condition on places, as p, and its arguments.
func (w Within) where() (string, []any) {
	if w.All {
		return "1 = 1", nil
	}
	var terms []string
	var args []any
	for _, in := range []struct {
		column string
		values []string
	}{{"p.organisation", w.Organisations}, {"p.sector", w.Sectors}, {"p.area_now", w.Areas}} {
		if len(in.values) == 0 {
			continue
		}
		term, values := isIn(in.column, in.values)
		terms, args = append(terms, term), append(args, values...)
	}
	if terms == nil {
		return "1 = 0", nil
	}
	return "(" + strings.Join(terms, " OR ") + ")", args
}

// isIn returns the condition that a column has one of the values, and its
// arguments.
func isIn(column string, values []string) (string, []any) {
	if len(values) == 0 {
		return "1 = 0", nil
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")", args
}
