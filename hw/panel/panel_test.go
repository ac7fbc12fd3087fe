package panel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"
	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/hw/panel"
)

// wired is a configuration with every part fitted, on the pins of newBench.
func wired() panel.Config {
	return panel.Config{
		Red:    panel.Output{Pin: "RED"},
		Amber:  panel.Output{Pin: "AMBER"},
		Green:  panel.Output{Pin: "GREEN"},
		Buzzer: panel.Output{Pin: "BUZZER"},
		Light:  panel.Output{Pin: "LIGHT"},
		Relay:  panel.Relay{Pin: "RELAY"},
		Door:   panel.Contact{Pin: "DOOR", ActiveLow: true},
		Tally:  panel.Contact{Pin: "TALLY", ActiveLow: true},
		Button: panel.Contact{Pin: "BUTTON", ActiveLow: true},
	}
}

// A bench is a set of registered pins.
type bench map[string]*gpiotest.Pin

func newBench(t *testing.T) bench {
	b := make(bench)
	for i, name := range []string{"RED", "AMBER", "GREEN", "BUZZER", "RELAY", "DOOR", "TALLY", "BUTTON", "FIRE", "LIGHT"} {
		b[name] = &gpiotest.Pin{N: name, Num: i, L: gpio.High, EdgesChan: make(chan gpio.Level, 1000)}
		register(t, b[name])
	}
	return b
}

func register(t *testing.T, p gpio.PinIO) {
	t.Helper()
	if err := gpioreg.Register(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gpioreg.Unregister(p.Name()); err != nil {
			t.Error(err)
		}
	})
}

func (b bench) on(name string) bool { return bool(b[name].Read()) }

// bubble runs f in synctest's time, on one processor: Go 1.26's race detector
// crashes when timers of a bubble fire on two (golang.org/issue/78156).
func bubble(t *testing.T, f func(t *testing.T)) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, f)
}

// start runs p and returns what ends it and waits for its end.
func start(t *testing.T, p panel.Panel) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}
}

func newPanel(t *testing.T, c panel.Config) *panel.GPIO {
	t.Helper()
	p, err := panel.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return p
}

// pass lets d go by and everything that was due in it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A trace is what a pin did, one letter for each 20 ms.
type trace []byte

func record(b bench, d time.Duration) (lit, green, buzz trace) {
	add := func(tr *trace, on bool) {
		if on {
			*tr = append(*tr, '#')
		} else {
			*tr = append(*tr, '.')
		}
	}
	for ; d > 0; d -= 20 * time.Millisecond {
		pass(10 * time.Millisecond)
		add(&lit, b.on("RED") || b.on("AMBER") || b.on("GREEN"))
		add(&green, b.on("GREEN"))
		add(&buzz, b.on("BUZZER"))
		pass(10 * time.Millisecond)
	}
	return lit, green, buzz
}

func TestSignalsDifferWithoutColour(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		c := wired()
		c.Reset = panel.MaxReset
		p := newPanel(t, c)
		defer start(t, p)()
		rhythms, sounds := make(map[string]panel.Signal), make(map[string]panel.Signal)
		for _, s := range panel.Signals() {
			p.Show(s)
			lit, green, buzz := record(b, 8*time.Second)
			if other, ok := rhythms[string(lit)]; ok {
				t.Errorf("%v and %v flash alike: %s", other, s, lit)
			}
			rhythms[string(lit)] = s
			if !slices.Contains(lit, '#') {
				t.Errorf("%v lights no lamp", s)
			}
			if got, want := slices.Contains(green, '#'), s == panel.Admitted; got != want {
				t.Errorf("Show(%v): green lamp = %v, want %v", s, got, want)
			}
			for i := 0; i+50 <= len(lit); i++ {
				if n := bytes.Count(lit[i:i+50], []byte(".#")); n > 3 {
					t.Errorf("%v flashes %d times in a second, want at most 3: %s", s, n, lit)
					break
				}
			}
			if s == panel.Ready || s == panel.Reading {
				if slices.Contains(buzz, '#') {
					t.Errorf("%v sounds, want silence: %s", s, buzz)
				}
				continue
			}
			if other, ok := sounds[string(buzz)]; ok {
				t.Errorf("%v and %v sound alike: %s", other, s, buzz)
			}
			sounds[string(buzz)] = s
		}
	})
}

func TestShowSwitchesBeforeItReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, wired())
		defer start(t, p)()
		p.Show(panel.Admitted)
		if !b.on("GREEN") || !b.on("BUZZER") || b.on("RELAY") {
			t.Errorf("after Show(admitted): green %v, buzzer %v, relay %v; want true, true, false",
				b.on("GREEN"), b.on("BUZZER"), b.on("RELAY"))
		}
	})
}

func TestAnswersGoBackToWhatStood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		newBench(t)
		p := newPanel(t, wired())
		defer start(t, p)()
		for _, standing := range []panel.Signal{panel.Ready, panel.Fault, panel.Locked} {
			p.Show(standing)
			for _, s := range panel.Signals() {
				if s == panel.Ready || s == panel.Fault || s == panel.Locked {
					continue
				}
				p.Show(s)
				pass(panel.DefaultReset - time.Millisecond)
				if got := p.Health().Signal; got != s {
					t.Errorf("just before the reset time the signal is %v, want %v", got, s)
				}
				pass(time.Millisecond)
				if got := p.Health().Signal; got != standing {
					t.Errorf("%v went back to %v, want %v", s, got, standing)
				}
			}
		}
	})
}

func TestFaultSoundsOnceHoweverOftenItIsGoneBackTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, wired())
		defer start(t, p)()
		p.Show(panel.Fault)
		pass(10 * time.Second)
		p.Show(panel.Amber)
		pass(panel.DefaultReset)
		if _, _, buzz := record(b, 5*time.Second); slices.Contains(buzz, '#') {
			t.Errorf("buzzer after going back to fault: %s, want silence", buzz)
		}
	})
}

func TestExitIsFree(t *testing.T) {
	c := wired()
	c.Egress = true
	c.Fire = panel.Contact{Pin: "FIRE"}
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, c)
		if b.on("RELAY") {
			t.Error("coil has current after New")
		}
		b["FIRE"].EdgesChan <- gpio.Low
		stop := start(t, p)
		pass(time.Second)
		if b.on("RELAY") {
			t.Error("coil has current before anything was shown")
		}
		for _, s := range panel.Signals() {
			p.Show(panel.Ready)
			pass(panel.MaxOpen)
			if !b.on("RELAY") {
				t.Fatalf("coil has no current when ready, before %v", s)
			}
			p.Show(s)
			free := s != panel.Ready && s != panel.Reading
			if b.on("RELAY") == free {
				t.Errorf("Show(%v): coil has current = %v, want %v", s, b.on("RELAY"), !free)
			}
			pass(time.Minute)
			held := s == panel.Fault || s == panel.Locked
			if b.on("RELAY") == held {
				t.Errorf("a minute after Show(%v): coil has current = %v, want %v", s, b.on("RELAY"), !held)
			}
		}
		p.Show(panel.Ready)
		pass(panel.DefaultOpen)
		stop()
		if b.on("RELAY") || b.on("RED") || b.on("AMBER") || b.on("GREEN") || b.on("BUZZER") {
			t.Error("something is still on after Run has returned")
		}
		p.Show(panel.Ready)
		if b.on("RELAY") || b.on("AMBER") {
			t.Error("a signal after the end of Run switched something on")
		}
	})
}

