package enrolment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/pass"
)

// A Stage is where a new kiosk stands.
type Stage string

// The stages. Each has its words in vi.txt and en.txt.
const (
	Waiting  Stage = "waiting"  // for a code
	Closed   Stage = "closed"   // power came too long ago
	NotCode  Stage = "not_code" // something else was shown
	Joining  Stage = "joining"  // a Wi-Fi network
	Joined   Stage = "joined"
	NoWiFi   Stage = "no_wifi" // that could not be joined
	Asking   Stage = "asking"  // the server
	NoServer Stage = "no_server"
	Words    Stage = "words" // to be compared
	Other    Stage = "other" // another server answered
	Refused  Stage = "refused"
	Ended    Stage = "ended"
	Shut     Stage = "shut" // the server takes no new kiosks
	Disk     Stage = "disk" // cannot write
	Done     Stage = "done"
)

// Stages returns every stage.
func Stages() []Stage {
	return []Stage{Waiting, Closed, NotCode, Joining, Joined, NoWiFi, Asking, NoServer, Words, Other, Refused, Ended, Shut, Disk, Done}
}

// A Status is what a new kiosk shows.
type Status struct {
	Stage Stage
	Words string // with Words
}

// Signal returns what lamps show with a status. None of them is green or opens a door.
func (s Status) Signal() panel.Signal {
	switch s.Stage {
	case Waiting, Joined:
		return panel.Ready
	case Asking, Joining, Done:
		return panel.Reading
	case Words: // the server has signed that it waits for the key of this machine and no other
		return panel.Awaited
	case NotCode, Refused, Ended, Shut, Other, NoWiFi:
		return panel.Refused
	}
	return panel.Fault
}

// stands is how long a refusal is shown before the kiosk waits for a code again.
const stands = 20 * time.Second

// A Source gives what scanners read; *scan.Group is one.
type Source interface {
	Next(ctx context.Context) (scan.Scan, error)
}

// A Gate says whether codes are taken: for some time after power-on, or after a button
// was held. It is safe for concurrent use.
type Gate struct {
	since func() time.Duration
	mu    sync.Mutex
	until time.Duration // since boot
}

// NewGate returns a gate that is open until [Window] after power-on.
func NewGate(since func() time.Duration) *Gate { return &Gate{since: since, until: Window} }

// Open opens it for another [Window].
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = g.since() + Window
}

// IsOpen reports whether codes are taken.
func (g *Gate) IsOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.since() < g.until
}

// held is how long the button opens the gate.
const held = 3 * time.Second

// Watch opens the gate when the button was held for three seconds, until ctx ends.
func (g *Gate) Watch(ctx context.Context, events <-chan panel.Event) {
	var pressed time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			switch {
			case !ok:
				return
			case e.Kind != panel.Button:
			case e.Active:
				pressed = e.At
			case !pressed.IsZero() && e.At.Sub(pressed) >= held:
				g.Open()
			}
		}
	}
}

// Run takes codes from the scanners until one has made this machine a kiosk, and then
// returns nil, or until ctx ends.
func (k *Kiosk) Run(ctx context.Context, source Source, gate *Gate) error {
	ctx, cancel := context.WithCancel(ctx)
	texts, failed := make(chan string), make(chan error, 1)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	reading.Go(func() { failed <- read(ctx, source, texts) })
	said := Stage("") // what became of the last code
	for {
		text, err := k.wait(ctx, texts, failed, gate, said)
		for text != "" && err == nil {
			said, text = k.take(ctx, text, texts, gate)
			err = ctx.Err()
		}
		if err != nil || said == Done {
			return err
		}
	}
}

// read passes on what scanners read.
func read(ctx context.Context, source Source, texts chan<- string) error {
	for {
		s, err := source.Next(ctx)
		if err != nil {
			return err
		}
		select {
		case texts <- s.Text:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lookEvery is how soon the screen says that the gate has opened or closed.
const lookEvery = time.Second

// wait returns the next code. Meanwhile it shows what became of the last one for a
// while, and then whether one is taken.
func (k *Kiosk) wait(ctx context.Context, texts <-chan string, failed <-chan error, gate *Gate, said Stage) (string, error) {
	shown := Status{Stage: said}
	if said == "" {
		shown = k.idle(gate)
	}
	k.Show(shown)
	over := time.NewTimer(stands)
	defer over.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case err := <-failed:
			return "", err
		case text := <-texts:
			return text, nil
		case <-over.C:
			said = ""
		case <-tick.C:
		}
		if now := k.idle(gate); said == "" && now != shown {
			shown = now
			k.Show(shown)
		}
	}
}

func (k *Kiosk) idle(gate *Gate) Status {
	if gate.IsOpen() {
		return Status{Stage: Waiting}
	}
	return Status{Stage: Closed}
}

// take acts on a code and returns what became of it, or another code that was shown
// meanwhile.
func (k *Kiosk) take(ctx context.Context, text string, texts <-chan string, gate *Gate) (said Stage, next string) {
	if !gate.IsOpen() {
		return Closed, ""
	}
	switch {
	case strings.HasPrefix(text, pass.EnrolmentPrefix):
		code, err := pairing.Parse(text)
		if err != nil {
			return NotCode, ""
		}
		return k.enrol(ctx, code, texts, gate)
	case strings.HasPrefix(text, "WIFI:"):
		w, err := ParseWiFi(text)
		if err != nil {
			return NotCode, ""
		}
		k.Show(Status{Stage: Joining})
		if err := w.Join(ctx, k.WiFi); err != nil {
			if ctx.Err() == nil {
				k.log.Warn("network not joined", "err", err)
			}
			return NoWiFi, ""
		}
		k.log.Info("network joined", "ssid", w.SSID)
		return Joined, ""
	}
	return NotCode, ""
}

// enrol is Enrol until another code, or a network, is shown: somebody has made a new
// one because nothing came of the first.
func (k *Kiosk) enrol(ctx context.Context, code pairing.Code, texts <-chan string, gate *Gate) (said Stage, next string) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- k.Enrol(asking, code) }()
	for {
		select {
		case err := <-done:
			if err != nil && ctx.Err() == nil {
				k.log.Warn("not enrolled", "err", err)
			}
			return StageOf(err), ""
		case text := <-texts:
			other := text != code.String() && strings.HasPrefix(text, pass.EnrolmentPrefix) || strings.HasPrefix(text, "WIFI:")
			if !other || !gate.IsOpen() {
				continue
			}
			cancel()
			if err := <-done; err == nil {
				return Done, ""
			}
			return "", text
		}
	}
}

// StageOf returns what to show of how [Kiosk.Enrol] ended.
func StageOf(err error) Stage {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, ErrServer):
		return Other
	case errors.Is(err, ErrRefused):
		return Refused
	case errors.Is(err, ErrEnded):
		return Ended
	case errors.Is(err, ErrClosed):
		return Shut
	}
	return Disk
}

// String returns the status as a line of a log or a terminal.
func (s Status) String() string {
	if s.Words != "" {
		return fmt.Sprintf("%s: %s", s.Stage, s.Words)
	}
	return string(s.Stage)
}
