package wire

import "fmt"

// A Verdict is what the door decided.
type Verdict uint8

// The verdicts. The numbers travel on the wire and stand in the database.
const (
	Admitted   Verdict = 1 // let in and recorded
	Again      Verdict = 2 // already recorded a moment ago; let in
	Refused    Verdict = 3 // not let in
	Unrecorded Verdict = 4 // let in although it could not be recorded (amber), which is written once there is room
)

func (v Verdict) String() string {
	switch v {
	case Admitted:
		return "admitted"
	case Again:
		return "again"
	case Refused:
		return "refused"
	case Unrecorded:
		return "unrecorded"
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// A Reason says why a door decided as it did, or why the server set a record
// aside. Zero means that nothing needs a reason. The numbers travel on the wire
// and stand in the database; package words has a sentence for each.
type Reason uint8

// Reasons of the door: what was held up.
const (
	NoReason        Reason = 0
	ReasonUnknown   Reason = 1  // not a code that QRGate knows
	ReasonMalformed Reason = 2  // a known kind of code, damaged or altered
	ReasonSignature Reason = 3  // own card whose signature does not verify
	ReasonKey       Reason = 4  // own card signed with a key that this kiosk does not hold
	ReasonNotYet    Reason = 5  // validity has not begun
	ReasonExpired   Reason = 6  // validity has ended
	ReasonRevoked   Reason = 7  // card was reported lost or was replaced
	ReasonPoster    Reason = 8  // the place's own poster, not a person's code
	ReasonKind      Reason = 9  // a code that QRGate knows but does not accept (SMART Health Card, Wi-Fi)
	ReasonStaleList Reason = 10 // the revocation list is older than the place allows
)

// Reasons of the door: the door's own rules and state.
const (
	ReasonFull      Reason = 20 // the place has reached its capacity
	ReasonWrongLane Reason = 21 // an entry card at an exit lane or the reverse
	ReasonEvent     Reason = 22 // not invited to the event at this door
	ReasonDisk      Reason = 23 // could not be recorded: storage fault
	ReasonSpace     Reason = 24 // could not be recorded: storage full
	ReasonLocked    Reason = 25 // the kiosk was revoked by the server
	ReasonTries     Reason = 26 // too many wrong tries of typed codes
	ReasonUsed      Reason = 27 // an event pass that has come in already
	ReasonKiosk     Reason = 28 // an order for another kiosk
	ReasonOrder     Reason = 29 // an order that this kiosk cannot follow, here or now
	ReasonRepeated  Reason = 30 // an order that was followed before
)

// Reasons of the server for a record that it sets aside (a dead letter).
const (
	ReasonVersion  Reason = 40 // written in a version that the server does not speak
	ReasonSealKey  Reason = 41 // sealed to a key that the server does not hold
	ReasonSeal     Reason = 42 // the sealed box does not open
	ReasonRecord   Reason = 43 // the record does not decode or contradicts itself
	ReasonTooLate  Reason = 44 // the day is past its retention; counted and dropped
	ReasonConflict Reason = 45 // another record is known under this sequence number
)

var reasonNames = map[Reason]string{
	NoReason: "none", ReasonUnknown: "unknown", ReasonMalformed: "malformed",
	ReasonSignature: "signature", ReasonKey: "key", ReasonNotYet: "not_yet",
	ReasonExpired: "expired", ReasonRevoked: "revoked", ReasonPoster: "poster",
	ReasonKind: "kind", ReasonStaleList: "stale_list", ReasonFull: "full",
	ReasonWrongLane: "wrong_lane", ReasonEvent: "event", ReasonDisk: "disk",
	ReasonSpace: "space", ReasonLocked: "locked", ReasonTries: "tries", ReasonUsed: "used",
	ReasonKiosk: "kiosk", ReasonOrder: "order", ReasonRepeated: "repeated",
	ReasonVersion: "version", ReasonSealKey: "seal_key", ReasonSeal: "seal",
	ReasonRecord: "record", ReasonTooLate: "too_late", ReasonConflict: "conflict",
}

// String returns the reason's stable name, as metrics and catalogues use it.
func (r Reason) String() string {
	if s, ok := reasonNames[r]; ok {
		return s
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Reasons returns every known reason but NoReason, in ascending order.
func Reasons() []Reason {
	var all []Reason
	for r := Reason(1); r != 0; r++ {
		if _, ok := reasonNames[r]; ok {
			all = append(all, r)
		}
	}
	return all
}
