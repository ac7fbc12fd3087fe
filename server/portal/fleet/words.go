package fleet

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A label is a state in words, with a sign beside them so that none is told by its
// colour alone.
type label struct{ Class, Sign, Text string }

var stateSigns = map[judge.State][2]string{
	judge.Online: {"good", "●"}, judge.Silent: {"warn", "◐"}, judge.Offline: {"warn", "○"},
	judge.Unseen: {"off", "◌"}, judge.Unknown: {"off", "?"}, judge.Revoked: {"bad", "■"},
}

func stateLabel(lang text.Lang, s judge.State) label {
	signs := stateSigns[s]
	return label{signs[0], signs[1], text.Of(lang, "fleet.state."+string(s))}
}

func alarmLabel(lang text.Lang, a *judge.Alarm) label {
	l := label{"warn", "▲", text.Of(lang, "fleet.alarm."+string(a.Kind))}
	if a.Grave {
		l.Class = "bad"
	}
	if !a.Acked.IsZero() {
		l.Class, l.Sign = "off", "✓"
	}
	return l
}

// alarmText returns what an alarm says of its kiosk, in words.
func alarmText(lang text.Lang, a *judge.Alarm) string {
	say := func(args ...any) string { return text.Of(lang, "fleet.alarm."+string(a.Kind)+".says", args...) }
	switch a.Kind {
	case judge.HasNobody:
		if a.About == judge.Counted {
			return text.Of(lang, "fleet.alarm.nobody.counted", "value", page.Number(a.Value), "minutes", int(wire.LatelyTime/time.Minute))
		}
		return say("value", page.Number(a.Value))
	case judge.IsHot:
		return say("value", degrees(a.Value))
	case judge.Certificate:
		return say("value", page.Number(a.Value))
	case judge.IsBehind, judge.HasGap, judge.Outage:
		return say("value", page.Number(a.Value))
	case judge.IsFull:
		return say("value", page.Number(a.Value/10)+" %")
	case judge.CannotRead:
		return say("value", page.Number(a.Value)+" %", "about", a.About)
	case judge.HasScanner:
		name, fault, _ := strings.Cut(a.About, ": ")
		return say("about", name+": "+strings.ToLower(faultText(lang, fault)))
	case judge.IsOld:
		return say("about", a.About)
	}
	return say()
}

// degrees returns thousandths of a degree: 54,3 °C.
func degrees(milli int64) string {
	return fmt.Sprintf("%s,%d °C", page.Number(milli/1000), max(milli, -milli)%1000/100)
}

// bytesText returns a size: 28,4 GB.
func bytesText(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	if n < 1000 {
		return page.Number(n) + " B"
	}
	v := float64(n)
	u := -1
	for v >= 999.5 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	if v < 100 {
		tenths := int64(v*10 + .5)
		return fmt.Sprintf("%s,%d %s", page.Number(tenths/10), tenths%10, units[u])
	}
	return page.Number(int64(v+.5)) + " " + units[u]
}

// duration returns d in its two largest units.
func duration(lang text.Lang, d time.Duration) string {
	minutes := int64(max(d, 0) / time.Minute)
	days, hours := minutes/(24*60), minutes/60%24
	switch {
	case days > 0:
		return text.Of(lang, "live.days", "days", page.Number(days), "hours", hours)
	case hours > 0:
		return text.Of(lang, "live.hours", "hours", hours, "minutes", minutes%60)
	case minutes > 0:
		return text.Of(lang, "live.minutes", "minutes", minutes)
	}
	return text.Of(lang, "fleet.seconds", "n", int64(max(d, 0)/time.Second))
}

// milliseconds returns a small time: 38 ms, 1,2 s.
func milliseconds(ms int64) string {
	if ms = max(ms, -math.MaxInt64); ms < 0 {
		return "−" + milliseconds(-ms)
	}
	if ms < 1000 {
		return page.Number(ms) + " ms"
	}
	return fmt.Sprintf("%s,%d s", page.Number(ms/1000), ms%1000/100)
}

// A fact is one line of what a beat says. A Class marks what is not as it should be.
type fact struct {
	Key   string // of the text that names it
	Value string
	Class string
}

// A group is facts under one heading.
type group struct {
	Key   string
	Facts []fact
}

