package store

import (
	"encoding/binary"
	"slices"
)

// Queries of check-ins, with values for their parameters, whose plans are tested.
func Queries(epochNo int64) map[string]struct {
	Text string
	Args []any
} {
	values := []any{epochNo, int64(1), int64(0), int64(5), int64(6)}
	return map[string]struct {
		Text string
		Args []any
	}{
		"recent":       {newestOf, []any{epochNo, 20}},
		"known":        {knownCheckins, []any{epochNo, int64(1), int64(5)}},
		"to be dated":  {nextToDate, []any{epochNo, int64(1), int64(0), int64(5), 500}},
		"dated":        {redateRows.text[sqlite][len(portions)-1], values},
		"dated, eight": {redateRows.text[sqlite][len(portions)-2], slices.Repeat(values, 8)},
		"of an epoch":  {checkinsOf, []any{epochNo}},
	}
}

// Bind writes a query with PostgreSQL's placeholders.
func Bind(query string) string { return rebind(query) }

// SetFileLimit makes intakes file check-ins beyond n.
func SetFileLimit(s *Store, n int) { s.fileLimit = n }

// EncodeFirst returns encoded check-ins as the first release wrote them.
func EncodeFirst(b []byte) []byte {
	var rows []checkin
	if err := decode(b, func(c *checkin) { rows = append(rows, *c) }); err != nil {
		panic(err)
	}
	first := []byte{encodingFirst}
	var before checkin
	for _, c := range rows {
		for j := range level {
			first = binary.AppendVarint(first, c.n[j]-before.n[j])
		}
		if c.known {
			first = append(append(first, 1), c.subject[:]...)
		} else {
			first = append(first, 0)
		}
		before = c
	}
	return first
}
