package screen

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/sync/words"
)

// Times of a screen that its Options do not set.
const (
	DefaultReset   = 3 * time.Second
	DefaultExplain = 6 * time.Second
)

// beatEvery is how often the page hears that the kiosk is there. After three
// that it missed it says that the kiosk is restarting; see screen.js.
const beatEvery = 2 * time.Second

// Options are what a screen shows beside answers.
type Options struct {
	Place, Gate string
	HelpLine    string
	Reset       time.Duration // how long an answer is shown; 0 is DefaultReset
	Explain     time.Duration // and one with something to read; 0 is DefaultExplain
	Typed       bool          // codes may be typed
	Phone       bool          // and telephone numbers
	Companions  bool          // companions may be entered

	// Now returns the local time, and false if it is not certain enough to be
	// shown. Nil shows no time.
	Now func() (time.Time, bool)

	// Inside returns bounds on how many people are inside, and false if that is
	// not known. Nil shows none.
	Inside func() (least, most int, known bool)

	// Crowd says that the place is nearly full, or full; nil never does.
	Crowd func() (near, full bool)

	// ListAge returns how old the list of void cards is, and false if there is none
	// whose age is known. Nil shows nothing.
	ListAge func() (time.Duration, bool)

	// Notice returns what whoever looks after the kiosk is told now, "" if nothing. It
	// stands where the age of the list does. Nil tells nothing.
	Notice func() string

	// SetUp returns the address that the page shows as a code for telephones, "" if
	// nothing is to be set up. Several lines are codes of a reel. Nil shows none.
	SetUp func() string

	// Ask returns what is said beside that code in Vietnamese and English. Nil, or "",
	// asks for the time.
	Ask func() (vi, en string)
}

// A Screen is the page and what it shows now.
type Screen struct {
	log   *slog.Logger
	token string // that the page sends with what is entered on it

	mu       sync.Mutex
	o        Options
	boot     string // of this process and configuration: a page of an earlier one loads again
	number   int    // of the answer
	answer   kiosk.Answer
	since    time.Time
	standing kiosk.Answer
	hint     string        // of words.Hints, "" for none
	changed  chan struct{} // closed when there is another answer
}

// New returns a screen that shows that the kiosk is starting.
func New(o Options, log *slog.Logger) *Screen {
	o.setDefaults()
	starting := kiosk.Answer{State: words.Starting}
	return &Screen{
		o: o, log: log, boot: rand.Text(), token: rand.Text(),
		answer: starting, standing: starting, changed: make(chan struct{}),
	}
}

func (o *Options) setDefaults() {
	if o.Reset == 0 {
		o.Reset = DefaultReset
	}
	if o.Explain == 0 {
		o.Explain = DefaultExplain
	}
}

// Reconfigure alters what the screen shows beside answers, and has the page loaded
// again.
func (s *Screen) Reconfigure(alter func(*Options)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	alter(&s.o)
	s.o.setDefaults()
	s.boot = rand.Text()
	s.wake()
}

// wake has what is shown looked at again. s.mu is held.
func (s *Screen) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// now returns the options and the page's name as they are.
func (s *Screen) now() (o Options, boot string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.o, s.boot
}

// Show implements kiosk.Face. The page shows it as soon as the browser draws.
func (s *Screen) Show(a kiosk.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	s.answer, s.since = a, time.Now()
	if looks[a.State].standing {
		s.standing = a
	}
	s.wake()
}

// Advise shows, while the door is ready, what keeps a code from being read that is
// held up now: one of words.Hints, "" when there is nothing more to say.
func (s *Screen) Advise(hint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hint == s.hint {
		return
	}
	s.hint = hint
	s.number++
	s.wake()
}

