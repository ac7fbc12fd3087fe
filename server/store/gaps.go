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

// A Gap is records that should be here and are not.
type Gap struct {
	Kiosk   string
	Epoch   wire.Epoch
	Missing []wire.Range
	Ended   bool // a later epoch has begun and brought what it could: they will not come
}

// Gaps returns every gap as of now. Of an epoch that goes on, records are
// missing when its kiosk has been connected for GapAfter and others stay
// behind newer ones; of one that has ended, when the epoch after it has brought
// all that it carries over.
func (s *Store) Gaps(ctx context.Context, now time.Time) ([]Gap, error) {
	type epoch struct {
		Gap
		ledger  deliver.Ledger
		next    bool // the epoch after it has brought everything
		last    uint64
		present bool
	}
	var all []epoch
	err := s.each(ctx, func(r *sql.Rows) error {
		var e epoch
		var id, ledger, nextLedger []byte
		var up, since int64
		var last, carried sql.NullInt64
		if err := r.Scan(&e.Kiosk, &id, &ledger, &e.Ended, &up, &since, &nextLedger, &last, &carried); err != nil {
			return err
		}
		copy(e.Epoch[:], id)
		e.present = up != 0 && now.Sub(time.UnixMilli(since)) >= GapAfter
		if err := e.ledger.Unmarshal(ledger); err != nil {
			return err
		}
		if nextLedger != nil {
			var next deliver.Ledger
			if err := next.Unmarshal(nextLedger); err != nil {
				return err
			}
			// The first record of an epoch says how many it carries over, and
			// those follow it.
			e.next = next.Through() > uint64(carried.Int64)
			e.last = uint64(last.Int64)
		}
		all = append(all, e)
		return nil
	}, `SELECT k.id, e.epoch, e.ledger, CASE WHEN e.ended IS NULL THEN 0 ELSE 1 END,
			COALESCE(p.up, 0), COALESCE(p.since, 0), n.ledger, n.last, n.carried
		FROM epochs e JOIN kiosks k ON k.no = e.kiosk_no LEFT JOIN presences p ON p.kiosk_no = k.no
		LEFT JOIN epochs n ON n.kiosk_no = e.kiosk_no AND n.previous = e.epoch
		ORDER BY e.no`)
	if err != nil {
		return nil, fmt.Errorf("store: gaps: %w", err)
	}
	var gaps []Gap
	for _, e := range all {
		to := e.ledger.Newest()
		switch {
		case e.Ended && e.next:
			to = max(to, e.last)
		case e.Ended || !e.present:
			continue
		}
		if e.Missing = e.ledger.Gaps(to); len(e.Missing) > 0 {
			gaps = append(gaps, e.Gap)
		}
	}
	return gaps, nil
}
