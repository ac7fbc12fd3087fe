// Package start is a kiosk's first start: somebody without a keyboard, who knows no
// Linux, is led from the first screen to an open door. Everything can be answered by the
// scanner alone, with the three codes of the printed guide; by touch, or by the guard's
// button, it goes as well. A box without a screen speaks, and its lamps count.
//
//	walk, due := start.Read(path, fresh)
//	if due {
//		page := start.NewPage(version, log)
//		walk, err := start.Run(ctx, walk, start.Options{...})
//	}
//
// The promise: a step that is done stays done, whenever the power goes, and no door waits
// for ever: a kiosk that is enrolled opens ten minutes after the last answer, whatever is
// left. What goes wrong is said in words and by lamps, and goes by itself when it is mended.
//
// What is said stands in package guide. What a code does before enrolment is package
// enrolment's, and what the door does afterwards package kiosk's.
package start

import (
	"slices"

	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/words"
)

// A Walk is how far somebody has come. It is a value: Next returns the one after it.
type Walk struct {
	Step   guide.Step   `json:"step"`
	Lang   words.Lang   `json:"lang"`
	Asked  bool         `json:"asked,omitempty"`  // a test was answered with no: advice stands
	Failed []guide.Step `json:"failed,omitempty"` // tests that were left so
	Lane   Lane         `json:"lane,omitempty"`
	Again  bool         `json:"again,omitempty"` // a kiosk that works is set up again, by a command card
	Alone  bool         `json:"alone,omitempty"` // no other step follows
	Over   bool         `json:"over,omitempty"`
}

// A Lane is the answer to whether the lane goes the way that the portal has it.
type Lane int

// The answers.
const (
	Unasked Lane = iota
	Kept
	Turned
)

// Begin returns the walk of a kiosk that is new.
func Begin() Walk { return Walk{Step: guide.Language, Lang: words.Vietnamese} }

// Repeat returns the walk of a kiosk that is set up again.
func Repeat() Walk { return Walk{Step: guide.Language, Lang: words.Vietnamese, Again: true} }

// Network returns the walk of a kiosk that is given another network and nothing else.
func Network() Walk {
	return Walk{Step: guide.Network, Lang: words.Vietnamese, Again: true, Alone: true}
}

// An Event is something that takes a walk on.
type Event int

// The events.
const (
	SaidYes  Event = iota + 1
	SaidNo         // of a test: something is wrong
	SaidNext       // leave it
	Scanned        // any other code was read
	Online         // there is a network
	Joined         // the network whose code was shown was joined
	Enrolled       // this machine is a kiosk
	Waited         // nobody came for a long time
)

// EventOf returns the event that an answer is.
func EventOf(a guide.Answer) Event {
	switch a {
	case guide.Yes:
		return SaidYes
	case guide.No:
		return SaidNo
	}
	return SaidNext
}

// Parts are what a kiosk has that can be tried.
type Parts struct {
	Lamps, Buzzer, Sound bool
	Fixed                bool // the lane cannot be turned: its relay is wired for a way in alone
}

// has reports whether there is anything to try at a step.
func (p Parts) has(s guide.Step) bool {
	switch s {
	case guide.LampTest:
		return p.Lamps
	case guide.SoundTest:
		return p.Sound || p.Buzzer
	case guide.VoiceTest:
		return p.Sound
	case guide.Direction:
		return !p.Fixed
	}
	return true
}

// isTest reports whether a step asks whether something was seen or heard.
func isTest(s guide.Step) bool {
	return s == guide.LampTest || s == guide.SoundTest || s == guide.VoiceTest
}

// Next returns the walk after an event. What does not belong to a step changes nothing.
func (w Walk) Next(e Event, has Parts) Walk {
	enrolled := w.Again || w.Step > guide.Enrol
	switch {
	case w.Over:
		return w
	case e == Enrolled && w.Step <= guide.Enrol:
		return w.at(guide.Scanner, has)
	case e == Waited && enrolled:
		w.Over = true
		return w
	}
	answered := e == SaidYes || e == SaidNo || e == SaidNext
	switch s := w.Step; {
	case s == guide.Language && answered:
		w.Lang = words.Vietnamese
		if e == SaidNo {
			w.Lang = words.English
		}
		return w.on(has)
	case s == guide.Network && (e == Joined || e == SaidNext || e == Online && !w.Alone): // the network that is there is to be left
		return w.on(has)
	case s == guide.Scanner && (answered || e == Scanned):
		return w.on(has)
	case isTest(s) && e == SaidNo && !w.Asked:
		w.Asked = true
	case isTest(s) && (e == SaidNo || e == SaidNext && w.Asked):
		w.Failed = append(slices.Clone(w.Failed), s)
		return w.on(has)
	case isTest(s) && answered:
		return w.on(has)
	case s == guide.Direction && answered:
		switch e {
		case SaidYes:
			w.Lane = Kept
		case SaidNo:
			w.Lane = Turned
		}
		return w.on(has)
	case s == guide.Ready && (answered || e == Scanned || e == Waited):
		w.Over = true
	}
	return w
}

// on returns the walk at the next step that there is something to do at.
func (w Walk) on(has Parts) Walk {
	if w.Alone {
		w.Over = true
		return w
	}
	next := w.Step + 1
	if next == guide.Enrol && w.Again {
		next++
	}
	return w.at(next, has)
}

func (w Walk) at(s guide.Step, has Parts) Walk {
	for !has.has(s) {
		s++
	}
	w.Step, w.Asked = s, false
	return w
}