// duration returns how long an answer is shown, 0 for one that stands.
func (o Options) duration(a kiosk.Answer) time.Duration {
	l := looks[a.State]
	switch {
	case l.standing:
		return 0
	case a.State == words.Reading:
		// The answer follows at once. If it never does, something is broken.
		return o.Explain
	case a.MayBring && o.Companions:
		return max(o.Reset, o.Explain)
	case l.explain:
		return o.Explain
	}
	return o.Reset
}

// A said is the words of one language.
type said struct {
	Head string `json:"head"`
	Do   string `json:"do"`
}

// A view is what the page is told: all that it shows now.
type view struct {
	Boot   string      `json:"boot"`
	Number int         `json:"number"` // rises with each answer
	State  words.State `json:"state"`
	Left   int64       `json:"left"` // milliseconds that it is shown from now on; 0 stands
	VI     said        `json:"vi"`
	EN     said        `json:"en"`
	Bring  uint64      `json:"bring,omitempty"` // the check-in that companions may be entered for
	Time   string      `json:"time"`
	Date   string      `json:"date"`
	Inside string      `json:"inside"`
	List   string      `json:"list"`
	SetUp  string      `json:"setup,omitempty"` // changes with the code of setup.png
	Ask    [2]string   `json:"ask,omitzero"`    // what is said beside it, in Vietnamese and English
}

// look returns what is shown at now, how long until that changes by itself (0 is
// never), and a channel that is closed when it changes before.
func (s *Screen) look(now time.Time) (v view, next time.Duration, changed <-chan struct{}) {
	s.mu.Lock()
	a, number, hint, changed, o, boot := s.answer, s.number, s.hint, s.changed, s.o, s.boot
	if d := o.duration(a); d > 0 {
		if next = d - now.Sub(s.since); next <= 0 {
			a, next = s.standing, 0
		}
	}
	s.mu.Unlock()
	v = view{Boot: boot, Number: number, State: a.State, Left: next.Milliseconds()}
	if a.MayBring && o.Companions {
		v.Bring = a.Seq
	}
	v.VI, v.EN = said(Words(words.Vietnamese, a)), said(Words(words.English, a))
	if a.State == words.Ready && hint != "" {
		v.State = words.Reading
		v.VI, v.EN = said(words.Hint(words.Vietnamese, hint)), said(words.Hint(words.English, hint))
	}
	v.Time, v.Date = o.clock()
	v.Inside, v.List = o.inside(), o.list()
	if v.SetUp = o.setUp(); v.SetUp != "" {
		v.Ask = o.ask()
	}
	return v, next, changed
}

var weekdays = [...]string{"Chủ Nhật", "Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy"}

func (o Options) clock() (hour, date string) {
	if o.Now == nil {
		return "", ""
	}
	now, certain := o.Now()
	if !certain {
		return "", ""
	}
	return now.Format("15:04"), weekdays[now.Weekday()] + now.Format(" 2/1/2006")
}

func (o Options) inside() string {
	if o.Inside == nil {
		return ""
	}
	least, most, known := o.Inside()
	if !known {
		return ""
	}
	key := words.Inside
	if o.Crowd != nil {
		switch near, full := o.Crowd(); {
		case full:
			key = words.InsideFull
		case near:
			key = words.InsideNear
		}
	}
	return words.Of(words.Vietnamese, key, "count", between(least, most))
}

// list returns what is to be said of the list of void cards: nothing while it is of
// today.
func (o Options) list() string {
	if o.Notice != nil {
		if said := o.Notice(); said != "" {
			return said
		}
	}
	if o.ListAge == nil {
		return ""
	}
	const day = 24 * time.Hour
	switch age, known := o.ListAge(); {
	case !known:
		return words.Of(words.Vietnamese, words.ListNone)
	case age >= day:
		return words.Of(words.Vietnamese, words.ListAge, "days", strconv.FormatInt(int64(age/day), 10))
	}
	return ""
}

func (v view) json() []byte {
	b, err := json.Marshal(v)
	if err != nil { // of strings and numbers: cannot be
		panic(err)
	}
	return b
}
