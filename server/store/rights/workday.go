package rights

import (
	_ "embed"
	"encoding/csv"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// holidaysFile holds the days on which offices are closed, besides weekends, as
// far as it is sure that they will be: a day too few makes a deadline earlier,
// never later. It is to be completed each autumn, when the Tết holidays of the
// next year are announced.
//
//go:embed data/holidays.csv
var holidaysFile string

var holidays = sync.OnceValue(func() map[qrgate.Day]bool {
	rows, err := csv.NewReader(strings.NewReader(holidaysFile)).ReadAll()
	if err != nil {
		panic(err) // a bug that every test finds
	}
	all := map[qrgate.Day]bool{}
	for _, row := range rows[1:] {
		day, err := qrgate.ParseDay(row[0])
		if err != nil {
			panic(err)
		}
		all[day] = true
	}
	return all
})

// Workday reports whether offices are open on a day.
func Workday(d qrgate.Day) bool {
	w := d.Start().Weekday()
	return w != time.Saturday && w != time.Sunday && !holidays()[d]
}

// HolidaysUntil returns the last day of the years whose holidays are known.
func HolidaysUntil() qrgate.Day {
	last := qrgate.Day(0)
	for d := range holidays() {
		last = max(last, d)
	}
	return qrgate.DayOf(time.Date(last.Start().Year(), 12, 31, 0, 0, 0, 0, qrgate.Zone))
}

// What the law allows: a request is answered within answerWorkdays days on which
// offices are open, and what it asks for is done within fulfilDays days, whichever.
const (
	answerWorkdays = 2
	fulfilDays     = 15
)

// Deadlines returns the last moments at which a request that came at a time may be
// answered and fulfilled. The day on which it came does not count.
func Deadlines(received time.Time) (answer, fulfil time.Time) {
	d := qrgate.DayOf(received)
	fulfil = (d + fulfilDays + 1).Start().Add(-time.Millisecond)
	for n := 0; n < answerWorkdays; {
		if d++; Workday(d) {
			n++
		}
	}
	return (d + 1).Start().Add(-time.Millisecond), fulfil
}
