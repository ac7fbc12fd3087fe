package page

import (
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// Address returns where a place is, as it is written on letters: the street and
// the units of today.
func Address(p *qrgate.Place) string {
	var parts []string
	if p.Street != "" {
		parts = append(parts, p.Street)
	}
	if id, err := area.ParseID(p.AreaNow); err == nil {
		for unit, ok := area.Lookup(id); ok; unit, ok = area.Lookup(unit.Within) {
			parts = append(parts, unit.FullName)
		}
	}
	return strings.Join(parts, ", ")
}

// SectorName returns what a sector is called.
func SectorName(lang text.Lang, id string) string {
	s, err := qrgate.FindSector(id)
	switch {
	case err != nil:
		return id
	case lang == text.English:
		return s.English
	}
	return s.Name
}

// AreaName returns what an area is called, in full.
func AreaName(lang text.Lang, id string) string {
	u, ok := unitOf(id)
	switch {
	case !ok:
		return id
	case lang == text.English:
		return u.FullNameEN
	}
	return u.FullName
}
