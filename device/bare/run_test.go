package bare_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/bare"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/words"
)

// A kiosk is a screen with a browser that a test starts and ends.
type kiosk struct {
	*testing.T
	mu    sync.Mutex
	runs  bool
	end   bare.End
	asked int // how a run ended
	door  *screen.Brief
	none  bool // no screen is there

	words *image.Paletted // in the kernel's picture; nil if the terminal has written into it
	drawn int
	log   bytes.Buffer
}

func (k *kiosk) Show(draw func(width, height int) *image.Paletted, again bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.none {
		return fs.ErrNotExist
	}
	if k.words == nil || again {
		k.words = draw(160, 120)
		k.drawn++
	}
	return nil
}

// browser starts the browser, or ends it, which gives the screen back to the terminal.
func (k *kiosk) browser(runs bool, end bare.End) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs, k.end, k.words = runs, end, nil
}

// after waits and compares what is in the kernel's picture.
func (k *kiosk) after(d time.Duration, what string, want bare.Notice) {
	k.Helper()
	time.Sleep(d) // of synctest
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.words == nil || !bytes.Equal(k.words.Pix, want.Draw(160, 120).Pix) {
		k.Errorf("%s: want %q on the screen; log:\n%s", what, want.Said[1].Head, k.log.String())
	}
}

// run runs a test beside Run.
func run(t *testing.T, test func(k *kiosk, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		k := &kiosk{T: t, door: &screen.Brief{State: words.Ready, Help: "19001075"}}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- bare.Run(ctx, bare.Options{
				Console: k, Release: "1.0.0", Log: slog.New(slog.NewTextHandler(&k.log, nil)),
				Runs: func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.runs },
				Ended: func(context.Context) (bare.End, error) {
					k.mu.Lock()
					defer k.mu.Unlock()
					k.asked++
					return k.end, nil
				},
				Door: func(context.Context) (screen.Brief, error) {
					k.mu.Lock()
					defer k.mu.Unlock()
					if k.door == nil {
						return screen.Brief{}, errors.New("nobody answers")
					}
					return *k.door, nil
				},
			})
		}()
		test(k, stop)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func (k *kiosk) broken(c bare.Cause, detail string) bare.Notice {
	return bare.Broken(c, detail, "1.0.0", k.door)
}

func TestStartingIsSaidUntilTheBrowserHasTheScreen(t *testing.T) {
	run(t, func(k *kiosk, _ func()) {
		k.after(0, "at once", bare.Starting())
		k.after(4*time.Minute, "on a slow board", bare.Starting())
		k.mu.Lock()
		k.runs = true
		drawn := k.drawn
		k.mu.Unlock()
		k.after(time.Hour, "the browser has it", bare.Starting())
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.drawn != drawn {
			t.Errorf("drawn %d times under the browser", k.drawn-drawn)
		}
	})
	run(t, func(k *kiosk, stop func()) {
		k.after(time.Minute, "no browser yet", bare.Starting())
		stop()
		k.after(time.Second, "the kiosk stops", bare.Ending())
	})
}

func TestABrowserThatEndsIsExplained(t *testing.T) {
	for name, tt := range map[string]struct {
		end    bare.End
		cause  bare.Cause
		detail string
	}{
		"out of memory":   {bare.End{Result: "oom-kill", Status: 9}, bare.NoMemory, "oom-kill 9"},
		"no screen":       {bare.End{Result: "exit-code", Status: 1}, bare.NoScreen, "exit-code 1"},
		"browser crashed": {bare.End{Result: "exit-code", Status: 139}, bare.Crashed, "exit-code 139"},
		"cage crashed":    {bare.End{Result: "core-dump", Status: 11}, bare.Crashed, "core-dump 11"},
		"not there":       {bare.End{Result: "exit-code", Status: 203}, bare.Missing, "exit-code 203"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(k *kiosk, _ func()) {
				k.browser(true, bare.End{})
				time.Sleep(time.Minute)
				for range 3 { // it keeps failing
					k.browser(false, tt.end)
					k.after(3*time.Second, "after its end", k.broken(tt.cause, tt.detail))
					k.after(10*time.Second, "while it waits", k.broken(tt.cause, tt.detail))
					k.mu.Lock()
					k.runs = true
					k.mu.Unlock()
					k.after(20*time.Second, "until it has drawn over it", k.broken(tt.cause, tt.detail))
				}
				// What is said of the door is what is so now.
				k.browser(false, tt.end)
				k.mu.Lock()
				k.door = nil
				k.mu.Unlock()
				k.after(time.Minute, "the door is gone too", k.broken(tt.cause, tt.detail))
				if strings.Contains(k.log.String(), "19001075") {
					t.Error("a number stands in the log")
				}
			})
		})
	}
}

func TestABrowserThatWasNeverStartedIsMissed(t *testing.T) {
	run(t, func(k *kiosk, _ func()) {
		k.after(4*time.Minute, "it may be a slow board", bare.Starting())
		k.after(2*time.Minute, "it was not started", k.broken(bare.Absent, "never ran"))
		k.mu.Lock()
		k.runs = true
		k.mu.Unlock()
		time.Sleep(10 * time.Minute)
		k.browser(false, bare.End{Result: "success"})
		k.after(3*time.Second, "it was stopped", bare.Starting())
	})
}

// A browser that ends as if it were asked to, again and again, is broken as well.
func TestABrowserThatEndsWithoutAWordIsExplainedInTheEnd(t *testing.T) {
	run(t, func(k *kiosk, _ func()) {
		for n := range 4 {
			k.browser(true, bare.End{})
			time.Sleep(20 * time.Second)
			k.browser(false, bare.End{Result: "success"})
			want := bare.Starting()
			if n >= 2 {
				want = k.broken(bare.Crashed, "success 0")
			}
			k.after(3*time.Second, "after its end", want)
		}
	})
}

// Systemd is asked seldom: a slow board that starts has other things to do.
func TestSystemdIsAskedSeldom(t *testing.T) {
	run(t, func(k *kiosk, _ func()) {
		k.mu.Lock()
		k.none = true
		k.mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		k.mu.Lock()
		if k.asked > 5 || k.log.Len() > 0 {
			t.Errorf("asked %d times in two minutes, log %q", k.asked, k.log.String())
		}
		k.none = false // somebody has plugged it in
		k.mu.Unlock()
		k.after(2*time.Second, "a screen that comes late", bare.Starting())
	})
}

func TestParseEnd(t *testing.T) {
	for _, tt := range []struct {
		properties string
		want       bare.End
	}{
		{"Result=success\nExecMainStatus=0\nExecMainExitTimestampMonotonic=0\n", bare.End{}},
		{"", bare.End{}},
		{"Result=success\nExecMainExitTimestampMonotonic=99\nExecMainStatus=0\n", bare.End{Result: "success"}},
		{"ExecMainExitTimestampMonotonic=31415926\nExecMainStatus=9\nResult=oom-kill\n", bare.End{Result: "oom-kill", Status: 9}},
		{"Result=resources\nExecMainStatus=0\nExecMainExitTimestampMonotonic=0\n", bare.End{Result: "resources"}},
		{"Result=exit-code\nExecMainStatus=x\nOther\n", bare.End{Result: "exit-code"}},
	} {
		if diff := cmp.Diff(tt.want, bare.ParseEnd(tt.properties)); diff != "" {
			t.Errorf("ParseEnd(%q) (-want +got):\n%s", tt.properties, diff)
		}
	}
}
