package pass_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/pass"
)

func TestParsePhone(t *testing.T) {
	for typed, want := range map[string]string{
		"0905123456": "+84905123456", "0905 123 456": "+84905123456", "+84 905.123.456": "+84905123456", "84905123456": "+84905123456",
		"0084905123456": "+84905123456", "0351234567": "+84351234567", "0521234567": "+84521234567", "0791234567": "+84791234567", "0812345678": "+84812345678",
		"02343822999": "+842343822999", "+84 0905 123 456": "+84905123456", "0842345678": "+84842345678",
	} {
		if got, err := pass.ParsePhone(typed); got != want || err != nil {
			t.Errorf("ParsePhone(%q) = %q, %v, want %q", typed, got, err, want)
		}
	}
	for _, typed := range []string{"", "0", "090512345", "09051234567", "0105123456", "0605123456", "1905123456", "19001075", "113", "0905a23456",
		"+85905123456", "0905123456\n", "٠٩٠٥١٢٣٤٥٦", strings.Repeat("0", 1000)} {
		if got, err := pass.ParsePhone(typed); got != "" || !errors.Is(err, pass.ErrMalformed) {
			t.Errorf("ParsePhone(%q) = %q, %v, want ErrMalformed", typed, got, err)
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	f.Add("0905 123 456")
	f.Add("+84")
	f.Add("84")
	f.Fuzz(func(t *testing.T, typed string) {
		got, err := pass.ParsePhone(typed)
		if err != nil {
			if got != "" {
				t.Errorf("a number and an error of %q", typed)
			}
			return
		}
		if again, err := pass.ParsePhone(got); again != got || err != nil {
			t.Errorf("ParsePhone(%q) = %q, which is read as %q, %v", typed, got, again, err)
		}
	})
}

func TestCompanionCodes(t *testing.T) {
	for n := 1; n <= pass.MaxCompanions; n++ {
		code := pass.CompanionCode(n)
		if got := pass.Companions(code); got != n {
			t.Errorf("Companions(%q) = %d", code, got)
		}
		if got := pass.Companions(strings.ToLower(code)); got != n {
			t.Errorf("Companions(%q) = %d", strings.ToLower(code), got)
		}
		// To a kiosk that does not know it, it is no pass.
		if p, err := pass.Parse(code); !errors.Is(err, pass.ErrUnknown) {
			t.Errorf("Parse(%q) = %v, %v", code, p, err)
		}
	}
	for _, text := range []string{"", "QGWITH", "QGWITH0", "QGWITH6", "QGWITH12", "QGWITH1 ", "1"} {
		if got := pass.Companions(text); got != 0 {
			t.Errorf("Companions(%q) = %d, want 0", text, got)
		}
	}
}
