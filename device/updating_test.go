package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestUpdateSettings(t *testing.T) {
	good, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, set, want string }{
		{`window = "auto"`, `window = ""`, "update.window"}, {`window = "auto"`, `window = "25:00-26:00"`, "update.window"},
		{`spread = "10m"`, `spread = "0s"`, "update.spread"}, {`spread = "10m"`, `spread = "48h"`, "update.spread"},
		{`sticks = "/media/*/qrgate-update"`, `sticks = "media"`, "update.sticks"}, {`sticks = "/media/*/qrgate-update"`, `sticks = "/media/["`, "update.sticks"},
		{`root = ""                          #`, `root = "root.json" #`, "update.root"},
		{`window = "auto"`, `window = "02:00-04:00"`, ""}, {`sticks = "/media/*/qrgate-update"`, `sticks = ""`, ""},
	} {
		text := strings.Replace(string(good), tt.old, tt.set, 1)
		if text == string(good) {
			t.Fatalf("the reference does not say %s", tt.old)
		}
		_, err := parseConfig(text)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.set, err, tt.want)
		}
	}
}

// A program that is not what it is said to be, or that refuses the configuration, is
// known before the door is left for it.
func TestOnlyAProgramThatFitsIsStarted(t *testing.T) {
	for script, want := range map[string]string{
		`[ "$1" = version ] && echo 1.4.0; exit 0`:                                      "",
		`[ "$1" = version ] && echo 1.3.0; exit 0`:                                      "calls itself",
		`[ "$1" = version ] && echo 1.4.0 && exit 0; echo "unknown key door.x"; exit 2`: "unknown key door.x",
		`exit 1`: "does not start here",
	} {
		program := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		err := fits(t.Context(), program, "1.4.0", "/etc/qrgate/kiosk.toml")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
	other := filepath.Join(t.TempDir(), "program") // of another machine
	if err := os.WriteFile(other, []byte("\x7fELF\x01\x01\x01"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fits(t.Context(), other, "1.4.0", ""); err == nil {
		t.Error("a program of another machine fits")
	}
}

func TestUpdateByHandSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "kiosk.toml")
	text, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("/var/lib/qrgate"), []byte(dir))
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	if code := run(t.Context(), []string{"update", "-config", config}, nil, &out, &said); code != exitUsage {
		t.Errorf("without a folder: exit %d, %s", code, said.String())
	}
	said.Reset()
	if code := run(t.Context(), []string{"update", "-config", config, dir}, nil, &out, &said); code != exitFailed || !strings.Contains(said.String(), "release-root.json") {
		t.Errorf("without a root: exit %d, %s", code, said.String())
	}
}

// A new epoch counts from 1 again; that is nobody who came, least of all 2^64 of them.
func TestNobodyComesWithANewEpoch(t *testing.T) {
	c := Config{State: t.TempDir()}
	clock := when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, time.Now, time.Time{})
	q, err := outbox.Open(t.Context(), c.outbox(), outbox.Options{Now: clock.Read, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	hours := newQuietHours(c, q, clock)
	come := func(n int) {
		for range n {
			_, err := q.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
				h := wire.Header{Seq: seq, Kind: wire.KindCheckin, Direction: wire.In, Verdict: wire.Admitted}
				h.At(clock.Read())
				return wire.NewRecord(h, wire.Sealed{}), wire.Context{}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	come(3)
	if got := hours.came(); got != 3 {
		t.Errorf("came() = %d, want 3", got)
	}
	st := q.Stats()
	if _, err := q.Apply(&wire.Receipt{Epoch: st.Epoch, Generation: 1, Through: st.Last, Safe: st.Last, Hash: st.Hash}); err != nil {
		t.Fatal(err)
	}
	if err := q.NewEpoch(wire.OpenedOrder); err != nil {
		t.Fatal(err)
	}
	if got := hours.came(); got != 0 {
		t.Errorf("came() with a new epoch = %d, want 0", got)
	}
	come(1)
	if got := hours.came(); got != 1 {
		t.Errorf("came() in the new epoch = %d, want 1", got)
	}
}
