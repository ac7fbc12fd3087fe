package trace

import (
	"context"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Rows is where check-ins are read: a store. It is safe for concurrent use.
type Rows interface {
	// CheckinsOf calls fn with every check-in of these subjects, one a day.
	CheckinsOf(ctx context.Context, subjects map[qrgate.Day]qrgate.Subject, fn func(*qrgate.Checkin) error) error
	// CheckinsAt calls fn with every check-in at a place that may have happened
	// between two moments (Unix milliseconds, both included), also those of
	// nobody. Their order is any. What fn is handed is valid until it returns.
	CheckinsAt(ctx context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error
}

// Persons opens what check-ins hold of people: a vault. It is safe for concurrent
// use. Its errors are the vault's.
type Persons interface {
	// Subject returns a person as the check-ins of day hold it.
	Subject(day qrgate.Day, p qrgate.Person) (qrgate.Subject, error)
	// Person returns who a subject is.
	Person(day qrgate.Day, s qrgate.Subject) (qrgate.Person, error)
	// Days returns the days that have a key, in order.
	Days() ([]qrgate.Day, error)
}

// An ID names one check-in for ever.
type ID struct {
	Epoch  wire.Epoch
	Seq    uint64
	Digest wire.Digest
}

// A Mark is when a check-in was by the kiosk's own count, which is zero where
// nothing counted. Of two marks of one boot it is known how far they are apart,
// whatever time it was.
type Mark struct {
	Boot  when.Boot
	Since int64 // milliseconds
}

// A Source is how it is known that somebody was at a place.
type Source uint8

// The sources. The numbers stand in cases.
const (
	FromKiosk Source = 1 // a pass held before a kiosk
	FromPhone Source = 2 // the visitor's own telephone, at a poster
	FromAPI   Source = 3 // another system, for its user
	FromPaper Source = 4 // a paper list, typed in later
)

// A Stay is a time that a person spent at a place, as far as it is known.
type Stay struct {
	Person qrgate.Person
	At     qrgate.Spot

	// The check-in and, if there was one, the check-out. The person came within
	// In and was gone within Out; both are Unix milliseconds.
	In, Out when.Interval
	// Inferred says that nobody saw the person leave: Out is what the kind of
	// place and its closing hour allow. NoEntry says that nobody saw them come.
	Inferred, NoEntry bool

	Entry, Exit ID // zero where there is none
	Came, Gone  Mark
	Kiosk       string
	Gate        string // through which the person came
	Left        string // gate through which the person went, if it is known
	Lane        uint8
	Source      Source
	Pass        pass.Kind
	Level       qrgate.Level
	Presence    wire.Presence
	Verdict     wire.Verdict
	With        uint64 // of a companion: number of the check-in that they came with
	Received    int64  // when the server learnt of the newest of the two
	Doubts      []Doubt
}

// A Doubt is why a check-in may be no true one. A stay with a doubt is left out
// of a trace unless an officer says otherwise.
type Doubt string

// The doubts.
const (
	ClosedHours Doubt = "closed_hours" // a crowd while the place was closed
	Impossible  Doubt = "impossible"   // nobody travels that fast
	Burst       Doubt = "burst"        // more people at one gate than can pass it
	Again       Doubt = "again"        // one card again and again
)

// A Profile says what counts as a contact in one disease.
type Profile struct {
	ID      string // "measles": its names are texts
	Days    int    // how far back a case is traced
	Minimum int64  // shortest overlap in milliseconds that counts
	After   int64  // how long after someone left the place still counts as shared, in milliseconds
	Approve bool   // a second officer approves before contacts are shown
}

// A Sureness is how sure it is that two people were at a place at once.
type Sureness uint8

// The sureness of a contact. The numbers stand in cases.
const (
	Possible Sureness = 1 // the bounds allow it
	Certain  Sureness = 2 // the bounds leave no other way
)

// A Contact is a person who shared places with somebody, and when.
type Contact struct {
	Person   qrgate.Person
	Sureness Sureness
	// Least and Most bound the time together, in milliseconds, over all places.
	Least, Most int64
	Shared      []Shared // the longest first
}

// Shared is one time that a contact shared a place.
type Shared struct {
	Of       int // which of the stays that were traced
	Stay     Stay
	Sureness Sureness
	// The time together lasted between Least and Most milliseconds, and lay
	// within Within.
	Least, Most int64
	Within      when.Interval
	SameGate    bool // both came through the same gate
}
