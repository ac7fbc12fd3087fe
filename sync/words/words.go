// Package words owns what QRGate says to people at a door: a headline and what
// to do, for each reason and each state of the door, in Vietnamese and English.
// Kiosk, portal and posters say the same words.
//
//	s := words.Reason(words.Vietnamese, wire.ReasonExpired)
//	screen.Show(s.Head, s.Do) // "Thẻ đã hết hạn", "Mời ghi sổ giấy và xin cấp lại thẻ."
//
// The promise: every reason, verdict, state and kind of pass has its words in
// both languages with the same placeholders, so that nobody sees a key or a
// number. Each language is one file, read by people who do not program.
//
// A headline has at most [MaxHead] characters and is understood alone; Do is one
// short sentence. No sentence names a person, blames one, or asks a visitor for
// something that cannot be done at the door; the server's reasons speak to
// operators. Wording of pages, documents and prints that is said in one place
// only stays in that place.
package words

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// MaxHead is the longest headline in characters: what a screen of seven inches
// shows in letters that are read from two metres.
const MaxHead = 32

// A Lang is a language, named as in HTML.
type Lang string

// The languages. Vietnamese comes first wherever both are shown.
const (
	Vietnamese Lang = "vi"
	English    Lang = "en"
)

// Langs returns every language in the order in which a screen shows them.
func Langs() []Lang { return []Lang{Vietnamese, English} }

// A State is what a door shows.
type State string

// The states of a door.
const (
	Ready     State = "ready"      // waits for the next visitor
	Reading   State = "reading"    // has seen a code and judges it
	Admitted  State = "admitted"   // let in and recorded
	Leaving   State = "leaving"    // let out and recorded
	Again     State = "again"      // recorded a moment ago
	Refused   State = "refused"    // see the reason
	Amber     State = "amber"      // let in, not recorded: the paper book
	Full      State = "full"       // capacity is reached
	WrongLane State = "wrong_lane" // this lane goes the other way
	Fault     State = "fault"      // cannot work
	Locked    State = "locked"     // revoked by the server
	Ordered   State = "ordered"    // has followed a command card
	Here      State = "here"       // tells whoever looks for it which kiosk it is
	Starting  State = "starting"   // the program is not there, or not yet
)

// States returns every state.
func States() []State {
	return []State{Ready, Reading, Admitted, Leaving, Again, Refused, Amber, Full, WrongLane, Fault, Locked, Ordered, Here, Starting}
}

// A Key names one text of the catalogue.
type Key string

// The texts that are not a reason, state, verdict or kind.
const (
	Help     Key = "help"      // the help line; placeholder "number"
	AgainAt  Key = "again.at"  // when it was recorded; placeholder "time"
	FullFor  Key = "full.for"  // how many may be inside; placeholder "capacity"
	ListNone Key = "list.none" // no revocation list has come yet
	ListAge  Key = "list.age"  // age of the revocation list; placeholder "days"
	TestPass Key = "test.pass" // the morning's test card has worked

	TimeAsk     Key = "time.ask"            // beside a code for telephones
	SelfTestBad Key = "order.self_test.bad" // a self-test has found something

	TypedWrong   Key = "typed.wrong"    // a typed code that cannot be right
	TypedWrongDo Key = "typed.wrong.do" // and what to do
	TypedAsk     Key = "typed.ask"      // opens the keys for a code
	TypedHint    Key = "typed.hint"     // where the code stands
	TypedEnter   Key = "typed.enter"
	TypedErase   Key = "typed.erase"
	TypedClose   Key = "typed.close"
	PhoneAsk     Key = "phone.ask"   // opens the keys for a telephone number
	PhoneHint    Key = "phone.hint"  // who reads it
	PhoneWrong   Key = "phone.wrong" // a number that cannot be; ".do" is what to do, as for the next two
	PhoneWait    Key = "phone.wait"  // too many were typed within a minute
	BringFirst   Key = "bring.first" // companions were shown before the card
	BringAsk     Key = "bring.ask"   // before the numbers of companions
	BringDone    Key = "bring.done"  // placeholder "count"
	Inside       Key = "inside"      // how many are inside; placeholder "count"
	InsideNear   Key = "inside.near" // and the place is nearly full
	InsideFull   Key = "inside.full" // and nobody else comes in by this door

	CarryBusy   Key = "carry.busy"   // check-ins are being written on a stick
	CarryDone   Key = "carry.done"   // they are; placeholder "count", of what waits for a receipt
	CarryFailed Key = "carry.failed" // they cannot be
	CarryCodes  Key = "carry.codes"  // beside codes that carry them; placeholder "count", of what waits
	CarryTaken  Key = "carry.taken"  // receipts were read from codes; placeholder "count"

	LeaseSoon  Key = "lease.soon"  // placeholder "days", in which the lease ends unless the server is heard of
	LeaseEnded Key = "lease.ended" // it has: lists are given up, check-ins are not
)

