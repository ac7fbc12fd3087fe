package bare

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/words"
)

// A Cause is why there is no page, as a code that people say on the telephone. A code that
// was shown keeps its meaning.
type Cause string

// The causes.
const (
	NoMemory Cause = "M1" // the kernel took a program's life for its memory
	NoScreen Cause = "M2" // the browser, or what has the screen for it, ended by itself
	Crashed  Cause = "M3" // it crashed
	Missing  Cause = "M4" // it is not there, or cannot be run
	Absent   Cause = "M5" // it was not started
)

// Causes returns every cause.
func Causes() []Cause { return []Cause{NoMemory, NoScreen, Crashed, Missing, Absent} }

// A Notice is what is said at once.
type Notice struct {
	Said [2]words.Sentence // in Vietnamese and English
	Door [2]string         // whether the door works; "" says nothing
	Foot string            // for who is called; "" is none
	Code string            // Foot as a code for telephones; "" is none
}

//go:embed vi.txt
var vietnamese string

//go:embed en.txt
var english string

var texts = sync.OnceValue(func() [2]map[words.Key]string {
	return [2]map[words.Key]string{words.Parse(vietnamese), words.Parse(english)}
})

func text(lang int, key words.Key, args ...string) string {
	return strings.NewReplacer(args...).Replace(texts()[lang][key])
}

// Starting says that the kiosk is starting and that the browser takes its time.
func Starting() Notice { return said("starting") }

// Ending says that the kiosk is stopping.
func Ending() Notice { return said("ending") }

func said(key words.Key) (n Notice) {
	for lang := range n.Said {
		n.Said[lang] = words.Sentence{Head: text(lang, key), Do: text(lang, key+".do")}
	}
	return n
}

// Broken says why there is no page. detail is for who repairs it, and release is that of
// this program; door is nil if it does not answer.
func Broken(c Cause, detail, release string, door *screen.Brief) (n Notice) {
	do := words.Key("do")
	number := ""
	if door != nil && door.Help != "" {
		do, number = "do.call", strings.ReplaceAll(door.Help, " ", nbsp)
	}
	for lang, name := range words.Langs() {
		n.Said[lang] = words.Sentence{Head: text(lang, words.Key(c)), Do: text(lang, do, "{code}", string(c), "{number}", number)}
		n.Door[lang] = works(lang, name, door)
	}
	n.Foot = fmt.Sprintf("%s · %s · QRGate %s", c, detail, release)
	n.Code = fmt.Sprintf("QRGate %s, %s, %s", release, c, detail)
	return n
}

// works says whether the door works.
func works(lang int, name words.Lang, door *screen.Brief) string {
	switch {
	case door == nil:
		return text(lang, "door.none")
	case door.State == "":
		return text(lang, "door.new")
	case door.State == words.Ready:
		return text(lang, "door.works")
	}
	s := words.Door(name, door.State)
	return s.Head + ". " + s.Do
}
