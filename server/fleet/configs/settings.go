// Package configs makes a kiosk's configuration of what is said of all kiosks, of its
// group, of its place and of itself: the later of these counts, setting by setting.
//
// Its promise: it is a pure function, and what it makes has passed the same Validate
// by which the kiosk judges it. Nothing is made of a door of which nobody has said
// where it is and which way it goes.
//
//	values := configs.Effective(kiosk, layers...)
//	doc, err := configs.Document(kiosk.ID, values)
//
// A setting has the name that it has in the kiosk's own file. A layer may say
// settings that this release does not know; they are kept and not looked at.
//
// How layers are stored is the business of package store/configs, how documents
// travel that of package courier.
package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Kind says how a setting is written.
type Kind string

// The kinds.
const (
	Text    Kind = "text"
	Choice  Kind = "choice"
	Switch  Kind = "switch" // "yes", "no"
	Number  Kind = "number"
	Seconds Kind = "seconds"
	Passes  Kind = "passes" // names of kinds of pass, with a comma between
	Hours   Kind = "hours"  // "22:00-06:00"
)

// A Setting is one thing that can be said of a kiosk.
type Setting struct {
	Key      string // as in the kiosk's own file
	Kind     Kind
	Choices  []string // of Choice and Passes
	Least    int      // of Number and Seconds
	Most     int      // of Number and Seconds, bytes of Text
	Default  string   // "" is what the kiosk's own file says, or what has to be said
	Needed   bool     // a kiosk of which nobody says it gets no document
	Harmless bool     // the owner of a place may say it of the place
	OfOne    bool     // it is said of one kiosk or its place and not of many

	put func(d *wire.ConfigDoc, value string)
	get func(d *wire.ConfigDoc) string
}

// Values of [Switch].
const (
	Yes = "yes"
	No  = "no"
)

// quietest is said in quiet hours.
const (
	toneAlone = "tone"
	nothing   = "nothing"
)

const dayOfList = 24 * time.Hour

