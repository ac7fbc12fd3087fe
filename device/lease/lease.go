// Package lease counts how long a kiosk has been switched on without a word from its
// server. When that is longer than its lease, the kiosk gives up what it holds of
// others: the list of void cards and the events' passes.
//
//	l, err := lease.Open(path, lease.Options{Term: term, Boot: boot, Since: sinceBoot, Drop: drop})
//	l.Contact(receipt.Time) // for each receipt, however it came
//	err = l.Run(ctx)
//
// The promise: only time in which the machine was on counts, by its own monotonic
// clock, so that neither a wall clock that jumps nor a school's summer ends a lease; and
// only a word that is newer than the last one begins it anew, so that a receipt which is
// played again does not. The end of a lease closes no door: the kiosk goes on sealing
// and recording, and the next word has the server send everything again.
//
// The count is in one file, written seldom, which [Lease] alone writes. A cut of power
// costs the lease at most as much as may have gone unwritten, to the thief's loss.
package lease

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

const (
	// DefaultTerm is a lease of which nobody has said how long it is.
	DefaultTerm = 45 * 24 * time.Hour

	writeEvery = 10 * time.Minute // between two writes of a kiosk that hears nothing
	keepEvery  = time.Hour        // between two writes of one that hears its server
	soon       = 7 * 24 * time.Hour
	maxUsed    = 100 * 366 * 24 * time.Hour
)

// Options are what a lease is counted with.
type Options struct {
	Term  time.Duration        // 0 is DefaultTerm
	Boot  [16]byte             // of the machine
	Since func() time.Duration // since that boot, by a clock that nobody sets

	// Drop drops what is held under the lease. It is called when the lease ends, again
	// at a start after that, and until it returns nil.
	Drop func() error

	Log *slog.Logger // default: nothing is logged
}

// A Lease is what a kiosk has left of its lease. It is safe for concurrent use.
type Lease struct {
	// Damaged says why the file was begun anew, and is nil as a rule.
	Damaged error

	o    Options
	path string

	mu      sync.Mutex
	is      file
	disk    file // as last written
	mark    time.Duration
	dropped bool // since the lease ended, by this process
}

// A file is what is kept.
type file struct {
	Boot  string `json:"boot"`
	Since int64  `json:"since_ms"` // since that boot, when this was true
	Used  int64  `json:"used_ms"`  // switched on without a word
	Heard int64  `json:"heard_ms"` // the server's time in its newest word, Unix milliseconds
	Ended bool   `json:"ended"`    // and no word came since
	Ends  uint32 `json:"ends"`     // leases that have ended
	Clean bool   `json:"clean"`    // written when the program was ended
}

