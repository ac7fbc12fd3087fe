package office_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/portal/office"
)

// The page that somebody says to come from is a path of ours, or nothing.
func FuzzPathOf(f *testing.F) {
	for _, s := range []string{"/", "/dia-diem/12?x=1", "//evil.example", "https://evil.example/a", `/\evil`, "/a%0d%0ab", "/\xff", "/a b", "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := office.PathOf(s)
		if got == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Path != got || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") ||
			strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
			t.Errorf("PathOf(%q) = %q", s, got)
		}
		if again := office.PathOf(got); again != got {
			t.Errorf("PathOf(%q) = %q, and of that %q", s, got, again)
		}
	})
}
