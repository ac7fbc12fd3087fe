package start

import (
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A Situation is what a first start knows beside how far it has come.
type Situation struct {
	Enrolment   enrolment.Status // of a kiosk that is new
	Trouble     guide.Trouble    // 0 is none
	Faults      []string         // of the file on the boot partition, in both languages
	Place, Gate string           // of a kiosk that is enrolled
	Direction   wire.Direction
}

// A View is what a kiosk says at one moment: on its page, by its lamps and aloud.
type View struct {
	About   string   // names the picture: a step, or a stage of the enrolment
	Step    int      // 0 shows none
	Head    [2]Said  // in the chosen language and in the other
	Words   []string // to be compared
	Answers []Button
	Hint    [2]Said // how to answer
	Trouble [2]words.Sentence
	Faults  []string
	Place   string
	Bad     bool // the headline is about something that went wrong

	signal panel.Signal
	line   string // that is spoken
}

// A Said is a sentence and the language that it is in.
type Said struct {
	Lang words.Lang
	words.Sentence
}

// A Button is an answer with its words.
type Button struct {
	Answer guide.Answer
	Words  [2]string
}

// langs returns the chosen language and the other one.
func (w Walk) langs() [2]words.Lang {
	if w.Lang == words.English {
		return [2]words.Lang{words.English, words.Vietnamese}
	}
	return [2]words.Lang{words.Vietnamese, words.English}
}

// Look returns what is said of a walk.
func (w Walk) Look(s Situation) View {
	v := View{About: w.Step.String(), Step: int(w.Step), signal: panel.Step(int(w.Step)), Faults: s.faults()}
	key := w.Step.Key()
	switch {
	case s.Trouble == guide.BadDisk && s.Enrolment.Stage == enrolment.Closed:
		// Not that it was on for too long: no code will do what another card does.
	case w.Step <= guide.Enrol && tells(s.Enrolment.Stage):
		return w.enrolling(v, s)
	case w.Asked:
		key, v.Bad = w.Step.Advice(), true
	case w.Step == guide.Direction && s.Direction == wire.Out:
		key += ".out"
	case w.Step == guide.Direction:
		key += ".in"
	case w.Step == guide.Ready:
		v.Place = s.Place
		if s.Gate != "" {
			v.Place = strings.TrimPrefix(v.Place+" · "+s.Gate, " · ")
		}
		v.signal = panel.Ready
	}
	v.line = string(key)
	for i, lang := range w.langs() {
		v.Head[i] = Said{lang, guide.Of(lang, key)}
		v.Head[i].Do = together.Replace(v.Head[i].Do)
		v.Hint[i].Lang = lang
		if w.Step == guide.Ready && len(w.Failed) > 0 {
			v.Head[i].Do = w.failed(lang) + " " + v.Head[i].Do
		}
	}
	v.Answers = w.answers()
	if len(v.Answers) > 0 {
		for i, lang := range w.langs() {
			v.Hint[i].Head = guide.Text(lang, guide.HintKey)
		}
	}
	if s.Trouble != 0 {
		for i, lang := range w.langs() {
			v.Trouble[i] = guide.Of(lang, s.Trouble.Key())
		}
		v.signal, v.line = panel.Trouble(int(s.Trouble)), string(s.Trouble.Key())
	}
	return v
}

// faults returns the first fault of the file, and how many more there are: all of them
// would cover what is asked, and whoever mends one sees the next.
func (s Situation) faults() []string {
	if len(s.Faults) < 2 {
		return s.Faults
	}
	more := strconv.Itoa(len(s.Faults) - 1)
	return []string{s.Faults[0] + " (" + guide.Text(words.Vietnamese, guide.MoreKey, "n", more) + " / " + guide.Text(words.English, guide.MoreKey, "n", more) + ")"}
}

// together keeps what a code is called on one line.
var together = func() *strings.Replacer {
	var pairs []string
	for _, a := range guide.Answers() {
		for _, code := range []string{"mã ", "Mã ", "code ", "Code "} {
			is := code + guide.Text(words.Vietnamese, a.Key())
			pairs = append(pairs, is, strings.ReplaceAll(is, " ", "\u00a0"))
		}
	}
	return strings.NewReplacer(pairs...)
}()

// enrolling is Look while a code is being acted on.
func (w Walk) enrolling(v View, s Situation) View {
	stage := s.Enrolment.Stage
	v.About, v.Words = string(stage), strings.Fields(s.Enrolment.Words)
	v.signal = s.Enrolment.Signal()
	for i, lang := range w.langs() {
		v.Head[i] = Said{lang, enrolment.Sentence(lang, stage)}
	}
	if stage == enrolment.Words {
		v.line = string(guide.AwaitedKey)
	}
	if t := troubleOf(stage); t != 0 {
		v.Bad, v.signal, v.line = true, panel.Trouble(int(t)), string(t.Key())
	}
	v.Faults = nil
	return v
}

// failed says which tests were left.
func (w Walk) failed(lang words.Lang) string {
	var names []string
	for _, s := range w.Failed {
		names = append(names, guide.Text(lang, words.Key("name."+s.String())))
	}
	return guide.Text(lang, guide.FailedKey, "what", strings.Join(names, ", "))
}

func (w Walk) answers() []Button {
	var all []guide.Answer
	switch s := w.Step; {
	case s == guide.Language || s == guide.Direction:
		all = []guide.Answer{guide.Yes, guide.No}
	case s == guide.Network || s == guide.Scanner || s == guide.Ready:
		all = []guide.Answer{guide.Next}
	case isTest(s) && w.Asked:
		all = []guide.Answer{guide.Yes, guide.Next}
	case isTest(s):
		all = []guide.Answer{guide.Yes, guide.No}
	}
	var buttons []Button
	for _, a := range all {
		b := Button{Answer: a}
		for i, lang := range w.langs() {
			b.Words[i] = guide.Text(lang, a.Key())
		}
		buttons = append(buttons, b)
	}
	return buttons
}

// tells reports whether a stage has something to say that the step does not.
func tells(s enrolment.Stage) bool { return s != "" && s != enrolment.Waiting && s != enrolment.Joined }

// troubleOf returns the trouble that a stage of the enrolment is.
func troubleOf(s enrolment.Stage) guide.Trouble {
	switch s {
	case enrolment.NoWiFi:
		return guide.NoWiFi
	case enrolment.NoServer:
		return guide.NoServer
	case enrolment.Refused, enrolment.Ended, enrolment.Shut, enrolment.Other:
		return guide.BadCode
	case enrolment.Disk:
		return guide.BadDisk
	}
	return 0
}

// OfEnrolment returns what a kiosk says that is enrolled without a walk.
func OfEnrolment(s enrolment.Status) View {
	v := View{About: string(s.Stage), Words: strings.Fields(s.Words), signal: s.Signal(), Bad: troubleOf(s.Stage) != 0 || s.Stage == enrolment.NotCode}
	for i, lang := range []words.Lang{words.Vietnamese, words.English} {
		v.Head[i] = Said{lang, enrolment.Sentence(lang, s.Stage)}
	}
	return v
}

// Signal returns what lamps show with a view.
func (v View) Signal() panel.Signal { return v.signal }

// Line returns the name of the file that speaks a view, without ".wav"; "" if nothing is
// said.
func (v View) Line() string { return v.line }

// Of says which step of how many it is.
func (v View) Of() string {
	if v.Step == 0 {
		return ""
	}
	return guide.Text(v.Head[0].Lang, guide.StepOfKey, "step", strconv.Itoa(v.Step), "steps", strconv.Itoa(guide.Steps))
}
