package fleet

import (
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Thresholds are what a kind of place bears. Of a pair the first is where an alarm
// begins and the second where it ends.
type Thresholds struct {
	Silent      time.Duration    // without a beat
	Backlog     [2]time.Duration // age of the oldest record without a receipt
	Records     [2]uint64        // without a receipt
	Clock       [2]int64         // bound on its error, or what it was behind, in milliseconds
	Outbox      [2]int64         // used, of a thousand
	Disk        [2]int64         // free, of a thousand
	Temperature [2]int64         // thousandths of a degree Celsius
	Unreadable  [2]int64         // of a hundred frames
	Idle        time.Duration    // without a scan where there are some as a rule
	Passers     int64            // so many have passed lately that some should have scanned
	Scanning    [2]int64         // of a hundred who passed
	Certificate time.Duration    // before its end
}

var ordinary = Thresholds{
	Silent:      5 * time.Minute,
	Backlog:     [2]time.Duration{30 * time.Minute, 5 * time.Minute},
	Records:     [2]uint64{5_000, 1_000},
	Clock:       [2]int64{60_000, 10_000},
	Outbox:      [2]int64{800, 700},
	Disk:        [2]int64{50, 80},
	Temperature: [2]int64{80_000, 75_000},
	Unreadable:  [2]int64{50, 30},
	Idle:        2 * time.Hour,
	Passers:     20,
	Scanning:    [2]int64{5, 15},
	Certificate: 21 * 24 * time.Hour,
}

// For returns the thresholds of a kind of place. Where nobody may be kept out, and
// crowds come, hospitals and stations, a kiosk that is gone is missed sooner; a
// shop pulls a plug now and then.
func For(kind string) Thresholds {
	t := ordinary
	k, err := qrgate.FindPlaceKind(kind)
	switch {
	case err != nil:
	case k.StopsNobody && kind != "pharmacy":
		t.Passers = 30
		t.Silent, t.Backlog, t.Idle = 2*time.Minute+30*time.Second, [2]time.Duration{10 * time.Minute, 2 * time.Minute}, time.Hour
	case kind == "shop", kind == "household", kind == "restaurant", kind == "pharmacy":
		t.Passers = 10
		t.Silent, t.Backlog, t.Idle = 15*time.Minute, [2]time.Duration{time.Hour, 10 * time.Minute}, 4*time.Hour
	}
	return t
}