func TestEntranceOpensByDecision(t *testing.T) {
	for _, toOpen := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			b := newBench(t)
			c := wired()
			c.Relay.ActiveLow = true
			c.Relay.EnergiseToOpen = toOpen
			p := newPanel(t, c)
			energised := func() bool { return !b.on("RELAY") }
			stop := start(t, p)
			opening := []panel.Signal{panel.Admitted, panel.Again, panel.Amber}
			for _, s := range panel.Signals() {
				p.Show(s)
				want := slices.Contains(opening, s) == toOpen
				if energised() != want {
					t.Errorf("energise to open %v: Show(%v): coil has current = %v, want %v", toOpen, s, energised(), want)
				}
				pass(panel.DefaultOpen)
				if energised() != !toOpen {
					t.Errorf("energise to open %v: %v has ended: coil has current = %v, want %v", toOpen, s, energised(), !toOpen)
				}
			}
			p.Pulse()
			if energised() != toOpen {
				t.Errorf("energise to open %v: Pulse: coil has current = %v, want %v", toOpen, energised(), toOpen)
			}
			stop()
			if energised() {
				t.Errorf("energise to open %v: coil has current after Run", toOpen)
			}
		})
	}
}

func TestPulsesDoNotAddUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, wired())
		defer start(t, p)()
		for range 5 {
			p.Show(panel.Admitted)
			pass(100 * time.Millisecond)
		}
		pass(panel.DefaultOpen - 101*time.Millisecond)
		if b.on("RELAY") {
			t.Error("the door closed before the open time of the last decision was over")
		}
		pass(time.Millisecond)
		if !b.on("RELAY") {
			t.Error("five decisions within half a second hold the door longer than the last alone")
		}
	})
}

func TestFireFreesTheDoor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		c := wired()
		c.Fire = panel.Contact{Pin: "FIRE"} // closed to ground while all is well
		p := newPanel(t, c)
		defer start(t, p)()
		p.Show(panel.Ready)
		pass(time.Second)
		if b.on("RELAY") {
			t.Error("coil has current though the fire contact's cable is not there")
		}
		b["FIRE"].EdgesChan <- gpio.Low
		pass(time.Second)
		if !b.on("RELAY") {
			t.Error("coil has no current though there is no fire")
		}
		b["FIRE"].EdgesChan <- gpio.High
		pass(panel.DefaultDebounce)
		if b.on("RELAY") {
			t.Error("coil has current during a fire")
		}
		p.Show(panel.Refused)
		p.Show(panel.Ready)
		pass(time.Minute)
		if b.on("RELAY") {
			t.Error("coil has current during a fire, after signals")
		}
	})
}

// An unreadable fire contact must not look like one without a fire.
func TestFireContactThatCannotBeHadFreesTheDoor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		edges := b["FIRE"].EdgesChan
		b["FIRE"].EdgesChan = nil // gpiotest then refuses In
		c := wired()
		c.Fire = panel.Contact{Pin: "FIRE", ActiveLow: true}
		p := newPanel(t, c)
		defer start(t, p)()
		p.Show(panel.Ready)
		pass(time.Second)
		if b.on("RELAY") {
			t.Error("coil has current though the fire contact cannot be read")
		}
		if got := p.Health().Faults; len(got) != 1 || !strings.HasPrefix(got[0], "fire: ") {
			t.Errorf("Health().Faults = %q, want one about fire", got)
		}
		b["FIRE"].Lock()
		b["FIRE"].EdgesChan = edges
		b["FIRE"].Unlock()
		pass(6 * time.Second)
		b["FIRE"].EdgesChan <- gpio.High
		pass(time.Second)
		if !b.on("RELAY") {
			t.Error("coil has no current though the fire contact can be read again and there is no fire")
		}
		if got := p.Health().Faults; len(got) != 0 {
			t.Errorf("Health().Faults = %q, want none", got)
		}
	})
}

// A step of TestExitNeverHoldsAnyone, taken in the order of its fields.
type step struct {
	Show  panel.Signal
	Pulse bool
	Fire  bool
	Wait  time.Duration
}

