package pass_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
	"pgregory.net/rapid"
)

var (
	cardKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	eventKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	keys     = pass.Keys{
		1: {Public: cardKey.Public().(ed25519.PublicKey)},
		2: {Public: eventKey.Public().(ed25519.PublicKey), Events: true},
		3: {Public: cardKey.Public().(ed25519.PublicKey), From: 100, To: 200},
		4: {},
	}
	today = pass.DayOf(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
)

func sign(t *testing.T, c pass.OwnCard, key ed25519.PrivateKey) string {
	t.Helper()
	text, err := pass.Sign(c, key)
	if err != nil {
		t.Fatalf("Sign(kind %s) error = %v", c.Kind, err)
	}
	return text
}

func accepts(text string) (pass.Pass, bool) {
	p, err := pass.Parse(text)
	return p, err == nil && pass.Verify(p, keys, today) == nil
}

func TestOwnCardRoundTrips(t *testing.T) {
	kinds := []pass.Kind{pass.Card, pass.Family, pass.Staff, pass.Event, pass.Maintenance, pass.Test}
	rapid.Check(t, func(r *rapid.T) {
		c := pass.OwnCard{
			Kind: rapid.SampledFrom(kinds).Draw(r, "kind"), Key: 1,
			Number: rapid.Uint32().Draw(r, "number"), Issue: rapid.Uint8().Draw(r, "issue"),
			First:  pass.Day(rapid.IntRange(0, int(today)).Draw(r, "first")),
			Last:   pass.Day(rapid.IntRange(int(today), 65535).Draw(r, "last")),
			People: rapid.Uint8().Draw(r, "people"), Lane: rapid.Uint8().Draw(r, "lane"),
			Event: rapid.Uint32Range(0, pass.MaxEvent).Draw(r, "event"),
		}
		key := cardKey
		if c.Kind == pass.Event {
			c.Key, key = 2, eventKey
		}
		text, err := pass.Sign(c, key)
		if err != nil {
			r.Fatalf("Sign error = %v", err)
		}
		if body, ok := strings.CutPrefix(text, "QG1"); !ok || len(body) != 128 || strings.Trim(body, letters) != "" {
			r.Fatalf("Sign made %q, want QG1 and 128 characters of base32", text)
		}
		p, err := pass.Parse(text)
		if err != nil || p.Card != c || p.Kind != c.Kind || p.Subject != (pass.Subject{}) {
			r.Fatalf("Parse(%q) = %s, error %v, want the card that was signed", text, p, err)
		}
		if err := pass.Verify(p, keys, today); err != nil {
			r.Fatalf("Verify(%q) = %v, want nil", text, err)
		}
		if q, err := pass.Parse(strings.ToLower(text)); err != nil || q != p {
			r.Fatalf("Parse of the text under CapsLock = %s, error %v, want the same pass", q, err)
		}
	})
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	text := sign(t, pass.OwnCard{Kind: pass.Card, Key: 1, Number: 48211, Issue: 1, First: today, Last: today + 365}, cardKey)
	raw, err := base32NoPad.DecodeString(text[3:])
	if err != nil || len(raw) != 80 {
		t.Fatalf("card holds %d bytes, error %v, want 80", len(raw), err)
	}
	for bit := range 640 {
		flipped := bytes.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, ok := accepts("QG1" + base32NoPad.EncodeToString(flipped)); ok {
			t.Errorf("card with bit %d flipped was accepted", bit)
		}
	}
}

func TestEveryChangedCharacterIsRefused(t *testing.T) {
	text := sign(t, pass.OwnCard{Kind: pass.Card, Key: 1, Number: 48211, Issue: 1, First: today, Last: today + 365}, cardKey)
	for i := range text {
		for c := range 256 {
			changed := []byte(text)
			changed[i] = byte(c)
			if _, ok := accepts(string(changed)); ok && string(changed) != text {
				t.Errorf("card with character %d changed from %q to %q was accepted", i, text[i], changed[i])
			}
		}
	}
}

func TestOnlyOneTextOfACardIsAccepted(t *testing.T) {
	text := sign(t, pass.OwnCard{Kind: pass.Card, Key: 1, Number: 7, Last: 65535}, cardKey)
	for name, other := range map[string]string{
		"line end after":        text + "\n",
		"line end inside":       text[:40] + "\n" + text[40:],
		"line end for a letter": text[:40] + "\n" + text[41:],
		"carriage return":       text[:131-1] + "\r",
		"padding":               text + "=",
		"space before":          " " + text,
		"mixed case":            "qg1" + text[3:],
		"mixed case inside":     text[:50] + strings.ToLower(text[50:]),
		"shorter":               text[:130],
		"longer":                text + "A",
		"twice":                 text + text,
		"prefix only":           "QG1",
		"Kelvin sign":           strings.Replace(text, "K", "\u212a", 1),
		"long s":                strings.Replace(strings.ToLower(text), "s", "\u017f", 1),
	} {
		if p, err := pass.Parse(other); err == nil {
			t.Errorf("Parse(card with %s) = %s, want an error", name, p)
		}
	}
}

func TestVerify(t *testing.T) {
	card := func(key uint8, first, last pass.Day, signer ed25519.PrivateKey) string {
		return sign(t, pass.OwnCard{Kind: pass.Card, Key: key, Number: 9, First: first, Last: last}, signer)
	}
	tests := []struct {
		name  string
		text  string
		today pass.Day
		err   error
	}{
		{"first day", card(1, 150, 160, cardKey), 150, nil},
		{"last day", card(1, 150, 160, cardKey), 160, nil},
		{"the day before", card(1, 150, 160, cardKey), 149, pass.ErrNotYet},
		{"the day after", card(1, 150, 160, cardKey), 161, pass.ErrExpired},
		{"another's signature", card(1, 150, 160, eventKey), 150, pass.ErrSignature},
		{"another's signature, expired", card(1, 150, 160, eventKey), 161, pass.ErrSignature},
		{"key that is not held", card(9, 150, 160, cardKey), 150, pass.ErrUnknownKey},
		{"key without bytes", card(4, 150, 160, cardKey), 150, pass.ErrUnknownKey},
		{"event key on a card", card(2, 150, 160, eventKey), 150, pass.ErrUnknownKey},
		{"key's first day", card(3, 0, 999, cardKey), 100, nil},
		{"key not yet", card(3, 0, 999, cardKey), 99, pass.ErrNotYet},
		{"key's last day", card(3, 0, 999, cardKey), 200, nil},
		{"key ended", card(3, 0, 999, cardKey), 201, pass.ErrUnknownKey},
		{"card key on an event pass", sign(t, pass.OwnCard{Kind: pass.Event, Key: 1, Last: 999, Event: 5}, cardKey), 150, pass.ErrUnknownKey},
		{"event pass", sign(t, pass.OwnCard{Kind: pass.Event, Key: 2, Last: 999, Event: 5}, eventKey), 150, nil},
		{"identity card", cccd, 150, pass.ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := pass.Parse(tt.text)
			if err != nil {
				t.Fatalf("Parse(%q) error = %v", tt.text, err)
			}
			if err := pass.Verify(p, keys, tt.today); !errors.Is(err, tt.err) {
				t.Errorf("Verify(%q, day %d) = %v, want %v", tt.text, tt.today, err, tt.err)
			}
		})
	}
}