// groups returns all that a beat says, in words.
func groups(lang text.Lang, k *judge.Kiosk, t judge.Thresholds, held *ledgerText) []group {
	b := k.Beat
	say := func(key string, args ...any) string { return text.Of(lang, key, args...) }
	var all []group
	var g *group
	begin := func(key string) { all = append(all, group{Key: key}); g = &all[len(all)-1] }
	add := func(key, value, class string) {
		if value != "" {
			g.Facts = append(g.Facts, fact{"fleet.fact." + key, value, class})
		}
	}
	worse := func(bad bool, class string) string {
		if bad {
			return class
		}
		return ""
	}

	begin("fleet.group.machine")
	add("release", b.Release, "")
	add("model", b.Model, "")
	add("serial", b.Serial, "")
	if b.Uptime > 0 {
		add("uptime", duration(lang, time.Duration(min(b.Uptime, 1<<31))*time.Second), "")
	}
	if b.Temperature != 0 {
		add("temperature", degrees(int64(b.Temperature)), worse(int64(b.Temperature) >= t.Temperature[0], "warn"))
	}
	if b.Power.Has(wire.PowerKnown) {
		switch {
		case b.Power.Has(wire.UnderVoltage):
			add("power", say("fleet.power.under"), "bad")
		case b.Power.Has(wire.Throttled):
			add("power", say("fleet.power.throttled"), "warn")
		case b.Power.Has(wire.WasUnder):
			add("power", say("fleet.power.was_under"), "warn")
		default:
			add("power", say("fleet.power.good"), "")
		}
	}
	if b.Memory > 0 {
		add("memory", say("fleet.of", "part", bytesText(b.Memory-b.Available), "whole", bytesText(b.Memory)), "")
	}
	if b.DiskTotal > 0 {
		add("disk", say("fleet.of", "part", bytesText(b.DiskTotal-b.DiskFree), "whole", bytesText(b.DiskTotal)), "")
	}
	if b.ReadOnly {
		add("read_only", say("fleet.read_only"), "bad")
	}

	begin("fleet.group.clock")
	add("clock", say("fleet.clock."+clockWord(b.State)), worse(b.State != when.Synced && b.State != when.Holding, "warn"))
	if b.Error > 0 {
		add("clock_error", "± "+milliseconds(b.Error), "")
	}
	if b.Offset != nil {
		add("offset", milliseconds(*b.Offset), "")
	}

	begin("fleet.group.queue")
	add("queued", page.Number(int64(min(b.Queued, 1<<40))), worse(b.Queued >= t.Records[0], "warn"))
	if b.Oldest > 0 {
		add("oldest", duration(lang, time.Duration(min(b.Oldest, 1<<40))*time.Millisecond), "")
	}
	if b.Limit > 0 {
		add("outbox", say("fleet.of", "part", bytesText(b.Used), "whole", bytesText(b.Limit)), "")
	}
	if held != nil {
		add("ledger", held.Text, held.Class)
	}
	if b.Opened > wire.OpenedNew {
		add("opened", say("fleet.opened."+openedWord(b.Opened)), "warn")
	}
	if b.Lost > 0 {
		add("lost", page.Number(int64(min(b.Lost, 1<<40))), "bad")
	}
	if b.Unrecorded > 0 {
		add("unrecorded", page.Number(int64(min(b.Unrecorded, 1<<40))), "warn")
	}

	if r := b.Room; r != nil && r.Inside != nil {
		begin("fleet.group.inside")
		in := r.Inside
		value := page.Number(in.Least)
		if in.Most != in.Least {
			value += "–" + page.Number(in.Most)
		}
		switch {
		case in.Limit <= 0:
			add("inside", say("fleet.inside", "people", value), "")
		case in.Least >= in.Limit:
			add("inside", say("fleet.inside.full", "people", value, "limit", page.Number(in.Limit)), "bad")
		case in.Most/100 >= in.Limit || in.Most*100 >= in.Limit*int64(in.Near):
			add("inside", say("fleet.inside.near", "people", value, "limit", page.Number(in.Limit)), "warn")
		default:
			add("inside", say("fleet.inside.of", "people", value, "limit", page.Number(in.Limit)), "")
		}
		if in.Cut {
			add("inside.cut", say("fleet.yes"), "warn")
		}
	}
	if c := b.Passage; c != nil {
		begin("fleet.group.passage")
		add("passage.counts", say("fleet.passage."+map[bool]string{true: "broken", false: "good"}[c.Broken]), worse(c.Broken, "warn"))
		add("passage.lately", say("fleet.passage.of", "people", page.Number(int64(c.Lately)), "scans", page.Number(int64(c.LatelyScans)), "minutes", c.For/60_000), "")
		add("passage.people", page.Number(int64(min(c.People, 1<<40))), "")
		if c.Against > 0 {
			add("passage.against", page.Number(int64(min(c.Against, 1<<40))), "")
		}
		if c.Shut > 0 {
			add("passage.shut", page.Number(int64(min(c.Shut, 1<<40))), "warn")
		}
		if c.Last > 0 {
			add("passage.last", clockText(timeOf(c.Last)), "")
		}
	}

	begin("fleet.group.link")
	if b.RoundTrip > 0 {
		add("round_trip", milliseconds(max(b.RoundTrip/1000, 1)), "")
	}
	if b.Links > 0 {
		add("links", page.Number(b.Links), "")
	}
	if l := b.List; l != nil {
		value := say("fleet.list.none")
		if l.Stamp != (wire.Stamp{}) {
			value = say("fleet.list", "cards", page.Number(int64(l.Cards)), "version", page.Number(int64(min(l.Stamp.Version, 1<<40))))
		}
		add("list", value, "")
	}
	if l := b.Lease; l != nil {
		value, class := leaseText(lang, l)
		add("lease", value, class)
	}
	begin("fleet.group.orders")
	if c := b.Config; c != nil {
		stamp := func(s wire.Stamp) string {
			if s == (wire.Stamp{}) {
				return ""
			}
			return page.Number(int64(min(s.Version, 1<<50)))
		}
		add("config", stamp(c.Running), "")
		if c.Wanted.Newer(c.Running) {
			add("config_wanted", stamp(c.Wanted), "")
		}
		if refused := stamp(c.Refused); refused != "" && !c.Running.Newer(c.Refused) {
			if key := "config.fault." + string(c.Fault); text.Has(key) {
				refused += ": " + say(key)
			}
			add("config_refused", refused, "warn")
		}
	}
	if c := b.Cert; c != nil && c.Ends > 0 {
		add("certificate", clockText(timeOf(c.Ends)), "")
	}
	if o := b.Orders; o != nil {
		if o.Locked {
			add("locked", say("fleet.yes"), "bad")
		}
		if o.Maintenance > 0 {
			add("maintenance", duration(lang, time.Duration(min(o.Maintenance, 1<<31))*time.Second), "")
		}
	}
	if g := b.Guard; g != nil {
		add("guard", say("fleet.guard", "phones", g.Phones, "sessions", g.Sessions), "")
	}
	if u := b.Update; u != nil && u.Stage != wire.UpdateNone {
		if key := "fleet.update." + u.Stage.String(); text.Has(key) {
			add("update", say(key, "version", u.Version), worse(u.Stage == wire.UpdateReturned || u.Stage == wire.UpdateRefused, "warn"))
		}
	}

	for i := 0; i < len(all); i++ {
		if len(all[i].Facts) == 0 {
			all = append(all[:i], all[i+1:]...)
			i--
		}
	}
	return all
}

