package qrgate

import "fmt"

// A Level says how sure it is that a check-in's person is who they are said to
// be. The numbers stand in the database.
type Level uint8

// The levels. A code that was read at a door has none: its kind says it.
const (
	NoLevel   Level = 0
	Stated    Level = 1 // typed by the visitor, and asked no further
	Contacted Level = 2 // the telephone number was confirmed
	Checked   Level = 3 // signed in, with an identity that somebody has verified
)

// Levels returns every level in order of sureness.
func Levels() []Level { return []Level{NoLevel, Stated, Contacted, Checked} }

// String returns the level's stable name, as catalogues use it.
func (l Level) String() string {
	switch l {
	case NoLevel:
		return "none"
	case Stated:
		return "stated"
	case Contacted:
		return "contacted"
	case Checked:
		return "checked"
	}
	return fmt.Sprintf("level %d", uint8(l))
}
