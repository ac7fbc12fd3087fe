package report

import (
	"sync"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
)

// lastDistricts is the last day on which there were districts.
var lastDistricts = func() qrgate.Day {
	d, err := qrgate.ParseDay("2025-06-30")
	if err != nil {
		panic(err)
	}
	return d
}()

// Districts returns the districts that there were last: offices still think in
// them.
func Districts() []area.Unit { return area.InForce(lastDistricts, area.District) }

// districtsOf is the districts of which each unit has a part.
var districtsOf = sync.OnceValue(func() map[string][]string {
	all := map[string][]string{}
	for _, d := range Districts() {
		for _, u := range area.CurrentOf(d.ID) {
			all[u.ID.String()] = append(all[u.ID.String()], d.ID.String())
		}
	}
	return all
})

// DistrictOf returns the district in which a place lay last, by the commune that
// was chosen for it and the one of today; empty where today's commune has parts of
// several and nothing says which.
func DistrictOf(chosen, now string) string {
	if id, err := area.ParseID(chosen); err == nil {
		u, ok := area.Lookup(id)
		for ok && u.Until > 0 && u.Until < lastDistricts && len(u.Successors) == 1 {
			u, ok = area.Lookup(u.Successors[0])
		}
		for ok && u.Level > area.District {
			u, ok = area.Lookup(u.Within)
		}
		if ok && u.Level == area.District && u.Until == lastDistricts {
			return u.ID.String()
		}
	}
	if of := districtsOf()[now]; len(of) == 1 {
		return of[0]
	}
	return ""
}
