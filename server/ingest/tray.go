package ingest

import "sync"

// A tray holds what the workers have opened until the committer takes all of it
// at once: while one group is committed the next is made ready, so under load
// each transaction carries many batches and on an idle server none waits. It is
// bounded in records, because a batch may have one or 256.
type tray struct {
	limit int

	mu      sync.Mutex
	changed *sync.Cond
	all     []*delivery
	records int // of batches
	people  int // of visits
	closed  bool
}

func newTray(limit int) *tray {
	t := &tray{limit: limit}
	t.changed = sync.NewCond(&t.mu)
	return t
}

// put waits until there is room. One batch always finds it in an empty tray. It
// reports whether the tray took it: it takes nothing once it is closed.
func (t *tray) put(d *delivery) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.closed && t.records > 0 && t.records+len(d.records) > t.limit {
		t.changed.Wait()
	}
	if t.closed {
		return false
	}
	t.all = append(t.all, d)
	t.records += len(d.records)
	t.changed.Broadcast()
	return true
}

// offer puts a visit, unless the visits that are waiting would have more than
// limit people. Batches do not take their room: phones must not wait for a
// kiosk's backlog.
func (t *tray) offer(d *delivery, limit int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.people+len(d.records) > limit {
		return false
	}
	t.all = append(t.all, d)
	t.people += len(d.records)
	t.changed.Broadcast()
	return true
}

// take waits for a delivery and returns all that there are, or nil when the tray
// is closed and empty.
func (t *tray) take() []*delivery {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.all) == 0 && !t.closed {
		t.changed.Wait()
	}
	all := t.all
	t.all, t.records, t.people = nil, 0, 0
	t.changed.Broadcast()
	return all
}

// close says that nothing more is put.
func (t *tray) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.changed.Broadcast()
}
