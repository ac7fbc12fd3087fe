package live

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// readTimeout is how long the database may take to list the kiosks.
const readTimeout = 5 * time.Second

// errUnread is returned while the database does not list the kiosks. The board
// has logged it.
var errUnread = errors.New("the kiosks could not be read")

// A board is the kiosks as the database has them, read for all viewers at once
// and rendered once.
type board struct {
	store   *store.Store
	pages   *template.Template
	log     *slog.Logger
	now     func() time.Time
	refresh time.Duration

	turn chan struct{} // holds one value; whoever has taken it may touch the rest
	last *snapshot
	err  error // of the last read
	read time.Time
}

// A snapshot is what the database had at some moment after began. It does not
// change.
type snapshot struct {
	no      uint64 // rises with each
	began   time.Time
	rows    []row
	figures string
	table   string // all rows
}

// A row is one kiosk as rendered.
type row struct {
	view    kiosk
	html    string
	changed uint64 // no of the snapshot in which more than the count changed
	counted uint64 // no of the snapshot in which the count changed
}

// snapshot returns what the database had less than refresh ago, or had when it
// was asked just now. While that fails it returns errUnread, and asks again no
// more often than when all is well.
func (b *board) snapshot(ctx context.Context) (*snapshot, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.turn:
	}
	defer func() { b.turn <- struct{}{} }()
	if b.read.IsZero() || time.Since(b.read) >= b.refresh {
		b.ask(ctx)
	}
	if b.err != nil {
		return nil, unread()
	}
	return b.last, nil
}

func (b *board) ask(ctx context.Context) {
	// Others wait for the answer, so it does not end with whoever asked.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	b.read = time.Now()
	began := b.read
	kiosks, err := b.store.Kiosks(ctx)
	var byPhone int64
	if err == nil {
		byPhone, err = b.store.PhoneCheckins(ctx)
	}
	var next *snapshot
	if err == nil {
		next, err = b.render(kiosks, byPhone)
	}
	if (err == nil) != (b.err == nil) {
		if err != nil {
			b.log.Error("live page has no figures", "err", err)
		} else {
			b.log.Info("live page has figures again")
		}
	}
	b.err = err
	if err == nil {
		next.began = began
		b.last = next
	}
}

// figures is what the template of that name shows.
type figures struct {
	Total   int64 // check-ins
	ByPhone int64 // of these
	Up      int
	Active  int
	Queued  int64 // at all kiosks that are not revoked
	Read    moment
}

func (b *board) render(kiosks []store.KioskStatus, byPhone int64) (*snapshot, error) {
	before := &snapshot{}
	if b.last != nil {
		before = b.last
	}
	now := b.now()
	next := &snapshot{no: before.no + 1, rows: make([]row, len(kiosks))}
	sums := figures{Total: byPhone, ByPhone: byPhone, Read: momentOf(now, qrgate.DayOf(now))}
	var table, text strings.Builder
	for i, k := range kiosks {
		v := kioskOf(k, now)
		sums.Total += v.Checkins
		if !v.Revoked {
			sums.Active++
			if k.Beat != nil {
				sums.Queued += queuedOf(k.Beat)
			}
		}
		if v.Up {
			sums.Up++
		}
		r := row{view: v, changed: next.no, counted: next.no}
		// Kiosks are listed as they were added and none is ever taken out.
		if i < len(before.rows) && before.rows[i].view.ID == v.ID {
			old := before.rows[i]
			counted := old.view.Checkins
			if old.view.Checkins = v.Checkins; old.view == v {
				r.changed = old.changed
			}
			if counted == v.Checkins {
				r.counted = old.counted
			}
			r.html = old.html
		}
		if r.changed == next.no || r.counted == next.no {
			text.Reset()
			if err := b.pages.ExecuteTemplate(&text, "kiosk", v); err != nil {
				return nil, fmt.Errorf("live: kiosk %q: %w", v.ID, err)
			}
			r.html = text.String()
		}
		table.WriteString(r.html)
		next.rows[i] = r
	}
	next.table = table.String()
	text.Reset()
	if err := b.pages.ExecuteTemplate(&text, "figures", sums); err != nil {
		return nil, fmt.Errorf("live: figures: %w", err)
	}
	next.figures = text.String()
	return next, nil
}

// since returns what changed after a snapshot that a stream has sent: rows in
// more than their count, and the counts of others.
func (s *snapshot) since(no uint64) (rows string, counts map[string]int64) {
	var b strings.Builder
	for i := range s.rows {
		switch r := &s.rows[i]; {
		case r.changed > no:
			b.WriteString(r.html)
		case r.counted > no:
			if counts == nil {
				counts = map[string]int64{}
			}
			counts[r.view.ID] = r.view.Checkins
		}
	}
	return b.String(), counts
}
