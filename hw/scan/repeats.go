package scan

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"time"
)

// maxSeen bounds the memory of Repeats. It is far more codes than a door's
// scanners read within the window.
const maxSeen = 256

// Repeats tells a code that is still held before the scanner from one that is
// shown anew. It remembers codes as HMACs under a random key of this process,
// and forgets each when its window is over and another code is seen. It is not
// safe for concurrent use.
type Repeats struct {
	window time.Duration
	key    []byte
	seen   map[[sha256.Size]byte]time.Time // when last in view
}

// NewRepeats returns a filter with the given window; zero means 4 s.
func NewRepeats(window time.Duration) *Repeats {
	if window == 0 {
		window = 4 * time.Second
	}
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	return &Repeats{window: window, key: key, seen: make(map[[sha256.Size]byte]time.Time)}
}

// Within makes window the filter's from now on. What was seen stays seen.
func (r *Repeats) Within(window time.Duration) { r.window = window }

// Seen reports whether text was in view less than a window before now, and if
// so how long before. Each call starts the window of its text again, so that a
// card left on the scanner stays one showing for as long as it lies there; a
// short ago tells that from a card that was taken away and shown again.
func (r *Repeats) Seen(text string, now time.Time) (ago time.Duration, seen bool) {
	id := r.id(text)
	oldest, oldestAt := id, now
	for k, at := range r.seen {
		if now.Sub(at) >= r.window {
			delete(r.seen, k)
		} else if at.Before(oldestAt) {
			oldest, oldestAt = k, at
		}
	}
	last, seen := r.seen[id]
	if !seen && len(r.seen) == maxSeen {
		delete(r.seen, oldest)
	}
	r.seen[id] = now
	if !seen {
		return 0, false
	}
	return now.Sub(last), true
}

// Forget lets text count as new when it is seen next, because what the kiosk
// made of it did not succeed.
func (r *Repeats) Forget(text string) { delete(r.seen, r.id(text)) }

func (r *Repeats) id(text string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte(text))
	return [sha256.Size]byte(mac.Sum(nil))
}
