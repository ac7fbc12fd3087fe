package order

import (
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// What orders have the kiosk do until they are taken back stands in the state, so that
// it survives a restart.

// MaintenanceTime is how long a maintenance card allows pictures and set-up.
const MaintenanceTime = 10 * time.Minute

// Direction returns what an order has the lane do in place of the configuration, or 0.
// It ends at its time as soon as that is certain.
func (t *Table) Direction() wire.Direction {
	now, sure := t.certain()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Until != 0 && sure && now.UnixMilli() >= t.state.Until {
		return 0
	}
	return t.state.Direction
}

// Turn changes the lane's direction; zero is that of the configuration again.
func (t *Table) Turn(a wire.OrderArgs) error {
	err := t.change(func(s *state) error { s.Direction, s.Until = a.Direction, a.Until; return nil })
	if err == nil {
		t.tell()
	}
	return err
}

// turnBack drops a direction whose time is over.
func (t *Table) turnBack() {
	t.mu.Lock()
	held := t.state.Direction
	t.mu.Unlock()
	if held != 0 && t.Direction() == 0 {
		if err := t.Turn(wire.OrderArgs{}); err != nil {
			t.o.Log.Warn("direction's end not kept", "err", err)
			return
		}
		t.o.Log.Info("the lane goes as configured again")
	}
}

// Locked reports whether an order has locked the kiosk.
func (t *Table) Locked() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Locked
}

// Lock locks or unlocks the kiosk.
func (t *Table) Lock(on bool) error {
	err := t.change(func(s *state) error { s.Locked = on; return nil })
	if err == nil {
		t.tell()
	}
	return err
}

// Begin notes that an event begins before its hour.
func (t *Table) Begin(event uint32, at time.Time) error {
	return t.change(func(s *state) error {
		if _, known := s.Events[event]; !known && len(s.Events) >= maxEvents {
			return errMany
		}
		s.Events[event] = at.UnixMilli()
		return nil
	})
}

// Begun returns the events that were begun before their hour, and when.
func (t *Table) Begun() map[uint32]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.state.Events)
}

// Maintain begins maintenance, which ends by itself and with the program.
func (t *Table) Maintain() {
	t.mu.Lock()
	t.until = t.o.Since() + MaintenanceTime
	t.mu.Unlock()
	t.tell()
}

// Maintenance reports whether maintenance goes on.
func (t *Table) Maintenance() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.o.Since() < t.until
}

// tell has the server hear of what has changed before the next beat.
func (t *Table) tell() {
	t.mu.Lock()
	t.changed++
	t.mu.Unlock()
}

// nonceTime is how long the screen's number is answered: a person takes a telephone out,
// opens a page and holds it up.
const nonceTime = 5 * time.Minute

// TimePage returns the address that the screen shows while maintenance goes on: a
// telephone that opens it gets a code which tells this kiosk the time. It is "" at all
// other times.
func (t *Table) TimePage() string {
	t.mu.Lock()
	portal := t.state.Portal
	t.mu.Unlock()
	if portal == "" || !t.Maintenance() {
		return ""
	}
	nonce := t.Nonce()
	return portal + "/thiet-bi/gio?so=" + hex.EncodeToString(nonce[:])
}

// Nonce returns the number that the screen shows for the time page. It is another one
// after some minutes, and after each answer.
func (t *Table) Nonce() pass.Target {
	now := t.o.Since()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now >= t.nonce.until {
		n := newNonce()
		t.nonce = screenNonce{pass.Target(n[:8]), now + nonceTime}
	}
	return t.nonce.target
}

// answers reports whether a card answers the screen's number, which then is used up.
func (t *Table) answers(target pass.Target) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nonce.target != target || t.o.Since() >= t.nonce.until {
		return false
	}
	t.nonce = screenNonce{}
	return true
}

// used notes the serial number of a single-use card, and reports whether it was new.
func (t *Table) used(serial uint32, until, certain time.Time) (fresh bool, err error) {
	err = t.change(func(s *state) error {
		s.tidy(certain)
		if _, known := s.Cards[serial]; known {
			return errUsed
		}
		if len(s.Cards) >= maxCards {
			return errMany
		}
		s.Cards[serial] = until.UnixMilli()
		return nil
	})
	if err == errUsed {
		return false, nil
	}
	return err == nil, err
}

var errUsed = fmt.Errorf("order: card was used")
