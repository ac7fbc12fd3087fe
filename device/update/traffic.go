package update

import (
	"encoding/json"
	"os"
	"slices"
	"time"

	"github.com/qrgate/qrgate/device/durable"
)

// A Traffic counts who comes by hour of the day, and so knows when a door is missed
// least: at night where a place closes, in the quietest hour where it never does.
// One goroutine uses it.
type Traffic struct {
	path string

	Counts [24]uint64 `json:"counts"` // halved now and then, so that old habits fade
	Days   int        `json:"days"`   // that were watched
	Day    string     `json:"day"`
}

const (
	usual    = 3 // o'clock, before anything is known
	daysKnow = 3 // after so many days it is
	daysFade = 28
)

// most is more than ever come through a door in an hour of the day; earlier versions
// wrote such numbers.
const most = 1 << 40

// OpenTraffic reads what is known; a file that is missing, damaged or cannot be true is
// begun anew.
func OpenTraffic(path string) *Traffic {
	t := &Traffic{}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, t)
	}
	if err != nil || t.Days < 0 || slices.Max(t.Counts[:]) > most {
		*t = Traffic{}
	}
	t.path = path
	return t
}

// Add counts n people at a local time.
func (t *Traffic) Add(now time.Time, n uint64) {
	t.Counts[now.Hour()] += n
	if day := now.Format(time.DateOnly); day != t.Day {
		t.Day = day
		if t.Days++; t.Days%daysFade == 0 {
			for i := range t.Counts {
				t.Counts[i] /= 2
			}
		}
	}
}

// Write keeps what is known.
func (t *Traffic) Write() error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return durable.Replace(t.path, append(b, '\n'))
}

// Quietest returns the hour in which the fewest come, with its neighbours counted
// too; of equal ones that nearest to the usual one.
func (t *Traffic) Quietest() int {
	if t.Days <= daysKnow {
		return usual
	}
	best, least := usual, t.around(usual)
	for off := 1; off <= 12; off++ {
		for _, h := range []int{(usual + off) % 24, (usual + 24 - off) % 24} {
			if n := t.around(h); n < least {
				best, least = h, n
			}
		}
	}
	return best
}

func (t *Traffic) around(h int) uint64 {
	return t.Counts[(h+23)%24] + 2*t.Counts[h] + t.Counts[(h+1)%24]
}
