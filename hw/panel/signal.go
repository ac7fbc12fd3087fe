package panel

import (
	"slices"
	"strconv"
	"time"
)

// A Signal is what the door says to the person standing before it.
type Signal uint8

// The signals. Ready, Fault and Locked stand until another is shown; all
// others go back to the last standing one after Config.Reset.
const (
	Ready     Signal = iota // show your code
	Reading                 // a code is being read
	Admitted                // recorded on disk; the only signal that lights green
	Again                   // already recorded
	Refused                 // not admitted
	Amber                   // in, but not recorded: please write in the paper book
	Full                    // the place is full
	WrongLane               // this code belongs to another lane
	Fault                   // the kiosk cannot do its work
	Locked                  // revoked by its operator
	Ordered                 // an order was followed
	Here                    // this is the kiosk that somebody looks for
)

// String returns the signal's name as records and tests spell it, for example
// "wrong_lane".
func (s Signal) String() string {
	if int(s) < len(looks) {
		return looks[s].name
	}
	return "signal(" + strconv.Itoa(int(s)) + ")"
}

// Signals returns every signal once, in the order of the constants.
func Signals() []Signal {
	all := make([]Signal, len(looks))
	for i := range all {
		all[i] = Signal(i)
	}
	return all
}

// Beep returns the rhythm of s on the buzzer, on and off in turn; nil is silence.
// Whatever else makes a sound for s keeps to it.
func (s Signal) Beep() []time.Duration { return slices.Clone(looks[s].beep) }

// lamps is a set of lamps.
type lamps uint8

const (
	red lamps = 1 << iota
	amber
	green
)

// A look is how one signal looks, sounds and moves the door.
type look struct {
	name     string
	lamps    lamps
	blink    []time.Duration // on, off, on, off ... repeated; empty is steady
	beep     []time.Duration // on, off, on ... once; empty is silent
	pulse    bool            // an entrance opens
	standing bool            // stays until another signal is shown
}

// looks is the one table of what each signal does. Nobody has to see colours
// or to hear: every rhythm of the lamps differs from every other, and so does
// every rhythm of the buzzer. No rhythm flashes more than three times in a
// second, which can set off a seizure.
//
// Again opens an entrance: the check-in is on disk, and whoever was too slow
// for the door must not stand before it.
//
// Doors that people leave through do not follow the pulse column, see
// [Config.Egress].
var looks = [...]look{
	Ready: {name: "ready", lamps: amber, blink: ms(100, 2900), standing: true},
	Reading: {name: "reading", lamps: amber,
		blink: ms(200, 200)},
	Admitted: {name: "admitted", lamps: green,
		beep: ms(150), pulse: true},
	Again: {name: "again", lamps: amber,
		blink: ms(300, 200, 300, 700), beep: ms(80, 80, 80), pulse: true},
	Refused: {name: "refused", lamps: red,
		blink: ms(500, 500), beep: ms(800)},
	Amber: {name: "amber", lamps: amber,
		blink: ms(1200, 400), beep: ms(400, 100, 100), pulse: true},
	Full: {name: "full", lamps: red,
		blink: ms(700, 200, 700, 900), beep: ms(400, 200, 400)},
	WrongLane: {name: "wrong_lane", lamps: red,
		blink: ms(200, 200, 200, 200, 200, 1000), beep: ms(100, 100, 100, 100, 500)},
	Fault: {name: "fault", lamps: red | amber,
		blink: ms(100, 1900), beep: ms(60, 60, 60, 60, 60, 60, 60), standing: true},
	Locked: {name: "locked", lamps: red | amber,
		blink: ms(2700, 300), beep: ms(1500), standing: true},
	Ordered: {name: "ordered", lamps: amber,
		blink: ms(100, 300, 600, 400), beep: ms(60, 60, 250)},
	Here: {name: "here", lamps: red | amber,
		blink: ms(200, 200, 200, 400), beep: ms(100, 300, 100, 300, 100, 300, 100, 300, 100)},
}

func ms(steps ...int) []time.Duration {
	d := make([]time.Duration, len(steps))
	for i, n := range steps {
		d[i] = time.Duration(n) * time.Millisecond
	}
	return d
}

// phase says whether a rhythm is on after t, and how long it stays so; left
// is 0 when it stays so for ever.
func phase(steps []time.Duration, repeat bool, t time.Duration) (on bool, left time.Duration) {
	if repeat {
		var whole time.Duration
		for _, d := range steps {
			whole += d
		}
		t %= whole
	}
	for i, d := range steps {
		if t < d {
			return i%2 == 0, d - t
		}
		t -= d
	}
	return false, 0
}
