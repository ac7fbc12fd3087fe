package wire_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestDifficulty(t *testing.T) {
	good := wire.Difficulty{Category: "scanner", Text: "Máy đọc chậm.\nTừ sáng.", Contact: "0234 3 822 500"}
	for name, tt := range map[string]struct {
		spoil func(*wire.Difficulty)
		err   error
	}{
		"good":             {func(*wire.Difficulty) {}, nil},
		"no contact":       {func(d *wire.Difficulty) { d.Contact = "" }, nil},
		"no text":          {func(d *wire.Difficulty) { d.Text = " \n" }, wire.ErrMalformed},
		"unknown":          {func(d *wire.Difficulty) { d.Category = "sign_in" }, wire.ErrMalformed},
		"long":             {func(d *wire.Difficulty) { d.Text = strings.Repeat("a", wire.MaxDifficulty+1) }, wire.ErrMalformed},
		"long contact":     {func(d *wire.Difficulty) { d.Contact = strings.Repeat("a", wire.MaxContact+1) }, wire.ErrMalformed},
		"NUL":              {func(d *wire.Difficulty) { d.Text = "a\x00b" }, wire.ErrMalformed},
		"no UTF-8":         {func(d *wire.Difficulty) { d.Text = "a\xff" }, wire.ErrMalformed},
		"lines of contact": {func(d *wire.Difficulty) { d.Contact = "a\nb" }, wire.ErrMalformed},
	} {
		d := good
		tt.spoil(&d)
		if err := d.Validate(); !errors.Is(err, tt.err) {
			t.Errorf("%s: Validate = %v, want %v", name, err, tt.err)
		}
	}
	if said := fmt.Sprintf("%v %+v %#v", good, good, good); strings.Contains(said, "0234") {
		t.Errorf("a difficulty prints as %s", said)
	}
}

// TestGoldenGuard opens what the first version with a guard's page has written.
func TestGoldenGuard(t *testing.T) {
	h := wire.Header{Seq: 1, Kind: wire.KindOrder, Order: &wire.OrderUse{Kind: wire.OrderCount, State: wire.OrderDone, Count: -5, Guard: true}}
	h.At(when.Reading{Boot: when.Boot{1}, Since: 60_000, Wall: issued, State: when.Synced, Error: 7})
	reported := wire.Header{Seq: 2, Kind: wire.KindDifficulty}
	reported.At(h.Reading())
	for name, want := range map[string]wire.Header{"record-guard.cbor": h, "record-difficulty.cbor": reported} {
		path := filepath.Join("..", "..", "testdata", "wire", "v1", name)
		if _, err := os.Stat(path); err != nil && *update {
			box := wire.Sealed{}
			if want.Kind == wire.KindDifficulty {
				box = wire.Sealed{Key: 1, Context: 2, Counter: 3, Box: []byte{4}}
			}
			if err := os.WriteFile(path, wire.Encode(wire.NewRecord(want, box)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := wire.DecodeRecord(b)
		if err != nil {
			t.Fatalf("%s does not open: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestGoldenGuardPage opens what the first version with a guard's page has told, and was
// told, of it.
func TestGoldenGuardPage(t *testing.T) {
	key := testKey(1)
	find := func(uint32) ed25519.PublicKey { return public(key) }
	beat := &wire.Beat{V: 1, Nonce: [16]byte{7, 7}, Epoch: wire.Epoch{9}, Guard: &wire.GuardBeat{Phones: 3, Sessions: 1}}
	on, doc := true, aConfigDoc()
	doc.Guard.On = &on
	for _, g := range []golden{
		{"beat-guard.cbor", beat, func() []byte { return wire.Seal(wire.ForBeat, 0, key, beat) }, func(b []byte) (any, error) { return wire.OpenBeat(b, public(key)) }},
		{"config-guard.cbor", doc, func() []byte { return wire.Seal(wire.ForConfig, 1, key, doc) }, func(b []byte) (any, error) { return wire.OpenConfig(b, kiosk, find) }},
	} {
		path := filepath.Join("..", "..", "testdata", "wire", "v1", g.name)
		if _, err := os.Stat(path); err != nil && *update {
			if err := os.WriteFile(path, g.seal(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.open(b)
		if err != nil {
			t.Fatalf("%s does not open: %v", g.name, err)
		}
		if diff := cmp.Diff(g.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", g.name, diff)
		}
	}
}

// What opens as a difficulty can be kept and shown as it is, and comes back as it was.
func FuzzDifficulty(f *testing.F) {
	f.Add(wire.Encode(wire.Difficulty{Category: "scanner", Text: "Máy đọc chậm.\nTừ sáng.", Contact: "0905"}))
	f.Add([]byte{0xa1, 1, 0x60})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d wire.Difficulty
		if wire.Decode(b, &d) != nil || d.Validate() != nil {
			return
		}
		var again wire.Difficulty
		if err := wire.Decode(wire.Encode(d), &again); err != nil || again != d {
			t.Errorf("comes back as %#v, %v", again.Text, err)
		}
		if strings.ContainsRune(d.Text+d.Contact, 0) || len(d.Text) > wire.MaxDifficulty {
			t.Errorf("%q is kept", d.Text)
		}
	})
}
