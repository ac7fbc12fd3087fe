package launcher_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/sync/release"
)

// behaviours tells each version of the program how it is, as "1.1.0=crash".
const behaviours = "TEST_BEHAVIOURS"

// TestMain is each version of the program, too: the test's own file under the
// version's name.
func TestMain(m *testing.M) {
	if of := os.Getenv(behaviours); of != "" {
		if slices.Contains(os.Args, "release") {
			os.Exit(releases(os.Args[1:]))
		}
		version := strings.TrimPrefix(filepath.Base(os.Args[0]), release.Product+"-")
		for b := range strings.FieldsSeq(of) {
			if v, how, _ := strings.Cut(b, "="); v == version {
				os.Exit(program(how))
			}
		}
		os.Exit(99)
	}
	os.Exit(m.Run())
}

// relay names the file that stands for a line which keeps its level: a program puts
// "locked" there while it holds it.
const relay = "TEST_RELAY"

// releases is the program's command release: it opens, and says what it was called with.
func releases(args []string) int {
	if path := os.Getenv(relay); path != "" {
		if err := os.WriteFile(path, []byte("open by "+filepath.Base(os.Args[0])+": "+strings.Join(args, " ")), 0o600); err != nil {
			return 1
		}
	}
	return 0
}

func program(how string) int {
	if path := os.Getenv(relay); path != "" {
		if err := os.WriteFile(path, []byte("locked"), 0o600); err != nil {
			return 1
		}
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	n := board.NewNotifier(os.Getenv)
	alive, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch how {
	case "crash":
		return 3
	case "crash-when-ready":
		n.Ready()
		return 3
	case "hang":
		<-make(chan bool)
	case "mute":
		n.Ready()
		<-make(chan bool)
	case "disk":
		return launcher.ExitStorage
	case "disk-when-ready":
		n.Ready()
		return launcher.ExitStorage
	case "slow": // beyond what a version on trial has
		for range 80 {
			n.Extend(time.Minute)
			time.Sleep(100 * time.Millisecond)
		}
		n.Ready()
		go n.Run(alive, func() bool { return true })
		<-stop
		return 0
	case "next":
		n.Ready()
		return launcher.ExitNext
	case "good":
		n.Ready()
		go n.Run(alive, func() bool { return true })
		<-stop
		return 0
	case "deaf":
		n.Ready()
		go n.Run(alive, func() bool { return true })
		<-make(chan bool)
	}
	return 98
}

// A world is a folder of versions with a launcher.
type world struct {
	t      *testing.T
	dir    string
	of     string // behaviours
	o      launcher.Options
	p      launcher.Packaged
	events chan string
}

// newWorld has a packaged program, 1.0.0, that behaves as is said.
func newWorld(t *testing.T, behaviour string, more ...string) *world {
	w := &world{t: t, dir: t.TempDir(), events: make(chan string, 1000)}
	w.of = "packaged=" + behaviour + " " + strings.Join(more, " ")
	w.p = launcher.Packaged{Program: filepath.Join(t.TempDir(), release.Product+"-packaged"), Version: "1.0.0"}
	w.link(w.p.Program)
	for _, m := range more {
		v, _, _ := strings.Cut(m, "=")
		w.link(w.versions().File(v))
	}
	w.o = launcher.Options{
		Ready: time.Minute, Settle: time.Millisecond, Alive: time.Minute, Stop: time.Minute, Pause: time.Millisecond, Version: "1.0.0",
		Env:  append(os.Environ(), behaviours+"="+w.of),
		Tell: func(event string, c launcher.Choice) { w.events <- event + " " + c.Version },
	}
	return w
}

func (w *world) versions() launcher.Versions { return launcher.Versions{Dir: w.dir} }

// link puts the test's own program at path.
func (w *world) link(path string) {
	w.t.Helper()
	self, err := os.Executable()
	if err == nil {
		if err = os.Link(self, path); err != nil { // another file system
			var b []byte
			if b, err = os.ReadFile(self); err == nil {
				err = os.WriteFile(path, b, 0o755)
			}
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sum(version string) launcher.Sum {
	w.t.Helper()
	s, err := w.versions().Sum(version)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) ask(version string) {
	w.t.Helper()
	if err := w.versions().Ask(version, w.sum(version)); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a launcher until an event, then asks it to end, and returns the events.
func (w *world) run(until string) []string {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- launcher.Run(ctx, launcher.OpenSlots(w.dir, w.p), []string{"run"}, w.o) }()
	var seen []string
	for {
		select {
		case e := <-w.events:
			if seen = append(seen, e); e != until {
				continue
			}
			cancel()
			if err := <-done; err != nil {
				w.t.Fatal(err)
			}
			for len(w.events) > 0 {
				<-w.events
			}
			return seen
		case <-time.After(time.Minute):
			w.t.Fatalf("no %q within a minute; so far %q", until, seen)
		}
	}
}

func (w *world) state() launcher.State { return launcher.OpenSlots(w.dir, w.p).State() }

func count(events []string, e string) (n int) {
	for _, seen := range events {
		if seen == e {
			n++
		}
	}
	return n
}

func TestAGoodVersionStays(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good", "1.2.0=good")
	w.run("proven 1.0.0")
	w.ask("1.1.0")
	w.run("proven 1.1.0")
	w.ask("1.2.0")
	w.run("proven 1.2.0")
	got := w.state()
	if got.Good != "1.2.0" || got.Before != "1.1.0" || got.Trying != "" || got.Returned != nil {
		t.Errorf("state = %+v, want 1.2.0 for good after 1.1.0", got)
	}
	if events := w.run("proven 1.2.0"); events[0] != "started 1.2.0" {
		t.Errorf("the next start begins with %q", events)
	}
}

func TestAVersionThatDoesNotKeepUpIsGivenUp(t *testing.T) {
	tests := []struct {
		how    string
		reason release.Reason
		set    func(*launcher.Options)
	}{
		{"crash", release.Crashed, func(*launcher.Options) {}},
		{"crash-when-ready", release.Crashed, func(o *launcher.Options) { o.Settle = time.Minute }},
		{"hang", release.NoHealth, func(o *launcher.Options) { o.Ready = 200 * time.Millisecond }},
		{"mute", release.NoHealth, func(o *launcher.Options) { o.Alive, o.Settle = 500*time.Millisecond, time.Minute }},
	}
	for _, tt := range tests {
		t.Run(tt.how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "good", "1.1.0=good", "1.2.0="+tt.how)
			w.ask("1.1.0")
			w.run("proven 1.1.0")
			w.ask("1.2.0")
			tt.set(&w.o)
			events := w.run("ready 1.1.0")
			if n := count(events, "started 1.2.0"); n != launcher.Tries {
				t.Errorf("1.2.0 was started %d times, want %d: %q", n, launcher.Tries, events)
			}
			want := launcher.State{Good: "1.1.0", Returned: &launcher.Return{Version: "1.2.0", Reason: tt.reason}}
			got := w.state()
			got.Request = ""
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("state (-want +got):\n%s", d)
			}
			w.o.Settle, w.o.Alive, w.o.Ready = time.Millisecond, time.Minute, time.Minute
			if events := w.run("proven 1.1.0"); events[0] != "started 1.1.0" {
				t.Errorf("the next start begins with %q", events)
			}
		})
	}
}

func TestAProvenVersionThatCrashLoopsIsGivenUpToo(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good", "1.2.0=good")
	w.ask("1.1.0")
	w.run("proven 1.1.0")
	w.ask("1.2.0")
	w.run("proven 1.2.0")
	w.o.Env = append(os.Environ(), behaviours+"=packaged=good 1.1.0=crash 1.2.0=crash")
	events := w.run("proven 1.0.0")
	if a, b := count(events, "started 1.2.0"), count(events, "started 1.1.0"); a != 5 || b != 5 {
		t.Errorf("1.2.0 was started %d times and 1.1.0 %d, want 5 each: %q", a, b, events)
	}
	if got := w.state(); got.Good != "" || got.Returned.Version != "1.1.0" {
		t.Errorf("state = %+v, want the packaged program", got)
	}
}

// A ledger that is mended takes longer than a version has; one that gets on is waited for.
func TestAVersionThatAsksForTimeIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "good", "1.1.0=slow")
	w.o.Ready = 5 * time.Second
	w.ask("1.1.0")
	if events := w.run("proven 1.1.0"); count(events, "started 1.1.0") != 1 {
		t.Errorf("events = %q, want one start", events)
	}
}

