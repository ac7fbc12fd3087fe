package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/guide"
)

// What an electrician names on the boot partition is driven on the pins of the drawing,
// and a lock that is wired so holds nobody in.
func TestPartsAreWiredAsDrawn(t *testing.T) {
	dir := t.TempDir()
	boot, path := filepath.Join(dir, "qrgate.txt"), filepath.Join(dir, "kiosk.toml")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, "state = \""+dir+"\"\nidentity = \""+dir+"/identity\"\n[start]\nwalk = true\nfile = \""+boot+"\"\n[panel]\nkind = \"lines\"\n[[serial]]\ndevice = \"auto\"\n")
	c, err := readConfig(path)
	if err != nil || c.GPIO || c.parts().Lamps {
		t.Fatalf("without the file: %+v, %v", c.Panel, err)
	}
	write(boot, "wired = lamps, buzzer, relay, fire, button\r\nexit = yes\r\nlanguage = en\r\n")
	if c, err = readConfig(path); err != nil || len(c.bootFaults) > 0 {
		t.Fatalf("readConfig = %v, faults %v", err, c.bootFaults)
	}
	got := map[string]panel.Contact{}
	for part, at := range map[string]panel.Contact{
		"red": {Pin: c.Panel.Red.Pin}, "amber": {Pin: c.Panel.Amber.Pin}, "green": {Pin: c.Panel.Green.Pin}, "buzzer": {Pin: c.Panel.Buzzer.Pin},
		"relay": {Pin: c.Panel.Relay.Pin}, "fire": c.Panel.Fire, "button": c.Panel.Button,
	} {
		got[part] = at
	}
	for _, pin := range guide.Pins() {
		if at := got[pin.Part]; at.Pin != pin.Line || at.ActiveLow != pin.ActiveLow {
			t.Errorf("%s is on %+v, drawn on %+v", pin.Part, at, pin)
		}
	}
	if !c.GPIO || !c.Panel.Egress || c.Panel.Relay.EnergiseToOpen || !c.parts().Lamps || !c.parts().Buzzer {
		t.Errorf("panel = %+v", c.Panel)
	}
	if w, due := c.walk(); !due || w.Step != guide.Network || w.Lang != "en" {
		t.Errorf("walk = %+v, %v; want one in English that does not ask for a language", w, due)
	}
}
