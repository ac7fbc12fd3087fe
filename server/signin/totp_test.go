package signin_test

import (
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/signin"
)

// rfc is the secret of RFC 6238's appendix B, whose codes have eight digits; six
// are their end.
var rfc = signin.Secret("12345678901234567890")

func TestCodesOfRFC6238(t *testing.T) {
	for unix, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471",
		1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		step, err := rfc.Verify(code, time.Unix(unix, 0), 0)
		if err != nil || step != unix/30 {
			t.Errorf("Verify(%s) at %d = %d, %v, want %d", code, unix, step, err, unix/30)
		}
	}
}

func TestCode(t *testing.T) {
	now := time.Unix(1111111109, 0) // in step 37037036
	const step, code = 37037036, "081804"
	tests := []struct {
		name, typed string
		now         time.Time
		last        int64
		step        int64
		err         error
	}{
		{"now", code, now, 0, step, nil},
		{"as the app shows it", " 081 804\t", now, 0, step, nil},
		{"phone 30 s behind", code, now.Add(30 * time.Second), 0, step, nil},
		{"phone 30 s ahead", code, now.Add(-30 * time.Second), 0, step, nil},
		{"phone 60 s behind", code, now.Add(60 * time.Second), 0, 0, signin.ErrWrongCode},
		{"phone 60 s ahead", code, now.Add(-60 * time.Second), 0, 0, signin.ErrWrongCode},
		{"again", code, now, step, 0, signin.ErrUsedCode},
		{"older than the last", code, now.Add(30 * time.Second), step + 1, 0, signin.ErrUsedCode},
		{"next after the last", code, now, step - 1, step, nil},
		{"empty", "", now, 0, 0, signin.ErrWrongCode},
		{"five digits", "81804", now, 0, 0, signin.ErrWrongCode},
		{"seven digits", "0081804", now, 0, 0, signin.ErrWrongCode},
		{"letters", "O818O4", now, 0, 0, signin.ErrWrongCode},
		{"other digits", "٠٨١٨٠٤", now, 0, 0, signin.ErrWrongCode},
		{"endless", strings.Repeat(" ", 1<<20) + code, now, 0, 0, signin.ErrWrongCode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			step, err := rfc.Verify(tt.typed, tt.now, tt.last)
			if step != tt.step || !errors.Is(err, tt.err) {
				t.Errorf("Verify(%.20q) = %d, %v, want %d, %v", tt.typed, step, err, tt.step, tt.err)
			}
		})
	}
}

func TestSecret(t *testing.T) {
	s := signin.NewSecret()
	if string(s) == string(signin.NewSecret()) {
		t.Error("two secrets are equal")
	}
	u, err := url.Parse(s.URI("QRGate: Huế", "chợ Đông Ba"))
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/QRGate  Huế:chợ Đông Ba" {
		t.Errorf("URI = %s", u)
	}
	if strings.Contains(u.RawQuery, "+") {
		t.Errorf("URI = %s: apps would show a plus sign", u)
	}
	q := u.Query()
	if q.Get("issuer") != "QRGate  Huế" || q.Get("digits") != "6" || q.Get("period") != "30" || q.Get("algorithm") != "SHA1" {
		t.Errorf("URI = %s", u)
	}
	back, err := base32.StdEncoding.DecodeString(q.Get("secret"))
	if err != nil || string(back) != string(s) {
		t.Errorf("URI has secret %x, %v, want %x", back, err, []byte(s))
	}
	if text := strings.ReplaceAll(s.Text(), " ", ""); text != q.Get("secret") || len(s.Text()) != 32+7 {
		t.Errorf("Text = %q, want the secret of the URI in groups", s.Text())
	}
	for _, said := range []string{fmt.Sprint(s), fmt.Sprintf("%v %s", s, s), s.LogValue().String()} {
		if strings.Trim(said, " ") != strings.TrimSpace(strings.Repeat("secret ", strings.Count(said, "secret"))) {
			t.Errorf("a message says %q", said)
		}
	}
}

// FuzzCode: nothing but the six digits is taken for the code.
func FuzzCode(f *testing.F) {
	f.Add("081804", int64(0))
	f.Add("081-804", int64(37037036))
	f.Fuzz(func(t *testing.T, typed string, last int64) {
		step, err := rfc.Verify(typed, time.Unix(1111111109, 0), last)
		switch {
		case err == nil && step <= last:
			t.Errorf("Verify(%q, last %d) = %d", typed, last, step)
		case err == nil:
			var digits []rune
			for _, r := range typed {
				if r >= '0' && r <= '9' {
					digits = append(digits, r)
				}
			}
			if len(digits) != 6 {
				t.Errorf("Verify(%q) = %d: these are %d digits", typed, step, len(digits))
			}
		case step != 0:
			t.Errorf("Verify(%q) = %d with error %v", typed, step, err)
		}
	})
}
