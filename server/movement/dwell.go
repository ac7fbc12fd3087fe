package movement

import "time"

// stays are how long people usually stay where nobody saw them leave. Package
// trace has other figures for it: its are bounds that nobody exceeds, and a crowd
// counted by them would be of people who have long gone home.
var stays = map[string]time.Duration{
	"market":          45 * time.Minute,
	"shopping":        75 * time.Minute,
	"shop":            20 * time.Minute,
	"household":       20 * time.Minute,
	"factory":         8 * time.Hour,
	"restaurant":      time.Hour,
	"hospital":        4 * time.Hour,
	"clinic":          75 * time.Minute,
	"pharmacy":        15 * time.Minute,
	"school":          7 * time.Hour,
	"kindergarten":    8 * time.Hour,
	"campus":          5 * time.Hour,
	"lodging":         10 * time.Hour,
	"attraction":      90 * time.Minute,
	"bus_station":     45 * time.Minute,
	"railway_station": time.Hour,
	"port":            time.Hour,
	"airport":         90 * time.Minute,
	"office":          3 * time.Hour,
	"commune_office":  time.Hour,
	"worship":         75 * time.Minute,
	"event_venue":     3 * time.Hour,
	"sport":           90 * time.Minute,
}

// Stay returns how long people usually stay at a kind of place, by a
// qrgate.PlaceKind's id.
func Stay(kind string) time.Duration {
	if d, ok := stays[kind]; ok {
		return d
	}
	return 90 * time.Minute
}
