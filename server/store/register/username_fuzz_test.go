package register_test

import (
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/store/register"
)

// A user name has one form, which stays as it is.
func FuzzUserName(f *testing.F) {
	f.Fuzz(func(t *testing.T, typed string) {
		name, err := register.UserName(typed)
		if err != nil {
			if name != "" {
				t.Errorf("UserName(%q) = %q and an error", typed, name)
			}
			return
		}
		if len(name) < register.MinUserName || len(name) > register.MaxUserName || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			t.Errorf("UserName(%q) = %q, which is none", typed, name)
		}
		for _, again := range []string{name, strings.ToUpper(name), " " + name + "\n"} {
			if got, err := register.UserName(again); err != nil || got != name {
				t.Errorf("UserName(%q) = %q, but UserName(%q) = %q, %v", typed, name, again, got, err)
			}
		}
		register.ReservedName(name)
	})
}
