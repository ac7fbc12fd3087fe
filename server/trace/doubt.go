package trace

import (
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

// A Suspicion is a check-in that may be no true one, and why.
type Suspicion struct {
	ID     ID
	Doubt  Doubt
	Person qrgate.Person // 0 if the check-in names nobody
	At     qrgate.Spot
	When   when.Interval
	Kiosk  string
	Gate   string
	// Count is of a crowd or a burst how many check-ins it has, and of one card
	// how often it came.
	Count int
	// Of an impossible journey: the check-in at its other end, how far off that
	// is, and how much time there was for it at most.
	Other    ID
	OtherAt  qrgate.Spot
	Metres   int
	Duration int64 // milliseconds
}
