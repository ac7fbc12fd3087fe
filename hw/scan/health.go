package scan

import (
	"hash/maphash"
	"maps"
	"math/bits"
	"sync"
	"time"
)

// Limits that decide when a source is called faulty. All are short enough for
// a fleet view to show the fault within seconds.
const (
	stuckAfter   = 10 * time.Second // the same text, again and again, for so long
	stuckPause   = 3 * time.Second  // a pause of this length ends such a run
	babbleBurst  = 5                // so many bad frames in a row, each within babbleWithin of the one before
	babbleWithin = 10 * time.Second
	faultHold    = 5 * time.Second // a flag stays up so long after its last cause
)

// Health is the state of one source as the fleet view shows it. It never
// contains text of a code.
type Health struct {
	Source    string
	Present   bool      // plugged in and open
	Since     time.Time // when Present last changed
	LastScan  time.Time // zero before the first scan
	Scans     uint64    // codes delivered since the program started
	Bad       uint64    // frames dropped since the program started
	BadShare  float64   // dropped among the last 64 frames, 0 to 1
	Unplugs   uint64    // times the source went away
	Silent    bool      // plugged in, but does not answer probes or gives no frames
	Stuck     bool      // delivers the same code, or holds the same key, without end
	Babbling  bool      // sends what cannot be a code, without end
	Blind     string    // why a camera that delivers frames sees nothing: one word, "" if it sees
	LastError string    // newest reason for a drop, an absence or a failed dial; "" if none

	// Hints is how often, since the program started, a camera told who held up a code
	// why it was not read, by the word for why.
	Hints map[string]uint64
}

// Faulty reports whether a person should look at the source.
func (h Health) Faulty() bool {
	return !h.Present || h.Silent || h.Stuck || h.Babbling || h.Blind != ""
}

// A Meter gathers the health of one source. Its methods may be called from any
// goroutine; now is the time of the event.
type Meter struct {
	mu       sync.Mutex
	h        Health
	recent   uint64 // one bit a frame, newest lowest, 1 = bad
	frames   int    // valid bits in recent
	badRun   int
	badAt    time.Time
	stuckAt  time.Time
	babbleAt time.Time
	seed     maphash.Seed
	last     uint64    // hash of the newest text
	runSince time.Time // since when it is the newest text without a pause
}

// NewMeter returns the meter of an absent source.
func NewMeter(source string) *Meter {
	return &Meter{h: Health{Source: source, Since: time.Now()}, seed: maphash.MakeSeed()}
}

// Plug notes that the source is there and open.
func (m *Meter) Plug(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.h.LastError = ""
	if !m.h.Present {
		m.h.Present, m.h.Since = true, now
	}
}

// Unplug notes that the source is absent and why. Every call after a Plug
// counts as one unplugging.
func (m *Meter) Unplug(now time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.h.LastError = err.Error()
	if m.h.Present {
		m.h.Present, m.h.Since = false, now
		m.h.Unplugs++
		m.h.Silent, m.h.Blind = false, ""
		m.stuckAt, m.babbleAt = time.Time{}, time.Time{}
	}
}

// Scan notes a delivered code. Of the text it keeps a hash under a key of this
// process, until the next text.
func (m *Meter) Scan(text string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(0)
	m.badRun, m.babbleAt = 0, time.Time{}
	h := maphash.String(m.seed, text)
	if h != m.last || now.Sub(m.h.LastScan) > stuckPause {
		m.last, m.runSince, m.stuckAt = h, now, time.Time{}
	}
	if now.Sub(m.runSince) >= stuckAfter {
		m.stuckAt = now
	}
	m.h.Scans++
	m.h.LastScan = now
	m.h.Silent = false
}

// Drop notes a dropped frame and why. The reason must not quote the frame.
func (m *Meter) Drop(now time.Time, reason error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(1)
	m.h.Bad++
	m.h.LastError = reason.Error()
	if now.Sub(m.badAt) > babbleWithin {
		m.badRun = 0
	}
	m.badRun++
	m.badAt = now
	if m.badRun >= babbleBurst {
		m.babbleAt = now
	}
}

// Frame notes a camera's frame that was in order, and what keeps the camera
// from seeing anything in it, "" if nothing does.
func (m *Meter) Frame(blind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(0)
	m.badRun, m.babbleAt = 0, time.Time{}
	m.h.Silent, m.h.Blind = false, blind
}

// Hint notes that a camera told who held up a code why it is not read.
func (m *Meter) Hint(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h.Hints == nil {
		m.h.Hints = make(map[string]uint64)
	}
	m.h.Hints[why]++
}

func (m *Meter) note(bad uint64) {
	m.recent = m.recent<<1 | bad
	m.frames = min(m.frames+1, 64)
}

// Babble notes that the source is sending what cannot be a code.
func (m *Meter) Babble(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.babbleAt = now
}

// Stick notes that the source holds a key or a trigger without end.
func (m *Meter) Stick(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stuckAt = now
}

// Silence notes whether the source, though plugged in, gives no sign of life.
func (m *Meter) Silence(silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.h.Silent = silent
}

// Health returns the state now.
func (m *Meter) Health() Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.h
	h.Hints = maps.Clone(h.Hints)
	now := time.Now()
	h.Stuck = !m.stuckAt.IsZero() && now.Sub(m.stuckAt) < faultHold
	h.Babbling = !m.babbleAt.IsZero() && now.Sub(m.babbleAt) < faultHold
	if m.frames > 0 {
		h.BadShare = float64(bits.OnesCount64(m.recent)) / float64(m.frames)
	}
	return h
}
