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
		terms = append(terms, in.column+" IN (?"+strings.Repeat(", ?", len(in.values)-1)+")")
		for _, v := range in.values {
			args = append(args, v)
		}
	}
	if terms == nil {
		return "1 = 0", nil
	}
	return "(" + strings.Join(terms, " OR ") + ")", args
}
