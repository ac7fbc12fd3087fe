package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/pass"
)

// A desk is a new server's configuration, with its commands.
type desk struct {
	*testing.T
	dir, config string
}

func newDesk(t *testing.T) desk {
	d := desk{t, t.TempDir(), ""}
	d.config = filepath.Join(d.dir, "server.toml")
	if err := os.WriteFile(d.config, fmt.Appendf(nil, "state = %q\n", filepath.Join(d.dir, "state")), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// run runs one command and returns its exit status and what it printed.
func (d desk) run(args ...string) (code int, stdout, stderr string) {
	d.Helper()
	var out, errs bytes.Buffer
	code = run(d.Context(), append(args, "-config", d.config), &out, &errs)
	return code, out.String(), errs.String()
}

func (d desk) must(args ...string) string {
	d.Helper()
	code, out, errs := d.run(args...)
	if code != exitOK {
		d.Fatalf("%s: exit status %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

func TestUsage(t *testing.T) {
	d := newDesk(t)
	tests := []struct {
		args []string
		code int
		want string // in either output
	}{
		{nil, exitUsage, "serve"},
		{[]string{"help"}, exitOK, "verify-backup"},
		{[]string{"server"}, exitUsage, `no command "server"`},
		{[]string{"serve", "-config", "/does/not/exist"}, exitUsage, "/does/not/exist"},
		{[]string{"init", "-config", "/does/not/exist"}, exitUsage, "state ="},
		{[]string{"card", "-h"}, exitOK, "-number"},
		{[]string{"version"}, exitOK, "dev"},
		{[]string{"check-config", "-config", d.config}, exitOK, "sound"},
		{[]string{"backup", "-config", d.config}, exitUsage, "name one file"},
		{[]string{"kiosk", "paint", "-config", d.config}, exitUsage, "kiosk add ID"},
	}
	for _, tt := range tests {
		var out, errs bytes.Buffer
		code := run(t.Context(), tt.args, &out, &errs)
		if both := out.String() + errs.String(); code != tt.code || !strings.Contains(both, tt.want) {
			t.Errorf("qrgate-server %q: exit status %d, want %d; printed %q, want %q in it", tt.args, code, tt.code, both, tt.want)
		}
	}
}

// A server that nobody has initialised says what to do.
func TestServeBeforeInit(t *testing.T) {
	d := newDesk(t)
	if code, _, errs := d.run("serve"); code != exitFailed || !strings.Contains(errs, "qrgate-server init") {
		t.Errorf("serve: exit status %d, said %q", code, errs)
	}
}

func TestInitOnce(t *testing.T) {
	d := newDesk(t)
	if out := d.must("init"); !strings.Contains(out, "master.key") || !strings.Contains(out, "root.key") {
		t.Errorf("init does not name the files to take away: %q", out)
	}
	before, err := os.ReadFile(filepath.Join(d.dir, "state", "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, _ := d.run("init"); code != exitFailed {
		t.Errorf("second init: exit status %d, want %d", code, exitFailed)
	}
	after, err := os.ReadFile(filepath.Join(d.dir, "state", "master.key"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("second init changed the master key (%v)", err)
	}
}

func TestKioskCommands(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	out := filepath.Join(d.dir, "identity")
	d.must("kiosk", "add", "kiosk-0001", "-place", "Chợ Đông Ba", "-out", out)
	for _, name := range []string{"kiosk.key", "kiosk.pem", "ca.pem", "keys.cbor", "root.pub"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	if code, _, _ := d.run("kiosk", "add", "kiosk-0001", "-place", "Elsewhere", "-out", out+"2"); code != exitFailed {
		t.Errorf("adding a kiosk twice: exit status %d, want %d", code, exitFailed)
	}
	if code, _, _ := d.run("kiosk", "add", "Kiosk 1", "-place", "Elsewhere"); code != exitUsage {
		t.Errorf("adding a kiosk with a bad id: exit status %d, want %d", code, exitUsage)
	}
	if list := d.must("kiosk", "list"); !strings.Contains(list, "kiosk-0001") || !strings.Contains(list, "active") {
		t.Errorf("kiosk list = %q", list)
	}
	d.must("kiosk", "move", "kiosk-0001", "-place", "Chợ An Cựu", "-place-number", "48212")
	if list := d.must("kiosk", "list"); !strings.Contains(list, "48212") || !strings.Contains(list, "An Cựu") {
		t.Errorf("kiosk list after move = %q", list)
	}
	for _, args := range [][]string{{"move", "kiosk-0001"}, {"move", "kiosk-0001", "-place", "x", "-place-number", "4294967296"}} {
		if code, _, _ := d.run(append([]string{"kiosk"}, args...)...); code != exitUsage {
			t.Errorf("kiosk %v: exit status %d, want %d", args, code, exitUsage)
		}
	}
	d.must("kiosk", "revoke", "kiosk-0001")
	if list := d.must("kiosk", "list"); !strings.Contains(list, "revoked") {
		t.Errorf("kiosk list after revoke = %q", list)
	}
	if code, _, _ := d.run("kiosk", "revoke", "kiosk-0002"); code != exitFailed {
		t.Errorf("revoking an unknown kiosk: exit status %d, want %d", code, exitFailed)
	}
	if got := d.must("checkins", "kiosk-0001"); got != "" {
		t.Errorf("checkins of a new kiosk = %q", got)
	}
	if code, _, _ := d.run("checkins", "kiosk-0002"); code != exitFailed {
		t.Errorf("checkins of an unknown kiosk: exit status %d, want %d", code, exitFailed)
	}
}

func TestCards(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	texts := strings.Fields(d.must("card", "-number", "41", "-count", "3", "-kind", "staff"))
	if len(texts) != 3 {
		t.Fatalf("%d cards, want 3", len(texts))
	}
	for i, text := range texts {
		p, err := pass.Parse(text)
		if err != nil || p.Kind != pass.Staff || p.Card.Number != uint32(41+i) {
			t.Errorf("card %d = %v, number %d, error %v", i, p.Kind, p.Card.Number, err)
		}
	}
	for _, args := range [][]string{{"card"}, {"card", "-number", "4294967295", "-count", "2"}, {"card", "-number", "1", "-kind", "gold"}, {"card", "-number", "1", "-count", "2", "-png", "x.png"}} {
		if code, _, _ := d.run(args...); code != exitUsage {
			t.Errorf("%v: exit status %d, want %d", args, code, exitUsage)
		}
	}
}

// A backup never replaces another, and only an empty database is restored into.
func TestBackupAndRestore(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	d.must("kiosk", "add", "kiosk-0001", "-place", "Chợ Đông Ba", "-out", filepath.Join(d.dir, "identity"))
	file := filepath.Join(d.dir, "backup")
	d.must("backup", file)
	if code, _, errs := d.run("backup", file); code != exitFailed || !strings.Contains(errs, "exists") {
		t.Errorf("second backup to one file: exit status %d, said %q", code, errs)
	}
	if out := d.must("verify-backup", file); !strings.Contains(out, "whole") {
		t.Errorf("verify-backup printed %q", out)
	}
	if code, _, errs := d.run("restore", file); code != exitFailed || !strings.Contains(errs, "not empty") {
		t.Errorf("restore into a database with a kiosk: exit status %d, said %q", code, errs)
	}
	if err := os.WriteFile(d.config, fmt.Appendf(nil, "state = %q\n[store]\ndsn = %q\n", filepath.Join(d.dir, "state"), "sqlite:"+filepath.Join(d.dir, "new.db")), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must("restore", file)
	if list := d.must("kiosk", "list"); !strings.Contains(list, "kiosk-0001") {
		t.Errorf("kiosk list after restore = %q", list)
	}
	if left, err := filepath.Glob(filepath.Join(d.dir, "*.part-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
