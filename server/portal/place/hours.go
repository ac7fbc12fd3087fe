package place

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// dayMinutes is how many minutes a day has.
const dayMinutes = 24 * 60

// week is the days as Vietnamese count them: the week begins on Monday and ends
// with chủ nhật.
var week = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday}

// dayNames are the days of [week] as sheets write them.
var dayNames = []string{"T2", "T3", "T4", "T5", "T6", "T7", "CN"}

// writeHours writes opening hours as readHours reads them: "T2-T6 07:00-17:00;
// T7,CN cả ngày". What stands for every day and for all day depends on the
// language.
func writeHours(lang text.Lang, all []qrgate.Hours) string {
	var parts []string
	for _, h := range all {
		at := clock(h.Open) + "-" + clock(h.Close)
		if h.Open == h.Close {
			at = text.Of(lang, "place.all_day")
		}
		parts = append(parts, writeDays(lang, h.Days)+" "+at)
	}
	return strings.Join(parts, "; ")
}

func writeDays(lang text.Lang, days qrgate.Weekdays) string {
	if days == qrgate.EveryDay {
		return text.Of(lang, "place.every_day")
	}
	name := func(i int) string {
		if lang == text.English {
			return week[i].String()[:3]
		}
		return dayNames[i]
	}
	var parts []string
	for i := 0; i < len(week); i++ {
		if !days.Has(week[i]) {
			continue
		}
		from := i
		for i+1 < len(week) && days.Has(week[i+1]) {
			i++
		}
		switch i - from {
		case 0:
			parts = append(parts, name(from))
		case 1:
			parts = append(parts, name(from), name(i))
		default:
			parts = append(parts, name(from)+"-"+name(i))
		}
	}
	return strings.Join(parts, ",")
}

// readHours reads opening hours as people write them into a cell. Text without
// days means every day.
func readHours(s string) ([]qrgate.Hours, error) {
	folded := area.Fold(s)
	for _, words := range [][2]string{{"chu nhat", "cn"}, {"thu ", "t"}, {"hang ngay", ""}, {"moi ngay", ""}, {"every day", ""}, {"ca ngay", "00:00-00:00"}, {"all day", "00:00-00:00"}, {"–", "-"}, {" - ", "-"}, {", ", ","}} {
		folded = strings.ReplaceAll(folded, words[0], words[1])
	}
	var all []qrgate.Hours
	for part := range strings.SplitSeq(folded, ";") {
		h := qrgate.Hours{Days: qrgate.EveryDay}
		switch words := strings.Fields(part); len(words) {
		case 0:
			continue
		case 2:
			days, ok := readDays(words[0])
			if !ok {
				return nil, fmt.Errorf("days %q: %w", words[0], qrgate.ErrInvalid)
			}
			h.Days, part = days, words[1]
		case 1:
			part = words[0]
		default:
			return nil, fmt.Errorf("opening hours %q: %w", part, qrgate.ErrInvalid)
		}
		open, shut, ok := strings.Cut(part, "-")
		if !ok {
			return nil, fmt.Errorf("opening hours %q: %w", part, qrgate.ErrInvalid)
		}
		var okOpen, okClose bool
		h.Open, okOpen = readClock(open)
		h.Close, okClose = readClock(shut)
		if !okOpen || !okClose || len(all) == maxHours {
			return nil, fmt.Errorf("opening hours %q: %w", part, qrgate.ErrInvalid)
		}
		all = append(all, h)
	}
	return all, nil
}

// maxHours is how many lines of opening hours a place has.
const maxHours = 4

func readDays(s string) (days qrgate.Weekdays, ok bool) {
	index := func(s string) int {
		for i, name := range dayNames {
			if strings.EqualFold(name, s) || strings.EqualFold(week[i].String()[:3], s) {
				return i
			}
		}
		return -1
	}
	for part := range strings.SplitSeq(s, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, to := index(first), index(last)
		if from < 0 || to < from {
			return 0, false
		}
		for i := from; i <= to; i++ {
			days |= 1 << week[i]
		}
	}
	return days, days != 0
}

// readClock reads a time of day in minutes: 07:30, 7h30, 7h, 24:00.
func readClock(s string) (minutes int, ok bool) {
	hour, minute, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(s), "h", ":"), ":")
	h, err := strconv.ParseUint(hour, 10, 8)
	if err != nil {
		return 0, false
	}
	m := uint64(0)
	if minute != "" {
		if m, err = strconv.ParseUint(minute, 10, 8); err != nil {
			return 0, false
		}
	}
	if h > 24 || m > 59 || h == 24 && m > 0 {
		return 0, false
	}
	return int(h*60+m) % dayMinutes, true
}

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }
