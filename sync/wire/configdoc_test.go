package wire_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func aConfigDoc() *wire.ConfigDoc {
	explain, yes, volume := 8*time.Second, true, uint8(70)
	return &wire.ConfigDoc{
		V: 1, Kiosk: kiosk, Stamp: wire.Stamp{Generation: 3, Version: 17},
		Door: wire.KioskConfig{
			Place: "Chợ Đông Ba", Gate: "A1", Lane: 2, Direction: wire.In, OnFault: wire.Refuse, Accept: []pass.Kind{pass.Card, pass.CCCD},
			Repeat: 4 * time.Second, Reset: 3 * time.Second, HelpLine: "19001075", StaleList: wire.RefuseStale, StaleAfter: 14 * 24 * time.Hour,
		},
		Link:   wire.LinkConfig{URL: "tls://qr.example.vn:8883", Name: "qr.example.vn"},
		Screen: wire.ScreenConfig{Explain: &explain, Companions: &yes},
		Sound:  wire.SoundConfig{On: &yes, Volume: &volume, Quiet: &wire.Hours{From: 22 * 60, To: 6 * 60}, Mute: &yes},
	}
}

func configKey(uint32) ed25519.PublicKey { return public(testKey(1)) }

func TestConfigDocIsForOneKiosk(t *testing.T) {
	sealed := func(alter func(*wire.ConfigDoc)) []byte {
		d := aConfigDoc()
		alter(d)
		return wire.Seal(wire.ForConfig, 1, testKey(1), d)
	}
	for _, tt := range []struct {
		name  string
		data  []byte
		kiosk string
		want  error
	}{
		{"its own", sealed(func(*wire.ConfigDoc) {}), kiosk, nil},
		{"another kiosk's", sealed(func(*wire.ConfigDoc) {}), "gate-9999", wire.ErrSignature},
		{"another key's", wire.Seal(wire.ForConfig, 1, testKey(2), aConfigDoc()), kiosk, wire.ErrSignature},
		{"another purpose", wire.Seal(wire.ForReceipt, 1, testKey(1), aConfigDoc()), kiosk, wire.ErrSignature},
		{"a later version", sealed(func(d *wire.ConfigDoc) { d.V = 2 }), kiosk, wire.ErrVersion},
		{"no version", sealed(func(d *wire.ConfigDoc) { d.Stamp.Version = 0 }), kiosk, wire.ErrMalformed},
	} {
		got, err := wire.OpenConfig(tt.data, tt.kiosk, configKey)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: OpenConfig = %v, want %v", tt.name, err, tt.want)
		}
		if err == nil {
			if diff := cmp.Diff(aConfigDoc(), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
	}
}

func TestConfigDocValidate(t *testing.T) {
	far, loud := time.Minute, uint8(101)
	for setting, alter := range map[string]func(*wire.ConfigDoc){
		"":            func(*wire.ConfigDoc) {},
		"gate":        func(d *wire.ConfigDoc) { d.Door.Gate = "" },
		"on_fault":    func(d *wire.ConfigDoc) { d.Door.Direction = wire.Out },
		"stale_list":  func(d *wire.ConfigDoc) { d.Door.OnFault = wire.AdmitUnrecorded },
		"explain":     func(d *wire.ConfigDoc) { d.Screen.Explain = &far },
		"volume":      func(d *wire.ConfigDoc) { d.Sound.Volume = &loud },
		"quiet":       func(d *wire.ConfigDoc) { d.Sound.Quiet = &wire.Hours{From: 24 * 60} },
		"lease_days":  func(d *wire.ConfigDoc) { none := uint16(0); d.Lease.Days = &none },
		"server_name": func(d *wire.ConfigDoc) { d.Link.URL = "" },
	} {
		d := aConfigDoc()
		alter(d)
		err := d.Validate()
		if (err == nil) != (setting == "") || err != nil && !strings.HasPrefix(err.Error(), setting+":") {
			t.Errorf("%q altered: Validate = %v", setting, err)
		}
	}
	for _, url := range []string{"qr.example.vn:8883", "tls://qr.example.vn", "mqtt://qr.example.vn:1883", "tls://:8883", "tls://a:0", "tls://a:99999",
		"tls://user@a:8883", "tls://a:8883/path", "tls://a:8883?x", "tls://" + strings.Repeat("a", 200) + ":8883"} {
		d := aConfigDoc()
		d.Link.URL = url
		if err := d.Validate(); err == nil || !strings.HasPrefix(err.Error(), "server_url:") {
			t.Errorf("%s: Validate = %v, want server_url", url, err)
		}
	}
	d := aConfigDoc()
	d.Link.URL = "tls://[2001:db8::1]:8883"
	if err := d.Validate(); err != nil {
		t.Errorf("an IPv6 address: %v", err)
	}
}

// A document of a later release has fields that this one does not know.
func TestConfigDocOfALaterReleaseIsRead(t *testing.T) {
	type later struct {
		wire.ConfigDoc
		New string `cbor:"99,keyasint"`
	}
	got, err := wire.OpenConfig(wire.Seal(wire.ForConfig, 1, testKey(1), later{*aConfigDoc(), "x"}), kiosk, configKey)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(aConfigDoc(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzOpenConfig(f *testing.F) {
	key := testKey(1)
	f.Add(wire.Encode(aConfigDoc()))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d any
		if wire.Decode(data, &d) != nil {
			return
		}
		c, err := wire.OpenConfig(wire.Seal(wire.ForConfig, 1, key, cbor.RawMessage(data)), kiosk, configKey)
		if err != nil {
			return
		}
		if c.Validate() == nil && c.Door.Direction == wire.Out && c.Door.OnFault == wire.Refuse {
			t.Error("a way out that holds people in is valid")
		}
		again, err := wire.OpenConfig(wire.Seal(wire.ForConfig, 1, key, c), kiosk, configKey)
		if err != nil {
			t.Fatalf("a document that opened does not open again: %v", err)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
	})
}
