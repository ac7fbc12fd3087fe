package main

import (
	"os"
	"strings"
	"testing"
)

func reference(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReferenceParses(t *testing.T) {
	c, err := parseConfig(reference(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.sources() != 3 || c.Door.Place != "Chợ Đông Ba" || c.ServerName != "qr.example.vn" {
		t.Errorf("reference.toml gives %d sources at %q, server %q", c.sources(), c.Door.Place, c.ServerName)
	}
}

func TestBadConfigurationSaysWhat(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{`reset = "3s"`, `resett = "3s"`, "unknown key door.resett"},
		{`level = "info"`, `level = "loud"`, "log.level"},
		{`url = "tls://qr.example.vn:8883"`, `url = "http://qr.example.vn"`, "server.url"},
		{`direction = "in"`, `direction = "up"`, "direction"},
		{`accept = ["card"`, `accept = ["passport"`, "passport"},
		{`limit_mib = 1024`, `limit_mib = 1`, "outbox.limit_mib"},
		{`device = "auto"      # a path`, `device = "COM3" # a path`, "serial"},
		{`kind = "files"`, `kind = "film"`, "camera"},
		{`kind = "gpio"`, `kind = "neon"`, "panel.kind"},
		{`state = "/var/lib/qrgate" `, `state = "here" `, "absolute"},
	} {
		text := strings.Replace(reference(t), tt.old, tt.new, 1)
		if text == reference(t) {
			t.Fatalf("reference.toml has no %q", tt.old)
		}
		if _, err := parseConfig(text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("with %s: error %v, want one that names %s", tt.new, err, tt.want)
		}
	}
}

func TestEgressDoorWiredToHoldPeopleIn(t *testing.T) {
	text := strings.NewReplacer(`direction = "in" `, `direction = "out" `, "energise_to_open = false", "energise_to_open = true").Replace(reference(t))
	if _, err := parseConfig(text); err == nil || !strings.Contains(err.Error(), "energises to lock") {
		t.Errorf("exit lane whose relay energises to open: error %v, want a refusal", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(reference(f))
	f.Add("[door]\nrepeat = \"-1s\"\n[[serial]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseConfig(text); err == nil && c.Door.Validate() != nil {
			t.Error("parseConfig let an invalid door through")
		}
	})
}
