package cases

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A program that opens a table takes for a formula what begins with one of these
// signs, also in their wide forms, and old ones what begins a command with a bar.
const signs = "=+-@|%"

// separators are what programs of other countries cut text in columns at.
const separators = ",;\t|:"

// inert returns a cell that no program takes for a formula, however it cuts the
// text: letters that nobody sees are gone, lines are one, and a sign that would
// begin a cell has an apostrophe before it.
func inert(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t', r == '\v', r == '\f', r == '\u0085', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	var b strings.Builder
	begins := true
	for _, r := range s {
		if begins && starts(r) {
			b.WriteByte('\'')
		}
		// A quote that closes a cell begins another for who reads it carelessly.
		switch {
		case strings.ContainsRune(separators, r), r == '"':
			begins = true
		case r != ' ' && r != '\'' && r != '`':
			begins = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// starts reports whether a program may take what begins with r for a formula.
func starts(r rune) bool {
	plain, _ := utf8.DecodeRuneInString(norm.NFKC.String(string(r)))
	return strings.ContainsRune(signs, plain) || r == '−'
}

// digits writes a number of many digits in groups, so that it stays text: a
// program that takes it for a number drops its zeros and rounds its end.
func digits(s string) string {
	if len(s) < 8 || strings.Trim(s, "0123456789") != "" {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
