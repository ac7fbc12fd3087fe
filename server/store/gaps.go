package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// GapAfter is how long a kiosk must have been connected before what is missing
// between its records is a gap: live records overtake older ones.
const GapAfter = 5 * time.Minute

// An EpochLedger is what is held of one epoch.
type EpochLedger struct {
	Kiosk    string
	Epoch    wire.Epoch
	Opened   wire.OpenedBy // zero if its first record has not come
	Lost     uint64        // records of the epoch before that the kiosk lost, as it says
	Through  uint64        // all of 1..Through are held
	Newest   uint64
	Missing  []wire.Range // neither held nor carried over by a later epoch
	Ended    bool         // a later epoch has begun
	Final    bool         // and has brought all that it carries over
	Forked   bool         // the kiosk's storage was copied or put back
	Received time.Time    // of the last batch

	settled bool // the kiosk has been connected for GapAfter
}

// Gap reports whether something is missing that should be here: not yet while a
// kiosk has just connected, and not yet while a later epoch brings it.
func (l EpochLedger) Gap() bool {
	return len(l.Missing) > 0 && (l.Final || !l.Ended && l.settled)
}

// Ledgers returns what is held of every epoch of every kiosk as of now, in the
// order in which the server heard of them.
func (s *Store) Ledgers(ctx context.Context, now time.Time) ([]EpochLedger, error) {
	var read []*epochRow
	after := map[epochID][]*epochRow{} // the epochs that follow one
	err := s.each(ctx, func(r *sql.Rows) error {
		var e epochRow
		var id, ledger, previous []byte
		var up, since, received int64
		err := r.Scan(&e.Kiosk, &id, &ledger, &e.Opened, &e.Lost, &e.Ended, &received, &up, &since, &previous, &e.last, &e.carried)
		if err != nil {
			return err
		}
		copy(e.Epoch[:], id)
		e.Received = milli(received)
		e.settled = up != 0 && now.Sub(time.UnixMilli(since)) >= GapAfter
		if err := e.held.Unmarshal(ledger); err != nil {
			return err
		}
		e.Through, e.Newest, e.Forked = e.held.Through(), e.held.Newest(), e.held.Forked()
		read = append(read, &e)
		if len(previous) == len(e.Epoch) {
			of := epochID{e.Kiosk, wire.Epoch(previous)}
			after[of] = append(after[of], &e)
		}
		return nil
	}, `SELECT k.id, e.epoch, e.ledger, e.opened_by, e.lost, CASE WHEN e.ended IS NULL THEN 0 ELSE 1 END, e.received,
			COALESCE(p.up, 0), COALESCE(p.since, 0), e.previous, e.last, e.carried
		FROM epochs e JOIN kiosks k ON k.no = e.kiosk_no LEFT JOIN presences p ON p.kiosk_no = k.no
		ORDER BY e.no`)
	if err != nil {
		return nil, fmt.Errorf("store: ledgers: %w", err)
	}
	all := make([]EpochLedger, len(read))
	for i, e := range read {
		last := e.Newest
		for _, n := range after[epochID{e.Kiosk, e.Epoch}] {
			last = max(last, uint64(n.last))
		}
		e.Final = e.final(after, generations)
		e.Missing = e.held.Gaps(last)
		if e.Final {
			// What it had carried over itself is missing where it was first
			// written, or nowhere.
			e.Missing = without(e.Missing, 2, uint64(e.carried)+1)
		}
		all[i] = e.EpochLedger
	}
	return all, nil
}

type epochID struct {
	kiosk string
	epoch wire.Epoch
}

type epochRow struct {
	EpochLedger
	held          deliver.Ledger
	last, carried int64 // last number of the epoch before; records taken over from it
}

// generations is how many epochs may end one after the other before they have
// brought what they carry over. A kiosk may say that they follow each other in a
// ring.
const generations = 16

// final reports whether every epoch that follows e has brought all that it
// carries over, or has ended and left that to those that follow it.
func (e *epochRow) final(after map[epochID][]*epochRow, depth int) bool {
	next := after[epochID{e.Kiosk, e.Epoch}]
	for _, n := range next {
		// An epoch's first record says how many it carries over, and those
		// follow it.
		brought := n.Through > uint64(n.carried)
		if !brought && (depth == 0 || !n.final(after, depth-1)) {
			return false
		}
	}
	return len(next) > 0
}

// without returns what of missing is not in from..to.
func without(missing []wire.Range, from, to uint64) []wire.Range {
	var left []wire.Range
	for _, m := range missing {
		if m.To < from || m.From > to {
			left = append(left, m)
			continue
		}
		if m.From < from {
			left = append(left, wire.Range{From: m.From, To: from - 1})
		}
		if m.To > to {
			left = append(left, wire.Range{From: to + 1, To: m.To})
		}
	}
	return left
}

// Gaps returns the epochs that have a gap as of now.
func (s *Store) Gaps(ctx context.Context, now time.Time) ([]EpochLedger, error) {
	all, err := s.Ledgers(ctx, now)
	var gaps []EpochLedger
	for _, l := range all {
		if l.Gap() {
			gaps = append(gaps, l)
		}
	}
	return gaps, err
}
