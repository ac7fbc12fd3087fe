package area

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Match is a unit whose name answers a search.
type Match struct {
	Unit    Unit   // the one whose name was found, perhaps no longer in force
	Current []Unit // what stands in its place now, as CurrentOf has it
}

// maxText bounds what Search looks at, in bytes. The longest label has 70.
const maxText = 200

// Search returns at most limit units whose names answer text, best first, of
// the given levels or of all. Names of all lists are searched; a name that
// several lists have and that leads to the same units of today is found once,
// in its latest list.
//
// Text may be written with marks or without, with the tone on either vowel, in
// any case, with or without the word for the kind of unit or its abbreviation:
// "Phường Phú Xuân", "p. phu xuan" and "PHU XUAN" find the same. An exact name
// comes before a name that begins with text, this before one with a word that
// begins so, this before one that contains it anywhere. Among equals come first
// names with the same marks, then the kind that was written, then units that lie
// in what follows a comma ("xã Hương Phong, A Lưới"), then units in force.
func Search(text string, limit int, levels ...Level) []Match {
	if limit <= 0 || len(text) > maxText {
		return nil
	}
	q := queryOf(text)
	if len(q.readings) == 0 {
		return nil
	}
	type hit struct {
		score
		at int
	}
	var hits []hit
	b := all()
	for k := range b.units {
		u := &b.units[k]
		if len(levels) > 0 && !slices.Contains(levels, u.Level) {
			continue
		}
		if s, ok := q.score(b, u); ok {
			hits = append(hits, hit{s, k})
		}
	}
	slices.SortFunc(hits, func(x, y hit) int {
		u, v := &b.units[x.at], &b.units[y.at]
		return cmp.Or(
			cmp.Compare(x.rank, y.rank),
			before(x.marks, y.marks),
			before(x.kind, y.kind),
			cmp.Compare(y.within, x.within),
			before(u.InForce(), v.InForce()),
			cmp.Compare(v.ID.From, u.ID.From),
			cmp.Compare(x.at, y.at), // alphabetical
		)
	})
	var out []Match
	found := make(map[string]int) // where in out
	for _, h := range hits {
		u := &b.units[h.at]
		m := Match{u.Unit, CurrentOf(u.ID)}
		key := u.typed.kind + " " + u.typed.name
		for _, c := range m.Current {
			key += fmt.Sprint(" ", c.ID)
		}
		if k, ok := found[key]; !ok {
			found[key] = len(out)
			out = append(out, m)
		} else if u.ID.From > out[k].Unit.ID.From {
			out[k] = m // an older list was the better answer, as to "within"
		}
	}
	return out[:min(limit, len(out))]
}

func before(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

// typed is a unit's name as a search sees it.
type typed struct {
	kind   string // phuong
	name   string // phu xuan
	marked string // with marks, see marked
}

func typedOf(u Unit) typed {
	return typed{
		kind:   words(Fold(strings.TrimSuffix(u.FullName, u.Name))),
		name:   words(Fold(u.Name)),
		marked: marked(u.Name),
	}
}

// kinds are the words for kinds of units and how they are abbreviated.
var kinds = []struct{ typed, kind string }{
	{"phuong", "phuong"}, {"p", "phuong"},
	{"xa", "xa"}, {"x", "xa"},
	{"thi tran", "thi tran"}, {"tt", "thi tran"},
	{"quan", "quan"}, {"q", "quan"},
	{"huyen", "huyen"}, {"h", "huyen"},
	{"thi xa", "thi xa"}, {"tx", "thi xa"},
	{"thanh pho", "thanh pho"}, {"tp", "thanh pho"},
	{"tinh", "tinh"}, {"t", "tinh"},
}

// A query has the readings of a text. Two, if it begins like a kind of unit:
// "phường đúc" may be the ward Đúc or the ward Phường Đúc.
type query struct {
	readings []reading
	within   []reading // of the parts after commas
}

type reading struct {
	kind   string // empty if none was written
	name   string
	marked string // empty if the text has no marks
}

func queryOf(text string) query {
	name, rest, _ := strings.Cut(text, ",")
	q := query{readings: readingsOf(name)}
	for part := range strings.SplitSeq(rest, ",") {
		q.within = append(q.within, readingsOf(part)...)
	}
	return q
}

func readingsOf(text string) []reading {
	plain := words(Fold(text))
	if plain == "" {
		return nil
	}
	with := marked(text)
	if with == plain {
		with = ""
	}
	out := []reading{{"", plain, with}}
	for _, k := range kinds {
		if name, ok := strings.CutPrefix(plain, k.typed+" "); ok {
			out = append(out, reading{k.kind, name, dropWords(with, strings.Count(k.typed, " ")+1)})
		}
	}
	return out
}

func dropWords(s string, n int) string {
	for range n {
		_, s, _ = strings.Cut(s, " ")
	}
	return s
}

type score struct {
	rank        int // 0 exact, 1 prefix, 2 prefix of a word, 3 anywhere
	marks, kind bool
	within      int // 2 directly, 1 at one remove, 0 not or not asked
}

func (q query) score(b *book, u *entry) (best score, found bool) {
	for _, r := range q.readings {
		rank, ok := rankOf(u.typed.name, r.name)
		if !ok {
			continue
		}
		s := score{rank: rank, kind: r.kind == u.typed.kind}
		if r.marked != "" {
			_, s.marks = rankOf(u.typed.marked, r.marked)
		}
		if !found || s.rank < best.rank {
			best, found = s, true
		}
	}
	if found && len(q.within) > 0 {
		near := 2
		for k, ok := b.byID[u.Within]; ok; k, ok = b.byID[b.units[k].Within] {
			in := b.units[k].typed.name
			if slices.ContainsFunc(q.within, func(r reading) bool { return r.name == in }) {
				best.within = near
				break
			}
			near--
		}
	}
	return best, found
}

func rankOf(name, text string) (int, bool) {
	switch {
	case name == text:
		return 0, true
	case strings.HasPrefix(name, text):
		return 1, true
	case strings.Contains(name, " "+text):
		return 2, true
	case strings.Contains(name, text):
		return 3, true
	}
	return 0, false
}
