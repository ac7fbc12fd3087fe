package qrgate

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A Sector is a branch of public life whose places one department looks after.
// Departments merge: a sector that has ended names the one that went on with its
// places.
type Sector struct {
	ID           string
	Name         string // Vietnamese
	English      string
	Department   string
	DepartmentEN string
	From         time.Time
	Until        time.Time // its last day; zero if it goes on
	Successor    string
}

// A PlaceKind is what a place is to its visitors.
type PlaceKind struct {
	ID      string
	Name    string // Vietnamese
	English string
	Sector  string // that most of its kind belong to
	// StopsNobody says that nobody may be kept out for a fault of ours: patients
	// and passengers go in, recorded or not.
	StopsNobody bool
}

//go:embed data/sectors.csv
var sectorsFile string

//go:embed data/kinds.csv
var kindsFile string

// Sectors returns every sector that there ever was.
func Sectors() []Sector { return sectors() }

// SectorsOn returns the sectors that exist on the day of t.
func SectorsOn(t time.Time) []Sector {
	var now []Sector
	for _, s := range sectors() {
		if DayOf(t) >= DayOf(s.From) && (s.Until.IsZero() || DayOf(t) <= DayOf(s.Until)) {
			now = append(now, s)
		}
	}
	return now
}

// SectorNow returns the sector that looks after the places of the one with this
// id at t: itself, or who came after it.
func SectorNow(id string, t time.Time) (Sector, error) {
	for range len(sectors()) {
		s, err := FindSector(id)
		if err != nil {
			return Sector{}, err
		}
		if s.Until.IsZero() || DayOf(t) <= DayOf(s.Until) || s.Successor == "" {
			return s, nil
		}
		id = s.Successor
	}
	return Sector{}, fmt.Errorf("qrgate: sector %q follows itself: %w", id, ErrInvalid)
}

// SectorIDs returns the ids whose places the sector with this id looks after at
// t: its own and those of the sectors that it came after.
func SectorIDs(id string, t time.Time) []string {
	var ids []string
	for _, s := range sectors() {
		if now, err := SectorNow(s.ID, t); err == nil && now.ID == id || s.ID == id {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// FindSector returns the sector with this id.
func FindSector(id string) (Sector, error) {
	for _, s := range sectors() {
		if s.ID == id {
			return s, nil
		}
	}
	return Sector{}, fmt.Errorf("qrgate: sector %q: %w", id, ErrNotFound)
}

// PlaceKinds returns every kind of place.
func PlaceKinds() []PlaceKind { return kinds() }

// FindPlaceKind returns the kind of place with this id.
func FindPlaceKind(id string) (PlaceKind, error) {
	for _, k := range kinds() {
		if k.ID == id {
			return k, nil
		}
	}
	return PlaceKind{}, fmt.Errorf("qrgate: kind of place %q: %w", id, ErrNotFound)
}

var sectors = sync.OnceValue(func() []Sector {
	var all []Sector
	for _, f := range rowsOf(sectorsFile) {
		all = append(all, Sector{
			ID: f[0], Name: f[1], English: f[2], Department: f[3], DepartmentEN: f[4],
			From: dateOf(f[5]), Until: dateOf(f[6]), Successor: f[7],
		})
	}
	return all
})

var kinds = sync.OnceValue(func() []PlaceKind {
	var all []PlaceKind
	for _, f := range rowsOf(kindsFile) {
		all = append(all, PlaceKind{ID: f[0], Name: f[1], English: f[2], Sector: f[3], StopsNobody: f[4] == "yes"})
	}
	return all
})

// rowsOf reads an embedded file without its header. What is wrong with it is a
// bug that every test finds, so it panics.
func rowsOf(file string) [][]string {
	rows, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil {
		panic(err)
	}
	return rows[1:]
}

func dateOf(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.ParseInLocation(time.DateOnly, s, Zone)
	if err != nil {
		panic(err)
	}
	return t
}
