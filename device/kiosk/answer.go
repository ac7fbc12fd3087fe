package kiosk

import (
	"time"

	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A Face tells people what the door has decided, beside the lamps. Show is
// called by the door itself, one answer at a time, and must not wait.
type Face interface{ Show(Answer) }

// An Answer is what the door tells the person who stands before it. It holds
// nothing about them.
type Answer struct {
	State  words.State
	Reason wire.Reason // with Refused always; with Amber and Fault if it is known

	Typed     bool      // a code was typed
	Phone     bool      // and it was a telephone number
	CardFirst bool      // companions were shown before the card that they come with
	Test      bool      // it was the morning's test card that was let in
	Seq       uint64    // the check-in that is on disk; 0 if there is none
	MayBring  bool      // companions may be entered for Seq
	Brought   int       // with Admitted: so many companions were recorded just now
	At        time.Time // with Again: when it was recorded; zero if that is not to be told

	Order  wire.OrderKind // with Ordered: what was done
	Faulty bool           // and that it has found something wrong
}

// signals is what lamps, buzzer and relay do in each state of the door.
var signals = map[words.State]panel.Signal{
	words.Ready:     panel.Ready,
	words.Reading:   panel.Reading,
	words.Admitted:  panel.Admitted,
	words.Leaving:   panel.Admitted,
	words.Again:     panel.Again,
	words.Refused:   panel.Refused,
	words.Amber:     panel.Amber,
	words.Full:      panel.Full,
	words.WrongLane: panel.WrongLane,
	words.Fault:     panel.Fault,
	words.Locked:    panel.Locked,
	words.Ordered:   panel.Ordered,
	words.Here:      panel.Here,
}

// Signal returns what the panel shows with an answer of the given state.
func Signal(s words.State) panel.Signal { return signals[s] }

// noScanner is what lamps count out while no scanner can read, as they do at a first start.
var noScanner = panel.Trouble(int(guide.NoScanner))

// signal is Signal of this door as it is.
func (k *Kiosk) signal(s words.State) panel.Signal {
	if s == words.Ready && k.blind.Load() {
		return noScanner
	}
	return Signal(s)
}

// tell gives one answer everywhere. The panel comes first: it opens the door.
func (k *Kiosk) tell(a Answer) {
	if k.hand != nil {
		*k.hand = a
	}
	k.Panel.Show(k.signal(a.State))
	for _, f := range k.Faces {
		f.Show(a)
	}
}

// said returns the answer to a judgment, whose record has the number seq, or 0.
func (k *Kiosk) said(j judgment, seq uint64) Answer {
	a := Answer{State: words.Admitted, Reason: j.reason, Seq: seq, Typed: j.presence == wire.Typed, Phone: j.kind == pass.Phone}
	switch {
	case j.reason == wire.ReasonFull:
		a.State = words.Full
	case j.reason == wire.ReasonWrongLane:
		a.State = words.WrongLane
	case j.reason == wire.ReasonLocked:
		a.State = words.Locked
	case j.verdict == wire.Refused:
		a.State = words.Refused
	case j.kind == pass.Test:
		a.Test = true
	case k.direction() == wire.Out:
		a.State = words.Leaving
	default:
		a.MayBring = j.subject != nil && seq != 0
	}
	return a
}
