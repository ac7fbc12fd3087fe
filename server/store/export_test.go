package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
)

// A Query is one of check-ins, with values for its parameters, whose plan is
// tested.
type Query struct {
	Text  string
	Args  []any
	Index string // that it must use, if that is not left to the engine
}

// Queries returns queries as the named engine gets them.
func Queries(engine string, epochNo int64) map[string]Query {
	d := dialect(engine)
	values := []any{epochNo, int64(1), int64(0), int64(5), int64(6)}
	all := map[string]Query{
		"recent":       {newestOf, []any{epochNo, 20}, ""},
		"known":        {knownCheckins, []any{epochNo, int64(1), int64(5)}, ""},
		"to be dated":  {nextToDate, []any{epochNo, int64(1), int64(0), int64(5), 500}, ""},
		"dated":        {redateRows.text[sqlite][len(portions)-1], values, ""},
		"dated, eight": {redateRows.text[sqlite][len(portions)-2], slices.Repeat(values, 8), ""},
		"of an epoch":  {checkinsOf, []any{epochNo}, ""},
	}
	if d == postgres {
		for name, q := range all {
			all[name] = Query{rebind(q.Text), q.Args, ""}
		}
	}
	const day, hour = qrgate.Day(20781), int64(3600_000)
	all["of a subject"] = Query{ofSubject[d], []any{int64(day), make([]byte, 16)}, ""}
	all["of a day"] = Query{checkinsOn[d], []any{int64(day)}, "checkins_place"}
	all["dropped"] = Query{dropCheckins[d], []any{int64(day), 20}, "checkins_place"} // of so few rows
	if d == sqlite {
		all["subjects dropped"] = Query{dropSubjects, []any{int64(day), 20}, ""}
	}
	for n, text := range atGate {
		index := "checkins_place"
		if d == postgres && n > 8 {
			index = "" // the test has no more days, so that its epoch is as quick
		}
		args := dayRange{day, day + qrgate.Day(n) - 1}.args()
		all[fmt.Sprintf("at a gate on %d days", n)] = Query{text[d], append(args, epochNo, int64(1), (int64(day)*24+1)*hour, int64(day)*24*hour), index}
	}
	return all
}

// SetFileLimit makes intakes file check-ins beyond n.
func SetFileLimit(s *Store, n int) { s.fileLimit = n }

// EncodeAs returns encoded check-ins as an earlier release wrote them.
func EncodeAs(version byte, b []byte) []byte {
	var rows []checkin
	if err := decode(b, func(c *checkin) { rows = append(rows, *c) }); err != nil {
		panic(err)
	}
	earlier := []byte{version}
	var before checkin
	for _, c := range rows {
		for j := range encodings[version] {
			earlier = binary.AppendVarint(earlier, c.n[j]-before.n[j])
		}
		if c.known {
			earlier = append(append(earlier, 1), c.subject[:]...)
		} else {
			earlier = append(earlier, 0)
		}
		before = c
	}
	return earlier
}