// A disk that fails says nothing about a version: neither is one that runs for good
// given up, nor is one on trial never tried again.
func TestADiskThatFailsIsNoVersionsFault(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good", "1.2.0=good")
	w.ask("1.1.0")
	w.run("proven 1.1.0")
	for _, how := range []string{"disk", "disk-when-ready"} {
		w.o.Settle = time.Minute
		w.o.Env = append(os.Environ(), behaviours+"=packaged=good 1.1.0="+how)
		started := 0
		tell := w.o.Tell
		w.o.Tell = func(event string, c launcher.Choice) {
			if event == "started" {
				if started++; started > 12 {
					event = "often"
				}
			}
			tell(event, c)
		}
		w.run("often 1.1.0")
		if got := w.state(); got.Good != "1.1.0" || got.Returned != nil || got.Crashes != 0 {
			t.Errorf("%s: state = %+v, want 1.1.0 for good", how, got)
		}
		w.o.Tell = tell

		w.o.Env = append(os.Environ(), behaviours+"=packaged=good 1.1.0=good 1.2.0="+how)
		w.ask("1.2.0")
		if events := w.run("ready 1.1.0"); count(events, "started 1.2.0") != 1 {
			t.Errorf("%s: events = %q, want one start of the version on trial", how, events)
		}
		if got := w.state(); got.Good != "1.1.0" || got.Returned != nil || got.Trying != "" {
			t.Errorf("%s: state = %+v, want 1.1.0 for good and nothing returned", how, got)
		}
	}
	w.o.Settle = time.Millisecond
	w.o.Env = append(os.Environ(), behaviours+"=packaged=good 1.1.0=good 1.2.0=good")
	w.ask("1.2.0")
	w.run("proven 1.2.0")
}

