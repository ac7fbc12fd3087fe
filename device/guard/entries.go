package guard

import (
	"crypto/subtle"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/sync/wire"
)

func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// sound reports whether a form is text throughout.
func sound(f url.Values) bool {
	for name, values := range f {
		for _, v := range append(values, name) {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return false
			}
		}
	}
	return true
}

// readCode reads a code that stands under a card, as somebody types it.
func readCode(s string) (code string, ok bool) {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '.' {
			return -1
		}
		return r
	}, s)
	return strings.ToUpper(s), s != "" && len(s) <= 16
}

// readPeople reads a number of people.
func readPeople(s string) (n int, ok bool) {
	s = strings.TrimSpace(s)
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n <= 1_000_000 && s[0] != '+'
}

// readDifficulty reads what somebody reports.
func readDifficulty(f url.Values) (wire.Difficulty, bool) {
	line := func(s string) string {
		return strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, s))
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, strings.ReplaceAll(f.Get("text"), "\r\n", "\n"))
	d := wire.Difficulty{Category: f.Get("category"), Text: strings.TrimSpace(text), Contact: line(f.Get("contact"))}
	return d, d.Validate() == nil
}
