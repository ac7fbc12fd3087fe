package scanner

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
)

// Times of a line.
const (
	OfferedFor = 10 * time.Minute // that a code waits to be read
	LostAfter  = 40 * time.Second // without a word from the desk
	unwatched  = 30 * time.Minute // without anybody who looks
	longest    = 12 * time.Hour
	keptFor    = 2 * time.Minute // what was read and not taken
)

// Limits of what is held.
const (
	maxLines = 2000
	maxScans = 4 // that wait on one line
)

// Errors of what a desk sends.
var (
	ErrMalformed = errors.New("scanner: not a message of a desk")
	ErrEnded     = errors.New("scanner: the line has ended")
	ErrTaken     = errors.New("scanner: another desk has the line")
	ErrFull      = errors.New("scanner: nobody takes what was read")
)

// ErrTooMany means that there are as many lines as there may be.
var ErrTooMany = errors.New("scanner: too many lines")

// Options are what a hub works with. All but Now are required.
type Options struct {
	Opener      *seal.Opener
	Fingerprint [24]byte         // see pairing.Fingerprint
	Portal      string           // address that codes name
	Now         func() time.Time // default time.Now
}

// A Hub holds the lines. It is safe for concurrent use.
type Hub struct {
	o Options

	mu    sync.Mutex
	lines map[pairing.Line]*Line
}

// New returns a hub without lines.
func New(o Options) *Hub {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Portal = strings.ToLower(o.Portal)
	return &Hub{o: o, lines: map[pairing.Line]*Line{}}
}

// A State is how a line is.
type State string

// The states of a line.
const (
	Offered State = "offered" // its code waits to be read
	Joined  State = "joined"
	Lost    State = "lost" // nothing was heard of the desk; it may come back
	Ended   State = "ended"
)

// A Line leads from one desk to one account.
type Line struct {
	hub     *Hub
	account string
	code    pairing.Code
	made    time.Time

	// Guarded by the hub's mutex.
	desk    [16]byte // of the program at the desk, once it has spoken
	joined  bool
	heard   time.Time
	watched time.Time
	last    uint64 // number of the newest message
	scans   []read
	over    bool
	version uint64
	news    chan struct{} // closed when something changes
}

// A read is what waits to be taken.
type read struct {
	text string
	at   time.Time
}

// Offer returns a new line for an account, whose other lines end.
func (h *Hub) Offer(account string) (*Line, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep()
	for _, l := range h.lines {
		if l.account == account {
			h.end(l)
		}
	}
	if len(h.lines) >= maxLines {
		return nil, ErrTooMany
	}
	now := h.o.Now()
	l := &Line{hub: h, account: account, code: pairing.Code{Address: h.o.Portal, Fingerprint: h.o.Fingerprint}, made: now, watched: now, version: 1, news: make(chan struct{})}
	rand.Read(l.code.Token[:])
	h.lines[l.code.Line()] = l
	return l, nil
}

// Line returns the line of that id, if it is the account's and has not ended; else nil.
func (h *Hub) Line(id, account string) *Line {
	var name pairing.Line
	if b, err := hex.DecodeString(id); err != nil || copy(name[:], b) != len(name) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep()
	l := h.lines[name]
	if l == nil || l.account != account {
		return nil
	}
	return l
}

// Receive takes a message of a desk. Its text counts once however often the message
// comes. The error is one of this package's.
func (h *Hub) Receive(data []byte) error {
	known := func(name pairing.Line) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.sweep()
		return h.lines[name] != nil
	}
	s, name, err := pairing.OpenDesk(data, h.o.Opener, known)
	if errors.Is(err, pairing.ErrCode) {
		return ErrEnded
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.lines[name]
	if l == nil {
		return ErrEnded
	}
	return l.receive(s, h.o.Now())
}

// receive is called with the hub's mutex held.
func (l *Line) receive(s *pairing.DeskScan, now time.Time) error {
	if subtle.ConstantTimeCompare(s.Token[:], l.code.Token[:]) != 1 || len(s.Text) > pass.MaxText {
		return ErrMalformed
	}
	if l.joined && l.desk != s.Desk {
		return ErrTaken
	}
	was := l.state(now)
	l.desk, l.joined = s.Desk, true
	if s.No <= l.last { // sent again, because the answer was lost
		return nil
	}
	if s.Text != "" {
		l.forget(now)
		if len(l.scans) >= maxScans {
			return ErrFull
		}
		l.scans = append(l.scans, read{s.Text, now})
		time.AfterFunc(keptFor, l.hub.tidy) // also where nobody looks any more
	}
	l.last, l.heard = s.No, now
	if s.Bye {
		l.heard = time.Time{}
	}
	if s.Text != "" || l.state(now) != was {
		l.tell()
	}
	return nil
}

func (l *Line) tell() {
	l.version++
	close(l.news)
	l.news = make(chan struct{})
}

func (l *Line) state(now time.Time) State {
	switch {
	case l.over:
		return Ended
	case !l.joined:
		return Offered
	case now.Sub(l.heard) > LostAfter:
		return Lost
	}
	return Joined
}

// forget drops what has waited too long.
func (l *Line) forget(now time.Time) {
	for len(l.scans) > 0 && now.Sub(l.scans[0].at) >= keptFor {
		l.scans[0] = read{}
		l.scans = l.scans[1:]
	}
}

func (h *Hub) tidy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep()
}

// sweep ends what has come to its end.
func (h *Hub) sweep() {
	now := h.o.Now()
	for _, l := range h.lines {
		l.forget(now)
		if now.Sub(l.made) > longest || now.Sub(l.watched) > unwatched || !l.joined && now.Sub(l.made) > OfferedFor {
			h.end(l)
		}
	}
}

func (h *Hub) end(l *Line) {
	delete(h.lines, l.code.Line())
	l.over, l.scans = true, nil
	l.tell()
}

// ID returns the line's name, which is no secret.
func (l *Line) ID() string { name := l.code.Line(); return hex.EncodeToString(name[:]) }

// Code returns what the desk has to read.
func (l *Line) Code() pairing.Code { return l.code }

// A News is how a line is for its page.
type News struct {
	Version uint64 // another one when something has changed
	State   State
	Waiting int // codes that were read and not taken
}

// Now returns how the line is.
func (l *Line) Now() News {
	n, _ := l.look()
	return n
}

// look also returns what is closed when that is no longer so.
func (l *Line) look() (News, <-chan struct{}) {
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	l.watched = now
	l.forget(now)
	return News{l.version, l.state(now), len(l.scans)}, l.news
}

// lookEvery is how often a page that waits is told though nothing came: a desk may
// have fallen silent.
const lookEvery = 20 * time.Second

// Wait returns how the line is once that is news to whoever has seen version, at the
// latest after some seconds or when ctx ends.
func (l *Line) Wait(ctx context.Context, seen uint64) News {
	n, changed := l.look()
	if n.Version != seen || n.State == Ended {
		return n
	}
	late := time.NewTimer(lookEvery)
	defer late.Stop()
	select {
	case <-changed:
	case <-late.C:
	case <-ctx.Done():
	}
	return l.Now()
}

// Take returns the oldest text that waits, which the line then forgets.
func (l *Line) Take() (text string, ok bool) {
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	l.watched = now
	l.forget(now)
	if len(l.scans) == 0 {
		return "", false
	}
	text = l.scans[0].text
	l.scans[0] = read{}
	l.scans = l.scans[1:]
	l.tell()
	return text, true
}

// End ends the line.
func (l *Line) End() {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if !l.over {
		l.hub.end(l)
	}
}
