package trace

import (
	"context"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Places is what is known of places: a register.
type Places interface {
	// Venues returns what is known of these places. Those of which nothing is
	// known are left out.
	Venues(ctx context.Context, spots []qrgate.Spot) (map[qrgate.Spot]Venue, error)
}

// A Venue is a place as far as it bounds how long people stay. Its zero value is
// a place of which nothing is known.
type Venue struct {
	Dwell Dwell
	Hours []qrgate.Hours // as they are now; none if nobody has said
	At    *qrgate.Point  // nil if nobody has said
}

// A Dwell is how long people stay at a kind of place.
type Dwell struct {
	// Unseen is how long at most somebody stays whom nobody saw leave, or come.
	Unseen time.Duration
	// Longest is how far a check-in and a check-out may lie apart and still be
	// of one stay.
	Longest time.Duration
	// Overnight says that people stay while the place is closed.
	Overnight bool
}

// VenueOf returns what bounds the stays at a registered place.
func VenueOf(p *qrgate.Place) Venue {
	return Venue{Dwell: DwellOf(p.Kind), Hours: p.Hours, At: p.At}
}

const night = 24 * time.Hour

// These bound, they do not guess: a stay that lasts longer than Unseen and has no
// check-out is cut short. Whoever works somewhere is bounded by workday instead.
var dwells = map[string]Dwell{
	"market":          {4 * time.Hour, 16 * time.Hour, false},
	"shopping":        {5 * time.Hour, 16 * time.Hour, false},
	"shop":            {2 * time.Hour, 14 * time.Hour, false},
	"household":       {2 * time.Hour, 14 * time.Hour, false},
	"factory":         {12 * time.Hour, night, true},
	"restaurant":      {4 * time.Hour, 16 * time.Hour, false},
	"hospital":        {7 * night, 30 * night, true},
	"clinic":          {6 * time.Hour, night, false},
	"pharmacy":        {time.Hour, 14 * time.Hour, false},
	"school":          {12 * time.Hour, night, false},
	"kindergarten":    {12 * time.Hour, night, false},
	"campus":          {14 * time.Hour, night, true},
	"lodging":         {3 * night, 30 * night, true},
	"attraction":      {5 * time.Hour, 14 * time.Hour, false},
	"bus_station":     {4 * time.Hour, night, false},
	"railway_station": {6 * time.Hour, night, false},
	"port":            {6 * time.Hour, night, false},
	"airport":         {8 * time.Hour, night, true},
	"office":          {12 * time.Hour, night, false},
	"commune_office":  {4 * time.Hour, 14 * time.Hour, false},
	"worship":         {5 * time.Hour, night, false},
	"event_venue":     {7 * time.Hour, night, false},
	"sport":           {5 * time.Hour, 14 * time.Hour, false},
}

var anyDwell = Dwell{8 * time.Hour, night, false}

// Whoever has a staff card works there: how long at most unseen, and how far
// apart check-in and check-out of one shift lie, also where others sleep.
const (
	workday = 14 * time.Hour
	shift   = 30 * time.Hour
)

// DwellOf returns how long people stay at a kind of place, by a
// [qrgate.PlaceKind]'s id. Of a kind that it does not know it assumes what fits
// most.
func DwellOf(kind string) Dwell {
	if d, ok := dwells[kind]; ok {
		return d
	}
	return anyDwell
}
