package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// What the portal says replaces what the file says, what it leaves out stays, and
// what is soldered is the file's alone.
func TestThePortalsDocumentOverTheFile(t *testing.T) {
	own, err := parseConfig(reference(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(own.Door, own.with(nil).Door); diff != "" {
		t.Errorf("no document changes (-file +with):\n%s", diff)
	}
	yes, explain, volume := true, 9*time.Second, uint8(30)
	d := &wire.ConfigDoc{Door: own.Door}
	d.Door.Gate, d.Door.Direction, d.Door.Reset, d.Door.Accept = "B2", wire.Out, 7*time.Second, []pass.Kind{pass.Card, pass.Typed}
	d.Screen = wire.ScreenConfig{Explain: &explain, Companions: &yes}
	d.Sound = wire.SoundConfig{Volume: &volume, Quiet: &wire.Hours{From: 22 * 60, To: 6*60 + 30}, Mute: &yes}
	d.Link = wire.LinkConfig{URL: "tls://other.example.vn:8883"}
	c := own.with(d)
	if c.Door.Gate != "B2" || c.Panel.Reset != 7*time.Second || !c.Panel.Egress || own.Panel.Egress {
		t.Errorf("door %+v, panel %+v", c.Door, c.Panel)
	}
	if c.Server != "tls://other.example.vn:8883" || c.ServerName != "" {
		t.Errorf("server %s, name %q: want the host of the address", c.Server, c.ServerName)
	}
	quiet := screen.Hours{From: 22 * time.Hour, To: 6*time.Hour + 30*time.Minute}
	if c.Sound.on || c.Sound.volume != 30 || c.Sound.quiet != quiet || c.Sound.inQuiet != screen.QuietNothing || c.audible().Volume != 0 {
		t.Errorf("sound %+v", c.Sound)
	}
	var shown screen.Options
	c.shown(&shown)
	if !shown.Typed || shown.Companions || shown.Gate != "B2" || shown.Explain != explain {
		t.Errorf("screen %+v: companions come in, and this is a way out", shown)
	}
	if c.State != own.State || c.Trial != own.Trial || c.sources() != own.sources() {
		t.Error("what the portal does not say has changed")
	}
	// A relay that is wired to open by current is no way out, whoever says so.
	own.Panel.Relay.Pin, own.Panel.Relay.EnergiseToOpen = "GPIO17", true
	if err := own.with(d).Panel.Validate(); err == nil {
		t.Error("a way out is let through that a broken wire locks")
	}
}