//go:embed vi.txt
var vietnamese string

//go:embed en.txt
var english string

// catalogues holds each language's texts. A file that does not parse is a bug
// that the tests find, so it panics.
var catalogues = sync.OnceValue(func() map[Lang]map[Key]string {
	return map[Lang]map[Key]string{Vietnamese: Parse(vietnamese), English: Parse(english)}
})

// Parse reads a catalogue: lines "key = text", comments after #. What is wrong
// with a file is a bug of whoever wrote it, so it panics.
func Parse(file string) map[Key]string {
	texts := map[Key]string{}
	for n, line := range strings.Split(file, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		key, text, ok := strings.Cut(line, " = ")
		if _, twice := texts[Key(key)]; !ok || twice {
			panic(fmt.Sprintf("words: line %d: %q is not a new key and its text", n+1, line))
		}
		texts[Key(key)] = text
	}
	return texts
}

// Keys returns every key of a language's catalogue, sorted.
func Keys(lang Lang) []Key {
	var all []Key
	for k := range catalogues()[lang] {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// Of returns the text of key. args are names and values of its placeholders in
// turn: "time", "08:05". It returns the key itself if there is no such text,
// and English for a language that is not spoken.
func Of(lang Lang, key Key, args ...string) string {
	texts, ok := catalogues()[lang]
	if !ok {
		texts = catalogues()[English]
	}
	text, ok := texts[key]
	if !ok {
		return string(key)
	}
	if len(args) == 0 {
		return text
	}
	pairs := slices.Clone(args)
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// A Sentence is what is said at once: a headline and what to do.
type Sentence struct {
	Head string
	Do   string
}

func sentence(lang Lang, key Key) Sentence {
	return Sentence{Head: Of(lang, key), Do: Of(lang, key+".do")}
}

// Reason returns the words for why a door or the server decided as it did. A
// reason of a later release has those of an unknown code; no reason has none.
func Reason(lang Lang, r wire.Reason) Sentence {
	switch {
	case r == wire.NoReason:
		return Sentence{}
	case !slices.Contains(wire.Reasons(), r):
		r = wire.ReasonUnknown
	}
	return sentence(lang, Key("reason."+r.String()))
}

// Door returns the words of a door's state.
func Door(lang Lang, s State) Sentence { return sentence(lang, Key("state."+s)) }

// Hints returns the name of each thing that may keep a camera from reading a code
// that it sees.
func Hints() []string { return []string{"closer", "hold-still", "tilt", "light"} }

// Hint returns what to tell who holds up a code that is not read.
func Hint(lang Lang, name string) Sentence { return sentence(lang, Key("hint."+name)) }

// Order returns the headline for a command card that was followed; "" if its kind has
// none of its own.
func Order(lang Lang, k wire.OrderKind) string {
	switch k {
	case wire.OrderSelfTest, wire.OrderDirection, wire.OrderUndo, wire.OrderTally, wire.OrderEvent, wire.OrderMaintenance, wire.OrderFloor, wire.OrderSetUp, wire.OrderNetwork:
		return Of(lang, Key("order."+k.String()))
	}
	return ""
}

// Verdict returns the name of a verdict for lists and tables.
func Verdict(lang Lang, v wire.Verdict) string { return Of(lang, Key("verdict."+v.String())) }

// Pass returns the name of a kind of pass for lists and tables.
func Pass(lang Lang, k pass.Kind) string { return Of(lang, Key("pass."+k.String())) }
