package start_test

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/device/start"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// A bench is what a walk works with, and somebody who takes it.
type bench struct {
	codes chan string

	mu      sync.Mutex
	shown   []panel.Signal
	lines   []string
	online  bool
	present bool
	events  chan panel.Event
}

func newBench() *bench {
	return &bench{codes: make(chan string), online: true, present: true, events: make(chan panel.Event)}
}

func (b *bench) Next(ctx context.Context) (scan.Scan, error) {
	select {
	case <-ctx.Done():
		return scan.Scan{}, ctx.Err()
	case text := <-b.codes:
		return scan.Scan{Text: text, At: time.Now()}, nil
	}
}

func (b *bench) Show(s panel.Signal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown = append(b.shown, s)
}

func (b *bench) Events() <-chan panel.Event { return b.events }

func (b *bench) Say(_ screen.Clip, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
}

func (b *bench) last() (s panel.Signal, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.lines); n > 0 {
		line = b.lines[n-1]
	}
	return b.shown[len(b.shown)-1], line
}

func (b *bench) options(path string) start.Options {
	return start.Options{
		Path: path, Parts: everything, Source: b, Panel: b, Speaker: b, Log: quiet,
		Scanners: func() []scan.Health {
			b.mu.Lock()
			defer b.mu.Unlock()
			return []scan.Health{{Present: b.present}}
		},
		Page: start.NewPage("1.0", start.Begin().Look(start.Situation{}), quiet),
		Door: func() (start.Door, error) {
			return start.Door{Place: "Chợ Đông Ba", Gate: "A1", Direction: wire.In}, nil
		},
		Net: func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.online
		},
		Clock: func() bool { return true },
	}
}

type result struct {
	walk start.Walk
	err  error
}

func (b *bench) run(ctx context.Context, w start.Walk, o start.Options) <-chan result {
	done := make(chan result, 1)
	go func() {
		w, err := start.Run(ctx, w, o)
		done <- result{w, err}
	}()
	synctest.Wait()
	return done
}

// times returns how often lamps were told to show a signal.
func (b *bench) times(s panel.Signal) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range b.shown {
		if one == s {
			n++
		}
	}
	return n
}

// scan holds a code before the scanner, which reads it twice, and waits until it was acted on.
func (b *bench) scan(texts ...string) {
	for _, text := range texts {
		b.codes <- text
		b.codes <- text
		time.Sleep(2 * time.Second)
		synctest.Wait()
	}
}

const yes, no, next = string(guide.Yes), string(guide.No), string(guide.Next)

func TestByScannerAloneAndAcrossPowerCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "start.json")
		b := newBench()
		w := start.Repeat()
		for i, tt := range []struct {
			scan   string
			want   guide.Step
			signal panel.Signal
			line   string
		}{
			{yes, guide.Scanner, panel.Step(4), "step.scanner"},
			{"QG1ANYTHING", guide.LampTest, panel.TryGreen, "step.lamps"},
			{no, guide.LampTest, panel.Step(5), "advice.lamps"},
			{yes, guide.SoundTest, panel.Step(6), "step.sound"},
			{yes, guide.VoiceTest, panel.Step(7), "step.voice"},
			{"QG1ANYTHING", guide.VoiceTest, panel.Step(7), "step.voice"},
			{no, guide.VoiceTest, panel.Step(7), "advice.voice"},
			{next, guide.Direction, panel.Step(8), "step.direction.in"},
			{no, guide.Ready, panel.Ready, "step.ready"},
		} {
			ctx, cut := context.WithCancel(t.Context())
			done := b.run(ctx, w, b.options(path))
			b.scan(tt.scan)
			signal, line := b.last()
			cut()
			<-done
			var due bool
			if w, due = start.Read(path, false); !due || w.Step != tt.want {
				t.Fatalf("%d: after %q and a power cut: %+v, %v; want step %s", i, tt.scan, w, due, tt.want)
			}
			if signal != tt.signal || line != tt.line {
				t.Errorf("%d: after %q lamps show %s and %q is said, want %s, %q", i, tt.scan, signal, line, tt.signal, tt.line)
			}
		}
		done := b.run(t.Context(), w, b.options(path))
		time.Sleep(20 * time.Second) // the sheet goes by itself
		r := <-done
		if r.err != nil || !r.walk.Over || start.Left(path) != start.Turned {
			t.Errorf("Run = %+v, %v; the lane: %v", r.walk, r.err, start.Left(path))
		}
	})
}

// silent is a server that never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A panel drops what is no standing signal after some seconds: whoever has no screen must
// not take the kiosk for one that waits for a code while it asks the server.
func TestLampsSayThatTheServerIsAskedAsLongAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dir := newBench(), t.TempDir()
		o := b.options(filepath.Join(dir, "start.json"))
		o.Kiosk = enrolment.New(filepath.Join(dir, "identity"), enrolment.Options{Client: &http.Client{Transport: silent{}, Timeout: time.Minute}}, quiet)
		o.Gate = enrolment.NewGate(func() time.Duration { return 0 })
		ctx, cancel := context.WithCancel(t.Context())
		done := b.run(ctx, start.Walk{Step: guide.Enrol, Lang: words.Vietnamese}, o)
		b.scan(pairing.Code{Address: "https://qr.example.vn"}.String())
		asked := b.times(panel.Reading)
		time.Sleep(10 * panel.DefaultReset)
		if got, want := b.times(panel.Reading)-asked, 10; got < want {
			t.Errorf("lamps were shown %d times in %v that the server is asked, want %d at least", got, 10*panel.DefaultReset, want)
		}
		cancel()
		<-done
	})
}

func TestADoorDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "start.json")
		b := newBench()
		done := b.run(t.Context(), start.Walk{Step: guide.LampTest, Lang: "vi"}, b.options(path))
		for range 9 { // visitors try
			time.Sleep(time.Minute - 2*time.Second)
			b.scan("QG1SOMEBODYSCARD")
		}
		time.Sleep(time.Minute - time.Second)
		select {
		case r := <-done:
			t.Fatalf("over too early: %+v", r)
		default:
		}
		time.Sleep(2 * time.Second)
		if r := <-done; r.err != nil || !r.walk.Over {
			t.Errorf("Run = %+v", r)
		}
		if w, due := start.Read(path, false); due {
			t.Errorf("it would ask again: %+v", w)
		}
	})
}

func TestTroublesComeAndGoByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.online, b.present = false, false
		o := b.options(filepath.Join(t.TempDir(), "start.json"))
		o.Faults = []string{"line 3"}
		ctx, cancel := context.WithCancel(t.Context())
		done := b.run(ctx, start.Walk{Step: guide.Network, Lang: "vi", Again: true}, o)
		want := func(signal panel.Signal, line string) {
			t.Helper()
			if s, l := b.last(); s != signal || l != line {
				t.Errorf("lamps show %s and %q is said, want %s, %q", s, l, signal, line)
			}
		}
		want(panel.Trouble(int(guide.BadFile)), "trouble.file")
		time.Sleep(11 * time.Second)
		want(panel.Trouble(int(guide.NoScanner)), "trouble.scanner")
		b.mu.Lock()
		b.present = true
		b.mu.Unlock()
		time.Sleep(time.Second)
		want(panel.Trouble(int(guide.BadFile)), "trouble.file")
		cancel()
		<-done

		o.Faults = nil
		ctx, cancel = context.WithCancel(t.Context())
		done = b.run(ctx, start.Walk{Step: guide.Network, Lang: "vi", Again: true}, o)
		want(panel.Step(2), "step.network")
		time.Sleep(25 * time.Second)
		want(panel.Trouble(int(guide.NoCable)), "trouble.cable")
		b.mu.Lock()
		b.online = true
		b.mu.Unlock()
		time.Sleep(time.Second)
		want(panel.Step(4), "step.scanner")
		cancel()
		<-done
	})
}

// A card without a place for data is said at every step, also by lamps and aloud, and keeps
// nobody from going on.
func TestACardThatKeepsNothingIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		o := b.options(filepath.Join(t.TempDir(), "start.json"))
		o.Lost = true
		ctx, cancel := context.WithCancel(t.Context())
		done := b.run(ctx, start.Walk{Step: guide.Scanner, Lang: "vi"}, o)
		for _, step := range []guide.Step{guide.LampTest, guide.SoundTest} {
			b.scan(next)
			if s, line := b.last(); s != panel.Trouble(int(guide.BadDisk)) || line != "trouble.disk" {
				t.Errorf("at step %s lamps show %s and %q is said", step, s, line)
			}
		}
		cancel()
		if r := <-done; r.walk.Step != guide.SoundTest {
			t.Errorf("walk = %+v", r.walk)
		}
	})
}

func TestTheButtonSaysYes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		path := filepath.Join(t.TempDir(), "start.json")
		ctx, cancel := context.WithCancel(t.Context())
		done := b.run(ctx, start.Walk{Step: guide.Direction, Lang: "vi"}, b.options(path))
		now := time.Now()
		b.events <- panel.Event{Kind: panel.Button, Active: true, At: now}
		b.events <- panel.Event{Kind: panel.Button, At: now.Add(time.Second)}
		synctest.Wait()
		cancel()
		if r := <-done; r.walk.Step != guide.Ready {
			t.Errorf("walk = %+v", r.walk)
		}
	})
}

// A network that cannot be joined is said, and answered or tried again.
func TestAKioskThatIsSetUpAgainJoinsAnotherNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.online = false
		o := b.options(filepath.Join(t.TempDir(), "start.json"))
		ctx, cancel := context.WithCancel(t.Context())
		done := b.run(ctx, start.Walk{Step: guide.Network, Lang: "vi", Again: true}, o)
		b.scan("WIFI:S:Cho;T:WPA;P:12345678;;") // there is no program that joins
		if s, line := b.last(); s != panel.Trouble(int(guide.NoWiFi)) || line != "trouble.wifi" {
			t.Errorf("lamps show %s and %q is said", s, line)
		}
		b.scan(next)
		if s, _ := b.last(); s != panel.Step(4) {
			t.Errorf("after going on lamps show %s", s)
		}
		cancel()
		<-done
	})
}
