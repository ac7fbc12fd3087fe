package page

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/server/area"
)

// MaxFound is how many communes are offered to choose from.
const MaxFound = 8

// FindCommune returns the commune that typed names, or, if several have that
// name, those. before is the id of the one that was found when typed was the
// same, picked that of one from the list; either may be anything else.
func FindCommune(typed, before, picked string) (*area.Unit, []area.Match) {
	folded, exact := area.Fold(typed), norm.NFC.String(strings.TrimSpace(typed))
	same := func(u area.Unit) bool {
		return folded == area.Fold(u.FullName) || folded == area.Fold(u.Label()) || folded == area.Fold(u.Name)
	}
	if u, ok := unitOf(before); ok && picked == "" && u.Level == area.Commune && same(u) {
		return &u, nil
	}
	found := area.Search(typed, MaxFound, area.Commune)
	var alike []area.Unit
	for _, m := range found {
		switch u := m.Unit; {
		case u.ID.String() == picked, picked == "" && u.InForce() && u.FullName == exact:
			return &u, nil
		case same(u):
			alike = append(alike, u)
		}
	}
	switch {
	case len(alike) == 1:
		return &alike[0], nil
	case len(found) == 1:
		return &found[0].Unit, nil
	}
	return nil, found
}

func unitOf(id string) (area.Unit, bool) {
	parsed, err := area.ParseID(id)
	if err != nil {
		return area.Unit{}, false
	}
	return area.Lookup(parsed)
}
