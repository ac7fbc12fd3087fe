package ingest

import (
	"context"
	"iter"
	"sync"

	"github.com/qrgate/qrgate/server/store"
)

// keep is how many check-ins a Feed remembers: more than anyone reads on a page.
const keep = 50

// A Feed tells whoever watches what ingest has just stored. It holds the newest
// check-ins and one number a kiosk, whatever is stored and whoever watches, and
// knows of nothing that another server has stored. It is safe for concurrent use.
type Feed struct {
	mu sync.Mutex

	ring   [keep]store.Sighting // the n-th sighting lies at n % keep
	stored uint64               // sightings that ever went into ring

	index   map[string]int // of a kiosk in ids and totals
	ids     []string
	totals  []uint64 // check-ins of each kiosk since the Feed was made
	changes uint64   // of the kiosk table

	wake chan struct{} // closed by the next news; nil while nobody waits for it
}

// NewFeed returns a Feed whose check-ins so far are recent, newest first.
func NewFeed(recent []store.Sighting) *Feed {
	f := &Feed{index: map[string]int{}}
	for i := min(len(recent), keep) - 1; i >= 0; i-- {
		f.put(recent[i])
	}
	return f
}

func (f *Feed) put(s store.Sighting) {
	f.ring[f.stored%keep] = s
	f.stored++
}

// Recent returns the newest check-ins, at most 50, newest first.
func (f *Feed) Recent() []store.Sighting {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.since(0)
}

// since returns the check-ins after the first n, as far as they are kept.
func (f *Feed) since(n uint64) []store.Sighting {
	all := make([]store.Sighting, min(f.stored-n, keep))
	for i := range all {
		all[i] = f.ring[(f.stored-1-uint64(i))%keep]
	}
	return all
}

// Stored announces check-ins that were just committed: how many rows of each
// kiosk, and the newest of them, oldest first. It never waits for a watcher and
// keeps neither argument.
func (f *Feed) Stored(counts map[string]int, sightings []store.Sighting) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for kiosk, n := range counts {
		i, ok := f.index[kiosk]
		if !ok {
			i = len(f.ids)
			f.index[kiosk] = i
			f.ids, f.totals = append(f.ids, kiosk), append(f.totals, 0)
		}
		f.totals[i] += uint64(n)
	}
	for _, s := range sightings[max(0, len(sightings)-keep):] {
		f.put(s)
	}
	f.tell()
}

// KiosksChanged announces that a status, beat or revocation changed what the
// table of kiosks shows.
func (f *Feed) KiosksChanged() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
	f.tell()
}

// tell wakes whoever waits. That costs nothing while all are still busy with
// what they were told before.
func (f *Feed) tell() {
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

// News is what happened since a watcher last looked.
type News struct {
	Counts   map[string]int   // rows stored of each kiosk; nil if none
	Checkins []store.Sighting // newest first, at most 50
	Kiosks   bool             // what the table of kiosks shows has changed
}

// Watch yields what happens after the call until ctx ends. News that a slow
// watcher has not taken yet are merged: counts are added up and the newest 50
// check-ins kept. A second loop over the result goes on where the first ended.
func (f *Feed) Watch(ctx context.Context) iter.Seq[News] {
	_, news := f.Join(ctx)
	return news
}

// Join returns what Recent and Watch do for one moment: each check-in is in
// recent or in the news, and none in both.
func (f *Feed) Join(ctx context.Context) (recent []store.Sighting, news iter.Seq[News]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &watcher{feed: f, stored: f.stored, totals: append([]uint64(nil), f.totals...), changes: f.changes}
	return f.since(0), func(yield func(News) bool) {
		for ctx.Err() == nil {
			n, wake := w.take()
			if wake == nil {
				if !yield(n) {
					return
				}
				continue
			}
			select {
			case <-ctx.Done():
			case <-wake:
			}
		}
	}
}

// A watcher is how far somebody has seen a Feed. Nothing is queued for it, so
// Stored does the same work for a thousand watchers as for one.
type watcher struct {
	feed    *Feed
	stored  uint64
	totals  []uint64
	changes uint64
}

// take returns what is new, or if nothing is, a channel that is closed by the
// next news.
func (w *watcher) take() (News, <-chan struct{}) {
	f := w.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	var n News
	for i, total := range f.totals {
		if i == len(w.totals) {
			w.totals = append(w.totals, 0)
		}
		if more := total - w.totals[i]; more > 0 {
			if n.Counts == nil {
				n.Counts = map[string]int{}
			}
			n.Counts[f.ids[i]] = int(more)
			w.totals[i] = total
		}
	}
	if f.stored > w.stored {
		n.Checkins = f.since(w.stored)
	}
	n.Kiosks = f.changes != w.changes
	w.stored, w.changes = f.stored, f.changes
	if n.Counts != nil || n.Checkins != nil || n.Kiosks {
		return n, nil
	}
	if f.wake == nil {
		f.wake = make(chan struct{})
	}
	return n, f.wake
}
