package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"github.com/qrgate/qrgate/hw/port/pty"
	"github.com/qrgate/qrgate/sync/wire"
)

// A leftLocked is a kiosk at a way out whose program was killed while the coil had current,
// on a board whose lines keep what they were.
type leftLocked struct {
	t        *testing.T
	relay    *gpiotest.Pin
	dir      string
	config   string
	identity string
}

func newLeftLocked(t *testing.T) *leftLocked {
	dir := t.TempDir()
	l := &leftLocked{t: t, dir: dir, config: filepath.Join(dir, "kiosk.toml"), identity: filepath.Join(dir, "identity")}
	l.relay = &gpiotest.Pin{N: "RELAY-" + t.Name(), L: gpio.High}
	if err := gpioreg.Register(l.relay); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gpioreg.Unregister(l.relay.Name()) })
	l.write(l.config, fmt.Sprintf("state = %q\nidentity = %q\n[door]\nplace = \"Chợ Đông Ba\"\ngate = \"A1\"\ndirection = \"out\"\n"+
		"[server]\nurl = \"tls://127.0.0.1:1\"\n[panel.relay]\npin = %q\n[start]\nfile = \"\"\n[[serial]]\ndevice = \"auto\"\n", filepath.Join(dir, "state"), l.identity, l.relay.Name()))
	if err := os.Mkdir(l.identity, 0o700); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *leftLocked) write(path, text string) {
	l.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *leftLocked) edit(from, to string) {
	l.t.Helper()
	b, err := os.ReadFile(l.config)
	if err != nil || !bytes.Contains(b, []byte(from)) {
		l.t.Fatalf("%s has no %q: %v", l.config, from, err)
	}
	l.write(l.config, strings.Replace(string(b), from, to, 1))
}

func (l *leftLocked) until(what string, is func() bool) {
	l.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// run runs a command to its end and returns its exit status and what it said.
func (l *leftLocked) run(ctx context.Context, command string) (int, string) {
	var said bytes.Buffer
	code := run(ctx, []string{command, "-config", l.config}, nil, &said, &said)
	return code, said.String()
}

func (l *leftLocked) free(when string) {
	l.t.Helper()
	if l.relay.Read() {
		l.t.Errorf("%s: the relay holds people in", when)
	}
}

// Whatever of a kiosk's files is damaged, release opens the way out: the pin stands in
// the machine's own file.
func TestReleaseNeedsNoOtherFile(t *testing.T) {
	for name, damage := range map[string]func(l *leftLocked){
		"identity": func(l *leftLocked) { l.write(filepath.Join(l.identity, "kiosk.pem"), "\x00\x00") },
		"no folder": func(l *leftLocked) {
			if err := os.Remove(l.identity); err != nil {
				t.Fatal(err)
			}
			l.write(l.identity, "")
		},
		"the portal's configuration": func(l *leftLocked) {
			beEnrolled(t, l.identity, "dong-ba-gate-1")
			if err := os.MkdirAll(filepath.Join(l.dir, "state", "config.cbor"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLeftLocked(t)
			damage(l)
			if code, said := l.run(t.Context(), "release"); code != exitOK {
				t.Errorf("release = %d: %s", code, said)
			}
			l.free("after release")
		})
	}
	t.Run("a setting of the same file", func(t *testing.T) {
		l := newLeftLocked(t)
		text, err := os.ReadFile(l.config)
		if err != nil {
			t.Fatal(err)
		}
		l.write(l.config, string(text)+"[sound]\nvolume = 900\n")
		if code, said := l.run(t.Context(), "release"); code != exitUsage {
			t.Errorf("release = %d: %s; want it to say what is wrong", code, said)
		}
		l.free("after release")
	})
}

// A door that cannot open what is on its disk has freed the relay before it tried.
func TestTheRelayIsFreedBeforeTheDiskIsRead(t *testing.T) {
	l := newLeftLocked(t)
	beEnrolled(t, l.identity, "dong-ba-gate-1")
	l.write(filepath.Join(l.dir, "state"), "") // where a folder is to be
	if code, said := l.run(t.Context(), "run"); code != exitFailed {
		t.Errorf("run = %d: %s", code, said)
	}
	l.free("a door that could not open")
}

// A lane that an order turned to be a way out, and that the portal has made a way in since,
// holds nobody in after a restart; where the relay cannot let go, the order has ended.
func TestALaneTurnedOutStaysAWayOutAfterARestart(t *testing.T) {
	for _, tt := range []struct {
		name, relay string
		freed       bool
	}{
		{"energises to lock", "", true},
		{"energises to open", "energise_to_open = true\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			master, line, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer master.Close()
			l := newLeftLocked(t)
			beEnrolled(t, l.identity, "dong-ba-gate-1")
			l.edit(`direction = "out"`, `direction = "in"`)
			l.edit(`device = "auto"`, fmt.Sprintf("device = %q", line))
			l.edit("[start]", tt.relay+"[start]")
			state := filepath.Join(l.dir, "state")
			if err := os.Mkdir(state, 0o700); err != nil {
				t.Fatal(err)
			}
			l.write(filepath.Join(state, "orders.json"), fmt.Sprintf(`{"direction":%d}`, wire.Out))
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan string, 1)
			go func() {
				code, said := l.run(ctx, "run")
				done <- fmt.Sprintf("run = %d: %s", code, said)
			}()
			defer func() { stop(); t.Log(<-done) }()
			orders := func() string {
				b, err := os.ReadFile(filepath.Join(state, "orders.json"))
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			if !tt.freed {
				l.until("the order has ended", func() bool { return !strings.Contains(orders(), "direction") })
				return
			}
			l.until("a program that starts lets go", func() bool { return !bool(l.relay.Read()) })
			l.until("a door that is ready locks", func() bool { return bool(l.relay.Read()) })
			l.until("a code of nobody is refused, and opens", func() bool {
				master.Write([]byte("8934567890123\r"))
				return !bool(l.relay.Read())
			})
			if !strings.Contains(orders(), "direction") {
				t.Errorf("orders = %s, want the order to stand", orders())
			}
		})
	}
}
