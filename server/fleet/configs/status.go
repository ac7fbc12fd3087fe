package configs

import "github.com/qrgate/qrgate/sync/wire"

// A Status is how far a kiosk is with its configuration.
type Status string

// The statuses.
const (
	StatusNone    Status = "none"    // there is no document for it
	StatusUnknown Status = "unknown" // it has not said
	StatusRunning Status = "running" // it runs with the newest
	StatusTrial   Status = "trial"   // it has the newest, and tries its link settings
	StatusRefused Status = "refused" // it has refused the newest
	StatusWaiting Status = "waiting" // it does not have the newest yet
)

// StatusOf returns the status of a kiosk whose newest document has a stamp, of
// version 0 if it has none, and that has last told b, nil if it never did.
func StatusOf(newest wire.Stamp, b *wire.ConfigBeat) Status {
	switch {
	case newest.Version == 0:
		return StatusNone
	case b == nil:
		return StatusUnknown
	case b.Running == newest:
		return StatusRunning
	case b.Refused == newest:
		return StatusRefused
	case b.Wanted == newest:
		return StatusTrial
	}
	return StatusWaiting
}

// Statuses returns every status, those that somebody has to look at first.
func Statuses() []Status {
	return []Status{StatusRefused, StatusNone, StatusTrial, StatusWaiting, StatusUnknown, StatusRunning}
}