// Whatever happens in whatever order: no current during a fire, within the
// open time of an answer, while a fault stands, or after the end.
func TestExitNeverHoldsAnyone(t *testing.T) {
	steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
		return step{
			Show:  rapid.SampledFrom(panel.Signals()).Draw(rt, "show"),
			Pulse: rapid.Bool().Draw(rt, "pulse"),
			Fire:  rapid.IntRange(0, 9).Draw(rt, "fire") == 0,
			Wait:  time.Duration(rapid.IntRange(0, 5000).Draw(rt, "ms")) * time.Millisecond,
		}
	}), 1, 20)
	rapid.Check(t, func(rt *rapid.T) {
		plan := steps.Draw(rt, "steps")
		bubble(t, func(t *testing.T) {
			b := newBench(t)
			c := wired()
			c.Egress = true
			c.Fire = panel.Contact{Pin: "FIRE"}
			c.Relay.Open = time.Second // shorter than an answer is shown
			p := newPanel(t, c)
			stop := start(t, p)
			var free time.Time
			var standing panel.Signal
			for i, s := range plan {
				p.Show(s.Show)
				if s.Show != panel.Ready && s.Show != panel.Reading {
					free = time.Now().Add(c.Relay.Open)
				}
				if s.Show == panel.Ready || s.Show == panel.Fault || s.Show == panel.Locked {
					standing = s.Show
				}
				if s.Pulse {
					p.Pulse()
					free = time.Now().Add(c.Relay.Open)
				}
				b["FIRE"].EdgesChan <- gpio.Level(s.Fire)
				pass(panel.DefaultDebounce)
				pass(s.Wait)
				if b.on("RELAY") && (s.Fire || standing != panel.Ready || time.Now().Before(free)) {
					t.Errorf("after step %d of %+v: coil has current", i, plan)
				}
			}
			stop()
			if b.on("RELAY") {
				t.Errorf("after %+v: coil has current after the end of Run", plan)
			}
		})
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func TestContacts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, wired())
		defer start(t, p)()
		began := time.Now()
		press := func(name string, level gpio.Level, d time.Duration) {
			b[name].EdgesChan <- level
			pass(d)
		}
		// A bouncing button, pressed once.
		for range 5 {
			press("BUTTON", gpio.Low, 3*time.Millisecond)
			press("BUTTON", gpio.High, 3*time.Millisecond)
		}
		press("BUTTON", gpio.Low, time.Second)
		press("BUTTON", gpio.High, time.Second)
		// A spark on the door's cable.
		press("DOOR", gpio.Low, 5*time.Millisecond)
		press("DOOR", gpio.High, time.Second)
		// Three people in the beam; the legs of the second part it for 150 ms.
		for _, d := range []time.Duration{300, 0, 120, -150, 120, 0, 500, 0} {
			switch {
			case d == 0:
				press("TALLY", gpio.High, 400*time.Millisecond)
			case d < 0:
				press("TALLY", gpio.High, -d*time.Millisecond)
			default:
				press("TALLY", gpio.Low, d*time.Millisecond)
			}
		}
		want := []panel.ContactState{
			{Kind: panel.Door},
			{Kind: panel.Tally, Count: 3},
			{Kind: panel.Button, Count: 1},
		}
		h := p.Health()
		if d := cmp.Diff(want, h.Contacts, cmpopts.IgnoreFields(panel.ContactState{}, "Since")); d != "" {
			t.Errorf("Health().Contacts (-want +got):\n%s", d)
		}
		first := <-p.Events()
		wantEvent := panel.Event{
			Kind: panel.Button, Active: true, Count: 1,
			At: began.Add(30*time.Millisecond + panel.DefaultDebounce),
		}
		if d := cmp.Diff(wantEvent, first); d != "" {
			t.Errorf("first event (-want +got):\n%s", d)
		}
		if got, want := len(p.Events()), 7; got != want {
			t.Errorf("%d more events, want %d", got, want)
		}
	})
}

func TestEventsAreLostCountsAreNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, wired())
		defer start(t, p)()
		for range 100 {
			b["TALLY"].EdgesChan <- gpio.Low
			pass(time.Second)
			b["TALLY"].EdgesChan <- gpio.High
			pass(time.Second)
		}
		h := p.Health()
		if got, want := h.Contacts[1].Count, uint64(100); got != want {
			t.Errorf("tally = %d, want %d", got, want)
		}
		if got, want := h.Lost+uint64(len(p.Events())), uint64(200); got != want || h.Lost == 0 {
			t.Errorf("lost and waiting events = %d, lost %d; want %d, some lost", got, h.Lost, want)
		}
	})
}

