package retention

import (
	"context"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// KeysCopy is the name under which a certificate tells of the copies of the keys of
// days, and under which somebody confirms that they are gone.
const KeysCopy = "keys"

// copyKeys brings the copies of keys up to date: those that were destroyed are
// destroyed there too.
func (k *Keeper) copyKeys() error {
	if k.Keys == nil {
		return nil
	}
	return k.Keys.Follow()
}

// keyHeld reports whether a copy of a day's key may still be there.
func (k *Keeper) keyHeld(ctx context.Context, day qrgate.Day) (bool, error) {
	if k.Keys == nil || !k.Keys.Holds(day) {
		return false, nil
	}
	gone, err := k.Rights.IsGone(ctx, CopyID(KeysCopy, day))
	return !gone, err
}

// GiveUp gives a day another key, whose own is lost: who came that day is then known
// of nobody any more whose check-in was stored so far, until a kiosk that still holds it
// brings it again under a new epoch. It is refused with qrgate.ErrConflict while there is
// the key or a copy of it.
func (k *Keeper) GiveUp(ctx context.Context, by string, day qrgate.Day) error {
	if k.Keys != nil && k.Keys.Has(day) {
		return fmt.Errorf("retention: give up day %s: there is a copy of its key in %s, put it back: %w", day, k.Keys.Copy, qrgate.ErrConflict)
	}
	err := k.Vault.Renew(day)
	if err == nil {
		err = k.Store.Write(ctx, func(t store.Tx) error { return t.Audit(by, store.GaveUpDay, "day "+day.String(), "") })
	}
	if err != nil {
		return fmt.Errorf("retention: give up day %s: %w", day, err)
	}
	return nil
}
