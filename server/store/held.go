package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// Held is what is committed of one epoch.
type Held struct {
	Ledger     deliver.Ledger
	Safe       uint64 // all up to here are in a verified backup
	Generation uint64
}

// Held returns what is committed of an epoch, which is nothing of one that the
// server has not heard of.
func (s *Store) Held(ctx context.Context, kiosk string, epoch wire.Epoch) (Held, error) {
	var h Held
	var ledger []byte
	var safe sql.NullInt64
	err := s.read.QueryRowContext(ctx, s.bind(`SELECT m.generation, e.ledger, e.safe FROM meta m
		LEFT JOIN kiosks k ON k.id = ? LEFT JOIN epochs e ON e.kiosk_no = k.no AND e.epoch = ?`), kiosk, epoch[:]).
		Scan(&h.Generation, &ledger, &safe)
	h.Safe = uint64(safe.Int64)
	if err == nil && ledger != nil {
		err = h.Ledger.Unmarshal(ledger)
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = errors.New("the database has no generation")
	}
	if err != nil {
		return Held{}, fmt.Errorf("store: held of kiosk %q: %w", kiosk, err)
	}
	return h, nil
}
