package signin_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/server/signin"
)

var stateKey = bytes.Repeat([]byte{5}, 32)

func TestState(t *testing.T) {
	s := signin.State{Issuer: "https://id.hue.example", State: "s", Nonce: "n", Verifier: "v", Return: "/places?q=chợ", Ends: noon}
	sealed, err := s.Seal(stateKey)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := s.Seal(stateKey); again == sealed {
		t.Error("two seals of one state are equal")
	}
	got, err := signin.OpenState(stateKey, sealed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("OpenState (-want +got):\n%s", diff)
	}
	other := bytes.Repeat([]byte{6}, 32)
	if _, err := signin.OpenState(other, sealed); !errors.Is(err, signin.ErrState) {
		t.Errorf("OpenState under another key = %v, want %v", err, signin.ErrState)
	}
	for i := range sealed {
		altered := []byte(sealed)
		if altered[i] = 'A'; sealed[i] == 'A' {
			altered[i] = 'B'
		}
		if _, err := signin.OpenState(stateKey, string(altered)); !errors.Is(err, signin.ErrState) {
			t.Fatalf("OpenState with byte %d altered = %v, want %v", i, err, signin.ErrState)
		}
	}
	for _, bad := range []string{"", "x", sealed[:len(sealed)-1], sealed + "A", sealed + "\n", strings.Repeat("A", 1<<20)} {
		if _, err := signin.OpenState(stateKey, bad); !errors.Is(err, signin.ErrState) {
			t.Errorf("OpenState(%.20q) = %v, want %v", bad, err, signin.ErrState)
		}
	}
	s.Return = "/" + strings.Repeat("a", 5000)
	if sealed, err := s.Seal(stateKey); err == nil {
		t.Errorf("Seal of a state that fits no cookie returns %d bytes", len(sealed))
	}
	if _, err := s.Seal(nil); err == nil {
		t.Error("Seal without a key")
	}
}

func TestSafePath(t *testing.T) {
	same := []string{"/", "/places", "/places/7?tab=qr&x=//y", "/tìm?q=chợ Đông Ba", "/places#top", "/?next=https://example.org"}
	for _, path := range same {
		if got := signin.SafePath(path); got != path {
			t.Errorf("SafePath(%q) = %q, want it as it is", path, got)
		}
	}
	home := []string{
		"", "places", "//example.org", "///example.org", `/\example.org`, `\\example.org`, `/\/example.org`, "/\t/example.org", "/\n/example.org",
		"https://example.org", "https:/example.org", "javascript:alert(1)", "/\x00", "/a\r\nSet-Cookie: x=y", "/\x7f", "/\u0085/x", "/\xff",
		"/%zz", " /x", "@example.org", "/" + strings.Repeat("a", 2000), "/a//b", "/.//example.org", "/a/..//example.org",
	}
	for _, path := range home {
		if got := signin.SafePath(path); got != "/" {
			t.Errorf("SafePath(%q) = %q, want /", path, got)
		}
	}
}

// FuzzOpenState: what opens was sealed here.
func FuzzOpenState(f *testing.F) {
	want := signin.State{State: "s", Ends: noon}
	sealed, err := want.Seal(stateKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := signin.OpenState(stateKey, text)
		switch {
		case err == nil && got != want:
			t.Errorf("OpenState(%q) = %+v", text, got)
		case err != nil && !errors.Is(err, signin.ErrState):
			t.Errorf("OpenState(%q) = %v", text, err)
		}
	})
}

// FuzzSafePath: a browser on this site that follows the path stays on it.
func FuzzSafePath(f *testing.F) {
	f.Add("/places")
	f.Add(`/\example.org`)
	f.Fuzz(func(t *testing.T, path string) {
		got := signin.SafePath(path)
		if got != "/" && got != path {
			t.Errorf("SafePath(%q) = %q", path, got)
		}
		if got[0] != '/' || strings.ContainsAny(got, "\\\t\r\n\x00") || len(got) > 1 && got[1] == '/' {
			t.Errorf("SafePath(%q) = %q", path, got)
		}
	})
}

func TestSealedStateSaysNothing(t *testing.T) {
	sealed, err := signin.State{Issuer: "https://id.hue.example", Verifier: "verifier"}.Seal(stateKey)
	if err != nil {
		t.Fatal(err)
	}
	box, _ := base64.RawURLEncoding.DecodeString(sealed)
	for _, word := range []string{"hue", "verifier"} {
		if bytes.Contains(box, []byte(word)) {
			t.Errorf("the sealed state contains %q", word)
		}
	}
}
