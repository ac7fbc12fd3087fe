package wire

import "time"

// A Passage says how many people passed a lane in a part of an hour, as a beam, a
// turnstile or a guard's key has counted them, and how many check-ins the kiosk recorded
// there meanwhile. It names nobody.
type Passage struct {
	Took    int64  `cbor:"1,keyasint"`           // milliseconds until the header's time
	People  uint32 `cbor:"2,keyasint,omitempty"` // the way the lane goes, or either way if nothing tells
	Against uint32 `cbor:"3,keyasint,omitempty"` // the other way, where something tells
	Scans   uint32 `cbor:"4,keyasint,omitempty"` // who were recorded, with those whom they brought
	Shut    uint32 `cbor:"5,keyasint,omitempty"` // decisions that opened the door, which nobody then went through, as its contact says
}

// MaxPassage is the longest time of one [Passage], and the most that it counts of
// anything: more than any lane lets through.
const (
	MaxPassageTime = 25 * time.Hour
	MaxPassage     = 1 << 20
)

// Sound reports whether p says what can be.
func (p *Passage) Sound() bool {
	return p.Took >= 0 && p.Took <= MaxPassageTime.Milliseconds() && max(p.People, p.Against, p.Scans, p.Shut) <= MaxPassage
}

// LatelyTime is how much of what passed a [PassageBeat] tells of.
const LatelyTime = 30 * time.Minute

// A PassageBeat is what counts people says since the program's start, and of the last
// [LatelyTime] or as much of it as there was.
type PassageBeat struct {
	People  uint64 `cbor:"1,keyasint,omitempty"`
	Against uint64 `cbor:"2,keyasint,omitempty"`
	Scans   uint64 `cbor:"3,keyasint,omitempty"`

	For         int64  `cbor:"4,keyasint,omitempty"` // milliseconds
	Lately      uint32 `cbor:"5,keyasint,omitempty"`
	LatelyScans uint32 `cbor:"6,keyasint,omitempty"`
	Broken      bool   `cbor:"7,keyasint,omitempty"` // what counts cannot be read now
	Shut        uint64 `cbor:"9,keyasint,omitempty"` // since start
	Last        int64  `cbor:"8,keyasint,omitempty"` // when somebody last passed, in Unix milliseconds as the kiosk believes
}
