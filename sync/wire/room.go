package wire

import "github.com/qrgate/qrgate/sync/quota"

// Limits of what a beat and its answer say of the people inside.
const (
	MaxHeldEvents = 16
	MaxCounts     = 48
)

// From how many of a hundred of its limit on a place is nearly full, if nobody has said,
// and at least.
const (
	DefaultNear = 90
	LeastNear   = 50
)

// A Scope is whom a count is of: the people at the place, at an event, or of one of an
// event's categories.
type Scope struct {
	_        struct{} `cbor:",toarray"`
	Event    uint32   // 0 is the place
	Category uint8    // 0 is all
}

// A RoomBeat is what a kiosk says of the people whom it has counted, and which events
// it holds, and so what it asks for. A kiosk sends the same again until the server
// answers.
type RoomBeat struct {
	Events []EventBeat `cbor:"1,keyasint,omitempty"`
	Counts []CountBeat `cbor:"2,keyasint,omitempty"`

	Inside *InsideBeat `cbor:"3,keyasint,omitempty"` // nil while it is not known
}

// An InsideBeat is what a kiosk shows of the people inside the place.
type InsideBeat struct {
	_     struct{} `cbor:",toarray"`
	Least int64
	Most  int64
	Limit int64 // 0 is none
	Near  uint8 // from so many of a hundred of it on the place is nearly full
	Cut   bool  // the kiosk does not hear of all others now
}

// An EventBeat is an event that a kiosk holds.
type EventBeat struct {
	_     struct{} `cbor:",toarray"`
	No    uint32
	Stamp Stamp
}

// A CountBeat is what a kiosk has counted in one scope. A new period begins with
// nobody inside; of the place it is a day, of an event its whole time.
type CountBeat struct {
	_      struct{} `cbor:",toarray"`
	Scope  Scope
	Period int64
	Count  quota.Count
}

// A GrantAnswer is what the server answers to a [CountBeat] where there is a limit.
type GrantAnswer struct {
	_      struct{} `cbor:",toarray"`
	Scope  Scope
	Period int64
	Grant  quota.Grant
}
