package pass_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/pass"
)

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

func numbers() []uint32 {
	r := rand.New(rand.NewPCG(1, 2))
	all := []uint32{0, 1, 48211, 1 << 31, 1<<32 - 1}
	for range 300 {
		all = append(all, r.Uint32())
	}
	return all
}

// damaged returns every text that differs from code in one character, and every
// one in which two of its characters changed places.
func damaged(code string) []string {
	var all []string
	for i := range 8 {
		for _, c := range letters {
			if byte(c) != code[i] {
				all = append(all, code[:i]+string(c)+code[i+1:])
			}
		}
		for j := range i {
			if code[i] != code[j] {
				b := []byte(code)
				b[i], b[j] = b[j], b[i]
				all = append(all, string(b))
			}
		}
	}
	return all
}

func TestTypedCodeFindsTypingErrors(t *testing.T) {
	for _, n := range numbers() {
		code := pass.TypedCode(n)
		if len(code) != 8 || strings.Trim(code, letters) != "" {
			t.Fatalf("TypedCode(%d) = %q, want 8 characters of base32", n, code)
		}
		p, err := pass.ParseTyped(code)
		if err != nil || p.Kind != pass.Typed || p.Card.Number != n {
			t.Fatalf("ParseTyped(%q) = %d, %v, want %d", code, p.Card.Number, err, n)
		}
		for _, bad := range damaged(code) {
			if p, err := pass.ParseTyped(bad); !errors.Is(err, pass.ErrMalformed) {
				t.Errorf("ParseTyped(%q), damaged from %q, = %d, %v, want %v", bad, code, p.Card.Number, err, pass.ErrMalformed)
			}
		}
	}
}

func TestTypedCodeAsPeopleTypeIt(t *testing.T) {
	for _, n := range numbers() {
		code := pass.TypedCode(n)
		lookalike := strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(code)
		for _, s := range []string{strings.ToLower(code), code[:4] + "-" + code[4:], " " + code[:4] + " " + code[4:] + " ", lookalike} {
			if p, err := pass.ParseTyped(s); err != nil || p.Card.Number != n {
				t.Errorf("ParseTyped(%q) = %d, %v, want %d", s, p.Card.Number, err, n)
			}
		}
		for _, s := range []string{code[:7], code + "A", code[:7] + "\n", code[:7] + "9", ""} {
			if _, err := pass.ParseTyped(s); !errors.Is(err, pass.ErrMalformed) {
				t.Errorf("ParseTyped(%q) error = %v, want %v", s, err, pass.ErrMalformed)
			}
		}
	}
}

func TestPosterCode(t *testing.T) {
	for i, n := range numbers() {
		version := uint8(i)
		code := pass.PosterCode(n, version)
		place, v, err := pass.ParsePosterCode(strings.ToLower(code))
		if err != nil || place != n || v != version {
			t.Fatalf("ParsePosterCode(%q) = %d, %d, %v, want %d, %d", code, place, v, err, n, version)
		}
		for _, bad := range damaged(code[:8]) {
			if place, _, err := pass.ParsePosterCode(bad + code[8:]); !errors.Is(err, pass.ErrMalformed) {
				t.Errorf("ParsePosterCode(%q), damaged from %q, = %d, %v, want %v", bad+code[8:], code, place, err, pass.ErrMalformed)
			}
		}
		for _, bad := range []string{code[:8], code[:8] + "-" + "999", code[:8] + "-x", pass.PosterCode(n, version+1)[:8] + code[8:]} {
			if place, _, err := pass.ParsePosterCode(bad); !errors.Is(err, pass.ErrMalformed) {
				t.Errorf("ParsePosterCode(%q), made from %q, = %d, %v, want %v", bad, code, place, err, pass.ErrMalformed)
			}
		}
		if p, err := pass.Parse("https://qr.example.vn" + pass.PosterPath + code); err != nil || p.Kind != pass.Poster {
			t.Errorf("Parse(poster %q) = %s, %v, want poster", code, p, err)
		}
	}
}

func FuzzParseTyped(f *testing.F) {
	for _, s := range []string{pass.TypedCode(48211), "abcd-efgh", "0181 2345", "", "\n\n\n\n\n\n\n\n", "ıııııııı"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := pass.ParseTyped(s)
		if err != nil {
			return
		}
		if again, err := pass.ParseTyped(pass.TypedCode(p.Card.Number)); err != nil || again != p {
			t.Errorf("ParseTyped(TypedCode(%d)) = %d, %v", p.Card.Number, again.Card.Number, err)
		}
	})
}

func FuzzParsePosterCode(f *testing.F) {
	for _, s := range []string{pass.PosterCode(48211, 3), "", "-", "AAAAACB2-", "AAAAACB2-256", "aaaa acb2 - 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		place, version, err := pass.ParsePosterCode(s)
		if err != nil {
			if !errors.Is(err, pass.ErrMalformed) {
				t.Fatalf("ParsePosterCode(%q) error = %v, want %v", s, err, pass.ErrMalformed)
			}
			return
		}
		code := pass.PosterCode(place, version)
		if p, v, err := pass.ParsePosterCode(code); err != nil || p != place || v != version {
			t.Errorf("ParsePosterCode(%q), read from %q, = %d, %d, %v, want %d, %d", code, s, p, v, err, place, version)
		}
	})
}
