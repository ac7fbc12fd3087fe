package page

import (
	"strings"

	"github.com/qrgate/qrgate/server/area"
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