func TestANewVersionAsksForTheNext(t *testing.T) {
	w := newWorld(t, "next", "1.1.0=good")
	w.ask("1.1.0")
	// The packaged program never stays; 1.1.0 was asked for before it started.
	if events := w.run("proven 1.1.0"); events[0] != "started 1.1.0" {
		t.Errorf("events = %q", events)
	}
}

func TestAnOrderlyStopIsNoTry(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good")
	w.o.Settle = time.Minute
	w.ask("1.1.0")
	for range launcher.Tries + 2 {
		w.run("ready 1.1.0")
	}
	if got := w.state(); got.Trying != "1.1.0" || got.Tries != 0 {
		t.Errorf("state = %+v, want 1.1.0 on trial with no try", got)
	}
}

// A launcher that is killed stands for a power cut and for a machine that a new
// version takes down with it.
func TestTriesThatNobodySawTheEndOfCount(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good")
	w.ask("1.1.0")
	for range launcher.Tries {
		if c, err := launcher.OpenSlots(w.dir, w.p).Choose(); err != nil || c.Version != "1.1.0" || !c.Trial {
			t.Fatalf("Choose = %+v, %v, want 1.1.0 on trial", c, err)
		}
	}
	for range 2 {
		if c, err := launcher.OpenSlots(w.dir, w.p).Choose(); err != nil || c.Version != "1.0.0" || c.Program != w.p.Program {
			t.Fatalf("Choose = %+v, %v, want the packaged program", c, err)
		}
	}
	if got := w.state().Returned; got == nil || *got != (launcher.Return{Version: "1.1.0", Reason: release.Crashed}) {
		t.Errorf("returned = %+v", got)
	}
}