// A signature that holds for one kind of own card says nothing under another
// kind, even if one key were listed for both.
func TestEventSignatureIsNoCardSignature(t *testing.T) {
	text := sign(t, pass.OwnCard{Kind: pass.Event, Key: 1, Last: 999}, cardKey)
	p, err := pass.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q) error = %v", text, err)
	}
	p.Kind, p.Card.Kind = pass.Card, pass.Card
	if err := pass.Verify(p, keys, 5); !errors.Is(err, pass.ErrSignature) {
		t.Errorf("Verify(event pass as card) = %v, want %v", err, pass.ErrSignature)
	}
}

func TestSignRefusesWhatNoKioskCouldAccept(t *testing.T) {
	for name, c := range map[string]pass.OwnCard{
		"foreign kind": {Kind: pass.CCCD},
		"no kind":      {},
		"days":         {Kind: pass.Card, First: 2, Last: 1},
		"event":        {Kind: pass.Event, Event: pass.MaxEvent + 1},
	} {
		if text, err := pass.Sign(c, cardKey); err == nil {
			t.Errorf("Sign(bad %s) = %q, want an error", name, text)
		}
	}
	if text, err := pass.Sign(pass.OwnCard{Kind: pass.Card}, nil); err == nil {
		t.Errorf("Sign without key = %q, want an error", text)
	}
}

func TestUnknownKindOfOwnCard(t *testing.T) {
	raw := make([]byte, 80)
	raw[0] = 7
	p, err := pass.Parse("QG1" + base32NoPad.EncodeToString(raw))
	if !errors.Is(err, pass.ErrUnknown) {
		t.Errorf("Parse(card of a later release's kind) = %s, %v, want %v", p, err, pass.ErrUnknown)
	}
}

func TestDayIsVietnameseCivilDay(t *testing.T) {
	for at, want := range map[string]string{
		"2026-11-23T16:59:59Z": "2026-11-23",
		"2026-11-23T17:00:00Z": "2026-11-24",
		"1970-01-01T00:00:00Z": "2020-01-01",
		"9999-01-01T00:00:00Z": "2199-06-06",
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := pass.DayOf(when).String(); got != want {
			t.Errorf("DayOf(%s) = %s, want %s", at, got, want)
		}
	}
	for d := range pass.Day(3000) {
		if got := pass.DayOf(d.Time()); got != d {
			t.Errorf("DayOf(%s.Time()) = %d, want %d", d, got, d)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	text, err := pass.Sign(pass.OwnCard{Kind: pass.Card, Key: 1, Last: 65535}, cardKey)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := accepts(text); !ok {
			b.Fatal("card was refused")
		}
	}
}
