package cases

import (
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

// Times are Unix milliseconds.
const (
	minute = int64(time.Minute / time.Millisecond)
	hour   = 60 * minute
	day    = 24 * hour
)

func moment(ms int64) time.Time { return time.UnixMilli(ms).In(qrgate.Zone) }

func clock(ms int64) string { return moment(ms).Format("15:04") }

// date is a day as it is said within a year: 20/11.
func date(ms int64) string { return moment(ms).Format("02/01") }

// sayWhen tells an interval in plain words: one moment if it is no wider than a
// minute of the clock, else its bounds, with their days where they differ from
// the day on, which the reader knows already.
func sayWhen(v *page.View, in when.Interval, on qrgate.Day) string {
	from, to := qrgate.DayOfMilli(in.Earliest), qrgate.DayOfMilli(in.Latest)
	say := func(ms int64, d qrgate.Day) string {
		if d == on && from == to {
			return clock(ms)
		}
		return v.T("cases.clock.day", "clock", clock(ms), "day", date(ms))
	}
	if from == to && clock(in.Earliest) == clock(in.Latest) {
		return v.T("cases.at", "at", say(in.Earliest, from))
	}
	return v.T("cases.between", "from", say(in.Earliest, from), "to", say(in.Latest, to))
}

// sayLong tells a length of time in hours and minutes.
func sayLong(v *page.View, ms int64) string {
	switch minutes := ms / minute; {
	case minutes < 1:
		return v.T("cases.long.none")
	case minutes < 60:
		return v.T("cases.long.minutes", "n", minutes)
	case minutes%60 == 0:
		return v.T("cases.long.hours", "n", minutes/60)
	default:
		return v.T("cases.long.both", "hours", minutes/60, "minutes", minutes%60)
	}
}

// sayBounds tells how long something lasted at least and at most.
func sayBounds(v *page.View, least, most int64) string {
	switch {
	case least/minute == most/minute:
		return sayLong(v, least)
	case least < minute:
		return v.T("cases.long.most", "most", sayLong(v, most))
	}
	return v.T("cases.long.bounds", "least", sayLong(v, least), "most", sayLong(v, most))
}

// sayAgo tells since when something has been, in the largest unit that is not 0.
func sayAgo(v *page.View, ms int64) string {
	if ms >= day {
		return v.T("cases.long.days", "n", ms/day)
	}
	return sayLong(v, ms)
}

// sayShare tells so many of all in per cent.
func sayShare(v *page.View, n, all int) string {
	if n > 0 && n*100 < all {
		return v.T("cases.share.small")
	}
	return v.T("cases.share", "n", n*100/max(all, 1))
}

// sayStamp is a moment with its day and year.
func sayStamp(ms int64) string { return moment(ms).Format("15:04 02/01/2006") }

func dayOf(d qrgate.Day) string { return d.Start().Format("02/01/2006") }

// weekday is the day as people say it: Thứ Sáu 20/11.
func weekday(v *page.View, d qrgate.Day) string {
	t := d.Start()
	return v.T("cases.weekday."+strconv.Itoa(int(t.Weekday()))) + " " + t.Format("02/01")
}

// sayDate is weekday with its year, for files that outlast it.
func sayDate(v *page.View, d qrgate.Day) string {
	t := d.Start()
	return v.T("cases.weekday."+strconv.Itoa(int(t.Weekday()))) + " " + t.Format("02/01/2006")
}

// shortDay is weekday where there is little room: T6 20/11.
func shortDay(v *page.View, d qrgate.Day) string {
	t := d.Start()
	return v.T("cases.day."+strconv.Itoa(int(t.Weekday()))) + " " + t.Format("02/01")
}
