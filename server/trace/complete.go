package trace

import "github.com/qrgate/qrgate/server/qrgate"

// Scans counts what was read of one kiosk at a place, in the windows of a trace.
type Scans struct {
	At       qrgate.Spot
	Kiosk    string
	Gate     string
	Source   Source
	Admitted int // with a person
	Unnamed  int // without
	Amber    int // let in although it could not be recorded
	Refused  int
	Unread   int // of the refused: no code that could be read
	Paper    int // of the admitted: typed in later from a paper list
}
