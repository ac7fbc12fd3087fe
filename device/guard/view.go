package guard

import (
	"strconv"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A line says one thing about the kiosk: whether it is well, and in plain words what is
// to be done.
type line struct {
	State string // good, wait, bad: also the name of its mark
	Head  string
	Do    string
}

// A view is what the page shows of the door.
type view struct {
	Lang   words.Lang
	Place  string
	Gate   string
	Time   string
	Inside string // "" if it is not known
	Known  string // why it is not, or how sure it is
	Lanes  []lane
	Lines  []line
	Last   []result
	Undo   *result // what Undo would take back
}

// A result is one judgment without a name.
type result struct {
	Seq   uint64
	Time  string
	Lane  string
	State string // good, wait, bad
	Said  string // the verdict, and why
	Kind  string
}

const shownResults = 10

// look returns what the page shows now.
func (g *Guard) look(lang words.Lang) view {
	stands, now := g.Door.Standing(), g.Clock.Read()
	d := dater{now}
	v := view{Lang: lang, Place: stands.Config.Place, Gate: stands.Config.Gate, Lanes: g.journal.lanes(d)}
	if sure(now.State) {
		v.Time = time.UnixMilli(now.Wall).In(vietnam).Format("15:04")
	}
	v.Inside, v.Known = g.inside(lang)
	v.Lines = g.lines(lang, stands, now)
	for _, k := range g.journal.last(shownResults) {
		v.Last = append(v.Last, resultOf(lang, d, k))
	}
	if seq, ok := g.Door.MayUndo(time.Now()); ok {
		if k, found := g.journal.find(g.Queue.Stats().Epoch, seq); found {
			r := resultOf(lang, d, k)
			v.Undo = &r
		}
	}
	return v
}

// inside says how many are inside the place.
func (g *Guard) inside(lang words.Lang) (number, known string) {
	least, most, limit, ok := g.Door.Inside()
	number = strconv.FormatInt(most, 10)
	if least != most {
		number = strconv.FormatInt(least, 10) + "–" + number
	}
	if !ok {
		return number, say(lang, "inside.own")
	}
	switch {
	case limit > 0 && most >= limit:
		known = say(lang, "inside.full", "limit", strconv.FormatInt(limit, 10))
	case limit > 0:
		known = say(lang, "inside.limit", "limit", strconv.FormatInt(limit, 10))
	case least != most:
		known = say(lang, "inside.bounds")
	}
	return number, known
}

func (g *Guard) lines(lang words.Lang, stands kiosk.Standing, now when.Reading) []line {
	all := []line{g.doorLine(lang, stands), g.linkLine(lang)}
	if l, ok := queueLine(lang, g.Queue.Stats()); ok {
		all = append(all, l)
	}
	all = append(all, clockLine(lang, now))
	for _, h := range g.Scanners() {
		all = append(all, scannerLine(lang, h))
	}
	if n := g.Door.Unrecorded(); n > 0 {
		all = append(all, of(lang, "wait", "unrecorded", "count", strconv.FormatUint(n, 10)))
	}
	return all
}

// of returns the line of a key.
func of(lang words.Lang, state, key string, args ...string) line {
	return line{state, say(lang, key, args...), say(lang, key+".do", args...)}
}

func (g *Guard) doorLine(lang words.Lang, s kiosk.Standing) line {
	switch {
	case s.Locked:
		return of(lang, "bad", "door.locked")
	case s.Faulty:
		return of(lang, "bad", "door.fault")
	case s.Direction == wire.Out:
		return of(lang, "good", "door.out")
	}
	return of(lang, "good", "door.in")
}

// linkLine says whether there is a network, since when not, and that the door goes on.
func (g *Guard) linkLine(lang words.Lang) line {
	up, since, ever := g.link()
	unsent := strconv.FormatUint(g.Queue.Stats().Unsent, 10)
	switch {
	case !up && !ever:
		return of(lang, "wait", "link.never", "count", unsent)
	case !up && since == "":
		return of(lang, "wait", "link.down.some_time", "count", unsent)
	case !up:
		return of(lang, "wait", "link.down", "count", unsent, "time", since)
	case !g.Room.Connected():
		return of(lang, "wait", "link.silent", "count", unsent)
	case unsent != "0":
		return of(lang, "good", "link.sending", "count", unsent)
	}
	return of(lang, "good", "link.up")
}

// queueLine says what is wrong with the ledger, if something is.
func queueLine(lang words.Lang, s outbox.Stats) (line, bool) {
	switch {
	case s.Near:
		return of(lang, "bad", "queue.near"), true
	case s.DeadLetters > 0:
		return of(lang, "wait", "queue.aside", "count", strconv.Itoa(s.DeadLetters)), true
	}
	return line{}, false
}

func clockLine(lang words.Lang, r when.Reading) line {
	switch {
	case r.State == when.Synced:
		return of(lang, "good", "clock.good")
	case r.State == when.Holding:
		return of(lang, "good", "clock.holding")
	}
	return of(lang, "wait", "clock.unset")
}

func scannerLine(lang words.Lang, h scan.Health) line {
	fault := ""
	switch {
	case !h.Present:
		fault = "absent"
	case h.Silent:
		fault = "silent"
	case h.Stuck:
		fault = "stuck"
	case h.Babbling:
		fault = "babbling"
	case h.Blind != "":
		fault = "blind"
	default:
		return of(lang, "good", "scanner.good", "name", h.Source, "count", strconv.FormatUint(h.Scans, 10))
	}
	return of(lang, "bad", "scanner."+fault, "name", h.Source)
}

// resultOf says in words what the door has judged.
func resultOf(lang words.Lang, d dater, k kept) result {
	r := result{Seq: k.h.Seq, Time: timeOf(d, k.h), Lane: laneName(lang, k.h.Gate, k.h.Lane), Kind: kindOf(lang, k.h)}
	switch {
	case k.undone:
		r.State, r.Said = "wait", say(lang, "said.undone")
	case k.h.Verdict == wire.Unrecorded:
		r.State, r.Said = "wait", words.Verdict(lang, k.h.Verdict)
	case k.h.Verdict == wire.Refused:
		r.State, r.Said = "bad", say(lang, "said.refused")+": "+words.Reason(lang, k.h.Reason).Head
	case k.h.Direction == wire.Out:
		r.State, r.Said = "good", say(lang, "said.out")
	default:
		r.State, r.Said = "good", say(lang, "said.in")
	}
	return r
}

func kindOf(lang words.Lang, h wire.Header) string {
	switch {
	case h.With != 0:
		return say(lang, "kind.companion")
	case h.Pass == pass.Unknown && h.Presence == wire.Claimed:
		return say(lang, "kind.none")
	}
	return words.Pass(lang, h.Pass)
}

// timeOf says when a record was written; a time that is not certain carries a mark.
func timeOf(d dater, h wire.Header) string {
	m := d.of(h)
	said := m.at.Format("15:04")
	if sure(d.now.State) && dayOf(m.at) != dayOf(time.UnixMilli(d.now.Wall)) {
		said = m.at.Format("15:04 2/1")
	}
	if !m.sure {
		said += " ?"
	}
	return said
}

func laneName(lang words.Lang, gate string, lane uint8) string {
	if lane == 0 {
		return gate
	}
	return say(lang, "lane.no", "gate", gate, "lane", strconv.Itoa(int(lane)))
}

// Name returns how people call a lane.
func (d data) Name(l lane) string { return laneName(d.Lang, l.Gate, l.Lane) }

// Left returns how many more came in than went out.
func (l lane) Left() int { return l.In - l.Out }