func clockWord(s when.State) string {
	switch s {
	case when.Synced:
		return "synced"
	case when.Holding:
		return "holding"
	case when.Chip:
		return "unchecked"
	case when.Floor, when.Unset:
		return "unset"
	}
	return "unknown"
}

func openedWord(o wire.OpenedBy) string {
	switch o {
	case wire.OpenedFork:
		return "fork"
	case wire.OpenedMoved:
		return "moved"
	case wire.OpenedSalvage:
		return "salvage"
	}
	return "other"
}

// A scannerRow is one scanner or camera.
type scannerRow struct {
	Name  string
	State label
	Scans string
	Bad   string
	Last  string
	Hints string // why people were asked to hold a code otherwise, and how often
}

// faults are those of scanners that have words of their own.
var faults = map[string]bool{"absent": true, "silent": true, "stuck": true, "babbling": true, "black": true, "dark": true, "bright": true, "frozen": true}

func faultText(lang text.Lang, fault string) string {
	if faults[fault] {
		return text.Of(lang, "fleet.scanner."+fault)
	}
	return text.Of(lang, "fleet.scanner.other", "fault", fault)
}

func scannerRows(lang text.Lang, b *wire.Beat) []scannerRow {
	var all []scannerRow
	for _, s := range b.Scanners {
		r := scannerRow{Name: s.Name, State: label{"good", "●", text.Of(lang, "fleet.scanner.good")}, Scans: page.Number(int64(min(s.Scans, 1<<40)))}
		fault := s.Fault
		if fault == "" && !s.Present {
			fault = "absent"
		}
		if fault != "" {
			r.State = label{"bad", "✕", faultText(lang, fault)}
		}
		if s.Scans+s.Bad > 0 {
			r.Bad = page.Number(int64(min(s.Share, 100))) + " %"
		}
		if s.LastScan > 0 {
			r.Last = clockText(time.UnixMilli(s.LastScan))
		}
		r.Hints = hintsText(lang, s.Hints)
		all = append(all, r)
	}
	return all
}

// hintsText returns which hints a camera gave, and how often each: nothing if none.
func hintsText(lang text.Lang, h wire.HintBeat) string {
	var all []string
	for _, hint := range []struct {
		key   string
		times uint32
	}{
		{"fleet.hint.closer", h.Closer}, {"fleet.hint.hold-still", h.HoldStill}, {"fleet.hint.tilt", h.Tilt}, {"fleet.hint.light", h.Light},
	} {
		if hint.times > 0 {
			all = append(all, text.Of(lang, hint.key, "n", page.Number(int64(hint.times))))
		}
	}
	return strings.Join(all, ", ")
}

// clockText returns a time as pages show it.
func clockText(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006 15:04") }

// shortText returns a time as a page of that moment shows it: without the date if it
// is the same.
func shortText(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	if qrgate.DayOf(t) == qrgate.DayOf(now) {
		return t.In(qrgate.Zone).Format("15:04")
	}
	return t.In(qrgate.Zone).Format("02/01 15:04")
}

// safe is HTML that html/template or an SVG writer of ours has escaped.
func safe(s string) template.HTML { return template.HTML(s) }
