package order

import "sync"

// RingBytes is how much of the log a kiosk keeps in memory for an order to ask for.
const RingBytes = 128 << 10

// A Ring keeps the newest of the log's lines in memory, and none on disk. The log names
// nobody, so neither does a Ring. It is safe for concurrent use.
type Ring struct {
	mu   sync.Mutex
	b    []byte
	next int  // where the next byte goes
	full bool // it went round
}

// NewRing returns a ring of n bytes.
func NewRing(n int) *Ring { return &Ring{b: make([]byte, n)} }

// Write keeps p, or its end if it is longer than the ring. It never fails: a log must
// not.
func (r *Ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(p)
	if len(p) > len(r.b) {
		p = p[len(p)-len(r.b):]
	}
	for len(p) > 0 {
		c := copy(r.b[r.next:], p)
		p = p[c:]
		if r.next += c; r.next == len(r.b) {
			r.next, r.full = 0, true
		}
	}
	return n, nil
}

// Lines returns what is kept, oldest first, in whole lines.
func (r *Ring) Lines() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.full {
		return append([]byte(nil), r.b[:r.next]...)
	}
	all := append(append(make([]byte, 0, len(r.b)), r.b[r.next:]...), r.b[:r.next]...)
	for i, c := range all { // the first was cut
		if c == '\n' {
			return all[i+1:]
		}
	}
	return all
}
