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

	doorSignals = iota
)

// The signals of a first start are no answers of a door. All of them stand until another
// is shown, and hold a way out open.
const (
	TryRed Signal = 32 + iota // one lamp alone, to see whether it lights
	TryAmber
	TryGreen
	Awaited // the server has this very machine before it, and waits until somebody agrees

	steps    Signal = 64 // and the number of the step
	troubles Signal = 96

	maxCounted = 12 // flashes that somebody can count
)

// Step is the signal of a first start that waits for somebody at its step n, from 1.
func Step(n int) Signal { return steps + Signal(min(max(n, 1), maxCounted)) }

// Trouble is the signal of a first start that cannot go on because of trouble n, from 1.
func Trouble(n int) Signal { return troubles + Signal(min(max(n, 1), maxCounted)) }

// String returns the signal's name as records and tests spell it, for example
// "wrong_lane".
func (s Signal) String() string {
	if name := looks[s].name; name != "" {
		return name
	}
	return "signal(" + strconv.Itoa(int(s)) + ")"
}

// Signals returns every signal of a door once, in the order of the constants.
func Signals() []Signal {
	all := make([]Signal, doorSignals)
	for i := range all {
		all[i] = Signal(i)
	}
	return all
}

// Beep returns the rhythm of s on the buzzer, on and off in turn; nil is silence.
// Whatever else makes a sound for s keeps to it.
func (s Signal) Beep() []time.Duration { return slices.Clone(looks[s].beep) }

// Blink returns the rhythm of the lamps of s, on and off in turn; nil is steady.
func (s Signal) Blink() []time.Duration { return slices.Clone(looks[s].blink) }

// Lamps returns which lamps s lights.
func (s Signal) Lamps() (r, a, g bool) {
	l := looks[s].lamps
	return l&red != 0, l&amber != 0, l&green != 0
}

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
	frees    bool            // while it stands a way out is open
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
var looks = withSetUp([256]look{
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
		blink: ms(100, 1900), beep: ms(60, 60, 60, 60, 60, 60, 60), standing: true, frees: true},
	Locked: {name: "locked", lamps: red | amber,
		blink: ms(2700, 300), beep: ms(1500), standing: true, frees: true},
	Ordered: {name: "ordered", lamps: amber,
		blink: ms(100, 300, 600, 400), beep: ms(60, 60, 250)},
	Here: {name: "here", lamps: red | amber,
		blink: ms(200, 200, 200, 400), beep: ms(100, 300, 100, 300, 100, 300, 100, 300, 100)},
})

// withSetUp adds the signals of a first start: one long flash of the amber lamp and as
// many short ones as the step has, or two long ones of the red lamp and the trouble's.
func withSetUp(all [256]look) [256]look {
	for i, l := range []lamps{red, amber, green} {
		s := TryRed + Signal(i)
		all[s] = look{name: [...]string{"try_red", "try_amber", "try_green"}[i], lamps: l, standing: true, frees: true}
	}
	all[Awaited] = look{name: "awaited", lamps: amber, blink: ms(800, 300, 200, 300, 800, 1100), standing: true, frees: true}
	for n := 1; n <= maxCounted; n++ {
		all[Step(n)] = look{name: "step " + strconv.Itoa(n), lamps: amber, blink: counted(1, n), standing: true, frees: true}
		all[Trouble(n)] = look{name: "trouble " + strconv.Itoa(n), lamps: red, blink: counted(2, n), standing: true, frees: true}
	}
	return all
}

// counted is some long flashes and then n short ones.
func counted(long, n int) []time.Duration {
	var d []time.Duration
	for range long {
		d = append(d, ms(1200, 400)...)
	}
	for range n {
		d = append(d, ms(200, 400)...)
	}
	d[len(d)-1] += 1600 * time.Millisecond
	return d
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