var all = []Setting{
	{Key: "door.place", Kind: Text, Most: 200, OfOne: true,
		put: func(d *wire.ConfigDoc, v string) { d.Door.Place = v }, get: func(d *wire.ConfigDoc) string { return d.Door.Place }},
	{Key: "door.gate", Kind: Text, Most: 16, Needed: true, OfOne: true,
		put: func(d *wire.ConfigDoc, v string) { d.Door.Gate = v }, get: func(d *wire.ConfigDoc) string { return d.Door.Gate }},
	{Key: "door.lane", Kind: Number, Most: 255, Default: "0", OfOne: true,
		put: func(d *wire.ConfigDoc, v string) { d.Door.Lane = uint8(number(v)) }, get: func(d *wire.ConfigDoc) string { return strconv.Itoa(int(d.Door.Lane)) }},
	{Key: "door.direction", Kind: Choice, Choices: []string{wire.In.String(), wire.Out.String()}, Needed: true, OfOne: true,
		put: func(d *wire.ConfigDoc, v string) {
			d.Door.Direction = wire.In
			if v == wire.Out.String() {
				d.Door.Direction = wire.Out
			}
		}, get: func(d *wire.ConfigDoc) string { return d.Door.Direction.String() }},
	{Key: "door.on_fault", Kind: Choice, Choices: []string{string(wire.AdmitUnrecorded), string(wire.Refuse)}, Default: string(wire.AdmitUnrecorded),
		put: func(d *wire.ConfigDoc, v string) { d.Door.OnFault = wire.OnFault(v) }, get: func(d *wire.ConfigDoc) string { return string(d.Door.OnFault) }},
	{Key: "door.accept", Kind: Passes, Choices: accepted(), Default: "card,family,staff,cccd,bhyt,national",
		put: putPasses, get: getPasses},
	{Key: "door.repeat", Kind: Seconds, Least: 1, Most: 60, Default: "4",
		put: func(d *wire.ConfigDoc, v string) { d.Door.Repeat = seconds(v) }, get: func(d *wire.ConfigDoc) string { return inSeconds(d.Door.Repeat) }},
	{Key: "door.reset", Kind: Seconds, Least: 1, Most: 30, Default: "3",
		put: func(d *wire.ConfigDoc, v string) { d.Door.Reset = seconds(v) }, get: func(d *wire.ConfigDoc) string { return inSeconds(d.Door.Reset) }},
	{Key: "door.help_line", Kind: Text, Most: 40, Harmless: true,
		put: func(d *wire.ConfigDoc, v string) { d.Door.HelpLine = v }, get: func(d *wire.ConfigDoc) string { return d.Door.HelpLine }},
	{Key: "door.near_full", Kind: Number, Least: wire.LeastNear, Most: 100, Default: "90", Harmless: true,
		put: func(d *wire.ConfigDoc, v string) { d.Door.NearFull = uint8(number(v)) }, get: func(d *wire.ConfigDoc) string { return strconv.Itoa(int(d.Door.NearFull)) }},
	{Key: "cards.stale_list", Kind: Choice, Choices: []string{string(wire.AdmitStale), string(wire.RefuseStale)}, Default: string(wire.AdmitStale),
		put: func(d *wire.ConfigDoc, v string) { d.Door.StaleList = wire.OnStale(v) }, get: func(d *wire.ConfigDoc) string { return string(d.Door.StaleList) }},
	{Key: "cards.stale_days", Kind: Number, Least: 1, Most: 366, Default: "14",
		put: func(d *wire.ConfigDoc, v string) { d.Door.StaleAfter = time.Duration(number(v)) * dayOfList },
		get: func(d *wire.ConfigDoc) string { return strconv.Itoa(int(d.Door.StaleAfter / dayOfList)) }},
	{Key: "lease.days", Kind: Number, Least: 1, Most: wire.MaxLeaseDays,
		put: func(d *wire.ConfigDoc, v string) { n := uint16(number(v)); d.Lease.Days = &n },
		get: func(d *wire.ConfigDoc) string {
			return maybe(d.Lease.Days, func(n uint16) string { return strconv.Itoa(int(n)) })
		}},
	{Key: "guard.on", Kind: Switch,
		put: func(d *wire.ConfigDoc, v string) { d.Guard.On = yes(v) }, get: func(d *wire.ConfigDoc) string { return maybe(d.Guard.On, inWords) }},
	{Key: "screen.explain", Kind: Seconds, Least: 1, Most: 30,
		put: func(d *wire.ConfigDoc, v string) { e := seconds(v); d.Screen.Explain = &e },
		get: func(d *wire.ConfigDoc) string { return maybe(d.Screen.Explain, inSeconds) }},
	{Key: "screen.companions", Kind: Switch,
		put: func(d *wire.ConfigDoc, v string) { d.Screen.Companions = yes(v) }, get: func(d *wire.ConfigDoc) string { return maybe(d.Screen.Companions, inWords) }},
	{Key: "sound.on", Kind: Switch, Harmless: true,
		put: func(d *wire.ConfigDoc, v string) { d.Sound.On = yes(v) }, get: func(d *wire.ConfigDoc) string { return maybe(d.Sound.On, inWords) }},
	{Key: "sound.volume", Kind: Number, Most: 100, Harmless: true,
		put: func(d *wire.ConfigDoc, v string) { n := uint8(number(v)); d.Sound.Volume = &n },
		get: func(d *wire.ConfigDoc) string {
			return maybe(d.Sound.Volume, func(n uint8) string { return strconv.Itoa(int(n)) })
		}},
	{Key: "sound.quiet", Kind: Hours, Harmless: true,
		put: func(d *wire.ConfigDoc, v string) { h, _ := parseHours(v); d.Sound.Quiet = &h },
		get: func(d *wire.ConfigDoc) string {
			return maybe(d.Sound.Quiet, func(h wire.Hours) string {
				return fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60)
			})
		}},
	{Key: "sound.in_quiet", Kind: Choice, Choices: []string{toneAlone, nothing}, Harmless: true,
		put: func(d *wire.ConfigDoc, v string) { m := v == nothing; d.Sound.Mute = &m },
		get: func(d *wire.ConfigDoc) string {
			return maybe(d.Sound.Mute, func(m bool) string {
				if m {
					return nothing
				}
				return toneAlone
			})
		}},
	{Key: "server.url", Kind: Text, Most: 200,
		put: func(d *wire.ConfigDoc, v string) { d.Link.URL = v }, get: func(d *wire.ConfigDoc) string { return d.Link.URL }},
	{Key: "server.name", Kind: Text, Most: 200,
		put: func(d *wire.ConfigDoc, v string) { d.Link.Name = v }, get: func(d *wire.ConfigDoc) string { return d.Link.Name }},
}

