package store

import (
	"context"
	"database/sql"
	"fmt"

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
