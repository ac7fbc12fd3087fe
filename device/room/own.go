package room

import (
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

// Own returns how many more people came in by this door than went out by it, today.
func (r *Room) Own(now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(wire.Scope{}).Roll(dayOf(now)).Inside()
}
