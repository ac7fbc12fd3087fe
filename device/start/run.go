package start

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/wire"
)

// Times of a walk.
const (
	Patience = 10 * time.Minute // an enrolled kiosk opens its door after so long without an answer

	sheetStands  = 15 * time.Second // the last sheet, unless somebody goes on
	lookEvery    = 500 * time.Millisecond
	stillHeld    = time.Second // the longest pause between two reads of a code that never left
	scannerComes = 10 * time.Second
	cableComes   = 20 * time.Second
	sayAgain     = 30 * time.Second // what is waited for, to whom has no screen
	lampStands   = time.Second
	lightAgain   = 2 * time.Second // what lamps show and drop by themselves, while it lasts
	toneEvery    = 3 * time.Second
	toneStands   = 2 * time.Second
	voiceEvery   = 8 * time.Second
	held         = 3 * time.Second // the button: longer opens the gate, shorter says yes
)

// A Panel is lamps and buttons; every panel.Panel is one.
type Panel interface {
	Show(panel.Signal)
	Events() <-chan panel.Event
}

// A Speaker is what is heard; *screen.Sound is one.
type Speaker interface {
	Say(tone screen.Clip, line string)
}

// A Door is what a kiosk was enrolled to be.
type Door struct {
	Place, Gate string
	Direction   wire.Direction
	Fixed       bool // see Parts
}

// Options are what a walk works with. All but Speaker, Kiosk and Gate are required.
type Options struct {
	Path     string // of its file, see Write
	Parts    Parts
	Source   enrolment.Source
	Scanners func() []scan.Health
	Panel    Panel
	Speaker  Speaker // nil is silent
	Page     *Page

	Kiosk *enrolment.Kiosk // of a machine that is new; Run sets its Show
	Gate  *enrolment.Gate
	WiFi  []string             // program that joins a network where a kiosk is set up again
	Door  func() (Door, error) // asked once the kiosk is enrolled
	Net   func() (online bool) // whether there is a network
	Clock func() (believable bool)

	Lost   bool     // what is written is in memory alone: the card has no place for it
	Faults []string // of the file on the boot partition
	Code   string   // that stands there: it is taken as if it were scanned
	Log    *slog.Logger
}

// A running is a walk while somebody takes it.
type running struct {
	Options
	walk      Walk
	situation Situation
	repeats   *scan.Repeats
	feed      chan string // to the enrolment
	statuses  chan enrolment.Status
	badDisk   bool

	begun, answered, entered time.Time
	pressed                  time.Time

	line    string // that was spoken last, and when
	spoken  time.Time
	signal  panel.Signal
	signals bool // signal is shown
	lit     time.Time
	tried   time.Time
	lamp    int
}

// Run takes somebody through w until it is over, and returns the walk as it is on disk.
// It returns an error if ctx ends first, or when no scanner can be read any more.
func Run(ctx context.Context, w Walk, o Options) (Walk, error) {
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	now := time.Now()
	r := &running{
		Options: o, walk: w, repeats: scan.NewRepeats(0), feed: make(chan string, 4), statuses: make(chan enrolment.Status),
		begun: now, answered: now, entered: now,
	}
	texts, ended, enrolled := make(chan scan.Scan), make(chan error, 1), make(chan error, 1)
	tasks.Go(func() { ended <- r.read(ctx, texts) })
	if r.Kiosk != nil {
		r.Kiosk.Show = func(s enrolment.Status) {
			select {
			case r.statuses <- s:
			case <-ctx.Done():
			}
		}
		tasks.Go(func() { enrolled <- r.Kiosk.Run(ctx, feed(r.feed), r.Gate) })
		if r.Code != "" {
			r.feed <- r.Code
		}
	} else if err := r.isDoor(); err != nil {
		return w, err
	}
	r.keep()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for r.look(time.Now()); !r.walk.Over; r.look(time.Now()) {
		select {
		case <-ctx.Done():
			return r.walk, ctx.Err()
		case err := <-ended:
			return r.walk, err
		case s := <-texts:
			r.scanned(ctx, s, &tasks)
		case a := <-r.Page.Answers():
			r.take(EventOf(a))
		case e := <-r.Panel.Events():
			r.press(e)
		case s := <-r.statuses:
			r.status(s)
		case err := <-enrolled:
			if err == nil {
				err = r.isDoor()
			}
			if err != nil {
				return r.walk, err
			}
			r.Kiosk = nil
			r.situation.Enrolment = enrolment.Status{}
			r.take(Enrolled)
		case <-tick.C:
		}
	}
	return r.walk, nil
}