// All returns every setting, in the order in which people are shown them.
func All() []Setting { return slices.Clone(all) }

// Of returns the setting of that key.
func Of(key string) (Setting, bool) {
	i := slices.IndexFunc(all, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return Setting{}, false
	}
	return all[i], true
}

// accepted returns the kinds of pass that a door may accept.
func accepted() []string {
	var names []string
	for k := pass.Card; k < pass.Account; k++ {
		if k.Identifies() {
			names = append(names, k.String())
		}
	}
	return names
}

func putPasses(d *wire.ConfigDoc, v string) {
	d.Door.Accept = nil
	for _, name := range strings.Split(v, ",") {
		if k, err := pass.ParseKind(name); err == nil {
			d.Door.Accept = append(d.Door.Accept, k)
		}
	}
}

func getPasses(d *wire.ConfigDoc) string {
	names := make([]string, len(d.Door.Accept))
	for i, k := range d.Door.Accept {
		names[i] = k.String()
	}
	return strings.Join(names, ",")
}

func number(v string) int {
	n, _ := strconv.Atoi(v)
	return n
}

func seconds(v string) time.Duration { return time.Duration(number(v)) * time.Second }

func inSeconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func yes(v string) *bool {
	b := v == Yes
	return &b
}

func inWords(b bool) string {
	if b {
		return Yes
	}
	return No
}

func maybe[T any](v *T, write func(T) string) string {
	if v == nil {
		return ""
	}
	return write(*v)
}

// Read returns a value as it is kept, from what somebody has typed, and false if it is
// none of this setting's. Nothing typed is "", which says nothing.
func (s Setting) Read(typed string) (value string, ok bool) {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return "", true
	}
	switch s.Kind {
	case Choice:
		return typed, slices.Contains(s.Choices, typed)
	case Switch:
		return typed, typed == Yes || typed == No
	case Number, Seconds:
		n, err := strconv.Atoi(typed)
		return strconv.Itoa(n), err == nil && n >= s.Least && n <= s.Most
	case Passes:
		var names []string
		for _, c := range s.Choices { // in one order
			if slices.Contains(strings.Split(typed, ","), c) {
				names = append(names, c)
			}
		}
		return strings.Join(names, ","), len(names) == len(strings.Split(typed, ","))
	case Hours:
		h, ok := parseHours(strings.ReplaceAll(strings.ReplaceAll(typed, " ", ""), "–", "-"))
		return fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60), ok
	}
	if !utf8.ValidString(typed) || strings.ContainsFunc(typed, unicode.IsControl) {
		return "", false
	}
	typed = norm.NFC.String(typed)
	return typed, len(typed) <= s.Most
}

// parseHours reads "22:00-06:00", also "22:0-6:0" and "22-6".
func parseHours(v string) (wire.Hours, bool) {
	from, to, ok := strings.Cut(v, "-")
	a, okA := parseClock(from)
	b, okB := parseClock(to)
	return wire.Hours{From: a, To: b}, ok && okA && okB && a != b
}

func parseClock(v string) (uint16, bool) {
	hour, minute, _ := strings.Cut(strings.ReplaceAll(v, "h", ":"), ":")
	if minute == "" {
		minute = "0"
	}
	h, err1 := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	return uint16(h*60 + m), err1 == nil && err2 == nil && h < 24 && m < 60
}
