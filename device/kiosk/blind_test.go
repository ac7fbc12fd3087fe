package kiosk_test

import (
	"testing"
	"time"

	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/pass"
)

// Lamps that ask for a code which no scanner can read keep people waiting for nothing.
func TestLampsSayThatNoScannerCanRead(t *testing.T) {
	s := newSite(t, 0)
	k, src, face := s.live(t)
	want := func(when string, signal panel.Signal, blind bool) {
		t.Helper()
		if got := s.door.Panel.Health().Signal; got != signal || k.Blind() != blind {
			t.Errorf("%s: lamps show %v, Blind() = %v; want %v, %v", when, got, k.Blind(), signal, blind)
		}
	}
	none := panel.Trouble(int(guide.NoScanner))
	k.SetBlind(true)
	k.Stand()
	want("without a scanner", none, true)
	k.SetBlind(false)
	want("with one again", panel.Ready, false)
	src <- scan.Scan{Text: s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0)), At: time.Now()}
	<-face
	k.SetBlind(true)
	want("while somebody is answered", panel.Admitted, false)
}
