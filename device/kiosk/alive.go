package kiosk

import "time"

// hungAfter is how long the door may go on with one scan or touch before it counts as
// hung. A card that is slow to write takes a second or two.
const hungAfter = 20 * time.Second

// Alive reports whether the door gets on with its work. Whoever restarts a program
// that hangs asks every few seconds; the door was free, or had begun with somebody, at
// some time within hungAfter. Somebody who waits while the ledger is written anew, in a
// new epoch, is waiting for work that gets on.
func (k *Kiosk) Alive(now time.Time) bool {
	free := k.mu.TryLock()
	if free {
		k.mu.Unlock()
	}
	k.alive.Lock()
	defer k.alive.Unlock()
	if free || k.free.IsZero() {
		k.free = now
	}
	// A watch must not end the door that it watches, not even one without a ledger.
	if k.Queue != nil && k.Queue.Worked().After(k.free) {
		k.free = k.Queue.Worked()
	}
	return now.Sub(k.free) < hungAfter
}
