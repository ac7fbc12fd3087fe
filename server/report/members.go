package report

// FewestMembers is the smallest number of an association's members of whom
// anything is told together: of fewer, each knows the others' part.
const FewestMembers = 3

// Together leaves of some figures what is of at least [FewestMembers] members, as
// owner says whose each place is. Places of fewer in a sector are counted without
// it, in a commune without that; cells of fewer are withheld, and rest is how many
// they are.
func Together(s Survey, cells []Cell, owner func(place uint32) string) (kept Survey, shown []Cell, rest int) {
	type cell struct{ sector, kind, area string }
	sectors, areas, owners := map[string]map[string]bool{}, map[string]map[string]bool{}, map[cell]map[string]bool{}
	for i := range s.Places {
		f := &s.Places[i]
		note(sectors, f.Sector, owner(f.Place))
		note(areas, f.Area, owner(f.Place))
		note(owners, cell{f.Sector, f.Kind, f.Area}, owner(f.Place))
	}
	kept = Survey{Moments: s.Moments}
	for _, f := range s.Places {
		if len(sectors[f.Sector]) < FewestMembers {
			f.Sector = ""
		}
		if len(areas[f.Area]) < FewestMembers {
			f.Area, f.District = "", ""
		}
		kept.Places = append(kept.Places, f)
	}
	for _, c := range cells {
		if len(owners[cell{c.Sector, c.Kind, c.Area}]) < FewestMembers {
			rest++
			c.People, c.Withheld = 0, true
		}
		shown = append(shown, c)
	}
	return kept, shown, rest
}

func note[K comparable](all map[K]map[string]bool, key K, owner string) {
	if all[key] == nil {
		all[key] = map[string]bool{}
	}
	all[key][owner] = true
}
