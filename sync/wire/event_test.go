package wire_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func aGathering() *wire.Event {
	return &wire.Event{
		Stamp: wire.Stamp{Generation: 3, Version: 14}, No: 7, Name: "Festival Huế", From: 1_795_500_000_000, To: 1_795_600_000_000,
		Capacity: 1200, Open: true, Reentry: true,
		Categories: []wire.EventCategory{{No: 1, Name: "Đại biểu", Gates: []string{"A1", "VIP"}, Quota: 200}, {No: 2}},
		Passes:     []wire.EventPass{{1, 1, 1}, {2, 3, 2}, {900, 1, 1}, {1<<32 - 1, 253, 2}},
	}
}

func openEvent(key ed25519.PrivateKey, data []byte) (*wire.Event, error) {
	return wire.OpenEvent(data, func(uint32) ed25519.PublicKey { return public(key) })
}

func TestEventTravels(t *testing.T) {
	key, want := testKey(1), aGathering()
	got, err := openEvent(key, wire.SealEvent(aGathering(), 1, key))
	if err != nil {
		t.Fatal(err)
	}
	want.V = wire.Version
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("an event came back otherwise:\n%s", diff)
	}
}

func TestEventThatIsNone(t *testing.T) {
	key := testKey(1)
	for name, spoil := range map[string]func(*wire.Event){
		"no number":         func(e *wire.Event) { e.No = 0 },
		"too high a number": func(e *wire.Event) { e.No = pass.MaxEvent + 1 },
		"ends first":        func(e *wire.Event) { e.To = e.From },
		"no category":       func(e *wire.Event) { e.Categories[0].No = 0 },
		"many categories":   func(e *wire.Event) { e.Categories = make([]wire.EventCategory, 17) },
		"many gates":        func(e *wire.Event) { e.Categories[0].Gates = make([]string, 17) },
		"twice a pass":      func(e *wire.Event) { e.Passes[1].Number = 1 },
		"out of order":      func(e *wire.Event) { e.Passes[1].Number = 0 },
		"no issue":          func(e *wire.Event) { e.Passes[1].Issue = 0 },
	} {
		e := aGathering()
		spoil(e)
		if _, err := openEvent(key, wire.SealEvent(e, 1, key)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: OpenEvent = %v, want ErrMalformed", name, err)
		}
	}
	if _, err := openEvent(testKey(2), wire.SealEvent(aGathering(), 1, key)); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("another's signature: OpenEvent = %v, want ErrSignature", err)
	}
	// What signs one kind of document signs no other.
	if _, err := openEvent(key, wire.Seal(wire.ForConfig, 1, key, aGathering())); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("signed for another purpose: OpenEvent = %v, want ErrSignature", err)
	}
}

// The largest event must pass every broker, whatever the numbers of its passes are.
func TestLargestEvent(t *testing.T) {
	key, e := testKey(1), aGathering()
	e.Passes = nil
	for i := range uint32(wire.MaxEventPasses) {
		e.Passes = append(e.Passes, wire.EventPass{Number: 1 + i*200_000 + i*i%100_003, Issue: uint8(1 + i*7%200), Category: uint8(i * 31 % 251)})
	}
	b := wire.SealEvent(e, 1, key)
	if len(b) > wire.MaxMessage {
		t.Errorf("an event of %d passes has %d bytes, over %d", len(e.Passes), len(b), wire.MaxMessage)
	}
	got, err := openEvent(key, b)
	if err != nil || len(got.Passes) != wire.MaxEventPasses {
		t.Fatalf("OpenEvent = %v", err)
	}
	e.Passes = append(e.Passes, wire.EventPass{Number: 1<<32 - 1, Issue: 1})
	if _, err := openEvent(key, wire.SealEvent(e, 1, key)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("one pass more: OpenEvent = %v, want ErrTooLarge", err)
	}
}

func FuzzOpenEvent(f *testing.F) {
	key := testKey(1)
	f.Add(wire.SealEvent(aGathering(), 1, key), []byte{1, 1, 1, 2, 1, 1})
	f.Add([]byte{}, []byte{0xff, 0xff, 0xff, 0xff, 0x1f, 1, 1})
	f.Fuzz(func(t *testing.T, data, packed []byte) {
		openEvent(key, data)
		e := aGathering()
		e.V, e.Packed = wire.Version, packed
		got, err := openEvent(key, wire.Seal(wire.ForBundle, 1, key, e))
		if err != nil {
			return
		}
		for i, p := range got.Passes {
			if p.Issue == 0 || i > 0 && p.Number <= got.Passes[i-1].Number {
				t.Fatalf("pass %d is %v", i, p)
			}
		}
		again, err := openEvent(key, wire.SealEvent(got, 1, key))
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("an event that opened does not open again: %v", err)
		}
	})
}
