//go:build full

package carry_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
)

func TestLooks(t *testing.T) {
	w, _ := newWorld(t)
	for _, id := range []string{gate, "truong-an-gate-1"} {
		err := w.Store.AddKiosk(t.Context(), qrgate.Kiosk{ID: id, Place: "Chợ Đông Ba", Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: time.Now()})
		if err == nil {
			err = w.Store.NoteCarried(t.Context(), "admin", id, 3, 300)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Looks(t, nil, pagetest.Look{"carry", "admin", at})
}
