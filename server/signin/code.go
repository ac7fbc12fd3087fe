package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"
)

const (
	// alphabet of codes that people read from paper or hear by phone. Of letters
	// and digits that look alike it has one. It has no vowels, no D and no W,
	// which a Vietnamese keyboard (Telex, VNI) would turn into other letters
	// together with what follows.
	alphabet = "23456789CFHJKMNPQRTVX"

	// RecoveryCodes is how many an account gets.
	RecoveryCodes = 10
	// OneTimeFor is how long a one-time code holds.
	OneTimeFor = 15 * time.Minute

	recoverySize = 16 // 70 bits
	oneTimeSize  = 8  // 35 bits: short, because tries are counted
)

// A Sum is the only form in which a code or token is stored.
type Sum [sha256.Size]byte

// Codes makes and recognises printed recovery codes and one-time codes from
// staff. Sums are under a key, so that a one-time code, which is short, cannot
// be found from the database alone.
type Codes struct{ key []byte }

// NewCodes returns Codes under key, at least 32 random bytes that are not in the
// database. Under another key no code is recognised.
func NewCodes(key []byte) *Codes {
	if len(key) < 32 {
		panic("signin: key of codes is short")
	}
	return &Codes{key: append([]byte(nil), key...)}
}

// Recovery returns fresh recovery codes, to be printed and shown once, and their
// sums.
func (c *Codes) Recovery() (printed []string, sums []Sum) {
	for range RecoveryCodes {
		code := newCode(recoverySize)
		printed = append(printed, strings.Join(groups(code), "-"))
		sums = append(sums, c.sum(code))
	}
	return printed, sums
}

// OneTime returns a code that staff says or prints for one person. The caller
// ends it after [OneTimeFor] or a few tries.
func (c *Codes) OneTime() (printed string, sum Sum) {
	code := newCode(oneTimeSize)
	return strings.Join(groups(code), "-"), c.sum(code)
}

// Find returns which of sums is that of the typed code, or -1. Case, spaces and
// hyphens do not matter, nor which of two letters that look alike was read.
func (c *Codes) Find(sums []Sum, typed string) int {
	code, ok := normalize(typed)
	if !ok {
		return -1
	}
	found, sum := -1, c.sum(code)
	for i := range sums {
		if subtle.ConstantTimeCompare(sum[:], sums[i][:]) == 1 {
			found = i
		}
	}
	return found
}

func (c *Codes) sum(code string) (s Sum) {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte("qrgate code v1\x00"))
	mac.Write([]byte(code))
	mac.Sum(s[:0])
	return s
}

// newCode picks characters without bias.
func newCode(n int) string {
	const fair = 256 - 256%len(alphabet)
	code := make([]byte, 0, n)
	for len(code) < n {
		var b [32]byte
		rand.Read(b[:])
		for _, v := range b {
			if int(v) < fair && len(code) < n {
				code = append(code, alphabet[int(v)%len(alphabet)])
			}
		}
	}
	return string(code)
}

// normalize returns the code as it was made, if what was typed can be one.
func normalize(typed string) (code string, ok bool) {
	if len(typed) > 128 {
		return "", false
	}
	bad := false
	code = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		switch r {
		case ' ', '-', '\t', '\r', '\n', '.', '\u00a0', '\u2010', '\u2011', '\u2013':
			return -1
		case 'Z':
			return '2'
		case 'S':
			return '5'
		case 'G':
			return '6'
		case 'B':
			return '8'
		}
		if !strings.ContainsRune(alphabet, r) {
			bad = true
		}
		return r
	}, typed)
	return code, !bad && (len(code) == recoverySize || len(code) == oneTimeSize)
}

// groups cuts s into pieces of four.
func groups(s string) []string {
	var g []string
	for len(s) > 4 {
		g, s = append(g, s[:4]), s[4:]
	}
	return append(g, s)
}
