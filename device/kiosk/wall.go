package kiosk

import (
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/words"
)

// TakeCompanions says whether codes on the wall add companions to whoever has just
// checked in. Where they do not they are codes like any other that nobody knows.
func (k *Kiosk) TakeCompanions(yes bool) { k.walls.Store(yes) }

// companions returns how many companions a scan says, and 0 of a scan that is none.
func (k *Kiosk) companions(s scan.Scan) int {
	if !k.walls.Load() {
		return 0
	}
	return pass.Companions(s.Text)
}

// wall serves a code on the wall: n companions of the last check-in.
func (k *Kiosk) wall(s scan.Scan, n int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	// A family may follow another at once, so only a code that lies still is told apart.
	if ago, seen := k.repeats.Seen(s.Text, s.At); seen && ago < stillHeld {
		return nil
	}
	err := k.bring(k.last.seq, n, s.At)
	if err == ErrLate {
		k.tell(Answer{State: words.Refused, CardFirst: true})
		return nil
	}
	return err
}
