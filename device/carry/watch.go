package carry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/words"
)

// Times of a watch.
const (
	lookEvery = 2 * time.Second
	doneFor   = time.Minute // how long it is shown that a stick may be taken out
)

// A Watch visits each stick that is put in.
type Watch struct {
	door    Door
	pattern string
	log     *slog.Logger
	every   time.Duration

	mu    sync.Mutex
	said  words.Key
	args  []string
	until time.Time
}

// NewWatch returns a watch for folders that match pattern, as filepath.Match takes it:
// /media/*/qrgate. A stick that has no such folder is none of ours and is left alone.
func NewWatch(d Door, pattern string, log *slog.Logger) *Watch {
	return &Watch{door: d, pattern: pattern, log: log, every: lookEvery}
}

// A place is a folder of one stick: the next stick at the same path is another.
type place struct {
	path string
	dev  uint64
	ino  uint64
}

// Run visits sticks until ctx ends. It returns an error only when the outbox can no
// longer record.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	visited := map[place]bool{}
	for {
		here := map[place]bool{}
		for _, p := range w.look() {
			if here[p] = true; visited[p] {
				continue
			}
			if err := w.visit(ctx, p.path); err != nil {
				return err
			}
		}
		visited = here
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look returns the folders that are there.
func (w *Watch) look() []place {
	names, err := filepath.Glob(w.pattern)
	if err != nil { // of a pattern that the configuration did not check
		w.log.Error("sticks are not looked for", "err", err)
		return nil
	}
	var all []place
	for _, name := range names {
		// A link would lead away from the stick.
		if i, err := os.Lstat(name); err == nil && i.IsDir() {
			if s, ok := i.Sys().(*syscall.Stat_t); ok {
				all = append(all, place{name, uint64(s.Dev), uint64(s.Ino)})
			}
		}
	}
	return all
}

func (w *Watch) visit(ctx context.Context, dir string) error {
	w.say(words.CarryBusy, time.Hour)
	r, err := w.door.Visit(ctx, dir)
	switch {
	case errors.Is(err, outbox.ErrBroken):
		return err
	case ctx.Err() != nil:
		return nil
	case err != nil:
		w.say(words.CarryFailed, doneFor)
		w.log.Warn("stick not written", "dir", dir, "err", err)
		return nil
	}
	w.say(words.CarryDone, doneFor, "count", fmt.Sprint(r.Waiting))
	w.log.Info("stick written", "dir", dir, "waiting", r.Waiting, "through", r.Through, "receipts", r.Receipts, "beside", r.Beside, "refused", r.Refused)
	if r.Damaged != nil {
		w.log.Warn("receipts on the stick not read", "dir", dir, "err", r.Damaged)
	}
	return nil
}

func (w *Watch) say(key words.Key, d time.Duration, args ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said, w.args, w.until = key, args, time.Now().Add(d)
}

// Notice returns what whoever stands there with a stick is told now, "" if nothing.
func (w *Watch) Notice(lang words.Lang) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said == "" || !time.Now().Before(w.until) {
		return ""
	}
	return words.Of(lang, w.said, w.args...)
}
