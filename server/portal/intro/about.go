package intro

import (
	"fmt"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// kindName returns what a place is, or "" if nobody knows that kind any more.
func kindName(lang text.Lang, id string) string {
	k, err := qrgate.FindPlaceKind(id)
	switch {
	case err != nil:
		return ""
	case lang == text.English:
		return k.English
	}
	return k.Name
}

// openHours are some days of the week and when a place is open on them.
type openHours struct{ Days, Times string }

func hoursOf(lang text.Lang, all []qrgate.Hours) []openHours {
	var lines []openHours
	for _, h := range all {
		times := text.Of(lang, "intro.all_day")
		if h.Open != h.Close {
			times = clockOf(h.Open) + "–" + clockOf(h.Close)
		}
		lines = append(lines, openHours{daysOf(lang, h.Days), times})
	}
	return lines
}

func clockOf(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60%24, minutes%60) }

// week is in the order in which Vietnamese count it.
var week = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday}

// daysOf names days, those that follow each other as from – to.
func daysOf(lang text.Lang, days qrgate.Weekdays) string {
	if days == qrgate.EveryDay {
		return text.Of(lang, "intro.every_day")
	}
	var names []string
	for i := 0; i < len(week); i++ {
		if !days.Has(week[i]) {
			continue
		}
		last := i
		for last+1 < len(week) && days.Has(week[last+1]) {
			last++
		}
		names = append(names, dayName(lang, week[i]))
		switch {
		case last == i+1:
			names = append(names, dayName(lang, week[last]))
		case last > i:
			names[len(names)-1] += " – " + dayName(lang, week[last])
		}
		i = last
	}
	return strings.Join(names, ", ")
}

func dayName(lang text.Lang, d time.Weekday) string {
	return text.Of(lang, fmt.Sprintf("intro.day.%d", int(d)))
}

// mapOf returns the address of a map with a place on it, or "".
func mapOf(at *qrgate.Point) string {
	if at == nil {
		return ""
	}
	return fmt.Sprintf("https://www.openstreetmap.org/?mlat=%.6f&mlon=%.6f#map=18/%.6f/%.6f", at.Lat, at.Lon, at.Lat, at.Lon)
}