// feed gives the enrolment the codes that are for it.
type feed chan string

func (f feed) Next(ctx context.Context) (scan.Scan, error) {
	select {
	case <-ctx.Done():
		return scan.Scan{}, ctx.Err()
	case text := <-f:
		return scan.Scan{Text: text}, nil
	}
}

func (r *running) read(ctx context.Context, texts chan<- scan.Scan) error {
	for {
		s, err := r.Source.Next(ctx)
		if err != nil {
			return err
		}
		select {
		case texts <- s:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// scanned acts on one code.
func (r *running) scanned(ctx context.Context, s scan.Scan, tasks *sync.WaitGroup) {
	if ago, seen := r.repeats.Seen(s.Text, time.Now()); seen && ago < stillHeld {
		return
	}
	if a, ok := guide.AnswerOf(s.Text); ok {
		r.take(EventOf(a))
		return
	}
	switch {
	case r.Kiosk != nil:
		r.answered = time.Now()
		select {
		case r.feed <- s.Text:
		default: // it is busy with the one before
		}
	case r.walk.Again && r.walk.Step <= guide.Enrol && strings.HasPrefix(s.Text, "WIFI:"):
		if r.situation.Enrolment.Stage == enrolment.Joining {
			return
		}
		tasks.Go(func() { r.join(ctx, s.Text) })
	default:
		r.take(Scanned)
	}
}

// join joins a network that is shown to a kiosk that works: somebody with a command card
// has begun this walk.
func (r *running) join(ctx context.Context, text string) {
	tell := func(s enrolment.Stage) {
		select {
		case r.statuses <- enrolment.Status{Stage: s}:
		case <-ctx.Done():
		}
	}
	tell(enrolment.Joining)
	w, err := enrolment.ParseWiFi(text)
	if err == nil {
		err = w.Join(ctx, r.WiFi)
	}
	if err != nil {
		r.Log.Warn("network not joined", "err", err)
		tell(enrolment.NoWiFi)
		return
	}
	tell(enrolment.Joined)
}

func (r *running) status(s enrolment.Status) {
	r.situation.Enrolment = s
	if s.Stage == enrolment.Joined {
		r.take(Joined)
	}
}

// press takes the guard's button, where there is one, for a yes.
func (r *running) press(e panel.Event) {
	switch {
	case e.Kind != panel.Button:
	case e.Active:
		r.pressed = e.At
	case r.pressed.IsZero():
	case e.At.Sub(r.pressed) < held:
		r.take(SaidYes)
	case r.Gate != nil:
		r.Gate.Open()
	}
}

// isDoor learns what the kiosk was enrolled to be.
func (r *running) isDoor() error {
	d, err := r.Door()
	if err != nil {
		return err
	}
	r.situation.Place, r.situation.Gate, r.situation.Direction = d.Place, d.Gate, d.Direction
	r.Parts.Fixed = d.Fixed
	return nil
}

// take takes the walk on, on disk first.
func (r *running) take(e Event) {
	now := time.Now()
	switch r.situation.Enrolment.Stage {
	case enrolment.NotCode, enrolment.NoWiFi, enrolment.Refused, enrolment.Ended, enrolment.Shut, enrolment.Other:
		r.situation.Enrolment = enrolment.Status{} // somebody has read it and goes on
	}
	was := r.walk
	if r.walk = r.walk.Next(e, r.Parts); r.walk.Step == was.Step && r.walk.Asked == was.Asked && r.walk.Over == was.Over {
		return
	}
	if e != Waited && e != Online { // a visitor's card that takes nothing on is no answer
		r.answered = now
	}
	r.entered, r.tried, r.line = now, time.Time{}, ""
	r.keep()
	r.Log.Info("first start", "step", r.walk.Step, "over", r.walk.Over)
}

// keep writes the walk. A disk that cannot be written to is a trouble that is shown, and
// no reason to keep a door shut.
func (r *running) keep() {
	err := Write(r.Path, r.walk)
	if r.badDisk = err != nil; r.badDisk {
		r.Log.Error("first start not kept", "err", err)
	}
}

// look shows how things stand at now, and what has come by itself.
func (r *running) look(now time.Time) {
	online := r.Net()
	if online && r.walk.Step == guide.Network {
		r.take(Online)
	}
	if patience := r.patience(); now.Sub(r.answered) >= patience && now.Sub(r.entered) >= min(patience, sheetStands) {
		r.take(Waited)
	}
	if r.walk.Over {
		return
	}
	r.situation.Trouble, r.situation.Faults = r.trouble(now, online), r.Faults
	if r.walk.Step > guide.Enrol {
		r.situation.Faults = nil
	}
	v := r.walk.Look(r.situation)
	r.Page.Show(v)
	r.try(v, now)
}

func (r *running) patience() time.Duration {
	if r.walk.Step == guide.Ready {
		return sheetStands
	}
	return Patience
}

// trouble returns the worst of what is wrong at now.
func (r *running) trouble(now time.Time, online bool) guide.Trouble {
	step := r.walk.Step
	present := slices.ContainsFunc(r.Scanners(), func(h scan.Health) bool { return h.Present })
	switch {
	case r.badDisk || r.Lost:
		return guide.BadDisk
	case !present && now.Sub(r.begun) >= scannerComes:
		return guide.NoScanner
	case len(r.Faults) > 0 && step <= guide.Enrol:
		return guide.BadFile
	case !online && (step == guide.Enrol || step == guide.Network && now.Sub(r.entered) >= cableComes):
		return guide.NoCable
	case step == guide.Ready && !r.Clock():
		return guide.WrongClock
	}
	return 0
}

// try speaks, lights and sounds what v and its step ask for.
func (r *running) try(v View, now time.Time) {
	line, again := v.Line(), sayAgain
	if r.situation.Trouble == 0 && !r.walk.Asked {
		switch r.walk.Step {
		case guide.LampTest:
			if now.Sub(r.tried) >= lampStands {
				r.light([]panel.Signal{panel.TryRed, panel.TryAmber, panel.TryGreen}[r.lamp%3])
				r.tried = now
				r.lamp++
			}
			v.signal = r.signal
		case guide.SoundTest:
			if r.line == line && now.Sub(r.spoken) >= voiceEvery && now.Sub(r.tried) >= toneEvery {
				r.say(attention, "")
				r.light(panel.Here) // its buzzer
				r.tried = now
			}
			if now.Sub(r.tried) < toneStands {
				v.signal = r.signal
			}
		case guide.VoiceTest:
			again = voiceEvery
		}
	}
	if v.signal != r.signal || !r.signals || v.signal == panel.Reading && now.Sub(r.lit) >= lightAgain {
		r.light(v.signal)
	}
	switch {
	case line == "":
		r.line = ""
	case line != r.line:
		r.say(accepted, line)
	case now.Sub(r.spoken) >= again:
		r.say(nil, line)
	default:
		return
	}
	if line != "" {
		r.line, r.spoken = line, now
	}
}

func (r *running) light(s panel.Signal) {
	r.signal, r.signals, r.lit = s, true, time.Now()
	r.Panel.Show(s)
}

// What is heard beside the voice.
var (
	accepted  = screen.Tone([]time.Duration{90 * time.Millisecond}, []float64{988})
	attention = screen.Tone([]time.Duration{250 * time.Millisecond, 150 * time.Millisecond, 250 * time.Millisecond}, []float64{784, 784, 1046})
)

func (r *running) say(tone screen.Clip, line string) {
	if r.Speaker != nil {
		r.Speaker.Say(slices.Clone(tone), line)
	}
}
