package casebook_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/store/casebook"
)

// What is read as a reference is written as the same text, and is somebody's.
func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"", casebook.Ref{1}.String(), casebook.Ref{15: 255}.String(), "aaaaaaaaaaaaaaaaaaaaaaaaaa", "AEAAAAAAAAAAAAAAAAAAAAAAAA", "ba======", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := casebook.ParseRef(s)
		if err == nil && (r.String() != s || r == casebook.Ref{}) {
			t.Errorf("ParseRef(%q) = %v", s, r)
		}
	})
}
