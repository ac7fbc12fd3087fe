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
	var all []EpochLedger
	err := s.each(ctx, func(r *sql.Rows) error {
		var l EpochLedger
		var id, ledger, nextLedger []byte
		var up, since, received int64
		var nextLast, nextCarried sql.NullInt64
		err := r.Scan(&l.Kiosk, &id, &ledger, &l.Opened, &l.Lost, &l.Ended, &received, &up, &since, &nextLedger, &nextLast, &nextCarried)
		if err != nil {
			return err
		}
		copy(l.Epoch[:], id)
		l.Received = milli(received)
		l.settled = up != 0 && now.Sub(time.UnixMilli(since)) >= GapAfter
		var held deliver.Ledger
		if err := held.Unmarshal(ledger); err != nil {
			return err
		}
		l.Through, l.Newest, l.Forked = held.Through(), held.Newest(), held.Forked()
		last := l.Newest
		if nextLedger != nil {
			var next deliver.Ledger
			if err := next.Unmarshal(nextLedger); err != nil {
				return err
			}
			// An epoch's first record says how many it carries over, and those
			// follow it.
			l.Final = next.Through() > uint64(nextCarried.Int64)
			last = max(last, uint64(nextLast.Int64))
		}
		l.Missing = held.Gaps(last)
		all = append(all, l)
		return nil
	}, `SELECT k.id, e.epoch, e.ledger, e.opened_by, e.lost, CASE WHEN e.ended IS NULL THEN 0 ELSE 1 END, e.received,
			COALESCE(p.up, 0), COALESCE(p.since, 0), n.ledger, n.last, n.carried
		FROM epochs e JOIN kiosks k ON k.no = e.kiosk_no LEFT JOIN presences p ON p.kiosk_no = k.no
		LEFT JOIN epochs n ON n.kiosk_no = e.kiosk_no AND n.previous = e.epoch
		ORDER BY e.no`)
	if err != nil {
		return nil, fmt.Errorf("store: ledgers: %w", err)
	}
	return all, nil
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
