package qrgate

import "time"

// A Place is somewhere with doors at which people check in: one poster, any
// number of kiosks. Its number stands in the poster's code and never means
// another place.
type Place struct {
	No           uint32
	Organisation string
	Name         string
	Sector       string // id of a [Sector]
	Kind         string // id of a [PlaceKind]
	Area         string // id of the commune as it was chosen, as package area writes it
	AreaNow      string // id of the commune that it is in today
	Street       string // house number, street, hamlet
	At           *Point // nil if nobody has said
	Person       string // in charge
	Phones       []string
	Email        string
	Capacity     int // 0 if nobody has said
	Hours        []Hours
	Doors        int
	Version      int // rises with each change; an edit of an older one is refused
	Poster       int // version of the latest poster, 0 if none was made
	Created      time.Time
	Changed      time.Time
	Deleted      time.Time // zero unless it was deleted
}

// A Spot is where a check-in happened: the number of a registered place or, of a
// kiosk that stands at none, what its operator called the place.
type Spot struct {
	No   uint32
	Name string // empty where No is not 0
}

// UndoFor is how long a deleted place may be taken back.
const UndoFor = 30 * 24 * time.Hour

// A Point is a position in degrees, WGS 84.
type Point struct{ Lat, Lon float64 }

// Hours is when a place is open on some days of the week: from Open to Close in
// minutes of the day, past midnight if Close is not after Open; equal means all
// day.
type Hours struct {
	Days        Weekdays
	Open, Close int
}

// Weekdays is a set of days, bit n for time.Weekday n.
type Weekdays uint8

// EveryDay holds all seven.
const EveryDay Weekdays = 1<<7 - 1

// Has reports whether d is in the set.
func (w Weekdays) Has(d time.Weekday) bool { return w>>d&1 == 1 }
