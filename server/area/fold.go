package area

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold returns s as people type it in a hurry: lower case, without marks, đ as
// d, runs of white space as one space and none at the ends. What cannot be seen
// (marks, control and format characters, broken UTF-8) is gone, so the result
// may go into any database column. Fold(Fold(s)) is Fold(s).
//
// Columns that are searched hold folded text; a change of Fold is a migration.
func Fold(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFD.String(strings.ToValidUTF8(s, "")) {
		switch {
		case unicode.IsSpace(r):
			gap = b.Len() > 0
			continue
		case unicode.In(r, unicode.M, unicode.Cc, unicode.Cf):
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		r = unicode.ToLower(r)
		if r == 'đ' {
			r = 'd'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// words returns the letters and digits of a text with one space between words.
func words(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r)
	}), " ")
}

// The five tones of Vietnamese as combining marks: grave, acute, tilde, hook
// above, dot below. The other marks make letters.
const tones = "\u0300\u0301\u0303\u0309\u0323"

// marked returns the words of s in lower case with their marks, the tone after
// the last letter of its word, so that both ways to write it, Hoá and Hóa, are
// equal and Hòa is another word.
func marked(s string) string {
	var b strings.Builder
	for _, w := range strings.Fields(words(strings.ToLower(norm.NFD.String(strings.ToValidUTF8(s, ""))))) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		var tone []rune
		for _, r := range w {
			if strings.ContainsRune(tones, r) {
				tone = append(tone, r)
				continue
			}
			b.WriteRune(r)
		}
		b.WriteString(string(tone))
	}
	return b.String()
}
