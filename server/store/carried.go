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
	}, `SELECT c.id, c.place, c.last FROM (
			SELECT k.id, COALESCE(p.name, k.place) AS place, k.no, (SELECT MAX(a.at) FROM audit a WHERE a.object = k.id AND a.action = 'carry') AS last
			FROM kiosks k LEFT JOIN places p ON p.no = k.place_no WHERE k.state = ? AND k.kind = 0
		) c LEFT JOIN presences s ON s.kiosk_no = c.no WHERE c.last > COALESCE(s.contact, 0) ORDER BY c.last, c.id LIMIT ?`, int64(qrgate.KioskActive), carriedMost)
	if err != nil {
		return nil, fmt.Errorf("store: kiosks carried by hand: %w", err)
	}
	return all, nil
}
