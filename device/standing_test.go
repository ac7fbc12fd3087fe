package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/qrgate/qrgate/device/amber"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A sector that cannot be read costs what was in it, and not the door.
func TestAFileThatCannotBeReadIsBegunAnew(t *testing.T) {
	for _, name := range []string{"agent.json", "void.list", "orders.json", "lease.json", "config.cbor", "amber.cbor", "guard/phones.json", "guard/page.pem"} {
		t.Run(name, func(t *testing.T) {
			l := newLeftLocked(t)
			beEnrolled(t, l.identity, "dong-ba-gate-1")
			c, err := readConfig(l.config)
			if err != nil {
				t.Fatal(err)
			}
			// Nothing is mapped where this file begins: reading it is EIO.
			path := filepath.Join(c.State, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/proc/self/mem", path); err != nil {
				t.Fatal(err)
			}
			log := slog.New(slog.DiscardHandler)
			s, err := openStation(t.Context(), c, amber.Open(c.amber(), when.Boot{1}, log), log)
			if err != nil {
				t.Fatalf("openStation = %v", err)
			}
			if s.guard == nil {
				t.Error("the guard has no page")
			}
			s.close()
		})
	}
}

// A door without its ledger keeps to what orders had it do.
func TestADoorThatStandsInKeepsToItsOrders(t *testing.T) {
	l := newLeftLocked(t)
	id := beEnrolled(t, l.identity, "dong-ba-gate-1")
	l.edit(`direction = "out"`, "direction = \"in\"\non_fault = \"refuse\"")
	c, err := readConfig(l.config)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if got, locked := c.lastKnown(id, log); locked || got.Panel.Egress || got.Door.Direction != wire.In {
		t.Errorf("without orders: locked %t, %+v", locked, got.Door)
	}
	if err := os.Mkdir(c.State, 0o700); err != nil {
		t.Fatal(err)
	}
	l.write(c.orders(), `{"direction":2,"locked":true}`)
	got, locked := c.lastKnown(id, log)
	if !locked || !got.Panel.Egress || got.Door.Direction != wire.Out {
		t.Errorf("turned out and locked: locked %t, egress %t, %+v", locked, got.Panel.Egress, got.Door)
	}
	if err := got.Door.Validate(); err != nil {
		t.Errorf("such a door is not valid: %v", err)
	}
}
