package kiosk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// UndoTime is how long after a check-in it may be taken back.
const UndoTime = 10 * time.Minute

// ErrUndo is returned where there is no check-in that may be taken back.
var ErrUndo = errors.New("kiosk: no check-in that may be taken back")

// commanded reports whether a scan is a command card, which the table of orders judges.
func (k *Kiosk) commanded(text string) bool {
	return k.Orders != nil && len(text) >= len(pass.CommandPrefix) && strings.EqualFold(text[:len(pass.CommandPrefix)], pass.CommandPrefix)
}

// order serves a command card. k.mu is not held while the order is followed, for it may
// be about this door.
func (k *Kiosk) order(ctx context.Context, s scan.Scan) error {
	k.mu.Lock()
	ago, seen := k.repeats.Seen(s.Text, s.At)
	k.mu.Unlock()
	if seen && ago < stillHeld {
		return nil
	}
	said, err := k.Orders.Card(ctx, s.Text)
	k.mu.Lock()
	defer k.mu.Unlock()
	a := Answer{State: words.Ordered, Order: said.Kind, Faulty: said.Faulty}
	if said.State != wire.OrderDone {
		if a = (Answer{State: words.Refused, Reason: said.Reason}); a.Reason == wire.NoReason {
			a.Reason = wire.ReasonOrder
		}
	}
	if err != nil {
		a = Answer{State: words.Fault, Reason: wire.ReasonDisk}
		err = fmt.Errorf("kiosk: record an order: %w", err)
	}
	k.tell(a)
	return err
}

// direction returns which way the lane goes: an order may have turned it.
func (k *Kiosk) direction() wire.Direction {
	if k.Orders != nil {
		if d := k.Orders.Direction(); d != 0 {
			return d
		}
	}
	return k.Config.Direction
}

// onFault returns what a fault does: a lane that was turned to go out holds nobody in.
func (k *Kiosk) onFault() wire.OnFault {
	if k.direction() == wire.Out {
		return wire.AdmitUnrecorded
	}
	return k.Config.OnFault
}

// locked reports whether an order or a revocation has ended the use of the door. A way
// out never is.
func (k *Kiosk) locked() bool {
	ended := k.Orders != nil && k.Orders.Locked() || k.Revoked != nil && k.Revoked()
	return ended && k.direction() != wire.Out
}

// Stand shows what stands while nobody is at the door.
func (k *Kiosk) Stand() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stand()
}

// begin stands, unless lamps still answer somebody whom the door before this one could not
// record: they go back to what stands by themselves.
func (k *Kiosk) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Queue == nil && k.Panel.Health().Signal == panel.Amber {
		return
	}
	k.stand()
}

func (k *Kiosk) stand() { k.tell(Answer{State: k.standing()}) }

func (k *Kiosk) standing() words.State {
	switch {
	case k.locked():
		return words.Locked
	case k.faulty:
		return words.Fault
	}
	return words.Ready
}

// SetBlind says whether no scanner can read a code. While it is so, lamps that would ask
// for one count out that trouble, which holds a way out open; a screen goes on, for codes
// are typed there. While somebody is being answered it changes nothing and is to be said again.
func (k *Kiosk) SetBlind(blind bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.blind.Load() == blind {
		return
	}
	switch k.Panel.Health().Signal {
	case panel.Ready, panel.Fault, panel.Locked, noScanner:
		k.blind.Store(blind)
		k.Panel.Show(k.signal(k.standing()))
	}
}

// Blind returns what SetBlind was last told, as far as it was taken. It never waits: a
// screen asks while somebody is being answered.
func (k *Kiosk) Blind() bool { return k.blind.Load() }

// Here shows for a moment which kiosk this is, unless somebody is being answered, and
// reports whether it did.
func (k *Kiosk) Here() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch k.Panel.Health().Signal {
	case panel.Ready, panel.Fault, panel.Locked, panel.Here, noScanner:
		k.tell(Answer{State: words.Here})
		return true
	}
	return false
}

// A taken is the last check-in of somebody, as long as it may be taken back.
type taken struct {
	seq   uint64
	epoch wire.Epoch
	text  string
	kind  pass.Kind
	at    time.Time
	dir   wire.Direction
}

// Undo takes the last check-in back, as a guard asks who has seen that it was none: it
// is no longer counted, and whoever it was may scan at once. It returns the check-in's
// number; that it was taken back is the caller's to record.
func (k *Kiosk) Undo(now time.Time) (uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.undo(now)
}

// mayUndo reports whether there is a check-in that may be taken back. k.mu is held.
func (k *Kiosk) mayUndo(now time.Time) bool {
	last := k.taken
	// An event's pass has been used up, which only its organiser can undo.
	return last.seq != 0 && last.epoch == k.Queue.Stats().Epoch && now.Sub(last.at) <= UndoTime && last.kind != pass.Event
}

func (k *Kiosk) undo(now time.Time) (uint64, error) {
	last := k.taken
	if !k.mayUndo(now) {
		return 0, ErrUndo
	}
	k.taken, k.last = taken{}, party{}
	k.repeats.Forget(last.text)
	if k.Room != nil {
		n := -1
		if last.dir == wire.Out {
			n = 1
		}
		if err := k.Room.Correct(n, k.certain()); err != nil {
			k.log.Error("not counted on disk", "err", err)
		}
	}
	if k.Witness != nil {
		k.Witness.Undone(last.epoch, last.seq)
	}
	return last.seq, nil
}
