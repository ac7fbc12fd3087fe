package kiosk

import (
	"hash/maphash"
	"time"
)

// toldFor is how long after a check-in its time is told to whoever shows the same
// code at the same gate, so that a photo of a card cannot ask for longer whether
// somebody is inside.
const toldFor = 10 * time.Minute

// maxGiven is far more answers than a door gives within toldFor.
const maxGiven = 4096

// A given is what was answered to a code.
type given struct {
	refused bool
	at      time.Time // of the scan
	clock   time.Time // what the clock said; zero if that is not certain
}

// An answers remembers what was answered, by a hash whose key is the process's own.
type answers struct {
	seed maphash.Seed
	of   map[uint64]given
}

func newAnswers() answers { return answers{maphash.MakeSeed(), map[uint64]given{}} }

// give remembers an answer and forgets those that are told no more.
func (a *answers) give(text string, g given) {
	for id, old := range a.of {
		if g.at.Sub(old.at) >= toldFor {
			delete(a.of, id)
		}
	}
	if len(a.of) >= maxGiven {
		clear(a.of)
	}
	a.of[maphash.String(a.seed, text)] = g
}

// refused reports whether the last answer to text was no.
func (a *answers) refused(text string) bool { return a.of[maphash.String(a.seed, text)].refused }

// clock returns what the clock said when text was let in, or zero if that is not to
// be told.
func (a *answers) clock(text string, now time.Time) time.Time {
	g := a.of[maphash.String(a.seed, text)]
	if now.Sub(g.at) >= toldFor {
		return time.Time{}
	}
	return g.clock
}
