package kiosk

import "time"

// hungAfter is how long the door may go on with one scan or touch before it counts as
// hung. A card that is slow to write takes a second or two.
const hungAfter = 20 * time.Second

// Alive reports whether the door gets on with its work. Whoever restarts a program
// that hangs asks every few seconds; the door was free, or had begun with somebody, at
// some time within hungAfter.
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
	return now.Sub(k.free) < hungAfter
}
