package screen

import (
	"strconv"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A look is how one state of the door is shown and heard. Its shape and colours
// are in the page, under the state's name.
type look struct {
	standing bool            // stays until another answer; all others go back to the last that stood
	explain  bool            // there is something to read: it is shown for longer
	pitch    []float64       // hertz of each beep in turn; the last goes on
	rhythm   []time.Duration // where it is not the panel's buzzer's
}

// looks is the one table of states. Pitches stay below 1.2 kHz, which old ears
// still hear; rising is good, falling is not.
var looks = map[words.State]look{
	words.Ready:     {standing: true},
	words.Reading:   {},
	words.Admitted:  {pitch: []float64{1046}},
	words.Leaving:   {pitch: []float64{1046, 784}, rhythm: ms(110, 60, 220)},
	words.Again:     {pitch: []float64{784, 1046}, explain: true},
	words.Refused:   {pitch: []float64{311}, explain: true},
	words.Amber:     {pitch: []float64{587, 440}, explain: true},
	words.Full:      {pitch: []float64{392, 330}, explain: true},
	words.WrongLane: {pitch: []float64{494, 494, 330}, explain: true},
	words.Fault:     {pitch: []float64{659}, standing: true},
	words.Locked:    {pitch: []float64{262}, standing: true},
	words.Ordered:   {pitch: []float64{880, 1174}, explain: true},
	words.Here:      {pitch: []float64{988}, explain: true},
	words.Starting:  {standing: true},
}

func ms(steps ...int) []time.Duration {
	d := make([]time.Duration, len(steps))
	for i, n := range steps {
		d[i] = time.Duration(n) * time.Millisecond
	}
	return d
}

// rhythm returns when the tone of an answer is on and off, in turn.
func rhythm(s words.State) []time.Duration {
	if r := looks[s].rhythm; r != nil {
		return r
	}
	return kiosk.Signal(s).Beep()
}

// typedWrong reports whether a code was typed that cannot be right: there is no
// card that could be wiped.
func typedWrong(a kiosk.Answer) bool {
	return a.State == words.Refused && a.Typed && !a.Phone && a.Reason == wire.ReasonMalformed
}

// refusedEntry returns the name of the words for what somebody has entered that is not
// taken, "" if those of the reason are right.
func refusedEntry(a kiosk.Answer) words.Key {
	switch {
	case a.State != words.Refused:
	case a.CardFirst:
		return words.BringFirst
	case a.Phone && a.Reason == wire.ReasonMalformed:
		return words.PhoneWrong
	case a.Phone && a.Reason == wire.ReasonTries:
		return words.PhoneWait
	case typedWrong(a):
		return words.TypedWrong
	}
	return ""
}

// vietnam is the time on every clock of the country.
var vietnam = time.FixedZone("ICT", 7*60*60)

// Words returns what the screen says with an answer.
func Words(lang words.Lang, a kiosk.Answer) words.Sentence {
	s := words.Door(lang, a.State)
	switch {
	case refusedEntry(a) != "":
		s = words.Sentence{Head: words.Of(lang, refusedEntry(a)), Do: words.Of(lang, refusedEntry(a)+".do")}
	case a.State == words.Refused && a.Reason != wire.NoReason:
		s = words.Reason(lang, a.Reason)
	case a.State == words.Again && !a.At.IsZero():
		s.Head = words.Of(lang, words.AgainAt, "time", a.At.In(vietnam).Format("15:04"))
	case a.State == words.Ordered && a.Order == wire.OrderSelfTest && a.Faulty:
		s.Head = words.Of(lang, words.SelfTestBad)
	case a.State == words.Ordered:
		if head := words.Order(lang, a.Order); head != "" {
			s.Head = head
		}
	case a.Test:
		s.Do = words.Of(lang, words.TestPass)
	case a.Brought > 0:
		s.Do = words.Of(lang, words.BringDone, "count", strconv.Itoa(a.Brought))
	}
	return s
}

// Line returns the name of the file that speaks an answer, without ".wav"; ""
// if nothing is said.
func Line(a kiosk.Answer) string {
	switch {
	case a.State == words.Ready || a.State == words.Reading || a.State == words.Starting:
		return ""
	case refusedEntry(a) != "":
		return string(refusedEntry(a))
	case a.State == words.Refused && a.Reason != wire.NoReason:
		return "reason." + a.Reason.String()
	case a.Test:
		return "test.pass"
	case a.Brought > 0:
		return "brought." + strconv.Itoa(a.Brought)
	}
	return string(a.State)
}
