package register

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// ShownPlace returns of a place, deleted or not, only what the page of its poster
// shows: No, Name, Street, AreaNow and Deleted. Nothing is asked for more often.
func (r *Register) ShownPlace(ctx context.Context, no uint32) (*qrgate.Place, error) {
	p := qrgate.Place{No: no}
	found := false
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(&p.Name, &p.Street, &p.AreaNow, (*store.Milli)(&p.Deleted))
	}, "SELECT name, street, area_now, deleted FROM places WHERE no = ?", int64(no))
	if err == nil && !found {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: place %d: %w", no, err)
	}
	return &p, nil
}