// Open reads the lease at path. A file that is missing or damaged, or that the
// disk cannot read, begins a new lease; an error means that it may not be read.
func Open(path string, o Options) (*Lease, error) {
	if o.Term == 0 {
		o.Term = DefaultTerm
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Lease{o: o, path: path, mark: o.Since()}
	var err error
	l.Damaged, err = durable.Read(path, func(b []byte) error {
		if err := json.Unmarshal(b, &l.is); err != nil || l.is.Used < 0 || l.is.Used > maxUsed.Milliseconds() {
			l.is = file{}
			return errors.New("no count of a lease")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	l.disk = l.is
	switch boot := hex.EncodeToString(o.Boot[:]); {
	case l.is.Boot == boot:
		// The machine was on while the program was not.
		l.is.Used += max(l.mark.Milliseconds()-l.is.Since, 0)
	case l.is.Boot != "":
		l.is.Used += l.mark.Milliseconds()
		if !l.is.Clean {
			// Somebody who cuts the power before each write would have it for ever.
			l.is.Used += writeEvery.Milliseconds()
		}
	}
	return l, nil
}

// Within sets how long the lease is from now on.
func (l *Lease) Within(term time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.o.Term = term
}

// count adds what has gone by since the last call. l.mu is held.
func (l *Lease) count() {
	now := l.o.Since()
	l.is.Used += max(now-l.mark, 0).Milliseconds()
	l.mark = now
}

// used returns how long the machine was on without a word. l.mu is held.
func (l *Lease) used() time.Duration {
	l.count()
	return time.Duration(l.is.Used) * time.Millisecond
}

// Contact tells of a receipt that was verified, by whatever way it came, and the server's
// time in it. One that is not newer than the last word is none.
func (l *Lease) Contact(server time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if server.UnixMilli() > l.is.Heard {
		l.renew(server)
	}
}

// Answered tells of the answer to the newest beat, which nobody can play again: it is a
// word also of a server whose clock was put back.
func (l *Lease) Answered(server time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renew(server)
}

func (l *Lease) renew(server time.Time) {
	l.count()
	ended := l.is.Ended
	l.is.Used, l.is.Heard, l.is.Ended, l.dropped = 0, server.UnixMilli(), false, false
	if ended {
		l.o.Log.Info("the server is heard of again: lists and events will come", "lease", l.o.Term)
	}
	if ended || l.disk.Used >= writeEvery.Milliseconds() || l.is.Heard-l.disk.Heard >= keepEvery.Milliseconds() {
		l.write(false)
	}
}

// write puts the count on disk. A disk that is full or broken is no reason to stop: the
// door says so itself. l.mu is held.
func (l *Lease) write(clean bool) {
	f := l.is
	f.Boot, f.Since, f.Clean = hex.EncodeToString(l.o.Boot[:]), l.mark.Milliseconds(), clean
	b, err := json.Marshal(f)
	if err == nil {
		err = durable.Replace(l.path, append(b, '\n'))
	}
	if err != nil {
		l.o.Log.Warn("lease not kept", "err", err)
		return
	}
	l.disk = f
}

// Ended reports whether what is held under the lease has been given up and has not
// begun to come again.
func (l *Lease) Ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.is.Ended
}

// Left returns how long the machine may be on until the lease ends; 0 if it has.
func (l *Lease) Left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.is.Ended {
		return 0
	}
	return max(l.o.Term-l.used(), 0)
}

// Look ends the lease if it is over, and writes down what is to be kept by now. Run does
// it each minute.
func (l *Lease) Look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := l.used()
	if !l.is.Ended && used >= l.o.Term {
		l.is.Ended = true
		l.is.Ends++
		l.o.Log.Error("the lease is over: lists of cards and events are given up, the door goes on recording", "on_for", used.Round(time.Hour), "lease", l.o.Term)
		l.write(false) // before anything is dropped: a start in between goes on with it
	}
	if l.is.Ended && !l.dropped && l.o.Drop != nil {
		if err := l.o.Drop(); err != nil {
			l.o.Log.Warn("what the lease held is not all given up", "err", err)
		} else {
			l.dropped = true
		}
	}
	unwritten := used - time.Duration(l.disk.Used)*time.Millisecond
	if unwritten >= writeEvery || l.disk.Boot != hex.EncodeToString(l.o.Boot[:]) || l.disk.Clean {
		l.write(false)
	}
}

// Run looks after the lease until ctx ends, and then writes down how much was used.
func (l *Lease) Run(ctx context.Context) error {
	if l.Damaged != nil {
		l.o.Log.Warn("lease begun anew", "err", l.Damaged)
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		l.Look()
		select {
		case <-ctx.Done():
			return l.Close()
		case <-tick.C:
		}
	}
}

// Close writes down how much was used.
func (l *Lease) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count()
	l.write(true)
	return nil
}

// Beat returns what a beat says of the lease.
func (l *Lease) Beat() *wire.LeaseBeat {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &wire.LeaseBeat{
		Term: int64(l.o.Term / time.Second), Used: int64(l.used() / time.Second), Ended: l.is.Ended, Ends: l.is.Ends,
	}
}

// Part returns what the agent is to be given.
func (l *Lease) Part() agent.Part {
	return agent.Part{
		Fill:     func(b *wire.Beat) { b.Lease = l.Beat() },
		Answered: func(a *wire.BeatAnswer) { l.Answered(time.UnixMilli(a.Time)) },
	}
}

// Notice returns what whoever looks after the kiosk is told of the lease, "" while
// nothing is to be done.
func (l *Lease) Notice(lang words.Lang) string {
	if l.Ended() {
		return words.Of(lang, words.LeaseEnded)
	}
	l.mu.Lock()
	term := l.o.Term
	l.mu.Unlock()
	if left := l.Left(); left < min(soon, term/2) {
		return words.Of(lang, words.LeaseSoon, "days", fmt.Sprint(int(left/(24*time.Hour))+1))
	}
	return ""
}
