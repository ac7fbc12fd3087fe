package guide

import (
	"strconv"
	"time"
)

// A Lamp is one row of what the lamps say.
type Lamp struct {
	Signal            string // as package panel names it: "ready", "step 3", "trouble 2"
	Red, Amber, Green bool
	Blink             []time.Duration // on and off in turn, again and again; none is steady
	Beep              []time.Duration // on and off in turn, once; none is silence
}

// Lamps returns every row: those of an open door, then those of a first start.
func Lamps() []Lamp {
	all := []Lamp{
		{Signal: "ready", Amber: true, Blink: ms(100, 2900)},
		{Signal: "reading", Amber: true, Blink: ms(200, 200)},
		{Signal: "admitted", Green: true, Beep: ms(150)},
		{Signal: "again", Amber: true, Blink: ms(300, 200, 300, 700), Beep: ms(80, 80, 80)},
		{Signal: "refused", Red: true, Blink: ms(500, 500), Beep: ms(800)},
		{Signal: "amber", Amber: true, Blink: ms(1200, 400), Beep: ms(400, 100, 100)},
		{Signal: "full", Red: true, Blink: ms(700, 200, 700, 900), Beep: ms(400, 200, 400)},
		{Signal: "wrong_lane", Red: true, Blink: ms(200, 200, 200, 200, 200, 1000), Beep: ms(100, 100, 100, 100, 500)},
		{Signal: "fault", Red: true, Amber: true, Blink: ms(100, 1900), Beep: ms(60, 60, 60, 60, 60, 60, 60)},
		{Signal: "locked", Red: true, Amber: true, Blink: ms(2700, 300), Beep: ms(1500)},
		{Signal: "ordered", Amber: true, Blink: ms(100, 300, 600, 400), Beep: ms(60, 60, 250)},
		{Signal: "here", Red: true, Amber: true, Blink: ms(200, 200, 200, 400), Beep: ms(100, 300, 100, 300, 100, 300, 100, 300, 100)},
	}
	for n := 1; n <= Steps; n++ {
		all = append(all, Lamp{Signal: "step " + strconv.Itoa(n), Amber: true, Blink: counted(1, n)})
	}
	all = append(all, Lamp{Signal: "awaited", Amber: true, Blink: ms(800, 300, 200, 300, 800, 1100)})
	for n := 1; n <= Troubles; n++ {
		all = append(all, Lamp{Signal: "trouble " + strconv.Itoa(n), Red: true, Blink: counted(2, n)})
	}
	return all
}

// counted is some long flashes and then n short ones, which are counted.
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
