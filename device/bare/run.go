package bare

import (
	"context"
	"errors"
	"image"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/qrgate/qrgate/device/screen"
)

// A Console is where words are drawn; [Kernel] is one.
type Console interface {
	// Show draws what draw returns for the screen's size. It does nothing while what the
	// last call drew is there still, unless again is set.
	Show(draw func(width, height int) *image.Paletted, again bool) error
}

// An End is how a browser's last run ended, as systemd names it.
type End struct {
	Result string // "success", "exit-code", "signal", "core-dump", "oom-kill", ...; "" if it never ran
	Status int    // that it ended with, or the signal's number
}

// ParseEnd reads systemd's properties Result, ExecMainStatus and
// ExecMainExitTimestampMonotonic, as lines. What has not ended yet was no success.
func ParseEnd(properties string) (e End) {
	ended := false
	for line := range strings.Lines(properties) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), "="); name {
		case "Result":
			e.Result = value
		case "ExecMainStatus":
			e.Status, _ = strconv.Atoi(value) // 0 if it is none
		case "ExecMainExitTimestampMonotonic":
			ended = value != "" && value != "0"
		}
	}
	if !ended && e.Result == "success" {
		e.Result = ""
	}
	return e
}

// Options are what [Run] works with; all are needed but those that have a default.
type Options struct {
	Console Console
	Runs    func() bool // the browser does, and has the screen soon if it has not yet
	Ended   func(ctx context.Context) (End, error)
	Door    func(ctx context.Context) (screen.Brief, error) // an error says that it does not answer
	Release string

	Every  time.Duration // between two looks; default 1 s
	Again  time.Duration // between two questions, and drawings, while no browser runs; default 30 s
	Absent time.Duration // that a browser has for its first start; default 5 min
	Log    *slog.Logger
}

// Run draws words while no browser has the screen, until ctx ends, and then that the kiosk
// stops. A screen that cannot be drawn on is looked for again.
func Run(ctx context.Context, o Options) error {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Every, time.Second)
	set(&o.Again, 30*time.Second)
	set(&o.Absent, 5*time.Minute)
	t := teller{o: o, begun: time.Now(), notice: Starting()}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for {
		t.look(ctx)
		select {
		case <-ctx.Done():
			t.say(Ending())
			t.show(true)
			return nil
		case <-tick.C:
		}
	}
}

// A teller knows what is said now.
type teller struct {
	o      Options
	begun  time.Time
	notice Notice
	shown  time.Time // when it was drawn, zero if it was not

	ran     time.Time // when a browser began to run, zero if none has
	runs    bool      // and it does still
	short   int       // how many runs in a row were
	asked   time.Time // how the last run ended, zero if not yet
	failing string    // what was logged of the console, so that it is said once
}

// long is a run in which somebody has seen the page, even on a slow board.
const long = 5 * time.Minute

// shorts is how many short runs in a row are no chance.
const shorts = 3

// look looks once.
func (t *teller) look(ctx context.Context) {
	now := time.Now()
	if t.o.Runs() {
		if !t.runs {
			t.runs, t.ran = true, now
		}
		// What was said stays until the browser draws over it.
		t.show(false)
		return
	}
	if t.runs {
		t.runs, t.asked = false, time.Time{}
		if t.short++; now.Sub(t.ran) >= long {
			t.short = 0
		}
		t.show(false) // systemd may not know of the end yet: it is asked at the next look
		return
	}
	if t.asked.IsZero() || now.Sub(t.asked) >= t.o.Again {
		t.asked = now
		t.ask(ctx)
	}
	t.show(now.Sub(t.shown) >= t.o.Again)
}

// ask asks what there is to say of a browser that does not run.
func (t *teller) ask(ctx context.Context) {
	end, err := t.o.Ended(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		t.o.Log.Debug("browser not asked for", "err", err) // there may be no bus yet
	}
	c := t.cause(end)
	if c == "" {
		t.say(Starting())
		return
	}
	var door *screen.Brief
	if d, err := t.o.Door(ctx); err == nil {
		door = &d
	}
	detail := end.Result + " " + strconv.Itoa(end.Status)
	if c == Absent {
		detail = "never ran"
	}
	t.say(Broken(c, detail, t.o.Release, door))
}

// cause says why there is no browser, "" if that is no trouble yet.
func (t *teller) cause(end End) Cause {
	switch {
	case end.Result == "oom-kill":
		return NoMemory
	case end.Result == "exit-code" && end.Status == notExecuted:
		return Missing
	case end.Result == "exit-code" && end.Status < signalled:
		return NoScreen
	case end.Result == "success" && t.short < shorts: // somebody has stopped it, as when the kiosk stops
		return ""
	case end.Result != "":
		return Crashed
	case t.ran.IsZero() && time.Since(t.begun) >= t.o.Absent:
		return Absent
	}
	return ""
}

const (
	notExecuted = 203 // systemd's word for a program that cannot be run
	signalled   = 128 // and more is what cage ends with when a signal has ended its browser
)

// say changes what is said.
func (t *teller) say(n Notice) {
	if n == t.notice {
		return
	}
	t.notice, t.shown = n, time.Time{}
	t.o.Log.Info("words on the bare screen", "said", n.Said[1].Head, "for", n.Foot)
}

// show draws what is said where it is not there, or has it drawn again.
func (t *teller) show(again bool) {
	err := t.o.Console.Show(t.notice.Draw, again || t.shown.IsZero())
	if err == nil && (again || t.shown.IsZero()) {
		t.shown = time.Now()
	}
	said := ""
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENODEV) { // many a kiosk has no screen
		said = err.Error()
	}
	if said != t.failing && said != "" {
		t.o.Log.Warn("words not drawn", "err", err)
	}
	t.failing = said
}
