package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/sync/wire"
)

// The settings of a kiosk out of its box name neither a place nor a server.
func TestSettingsThatComeWithTheCode(t *testing.T) {
	dir := t.TempDir()
	path, identity := filepath.Join(dir, "kiosk.toml"), filepath.Join(dir, "identity")
	settings := func(more string) {
		text := "state = \"" + dir + "\"\nidentity = \"" + identity + "\"\n" + more + "[[serial]]\ndevice = \"auto\"\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings("")
	if c, err := readConfig(path); err != nil || !c.New || c.Door.Place != "" {
		t.Fatalf("readConfig of a new kiosk = %+v, %v", c, err)
	}
	if err := os.Mkdir(identity, 0o700); err != nil { // as a package leaves it
		t.Fatal(err)
	}
	if c, err := readConfig(path); err != nil || !c.New {
		t.Fatalf("readConfig with an empty identity = %+v, %v", c, err)
	}
	chosen := enrolment.First{Place: "Bến xe", Gate: "B7", Lane: 2, Direction: wire.Out, Server: "tls://qr.example.vn:8883", Name: "localhost", Portal: "https://qr.example.vn"}
	b, err := json.Marshal(chosen)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(identity, "enrolled.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	// What was chosen counts for the door, and an exit refuses nobody for a fault of ours.
	settings("[door]\nplace = \"Kho\"\ngate = \"X\"\non_fault = \"refuse\"\n")
	c, err := readConfig(path)
	if err != nil || c.New || c.Door.Place != "Bến xe" || c.Door.Gate != "B7" || c.Door.Lane != 2 || c.Door.Direction != wire.Out || c.Door.OnFault != wire.AdmitUnrecorded || !c.Panel.Egress {
		t.Errorf("readConfig = %+v, %v", c, err)
	}
	if c.Server != chosen.Server || c.ServerName != "localhost" || c.Portal != chosen.Portal {
		t.Errorf("server = %q %q, portal %q", c.Server, c.ServerName, c.Portal)
	}
	// The file may know a nearer way to the server.
	settings("[server]\nurl = \"tls://10.0.0.1:8883\"\nportal = \"http://10.0.0.1\"\n")
	if c, err := readConfig(path); err != nil || c.Server != "tls://10.0.0.1:8883" || c.Portal != "http://10.0.0.1" {
		t.Errorf("readConfig = %q, %q, %v", c.Server, c.Portal, err)
	}
	// One that was enrolled by hand has to say all of it.
	if err := os.Rename(filepath.Join(identity, "enrolled.json"), filepath.Join(identity, "kiosk.pem")); err != nil {
		t.Fatal(err)
	}
	settings("")
	if _, err := readConfig(path); err == nil || !strings.Contains(err.Error(), "server.url") || !strings.Contains(err.Error(), "place") {
		t.Errorf("readConfig of a kiosk that does not know where it stands = %v", err)
	}
}

// What a kiosk kept under another name is not delivered under a new one.
func TestEarlierLedgerIsSetAside(t *testing.T) {
	c := Config{State: t.TempDir()}
	if err := os.WriteFile(c.outbox(), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := setAside(c); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(c.outbox() + ".before-*"); len(found) != 1 {
		t.Errorf("set aside: %q", found)
	}
	if _, err := os.Stat(c.outbox()); err == nil {
		t.Error("the ledger of another kiosk is still there")
	}
}