func TestWhatIsAskedForMustBeWholeAndNewer(t *testing.T) {
	t.Run("other bytes", func(t *testing.T) {
		w := newWorld(t, "good", "1.1.0=good")
		w.ask("1.1.0")
		path := w.versions().File("1.1.0")
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("#!/bin/sh\nexit 0\n"), 0o755)); err != nil {
			t.Fatal(err)
		}
		w.refused(launcher.Return{Version: "1.1.0", Reason: release.Damaged})
	})
	t.Run("missing", func(t *testing.T) {
		w := newWorld(t, "good")
		if err := w.versions().Ask("1.1.0", launcher.Sum{Length: 1}); err != nil {
			t.Fatal(err)
		}
		w.refused(launcher.Return{Version: "1.1.0", Reason: release.Damaged})
	})
	t.Run("older", func(t *testing.T) {
		w := newWorld(t, "good", "0.9.0=good")
		w.ask("0.9.0")
		w.refused(launcher.Return{Version: "0.9.0", Reason: release.Older})
	})
	t.Run("another path", func(t *testing.T) {
		w := newWorld(t, "good")
		if err := w.versions().Ask("../../bin/sh", launcher.Sum{}); err != nil {
			t.Fatal(err)
		}
		w.refused(launcher.Return{Version: "../../bin/sh", Reason: release.Unlisted})
	})
}

func (w *world) refused(want launcher.Return) {
	w.t.Helper()
	c, err := launcher.OpenSlots(w.dir, w.p).Choose()
	if err != nil || c.Version != "1.0.0" || c.Trial {
		w.t.Errorf("Choose = %+v, %v, want the packaged program", c, err)
	}
	if got := w.state().Returned; got == nil || *got != want {
		w.t.Errorf("returned = %+v, want %+v", got, want)
	}
}

func TestADamagedStateRunsThePackagedProgram(t *testing.T) {
	for name, content := range map[string]string{"cut": `{"good":"1.1`, "zeros": string(make([]byte, 4096)), "path": `{"good":"../../../bin/sh"}`} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "good", "1.1.0=good")
			if err := os.WriteFile(filepath.Join(w.dir, "launcher.json"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err := launcher.OpenSlots(w.dir, w.p).Choose(); err != nil || c.Program != w.p.Program {
				t.Errorf("Choose = %+v, %v, want the packaged program", c, err)
			}
		})
	}
}

func TestAVersionThatIsGoneFallsBack(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good", "1.2.0=good")
	for _, v := range []string{"1.1.0", "1.2.0"} {
		w.ask(v)
		w.run("proven " + v)
	}
	os.Remove(w.versions().File("1.2.0"))
	if c, _ := launcher.OpenSlots(w.dir, w.p).Choose(); c.Version != "1.1.0" {
		t.Errorf("Choose = %+v, want 1.1.0", c)
	}
	os.RemoveAll(w.dir)
	if c, _ := launcher.OpenSlots(w.dir, w.p).Choose(); c.Program != w.p.Program {
		t.Errorf("without the folder: %+v, want the packaged program", c)
	}
}

// A folder that is a file stands for a disk that takes no write.
func TestADiskThatTakesNothingTriesNothing(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good")
	w.ask("1.1.0")
	if err := os.Mkdir(filepath.Join(w.dir, "launcher.json.new"), 0o700); err != nil { // no file can be made there
		t.Fatal(err)
	}
	c, err := launcher.OpenSlots(w.dir, w.p).Choose()
	if err == nil || c.Program != w.p.Program || c.Trial {
		t.Errorf("Choose = %+v, %v, want the packaged program and an error", c, err)
	}
}

func TestANewerPackageWins(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good")
	w.ask("1.1.0")
	w.run("proven 1.1.0")
	w.p.Version = "1.1.1"
	if events := w.run("proven 1.1.1"); events[0] != "started 1.1.1" {
		t.Errorf("events = %q", events)
	}
}

