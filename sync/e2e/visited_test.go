package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// A visited is a kiosk with people before it: they hold a code up until the
// lamp answers, and hold it up again if the kiosk goes dark.
type visited struct {
	*stage.Kiosk
	t       *testing.T
	scanner *stage.Scanner
	run     *stage.Process

	read   int64    // of the file of lamps
	unseen []string // signals that were read and not yet looked at
	doomed bool     // a kill is under way

	greens, reds, kills, interrupted int
}

func (v *visited) start() {
	v.t.Helper()
	var err error
	if v.run, err = v.Start(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
	v.await(30*time.Second, "ready")
}

func (v *visited) stop() {
	v.t.Helper()
	if err := v.run.Stop(); err != nil {
		v.t.Fatalf("the kiosk ended with %v", err)
	}
}

func (v *visited) kill() {
	v.run.Kill()
	v.kills++
}

// killSoon kills the kiosk a moment after the next scan began.
func (v *visited) killSoon() { v.doomed = true }

// show holds a code up until it is green.
func (v *visited) show(text string) {
	v.t.Helper()
	if got := v.hold(text, "admitted"); got != "admitted" {
		v.t.Fatalf("the lamp said %q, want admitted", got)
	}
	v.greens++
}

// refused holds something up that is no pass.
func (v *visited) refused(text string) {
	v.t.Helper()
	if got := v.hold(text, "refused"); got != "refused" {
		v.t.Fatalf("the lamp said %q, want refused", got)
	}
	v.reds++
}

func (v *visited) hold(text, want string) string {
	v.t.Helper()
	for range 10 {
		if _, err := v.scanner.Write([]byte(text + "\n")); err != nil {
			v.t.Fatal(err)
		}
		if v.doomed {
			v.doomed = false
			time.Sleep(time.Duration(rand.IntN(6000)) * time.Microsecond)
			v.kill()
			got := v.await(0, want)
			if got == "" {
				v.interrupted++
			}
			v.start()
			if got != "" {
				return got
			}
			continue
		}
		if got := v.await(5*time.Second, "admitted", "refused", "amber", "fault", "full", "locked"); got != "" {
			return got
		}
	}
	v.t.Fatal("the lamp does not answer")
	return ""
}

// await returns the first of the signals that the panel shows from now on, or
// "" if none of them comes in time.
func (v *visited) await(most time.Duration, signals ...string) string {
	v.t.Helper()
	for end := time.Now().Add(most); ; time.Sleep(500 * time.Microsecond) {
		v.unseen = append(v.unseen, v.news()...)
		for len(v.unseen) > 0 {
			s := v.unseen[0]
			v.unseen = v.unseen[1:]
			if slices.Contains(signals, s) {
				return s
			}
		}
		if !time.Now().Before(end) {
			return ""
		}
	}
}

// news returns the signals that were shown since the last call. Whole lines
// only: a kiosk writes each in one piece.
func (v *visited) news() []string {
	f, err := os.Open(v.Lamps())
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, v.read, 1<<20))
	if err != nil {
		v.t.Fatal(err)
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	v.read += int64(len(b))
	return v.parse(bytes.NewReader(b))
}

func (v *visited) parse(r io.Reader) []string {
	var all []string
	in := bufio.NewScanner(r)
	for in.Scan() {
		var line struct {
			Signal string
			Green  bool
		}
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			v.t.Fatalf("%v in %q", err, in.Text())
		}
		if line.Green != (line.Signal == "admitted" || line.Signal == "try_green") { // the lamps' test of a first start
			v.t.Errorf("signal %q with green = %t", line.Signal, line.Green)
		}
		all = append(all, line.Signal)
	}
	return all
}

// lamps counts the green and red lights of the kiosk's whole life.
func (v *visited) lamps() (greens, reds int) {
	f, err := os.Open(v.Lamps())
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	for _, s := range v.parse(f) {
		switch s {
		case "admitted":
			greens++
		case "refused":
			reds++
		}
	}
	return greens, reds
}

// atOneDoor starts a server, and enrols a kiosk with one scanner on a line that can be
// cut. It does not run yet; config is added to its configuration.
func atOneDoor(t *testing.T, kiosk, place, config string) (*play, *log) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, said := onStage(t, stage.Options{Dial: l.Addr().String()})
	s := p.stage
	if p.proxy, err = s.ServeProxy(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	scanner, err := s.StartScanner(filepath.Join(s.Dir, "scanner"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.AddKiosk(t.Context(), kiosk, place, fmt.Sprintf("[[serial]]\ndevice = %q\n%s", scanner.Path, config))
	if err != nil {
		t.Fatal(err)
	}
	p.kiosk = &visited{Kiosk: k, t: t, scanner: scanner}
	p.startServers()
	return p, said
}

// onStage returns a play on an empty stage: no server serves yet, and there is no kiosk.
// What the programs say is shown if the test fails.
func onStage(t *testing.T, o stage.Options) (*play, *log) {
	t.Helper()
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	said := new(log)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the programs said at last:\n%s", said.tail(60))
		}
	})
	o.Log = said
	s, err := stage.New(t.Context(), t.TempDir(), programs, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return &play{T: t, ctx: t.Context(), stage: s, servers: 1}, said
}
