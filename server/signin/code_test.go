package signin_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
)

var codesKey = bytes.Repeat([]byte{7}, 32)

func TestRecoveryCodes(t *testing.T) {
	c := signin.NewCodes(codesKey)
	printed, sums := c.Recovery()
	if len(printed) != signin.RecoveryCodes || len(sums) != len(printed) {
		t.Fatalf("Recovery returns %d codes and %d sums", len(printed), len(sums))
	}
	form := regexp.MustCompile(`^[2-9CFHJKMNPQRTVX]{4}(-[2-9CFHJKMNPQRTVX]{4}){3}$`)
	looks := strings.NewReplacer("2", "Z", "5", "S", "6", "G", "8", "B")
	for i, code := range printed {
		if !form.MatchString(code) {
			t.Errorf("code %q", code)
		}
		for _, typed := range []string{
			code,
			strings.ToLower(code),
			strings.ReplaceAll(code, "-", ""),
			" " + strings.ReplaceAll(code, "-", " ") + "\r\n",
			strings.ReplaceAll(code, "-", "\u2011"),
			looks.Replace(code),
			strings.ToLower(looks.Replace(code)),
		} {
			if got := c.Find(sums, typed); got != i {
				t.Errorf("Find(%q) = %d, want %d", typed, got, i)
			}
		}
	}
	for _, typed := range []string{"", "-", printed[0][1:], printed[0] + "2", "OOOO-1111-IIII-LLLL", strings.Repeat("-", 1<<20) + printed[0], "ĐĐĐĐ-ĐĐĐĐ"} {
		if got := c.Find(sums, typed); got != -1 {
			t.Errorf("Find(%.30q) = %d, want -1", typed, got)
		}
	}
	if got := c.Find(nil, printed[0]); got != -1 {
		t.Errorf("Find among none = %d, want -1", got)
	}
	if got := signin.NewCodes(bytes.Repeat([]byte{8}, 32)).Find(sums, printed[0]); got != -1 {
		t.Errorf("Find under another key = %d, want -1", got)
	}
}

// A Vietnamese keyboard in Telex or VNI makes other letters of vowels, d and w,
// also of what follows them.
func TestCodesSurviveAVietnameseKeyboard(t *testing.T) {
	c := signin.NewCodes(codesKey)
	for range 200 {
		printed, _ := c.OneTime()
		if strings.ContainsAny(printed, "AEIOUYDW01L") {
			t.Fatalf("code %q", printed)
		}
	}
}

func TestOneTimeCode(t *testing.T) {
	c := signin.NewCodes(codesKey)
	printed, sum := c.OneTime()
	if len(strings.ReplaceAll(printed, "-", "")) != 8 {
		t.Errorf("code %q has not 8 characters", printed)
	}
	if got := c.Find([]signin.Sum{sum}, printed); got != 0 {
		t.Errorf("Find(%q) = %d, want 0", printed, got)
	}
	seen := make(map[rune]int)
	for range 1000 {
		code, _ := c.OneTime()
		for _, r := range code {
			seen[r]++
		}
	}
	delete(seen, '-')
	for r, n := range seen {
		if n < 250 || n > 520 { // 8000/21 = 381, seven standard deviations each way
			t.Errorf("%c stands %d times in 8000 characters", r, n)
		}
	}
	if len(seen) != 21 {
		t.Errorf("codes are of %d characters, want 21", len(seen))
	}
}

func TestToken(t *testing.T) {
	text, sum := signin.NewToken()
	if other, _ := signin.NewToken(); other == text {
		t.Error("two tokens are equal")
	}
	if got, err := signin.TokenSum(text); err != nil || got != sum {
		t.Errorf("TokenSum(%q) = %x, %v, want %x", text, got, err, sum)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{32}$`).MatchString(text) {
		t.Errorf("token %q", text)
	}
	for _, bad := range []string{"", text[1:], text + "A", text[:31] + "=", text[:31] + "\n", text[:31] + "+", strings.Repeat("A", 1<<20)} {
		if _, err := signin.TokenSum(bad); !errors.Is(err, signin.ErrBadToken) || !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("TokenSum(%.40q) = %v, want %v", bad, err, signin.ErrBadToken)
		}
	}
}

// FuzzRecoveryCode: whatever is typed, only the code itself is found, and it is
// found however it is spaced.
func FuzzRecoveryCode(f *testing.F) {
	c := signin.NewCodes(codesKey)
	printed, sums := c.Recovery()
	f.Add(printed[0], uint8(3))
	f.Add("zsgb-ZSGB 2568-2568", uint8(0))
	f.Fuzz(func(t *testing.T, typed string, at uint8) {
		if i := c.Find(sums, typed); i >= 0 && !strings.EqualFold(letters(typed), letters(printed[i])) {
			t.Errorf("Find(%q) = %d, which is %q", typed, i, printed[i])
		}
		code := printed[int(at)%len(printed)]
		if strings.Trim(typed, " -.\t\r\n") == "" && len(typed) < 64 {
			if got := c.Find(sums, code[:4]+typed+code[4:]); got != int(at)%len(printed) {
				t.Errorf("Find(%q) = %d", code[:4]+typed+code[4:], got)
			}
		}
	})
}

// letters returns what is left of a code without what does not matter.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, strings.NewReplacer("Z", "2", "z", "2", "S", "5", "s", "5", "G", "6", "g", "6", "B", "8", "b", "8").Replace(s))
}
