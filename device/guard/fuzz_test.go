package guard_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/device/guard"
)

// Whatever is posted to the page or stands in its file, what is read of it is sound.
func FuzzForms(f *testing.F) {
	f.Add("code=AAAA+BBBB&people=12&category=scanner&text=M%C3%A1y%0D%0Ach%E1%BA%ADm&contact=0905&ve=/diem-danh", []byte(`[]`))
	f.Add("people=-1&ve=//evil&text=%00", []byte(`[{"secret":"","salt":"","pin":"","wrong":-1}]`))
	f.Fuzz(func(t *testing.T, query string, file []byte) {
		if all, err := guard.ReadPhones(file); err == nil {
			for _, p := range all {
				if guard.LockFor(p.Wrong) < 0 || guard.LockFor(p.Wrong) > guard.Longest {
					t.Errorf("%d wrong PINs lock for %s", p.Wrong, guard.LockFor(p.Wrong))
				}
			}
		}
		form, err := url.ParseQuery(query)
		if err != nil || !guard.Sound(form) {
			return
		}
		if code, ok := guard.ReadCode(form.Get("code")); ok && (code == "" || len(code) > 64 || strings.ContainsAny(code, " \r\n-")) {
			t.Errorf("code %q", code)
		}
		if n, ok := guard.ReadPeople(form.Get("people")); ok && (n < 0 || n > 1_000_000) {
			t.Errorf("%d people", n)
		}
		if d, ok := guard.ReadDifficulty(form); ok {
			if err := d.Validate(); err != nil {
				t.Error(err)
			}
		}
		to := guard.PathOf(form.Get("ve"))
		u, err := url.Parse(to)
		if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\r\n\\") {
			t.Errorf("back to %q", to)
		}
		if guard.GoodPIN(form.Get("pin")) && len(form.Get("pin")) < guard.MinPIN {
			t.Errorf("PIN %q", form.Get("pin"))
		}
	})
}