func TestPruneKeepsWhatMayBeNeeded(t *testing.T) {
	w := newWorld(t, "good", "1.1.0=good", "1.2.0=good", "1.3.0=good", "1.4.0=good")
	for _, v := range []string{"1.1.0", "1.2.0", "1.3.0"} {
		w.ask(v)
		w.run("proven " + v)
	}
	for _, name := range []string{"1.4.0", "1.5.0"} {
		if err := os.WriteFile(w.versions().Part(name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.ask("1.4.0")
	if err := w.versions().Prune("1.5.0"); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range must(os.ReadDir(w.dir)) {
		if strings.HasPrefix(e.Name(), release.Product) {
			left = append(left, strings.TrimPrefix(e.Name(), release.Product+"-"))
		}
	}
	if want := []string{"1.2.0", "1.3.0", "1.4.0", "1.4.0.part", "1.5.0.part"}; !slices.Equal(left, want) {
		t.Errorf("left = %q, want %q", left, want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestKeepTakesOnlyWhatWasWanted(t *testing.T) {
	w := newWorld(t, "good")
	v := w.versions()
	if err := os.WriteFile(v.Part("1.1.0"), []byte("other bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := v.Keep("1.1.0", launcher.Sum{Length: 11, SHA256: make([]byte, 32)}); !errors.Is(err, launcher.ErrSum) {
		t.Errorf("Keep = %v, want ErrSum", err)
	}
	if _, err := os.Stat(v.File("1.1.0")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the version is there: %v", err)
	}
}

// However a program ends, the packaged one frees the relay before the next start, with the
// configuration that the program had.
func TestTheRelayOfAProgramThatEndedIsFreed(t *testing.T) {
	for _, how := range []string{"crash", "crash-when-ready", "hang", "mute", "next", "good", "deaf"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "good", "1.1.0="+how)
			w.ask("1.1.0")
			line := filepath.Join(t.TempDir(), "line")
			w.o.Env = append(w.o.Env, relay+"="+line)
			w.o.Ready, w.o.Settle, w.o.Stop = 3*time.Second, time.Minute, 10*time.Millisecond
			if how == "mute" {
				w.o.Alive = 500 * time.Millisecond
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			again := make(chan string, 1)
			w.o.Tell = func(event string, c launcher.Choice) {
				switch {
				case event == "ready" && (how == "good" || how == "deaf"):
					cancel()
				case event == "ended":
					b, _ := os.ReadFile(line)
					again <- string(b)
					cancel()
				}
			}
			if err := launcher.Run(ctx, launcher.OpenSlots(w.dir, w.p), []string{"run", "-enrol", "-config", "/etc/k.toml"}, w.o); err != nil {
				t.Fatal(err)
			}
			if was := <-again; was != "locked" {
				t.Fatalf("the program left the line %q, want it locked", was)
			}
			want := "open by " + release.Product + "-packaged: release -config /etc/k.toml"
			if b, err := os.ReadFile(line); err != nil || string(b) != want {
				t.Errorf("afterwards the line is %q, %v; want %q", b, err, want)
			}
		})
	}
}

// What the program says of itself reaches the service manager, but not that it ends.
func TestTheServiceManagerHears(t *testing.T) {
	w := newWorld(t, "good")
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w.o.Socket, w.o.Watch = filepath.Join(dir, "s"), 20*time.Millisecond
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.o.Socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	heard := make(chan string, 1000)
	go func() {
		b := make([]byte, 100)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- launcher.Run(ctx, launcher.OpenSlots(w.dir, w.p), nil, w.o) }()
	want := map[string]bool{"READY=1": true, "WATCHDOG=1": true}
	for len(want) > 0 {
		select {
		case h := <-heard:
			delete(want, h)
		case <-time.After(time.Minute):
			t.Fatalf("not heard: %v", want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAProgramThatDoesNotEndIsEnded(t *testing.T) {
	w := newWorld(t, "deaf")
	w.o.Stop = 10 * time.Millisecond
	w.run("ready 1.0.0")
}
