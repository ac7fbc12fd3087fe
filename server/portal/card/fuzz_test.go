package card_test

import (
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/portal/card"
	"github.com/qrgate/qrgate/server/qrgate"
)

// Whatever a sheet holds, a row is right or wrong, and what is right is within what
// the register and the printer take.
func FuzzSheet(f *testing.F) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone)
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := card.ReadSheet(body, now)
		if err != nil && !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("ReadSheet error = %v", err)
		}
		for _, d := range all {
			if d == nil {
				continue
			}
			if n := utf8.RuneCountInString(d.Name); n == 0 || n > 100 || !utf8.ValidString(d.Name) || d.Born < 1900 || d.Born > 2026 || d.Area == "" {
				t.Errorf("a right row: %+v", *d)
			}
			if child := 2026-d.Born < 16; child && (d.Guardian == "" || d.Phone == "" && d.GuardianPhone == "") {
				t.Errorf("a child without a guardian: %+v", *d)
			}
		}
	})
}