// A level that changed without an edge being reported is seen all the same.
func TestMissedEdgeIsFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, wired())
		defer start(t, p)()
		if err := b["DOOR"].Out(gpio.Low); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := p.Health().Contacts[0]; !got.Active || got.Count != 1 {
			t.Errorf("door = %+v, want active, counted once", got)
		}
	})
}

func TestChatterIsAFaultUntilItStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, wired())
		defer start(t, p)()
		for i := range 300 {
			b["DOOR"].EdgesChan <- gpio.Level(i%2 == 0)
			pass(time.Millisecond)
		}
		if got := p.Health().Faults; len(got) != 1 || !strings.HasPrefix(got[0], "door: ") {
			t.Errorf("Faults while the contact chatters = %q, want one about the door", got)
		}
		pass(time.Second)
		if got := p.Health().Faults; len(got) != 0 {
			t.Errorf("Faults after it stopped = %q, want none", got)
		}
	})
}

// brokenPin is a line that refuses to be an output until it is mended.
type brokenPin struct {
	gpiotest.Pin
	mended atomic.Bool
}

func (p *brokenPin) Out(l gpio.Level) error {
	if !p.mended.Load() {
		return errors.New("line is busy")
	}
	return p.Pin.Out(l)
}

func TestBrokenLampIsAFaultAndIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		lamp := &brokenPin{Pin: gpiotest.Pin{N: "BROKEN", Num: 99}}
		register(t, lamp)
		c := wired()
		c.Green.Pin = "BROKEN"
		p := newPanel(t, c)
		defer start(t, p)()
		p.Show(panel.Admitted)
		if b.on("RELAY") {
			t.Error("a broken lamp keeps the door shut")
		}
		if d := cmp.Diff([]string{"green lamp: line is busy"}, p.Health().Faults); d != "" {
			t.Errorf("Health().Faults (-want +got):\n%s", d)
		}
		lamp.mended.Store(true)
		pass(6 * time.Second)
		if got := p.Health().Faults; len(got) != 0 {
			t.Errorf("Health().Faults of the mended lamp = %q, want none", got)
		}
		p.Show(panel.Admitted)
		if !lamp.Read() {
			t.Error("the mended lamp stays dark")
		}
	})
}

func TestLightIsDarkUnlessThePanelRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		p := newPanel(t, wired())
		p.Show(panel.Ready)
		p.Light(true)
		if b.on("LIGHT") {
			t.Error("the light shines before the panel runs")
		}
		stop := start(t, p)
		for _, on := range []bool{true, false, true} {
			p.Light(on)
			p.Show(panel.Admitted) // answers leave it alone
			if got := b.on("LIGHT"); got != on || p.Health().Lit != on {
				t.Errorf("Light(%v): pin is on %v, Health().Lit %v", on, got, p.Health().Lit)
			}
		}
		stop()
		if b.on("LIGHT") {
			t.Error("the light shines after the panel has ended")
		}
	})
}

