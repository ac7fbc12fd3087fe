package pass_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/sync/pass"
)

var orderKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func aCommand() pass.CommandCard {
	from := pass.HourOf(time.Date(2026, 11, 26, 8, 0, 0, 0, time.FixedZone("", 7*3600)))
	return pass.CommandCard{
		Order: 6, Key: 1, Single: true, Scope: pass.ForKiosk, Target: pass.KioskTarget("cho-dong-ba-1"),
		Serial: 900_001, Arg: pass.MaxCommandArg - 5, From: from, Until: from + 24,
	}
}

func signCommand(t testing.TB, c pass.CommandCard) string {
	t.Helper()
	text, err := pass.SignCommand(c, orderKey)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCommandCard(t *testing.T) {
	text := signCommand(t, aCommand())
	if len(text) != pass.CommandText || !strings.HasPrefix(text, pass.CommandPrefix) {
		t.Errorf("a command of %d characters: %.10s", len(text), text)
	}
	for _, text := range []string{text, strings.ToLower(text)} {
		got, err := pass.ParseCommand(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(aCommand(), got.CommandCard); diff != "" {
			t.Errorf("a command came back otherwise:\n%s", diff)
		}
		if err := got.Verify(orderKey.Public().(ed25519.PublicKey)); err != nil {
			t.Error(err)
		}
		if p, err := pass.Parse(text); err != nil || p.Kind != pass.Command {
			t.Errorf("Parse = %v, %v", p, err)
		}
	}
	got, _ := pass.ParseCommand(text)
	if err := got.Verify(nil); !errors.Is(err, pass.ErrUnknownKey) {
		t.Errorf("no key: %v", err)
	}
	if err := got.Verify(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)); !errors.Is(err, pass.ErrSignature) {
		t.Errorf("another's key: %v", err)
	}
}

// Cards that were printed must be read for as long as they are valid.
func TestGoldenCommand(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "command.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if want := signCommand(t, aCommand()); strings.TrimSpace(string(b)) != want {
		t.Errorf("command.txt = %s, SignCommand now writes %s", b, want)
	}
}

// No bit of a card can be altered, and there is no second text of it.
func TestEveryBitOfACommandIsSigned(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	text := signCommand(t, aCommand())
	for i := len(pass.CommandPrefix); i < len(text); i++ {
		n := strings.IndexByte(letters, text[i])
		for bit := range 5 {
			altered := text[:i] + string(letters[n^1<<bit]) + text[i+1:]
			if got, err := pass.ParseCommand(altered); err == nil && got.Verify(orderKey.Public().(ed25519.PublicKey)) == nil {
				t.Fatalf("bit %d of character %d is not signed", bit, i)
			}
		}
	}
	for name, other := range map[string]string{
		"short": text[:len(text)-1], "long": text + "A", "line end": text[:50] + "\n" + text[50:len(text)-1], "padded": text[:len(text)-1] + "=",
		"mixed": strings.ToLower(text[:20]) + text[20:], "mixed after": text[:20] + strings.ToLower(text[20:]), "digit": text[:len(text)-1] + "1",
	} {
		if _, err := pass.ParseCommand(other); !errors.Is(err, pass.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := pass.ParseCommand("QG1" + text[4:]); !errors.Is(err, pass.ErrUnknown) {
		t.Errorf("another prefix: %v, want ErrUnknown", err)
	}
}

func TestCommandThatNobodyCouldFollow(t *testing.T) {
	for name, spoil := range map[string]func(*pass.CommandCard){
		"no order":      func(c *pass.CommandCard) { c.Order = 0 },
		"no scope":      func(c *pass.CommandCard) { c.Scope = 0 },
		"other scope":   func(c *pass.CommandCard) { c.Scope = 4 },
		"once anywhere": func(c *pass.CommandCard) { c.Scope, c.Target = pass.ForPlace, pass.PlaceTarget(7) },
		"ends first":    func(c *pass.CommandCard) { c.Until = c.From },
		"too much":      func(c *pass.CommandCard) { c.Arg = pass.MaxCommandArg + 1 },
		"too late":      func(c *pass.CommandCard) { c.Until = 1 << 24 },
	} {
		c := aCommand()
		spoil(&c)
		if _, err := pass.SignCommand(c, orderKey); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
	if _, err := pass.SignCommand(aCommand(), orderKey[:10]); err == nil {
		t.Error("signed with no key")
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add(signCommand(f, aCommand()))
	f.Add("qgc1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := pass.ParseCommand(text)
		if err != nil {
			return
		}
		again, err := pass.SignCommand(c.CommandCard, orderKey)
		if err != nil {
			t.Fatalf("%+v was read and cannot be signed: %v", c.CommandCard, err)
		}
		if back, err := pass.ParseCommand(again); err != nil || back.CommandCard != c.CommandCard {
			t.Errorf("%+v came back as %+v, %v", c.CommandCard, back.CommandCard, err)
		}
	})
}
