// Package guide is what a kiosk's first start and its printed guide must agree on: the
// steps, the troubles and how they are numbered, the codes that answer a question
// without touch or keys, what the lamps say, and the words for all of it.
//
//	s := guide.Of(words.Vietnamese, guide.Network.Key()) // "Nối mạng", "Cắm cáp mạng, ..."
//	guide.AnswerOf(text)                                 // guide.Yes, true for "QGS1YES"
//	for _, l := range guide.Lamps() { ... }              // one row for each thing that lamps say
//
// The promise: what is printed is what happens. Lamps are switched by package panel,
// which knows nothing of this one; a test compares the two row by row. A number that was
// printed keeps its meaning.
//
// Left out: when a step is done (package start of the kiosk), how a page looks (package
// print of the server).
package guide

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/qrgate/qrgate/sync/words"
)

// A Step is one thing that is done at a first start, in order.
type Step int

// The steps.
const (
	Language Step = iota + 1
	Network
	Enrol
	Scanner
	LampTest
	SoundTest
	VoiceTest
	Direction
	Ready
)

// Steps is how many steps there are.
const Steps = int(Ready)

var stepNames = [...]string{"", "language", "network", "enrol", "scanner", "lamps", "sound", "voice", "direction", "ready"}

// String returns the step's stable name.
func (s Step) String() string {
	if s < 1 || int(s) > Steps {
		return "step " + strconv.Itoa(int(s))
	}
	return stepNames[s]
}

// Key returns the key of the step's words. Those of Direction are two: with ".in" and
// ".out" after it.
func (s Step) Key() words.Key { return words.Key("step." + s.String()) }

// Advice returns the key of what is said when the answer to a test was no.
func (s Step) Advice() words.Key { return words.Key("advice." + s.String()) }

// A Trouble is what can be wrong at a first start.
type Trouble int

// The troubles, as lamps count them.
const (
	NoCable Trouble = iota + 1
	NoWiFi
	NoScanner
	NoServer
	WrongClock
	BadCode
	BadFile
	BadDisk
)

// Troubles is how many troubles there are.
const Troubles = int(BadDisk)

var troubleNames = [...]string{"", "cable", "wifi", "scanner", "server", "clock", "code", "file", "disk"}

// String returns the trouble's stable name.
func (t Trouble) String() string {
	if t < 1 || int(t) > Troubles {
		return "trouble " + strconv.Itoa(int(t))
	}
	return troubleNames[t]
}

// Key returns the key of the trouble's words.
func (t Trouble) Key() words.Key { return words.Key("trouble." + t.String()) }

// An Answer is what somebody says to a question.
type Answer string

// The answers. Each is also the text of a code on the printed guide, in letters that a
// QR code packs tightly and every keyboard scanner types.
const (
	Yes  Answer = "QGS1YES"
	No   Answer = "QGS1NO"
	Next Answer = "QGS1NEXT" // leave it, go on
)

// Answers returns every answer.
func Answers() []Answer { return []Answer{Yes, No, Next} }

// AnswerOf returns the answer that a scanned text is, in whatever case it was typed.
func AnswerOf(text string) (Answer, bool) {
	switch a := Answer(strings.ToUpper(text)); a {
	case Yes, No, Next:
		return a, true
	}
	return "", false
}

// Key returns the key of the answer's word.
func (a Answer) Key() words.Key {
	return words.Key("answer." + strings.ToLower(strings.TrimPrefix(string(a), "QGS1")))
}

// Keys of texts that belong to no step.
const (
	HintKey   words.Key = "answer.hint" // how to answer
	StepOfKey words.Key = "step.of"     // placeholders "step" and "steps"
	FailedKey words.Key = "failed"      // tests that were left; placeholder "what"
	MoreKey   words.Key = "file.more"   // mistakes of the file that are not shown; placeholder "n"

	// AwaitedKey is said, and lamps show it, where no screen has the four words: the server
	// has signed that it waits for the key of this machine. Whoever asked with another key
	// before would have had this machine refused.
	AwaitedKey words.Key = "awaited"
)

//go:embed vi.txt
var vietnamese string

//go:embed en.txt
var english string

var texts = sync.OnceValue(func() map[words.Lang]map[words.Key]string {
	return map[words.Lang]map[words.Key]string{words.Vietnamese: words.Parse(vietnamese), words.English: words.Parse(english)}
})

// Text returns the text of key with its placeholders, names and values in turn, filled in.
func Text(lang words.Lang, key words.Key, args ...string) string {
	t, ok := texts()[lang]
	if !ok {
		t = texts()[words.English]
	}
	text := t[key]
	for i := 0; i+1 < len(args); i += 2 {
		text = strings.ReplaceAll(text, "{"+args[i]+"}", args[i+1])
	}
	return text
}

// Of returns the headline of key and what to do.
func Of(lang words.Lang, key words.Key) words.Sentence {
	return words.Sentence{Head: Text(lang, key), Do: Text(lang, key+".do")}
}

// Keys returns the keys of a language's texts, in no order.
func Keys(lang words.Lang) []words.Key {
	var all []words.Key
	for k := range texts()[lang] {
		all = append(all, k)
	}
	return all
}
