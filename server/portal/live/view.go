package live

import (
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// silentAfter is how long a kiosk that is said to be connected may go without a
// sign of life: four of its beats.
const silentAfter = 2 * time.Minute

// The page says everything in both.
const vi, en = words.Vietnamese, words.English

// A label is a state in words, with a sign beside them so that no state is told
// by its colour alone.
type label struct {
	Class, Sign   string
	Text, English string
}

// A moment is a time as people read it and as machines do. Without a Text there
// was none.
type moment struct {
	ISO, Text string
}

// momentOf returns t as a page of that day shows it: without the date if it is
// the same.
func momentOf(t time.Time, today qrgate.Day) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.In(qrgate.Zone)
	layout := "02/01/2006 15:04"
	if qrgate.DayOf(t) == today {
		layout = "15:04:05"
	}
	return moment{ISO: t.Format(time.RFC3339), Text: t.Format(layout)}
}

// A kiosk is a row of the table of kiosks.
type kiosk struct {
	ID, Place   string
	State       label
	Up          bool
	Revoked     bool
	Checkins    int64
	Queued      string // empty if it never said
	Clock       label
	LastContact moment
}

func kioskOf(k store.KioskStatus, now time.Time) kiosk {
	v := kiosk{ID: k.ID, Place: k.Place, Revoked: k.State == qrgate.KioskRevoked, Checkins: k.Checkins}
	contact := k.Contact
	if k.Received.After(contact) {
		contact = k.Received
	}
	v.LastContact = momentOf(contact, qrgate.DayOf(now))
	sign := contact
	if k.Changed.After(sign) {
		sign = k.Changed
	}
	switch {
	case v.Revoked:
		v.State = said("bad", "■", "live.state.revoked", "")
	case !k.Up && sign.IsZero():
		v.State = said("off", "○", "live.state.unseen", "")
	case !k.Up:
		v.State = said("warn", "○", "live.state.offline", "")
	case now.Sub(sign) > silentAfter:
		// A broker that died tells nobody's last will.
		v.State = said("warn", "◐", "live.state.silent", "")
	default:
		v.State, v.Up = said("good", "●", "live.state.online", ""), true
	}
	if b := k.Beat; b != nil {
		v.Queued = page.Number(queuedOf(b))
		v.Clock = clockOf(b)
	}
	return v
}

// queuedOf returns how many records a kiosk says to hold. What no kiosk can hold
// is cut, so that sums stay sums.
func queuedOf(b *wire.Beat) int64 { return int64(min(b.Queued, 1<<40)) }

func clockOf(b *wire.Beat) label {
	within := ""
	if b.Error > 0 {
		within = " ±" + bound(b.Error)
	}
	switch b.State {
	case when.Synced:
		return said("good", "✓", "live.clock.synced", within)
	case when.Holding:
		return said("off", "≈", "live.clock.holding", within)
	case when.Chip:
		return said("warn", "?", "live.clock.unchecked", "")
	case when.Floor, when.Unset:
		return said("warn", "!", "live.clock.unset", "")
	}
	return said("warn", "?", "live.clock.unknown", "")
}

// bound returns milliseconds as people compare them, rounded up.
func bound(ms int64) string {
	const second, hour = 1000, 3600 * 1000
	switch {
	case ms <= 10*second:
		tenths := (ms + 99) / 100
		return fmt.Sprintf("%d,%d s", tenths/10, tenths%10)
	case ms <= hour:
		return page.Number((ms-1)/second+1) + " s"
	}
	return page.Number((ms-1)/hour+1) + " h"
}

// A line is one check-in in the list of the latest.
type line struct {
	Class, Sign        string
	At                 moment
	About              bool // At is a guess
	Verdict, VerdictEN string
	Reason, ReasonEN   string
	Place, Gate        string
	Direction          string
	DirectionEN        string
	Pass, PassEN       string
	Delay, DelayEN     string
}

// certainly is how far apart the bounds of a check-in's time may lie for a page
// that shows minutes.
const certainly = time.Minute

// lineOf returns a check-in as a page of that day shows it.
func lineOf(s store.Sighting, today qrgate.Day) line {
	kind := s.Pass
	if _, err := pass.ParseKind(kind.String()); err != nil {
		kind = pass.Unknown // of a later release
	}
	v := line{
		Verdict: words.Verdict(vi, s.Verdict), VerdictEN: words.Verdict(en, s.Verdict),
		Reason: words.Reason(vi, s.Reason).Head, ReasonEN: words.Reason(en, s.Reason).Head,
		Place: s.Place, Gate: s.Gate,
		Pass: words.Pass(vi, kind), PassEN: words.Pass(en, kind),
	}
	switch s.Verdict {
	case wire.Admitted:
		v.Class, v.Sign = "good", "✓"
	case wire.Again:
		v.Class, v.Sign = "off", "↻"
	case wire.Refused:
		v.Class, v.Sign = "bad", "✕"
	default:
		v.Class, v.Sign = "warn", "!"
	}
	switch s.Direction {
	case wire.In:
		v.Direction, v.DirectionEN = pair("live.in")
	case wire.Out:
		v.Direction, v.DirectionEN = pair("live.out")
	}
	received := time.UnixMilli(s.Received)
	at := time.UnixMilli(min(max(s.Said, s.Earliest), s.Latest))
	v.At = momentOf(at, today)
	v.About = s.Latest-s.Earliest > certainly.Milliseconds()
	if late := received.Sub(at); v.About {
		v.Delay, v.DelayEN = pair("live.unsure")
	} else if late >= time.Minute {
		v.Delay = text.Of(vi, "live.late", "after", duration(vi, late))
		v.DelayEN = text.Of(en, "live.late", "after", duration(en, late))
	}
	return v
}

// duration returns d in its two largest units.
func duration(lang text.Lang, d time.Duration) string {
	minutes := int64(d / time.Minute)
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	switch {
	case days > 0:
		return text.Of(lang, "live.days", "days", page.Number(days), "hours", hours)
	case hours > 0:
		return text.Of(lang, "live.hours", "hours", hours, "minutes", minutes)
	}
	return text.Of(lang, "live.minutes", "minutes", minutes)
}

// pair returns a text in both languages.
func pair(key string) (inVietnamese, inEnglish string) { return text.Of(vi, key), text.Of(en, key) }

// said returns a label whose words are those of key, and in English something
// more.
func said(class, sign, key, more string) label {
	l := label{Class: class, Sign: sign}
	l.Text, l.English = pair(key)
	l.English += more
	return l
}
