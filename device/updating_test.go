package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