func TestConfig(t *testing.T) {
	newBench(t)
	with := func(f func(*panel.Config)) panel.Config {
		c := wired()
		f(&c)
		return c
	}
	tests := []struct {
		name string
		c    panel.Config
		want string // in the error; empty is none
	}{
		{"nothing fitted", panel.Config{}, ""},
		{"all fitted", wired(), ""},
		{"entrance energised to open", with(func(c *panel.Config) { c.Relay.EnergiseToOpen = true }), ""},
		{"exit energised to open", with(func(c *panel.Config) { c.Relay.EnergiseToOpen, c.Egress = true, true }),
			"panel: relay: a door that people leave through must be wired so that the relay energises to lock"},
		{"open too long", with(func(c *panel.Config) { c.Relay.Open = 11 * time.Second }), "open time 11s"},
		{"open below zero", with(func(c *panel.Config) { c.Relay.Open = -1 }), "open time -1ns"},
		{"reset too long", with(func(c *panel.Config) { c.Reset = time.Minute }), "reset time 1m0s"},
		{"debounce too long", with(func(c *panel.Config) { c.Door.Debounce = time.Minute }), "door: debounce 1m0s"},
		{"one pin twice", with(func(c *panel.Config) { c.Fire.Pin = "RELAY" }), `relay and fire are both on pin "RELAY"`},
		{"unknown output", with(func(c *panel.Config) { c.Red.Pin = "GPIO777" }), `red lamp: no pin "GPIO777"`},
		{"unknown contact", with(func(c *panel.Config) { c.Fire.Pin = "GPIO778" }), `fire: no pin "GPIO778"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := panel.New(tt.c, slog.New(slog.DiscardHandler))
			if tt.want == "" {
				if err != nil {
					t.Errorf("New = %v, want nil", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error with %q", err, tt.want)
			}
			if got, want := errors.Is(err, panel.ErrEgressWiring), tt.c.Egress; got != want {
				t.Errorf("errors.Is(%v, ErrEgressWiring) = %v, want %v", err, got, want)
			}
		})
	}
}

func TestOpenNamesThePinThatIsNotThere(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	if _, err := panel.Open(panel.Config{}, log); err != nil {
		t.Errorf("Open without parts = %v, want nil", err)
	}
	_, err := panel.Open(panel.Config{Buzzer: panel.Output{Pin: "GPIO780"}}, log)
	if err == nil || !strings.Contains(err.Error(), `buzzer: no pin "GPIO780"`) {
		t.Errorf("Open = %v, want an error that names the buzzer and GPIO780", err)
	}
}

func TestReleaseTakesTheCurrent(t *testing.T) {
	b := newBench(t)
	for _, activeLow := range []bool{false, true} {
		if err := b["RELAY"].Out(gpio.Level(!activeLow)); err != nil {
			t.Fatal(err)
		}
		c := panel.Config{Relay: panel.Relay{Pin: "RELAY", ActiveLow: activeLow}}
		if err := panel.Release(c); err != nil {
			t.Fatalf("Release = %v", err)
		}
		if got := b.on("RELAY"); got != activeLow {
			t.Errorf("active low %v: relay's level = %v, want %v", activeLow, got, activeLow)
		}
	}
	if err := panel.Release(panel.Config{}); err != nil {
		t.Errorf("Release without a relay = %v, want nil", err)
	}
	if err := panel.Release(panel.Config{Relay: panel.Relay{Pin: "GPIO779"}}); err == nil {
		t.Error("Release on an unknown pin = nil, want an error")
	}
}

func TestRecorderWritesALineForEachSignal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w bytes.Buffer
		p := panel.NewRecorder(&w, panel.Config{}, slog.New(slog.DiscardHandler))
		stop := start(t, p)
		p.Show(panel.Ready)
		p.Show(panel.Admitted)
		pass(panel.DefaultReset)
		p.Show(panel.Refused)
		pass(time.Second)
		p.Show(panel.Locked)
		pass(time.Minute)
		stop()
		var got []panel.Line
		for dec := json.NewDecoder(&w); ; {
			var l panel.Line
			if err := dec.Decode(&l); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			got = append(got, l)
		}
		zero := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where synctest's clock begins
		want := []panel.Line{
			{At: zero, Signal: "ready"},
			{At: zero, Signal: "admitted", Green: true, Pulse: true},
			{At: zero.Add(3 * time.Second), Signal: "ready"},
			{At: zero.Add(3 * time.Second), Signal: "refused"},
			{At: zero.Add(4 * time.Second), Signal: "locked"},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("lines (-want +got):\n%s", d)
		}
	})
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestRecorderReportsAWriterThatFails(t *testing.T) {
	p := panel.NewRecorder(fullDisk{}, panel.Config{}, slog.New(slog.DiscardHandler))
	p.Show(panel.Amber)
	want := panel.Health{Signal: panel.Amber, Faults: []string{"recorder: disk full"}}
	if d := cmp.Diff(want, p.Health()); d != "" {
		t.Errorf("Health() (-want +got):\n%s", d)
	}
}

func BenchmarkShow(b *testing.B) {
	pin := &gpiotest.Pin{N: "BENCH"}
	if err := gpioreg.Register(pin); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := gpioreg.Unregister("BENCH"); err != nil {
			b.Error(err)
		}
	}()
	p, err := panel.New(panel.Config{Green: panel.Output{Pin: "BENCH"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for b.Loop() {
		p.Show(panel.Admitted)
	}
	cancel()
	<-done
}

var (
	_ panel.Panel = (*panel.GPIO)(nil)
	_ panel.Panel = (*panel.Recorder)(nil)
)

// The lamps of a first start are counted by people: each is told from any other signal
// without colours, and none lights green or moves a door but for trying the lamps.
func TestSetUpIsToldFromAnyAnswer(t *testing.T) {
	rhythm := func(s panel.Signal) string { return fmt.Sprint(s.Blink()) }
	seen := map[string]panel.Signal{}
	for _, s := range panel.Signals() {
		seen[rhythm(s)] = s
	}
	signals := []panel.Signal{panel.Awaited}
	for n := 1; n <= 9; n++ {
		signals = append(signals, panel.Step(n), panel.Trouble(n))
	}
	for _, s := range signals {
		if other, ok := seen[rhythm(s)]; ok {
			t.Errorf("%v and %v flash alike", s, other)
		}
		seen[rhythm(s)] = s
		if _, _, green := s.Lamps(); green || s.Beep() != nil {
			t.Errorf("%v: green lamp %v, sound %v; want neither", s, green, s.Beep())
		}
	}
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		c := wired()
		c.Egress = true
		p := newPanel(t, c)
		defer start(t, p)()
		for _, s := range []panel.Signal{panel.Step(2), panel.Trouble(1), panel.Awaited, panel.TryGreen} {
			p.Show(panel.Ready)
			pass(panel.MaxOpen)
			p.Show(s)
			pass(time.Minute)
			if b.on("RELAY") {
				t.Errorf("a minute after Show(%v) a way out is locked", s)
			}
		}
		if !b.on("GREEN") || b.on("RED") || b.on("AMBER") {
			t.Error("TryGreen does not light the green lamp alone")
		}
	})
}

func TestRecorderIsTouched(t *testing.T) {
	r := panel.NewRecorder(io.Discard, panel.Config{}, slog.New(slog.DiscardHandler))
	r.Touch(panel.Tally, true)
	r.Touch(panel.Tally, true) // is so already
	r.Touch(panel.Tally, false)
	r.Touch(panel.Tally, true)
	for i, want := range []panel.Event{{Kind: panel.Tally, Active: true, Count: 1}, {Kind: panel.Tally, Count: 1}, {Kind: panel.Tally, Active: true, Count: 2}} {
		got := <-r.Events()
		if got.At = (time.Time{}); got != want {
			t.Errorf("event %d is %+v, want %+v", i, got, want)
		}
	}
	if h := r.Health(); len(h.Contacts) != 1 || h.Contacts[0].Count != 2 || !h.Contacts[0].Active {
		t.Errorf("Health().Contacts = %+v", h.Contacts)
	}
}

func TestSecondBeamNeedsAFirst(t *testing.T) {
	if err := (panel.Config{Inner: panel.Contact{Pin: "GPIO5"}}).Validate(); err == nil {
		t.Error("a second beam without a first is valid")
	}
	if err := (panel.Config{Tally: panel.Contact{Pin: "GPIO6"}, Inner: panel.Contact{Pin: "GPIO5"}}).Validate(); err != nil {
		t.Errorf("two beams: %v", err)
	}
}
