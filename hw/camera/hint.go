package camera

import (
	"time"

	"github.com/qrgate/qrgate/hw/qrread"
)

// When a hint is shown. A card that comes into view passes through every
// condition; and what keeps looking like a code without being one is a part of
// the room.
const (
	hintAfter = 400 * time.Millisecond // of the same hint
	hintUntil = 15 * time.Second       // of signs of a code without a pause
	hintPause = time.Second            // without signs of a code
)

// hints makes the hints of single frames into one that people can follow.
type hints struct {
	last  qrread.Hint
	since time.Time // when last began
	begun time.Time // when signs of a code began
	seen  time.Time // the newest of them
}

// look takes the hint of the next frame and returns what to show. read tells
// that a code was read.
func (h *hints) look(hint qrread.Hint, read bool, at time.Time) qrread.Hint {
	if read {
		*h = hints{}
		return qrread.NoHint
	}
	if at.Sub(h.seen) >= hintPause {
		*h = hints{}
	}
	if hint == qrread.NoHint {
		// One frame in which the card is lost does not take the hint away.
		hint = h.last
	} else {
		if h.begun.IsZero() {
			h.begun = at
		}
		h.seen = at
	}
	if hint != h.last {
		h.last, h.since = hint, at
	}
	if hint == qrread.NoHint || at.Sub(h.since) < hintAfter || at.Sub(h.begun) >= hintUntil {
		return qrread.NoHint
	}
	return hint
}
