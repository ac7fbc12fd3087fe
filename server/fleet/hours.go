package fleet

import (
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// OpenFor returns for how long a place has been open at now, and false while it is
// closed. A place of which nobody has said when it is open always is.
func OpenFor(hours []qrgate.Hours, now time.Time) (time.Duration, bool) {
	if len(hours) == 0 {
		return always, true
	}
	now = now.In(qrgate.Zone)
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, qrgate.Zone)
	longest, open := time.Duration(0), false
	for _, h := range hours {
		long := h.Close - h.Open
		if long <= 0 {
			long += 24 * 60
		}
		// Hours that began yesterday may go on past midnight.
		for back := range 2 {
			day := midnight.AddDate(0, 0, -back)
			if !h.Days.Has(day.Weekday()) {
				continue
			}
			from := day.Add(time.Duration(h.Open) * time.Minute)
			if now.Before(from) || !now.Before(from.Add(time.Duration(long)*time.Minute)) {
				continue
			}
			since := now.Sub(from)
			if h.Open == h.Close {
				since = always // all day, and so was the day before, or nearly
			}
			longest, open = max(longest, since), true
		}
	}
	return longest, open
}

// always is longer than any rule asks for.
const always = 7 * 24 * time.Hour
