package signin

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/qrgate"
	"golang.org/x/text/unicode/norm"
)

// Why a password is refused. Each is a kind of [qrgate.ErrInvalid], and a page
// has a sentence for each.
var (
	ErrTooShort   = fmt.Errorf("signin: password has fewer than %d characters: %w", MinPassword, qrgate.ErrInvalid)
	ErrTooLong    = fmt.Errorf("signin: password has more than %d characters: %w", MaxPassword, qrgate.ErrInvalid)
	ErrCommon     = fmt.Errorf("signin: password is one that many people use: %w", qrgate.ErrInvalid)
	ErrUserName   = fmt.Errorf("signin: password is a name of the account: %w", qrgate.ErrInvalid)
	ErrCharacters = fmt.Errorf("signin: password has control characters: %w", qrgate.ErrInvalid)
)

// Lengths of passwords in characters, counted as they are hashed.
const (
	MinPassword = 8
	MaxPassword = 128

	// A character is at most four bytes, and typed as up to three code points.
	maxPasswordBytes = MaxPassword * utf8.UTFMax * 3
)

// maxEnding is how many digits and signs at the end of a common password do not
// make it a good one: matkhau@2026.
const maxEnding = 5

//go:embed common.txt
var commonText string

var common = func() map[string]bool {
	m := make(map[string]bool)
	for line := range strings.Lines(commonText) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			m[line] = true
		}
	}
	return m
}()

// CheckPassword says whether somebody may choose password. Names are what others
// know of the account: its user name, e-mail address and phone number.
func CheckPassword(password string, names ...string) error {
	if len(password) > maxPasswordBytes {
		return ErrTooLong
	}
	if !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		return ErrCharacters
	}
	switch n := utf8.RuneCountInString(prepare(password)); {
	case n < MinPassword:
		return ErrTooShort
	case n > MaxPassword:
		return ErrTooLong
	}
	folded := fold(password)
	root := withoutEnding(folded)
	for _, name := range names {
		local, _, _ := strings.Cut(name, "@")
		for _, n := range []string{fold(name), fold(local)} {
			if n != "" && (folded == n || root == n) {
				return ErrUserName
			}
		}
	}
	if common[folded] || common[root] || monotonous(folded) {
		return ErrCommon
	}
	return nil
}

// prepare gives a password the one form in which it is hashed. It is NFC, as
// RFC 8265 has it for passwords: Vietnamese keyboards write "ậ" as one, two or
// three code points, and the person sees the same letter. NFKC would also make
// equal what the person sees to be different, such as ² and 2.
func prepare(password string) string {
	return strings.Map(func(r rune) rune {
		if r != ' ' && unicode.Is(unicode.Zs, r) {
			return ' ' // phones put no-break spaces where one typed a space
		}
		return r
	}, norm.NFC.String(password))
}

// fold brings together what people take for variants of one password: case,
// Vietnamese marks, spaces.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.IsSpace(r):
			return -1
		case r == 'đ' || r == 'Đ':
			return 'd'
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
}

func withoutEnding(s string) string {
	root := strings.TrimRightFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if root == "" || len(s)-len(root) > maxEnding {
		return s
	}
	return root
}

// monotonous finds runs (12345678, hgfedcba), and up to four characters that are
// repeated (aaaaaaaa, 12341234).
func monotonous(s string) bool {
	r := []rune(s)
	if len(r) < 2 {
		return true
	}
	step := r[1] - r[0]
	run := step == 1 || step == -1
	for i := 1; i < len(r) && run; i++ {
		run = r[i]-r[i-1] == step
	}
	if run {
		return true
	}
	for period := 1; period <= 4 && period*2 <= len(r); period++ {
		repeated := true
		for i := period; i < len(r) && repeated; i++ {
			repeated = r[i] == r[i-period]
		}
		if repeated {
			return true
		}
	}
	return false
}
