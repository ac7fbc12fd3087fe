package area

import (
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"github.com/qrgate/qrgate/server/qrgate"
)

//go:embed data
var files embed.FS

// A book is all that the files say about units.
type book struct {
	units []entry // in Vietnamese alphabetical order of Name
	byID  map[ID]int
}

type entry struct {
	Unit
	twin  bool // somewhere else a unit has, or had, the same full name
	parts set
	typed typed
}

// all reads the embedded files once. They are part of the program and tested
// with it, so what is wrong in them is a bug.
var all = sync.OnceValue(func() *book {
	b, err := read(files)
	if err != nil {
		panic(err)
	}
	return b
})

// read reads data/PROVINCE/DATE/*.csv.
func read(fsys fs.FS) (*book, error) {
	r := reader{fsys: fsys, units: make(map[ID]*entry)}
	provinces, err := fs.ReadDir(fsys, "data")
	if err != nil {
		return nil, fmt.Errorf("area: %w", err)
	}
	for _, p := range provinces {
		if !p.IsDir() {
			continue
		}
		if err := r.province(path.Join("data", p.Name())); err != nil {
			return nil, fmt.Errorf("area: %s: %w", p.Name(), err)
		}
	}
	return r.book(), nil
}

type reader struct {
	fsys  fs.FS
	units map[ID]*entry
	atoms int // communes of oldest lists so far
}

// province reads the lists of one province, oldest first.
func (r *reader) province(dir string) error {
	lists, err := fs.ReadDir(r.fsys, dir)
	if err != nil {
		return err
	}
	var (
		province *entry
		older    []*entry          // districts and communes of the list before
		became   map[string]string // code there to code here
	)
	for n, l := range lists {
		from, err := qrgate.ParseDay(l.Name())
		if err != nil {
			return err
		}
		list := path.Join(dir, l.Name())
		rows, err := r.rows(list + "/province.csv")
		if err != nil {
			return err
		}
		for _, row := range rows {
			next := r.add(row, Province, from, ID{})
			if province != nil {
				province.Until = from - 1
				link(province, next)
				next.parts = slices.Clone(province.parts)
			}
			province = next
		}
		if province == nil {
			return fmt.Errorf("%s: no province", l.Name())
		}

		var units []*entry
		rows, err = r.rows(list + "/districts.csv")
		if err != nil {
			return err
		}
		for _, row := range rows {
			units = append(units, r.add(row, District, from, province.ID))
		}
		communes, err := r.rows(list + "/communes.csv")
		if err != nil {
			return err
		}
		for _, row := range communes {
			in := province
			if code := row["district_code"]; code != "" {
				if in = r.units[ID{code, from}]; in == nil {
					return fmt.Errorf("%s: commune %s: no district %s", l.Name(), row["code"], code)
				}
			}
			u := r.add(row, Commune, from, in.ID)
			if n == 0 {
				u.parts.add(r.atoms)
				r.atoms++
			}
			units = append(units, u)
		}
		for _, old := range older {
			old.Until = from - 1
			if old.Level != Commune {
				continue
			}
			next := r.units[ID{became[old.ID.Code], from}]
			if next == nil {
				return fmt.Errorf("%s: commune %s has no successor", l.Name(), old.ID)
			}
			link(old, next)
			next.parts.join(old.parts)
			if d, e := r.units[old.Within], r.units[next.Within]; d.Level == District && e.Level == District {
				link(d, e)
			}
		}
		for _, u := range units {
			if u.Level == Commune {
				if len(u.parts) == 0 { // it would lie in every scope
					return fmt.Errorf("%s: commune %s came from nowhere", l.Name(), u.ID)
				}
				for in := r.units[u.Within]; in != nil; in = r.units[in.Within] {
					in.parts.join(u.parts)
				}
			}
		}

		rows, err = r.rows(list + "/successors.csv")
		if err != nil {
			return err
		}
		older, became = units, make(map[string]string)
		for _, row := range rows {
			became[row["old_code"]] = row["new_code"]
		}
	}
	return nil
}

func (r *reader) add(row map[string]string, level Level, from qrgate.Day, within ID) *entry {
	u := &entry{Unit: Unit{
		ID:         ID{row["code"], from},
		Level:      level,
		Name:       row["name"],
		FullName:   row["full_name"],
		FullNameEN: row["full_name_en"],
		Within:     within,
	}}
	r.units[u.ID] = u
	return u
}

func link(old, next *entry) {
	if !slices.Contains(old.Successors, next.ID) {
		old.Successors = append(old.Successors, next.ID)
		next.Predecessors = append(next.Predecessors, old.ID)
	}
}

// rows reads a table with a heading; a file that is left out has no rows.
func (r *reader) rows(name string) ([]map[string]string, error) {
	f, err := r.fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	table, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var out []map[string]string
	for _, line := range table[1:] {
		row := make(map[string]string, len(line))
		for k, name := range table[0] {
			row[name] = line[k]
		}
		out = append(out, row)
	}
	return out, nil
}

// book puts the units in alphabetical order.
func (r *reader) book() *book {
	c := collate.New(language.Vietnamese)
	order := slices.SortedFunc(maps.Values(r.units), func(u, v *entry) int {
		if n := c.CompareString(u.Name, v.Name); n != 0 {
			return n
		}
		if n := c.CompareString(u.FullName, v.FullName); n != 0 {
			return n
		}
		return strings.Compare(u.ID.String(), v.ID.String())
	})
	b := &book{byID: make(map[ID]int, len(order))}
	named := make(map[string][]int)
	for k, u := range order {
		u.typed = typedOf(u.Unit)
		b.units = append(b.units, *u)
		b.byID[u.ID] = k
		for _, other := range named[u.FullName] {
			if !u.parts.meets(b.units[other].parts) {
				b.units[other].twin, b.units[k].twin = true, true
			}
		}
		named[u.FullName] = append(named[u.FullName], k)
	}
	return b
}
