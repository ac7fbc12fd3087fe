package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// epochsMost bounds how many epochs of one kiosk are owed a receipt: each is a card
// that was changed or a history that parted.
const epochsMost = 32

// EpochsOf returns the newest epochs of a kiosk, the one that was received from last
// at the end.
func (s *Store) EpochsOf(ctx context.Context, kiosk string) ([]wire.Epoch, error) {
	var all []wire.Epoch
	err := s.each(ctx, func(r *sql.Rows) error {
		var id []byte
		if err := r.Scan(&id); err != nil {
			return err
		}
		if len(id) == len(wire.Epoch{}) {
			all = append([]wire.Epoch{wire.Epoch(id)}, all...)
		}
		return nil
	}, `SELECT e.epoch FROM epochs e JOIN kiosks k ON k.no = e.kiosk_no WHERE k.id = ? AND k.kind = 0 ORDER BY e.received DESC, e.no DESC LIMIT ?`, kiosk, epochsMost)
	if err != nil {
		return nil, fmt.Errorf("store: epochs of kiosk %q: %w", kiosk, err)
	}
	return all, nil
}

// NoteCarried writes down that an account, "" at the server, brought a bundle of a
// kiosk's check-ins. They are stored by then.
func (s *Store) NoteCarried(ctx context.Context, by, kiosk string, batches, fresh int) error {
	err := s.write(ctx, func(t *tx) error {
		return t.auditBy(by, "carry", kiosk, fmt.Sprintf("%d batches, %d new", batches, fresh))
	})
	if err != nil {
		return fmt.Errorf("store: note carried %q: %w", kiosk, err)
	}
	return nil
}

// A CarriedKiosk is one whose check-ins are brought by hand.
type CarriedKiosk struct {
	ID, Place string
	Last      time.Time // when they last were
}

// carriedLate is when somebody should have gone to a kiosk: well before its lease ends,
// and with it its lists.
const carriedLate = 14 * 24 * time.Hour

// Late reports whether somebody should have gone to the kiosk by now.
func (k CarriedKiosk) Late(now time.Time) bool { return now.Sub(k.Last) > carriedLate }

// carriedMost bounds how many kiosks are listed.
const carriedMost = 500

// carriedRows are the kiosks whose check-ins were brought by hand and of which nothing was
// heard by the link since. They are found by what was brought, which is little, not by
// what kiosks there are.
const carriedRows = ` FROM (SELECT object, MAX(at) AS last FROM audit WHERE action = 'carry' GROUP BY object) c
	JOIN kiosks k ON k.id = c.object LEFT JOIN places p ON p.no = k.place_no LEFT JOIN presences s ON s.kiosk_no = k.no
	WHERE k.state = ? AND k.kind = 0 AND c.last > COALESCE(s.contact, 0)`

// CarriedKiosks returns the kiosks whose check-ins were brought by hand and of which
// nothing was heard by the link since, those first that have waited longest.
func (s *Store) CarriedKiosks(ctx context.Context) ([]CarriedKiosk, error) {
	var all []CarriedKiosk
	err := s.each(ctx, func(r *sql.Rows) error {
		var k CarriedKiosk
		var last int64
		err := r.Scan(&k.ID, &k.Place, &last)
		k.Last = time.UnixMilli(last)
		all = append(all, k)
		return err
	}, "SELECT k.id, COALESCE(p.name, k.place), c.last"+carriedRows+" ORDER BY c.last, k.id LIMIT ?", int64(qrgate.KioskActive), carriedMost)
	if err != nil {
		return nil, fmt.Errorf("store: kiosks carried by hand: %w", err)
	}
	return all, nil
}

// LateCarried returns how many of all those kiosks are [CarriedKiosk.Late].
func (s *Store) LateCarried(ctx context.Context, now time.Time) (n int, err error) {
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&n) },
		"SELECT COUNT(*)"+carriedRows+" AND c.last < ?", int64(qrgate.KioskActive), now.Add(-carriedLate).UnixMilli())
	if err != nil {
		return 0, fmt.Errorf("store: kiosks carried late: %w", err)
	}
	return n, nil
}
