package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Use is how a kiosk judged an order, as its ledger says.
type Use struct {
	Written  *Epoch // in which it was first written
	Header   wire.Header
	When     when.Interval
	Received time.Time
}

var saveUses = insertOf("order_uses", "epoch_no, seq, kiosk_no, kind, state, reason, card, id, undone, count, said, earliest, latest, received",
	"ON CONFLICT (epoch_no, seq) DO NOTHING")

// Use keeps how an order was judged, and with it an audit row: a kiosk that has no
// network tells of it here.
func (t *Intake) Use(u Use) error {
	o := u.Header.Order
	action := "order " + o.State.String()
	note := o.Kind.String()
	if o.Kind == 0 {
		note = "unreadable"
	}
	if o.Guard {
		action = "guard " + o.State.String()
	}
	if o.Card != 0 {
		action = "command card " + o.State.String()
		note += fmt.Sprintf(", card %d", o.Card)
	}
	if o.ID != nil {
		note += ", " + o.ID.String()
	}
	if u.Header.Reason != wire.NoReason {
		note += ", " + u.Header.Reason.String()
	}
	if o.Guard && o.Count != 0 {
		note += fmt.Sprintf(", %+d people", o.Count)
	}
	var id any
	if o.ID != nil {
		id = o.ID[:]
	}
	n, err := t.run(saveUses, []any{
		u.Written.no, int64(u.Header.Seq), u.Written.Book.no, int64(o.Kind), int64(o.State), int64(u.Header.Reason), int64(o.Card), id, int64(o.Undone), o.Count,
		u.Header.Wall, u.When.Earliest, u.When.Latest, u.Received.UnixMilli(),
	}, nil)
	if err == nil && n > 0 {
		err = t.auditBy("", action, u.Written.Book.Kiosk, note)
	}
	if err != nil {
		return fmt.Errorf("store: use of an order: %w", err)
	}
	u.Written.dirty = true
	return nil
}

// A taken is a check-in that was taken back at the door.
type taken struct {
	kiosk string
	epoch wire.Epoch
	seq   uint64
}

// butUndone returns fn for all check-ins but those that somebody has taken back: they
// were never visits, and stay in the ledger.
func (s *Store) butUndone(ctx context.Context, fn func(*qrgate.Checkin) error) (func(*qrgate.Checkin) error, error) {
	undone := map[taken]bool{}
	err := s.each(ctx, func(r *sql.Rows) error {
		var one taken
		var epoch []byte
		err := r.Scan(&one.kiosk, &epoch, &one.seq)
		copy(one.epoch[:], epoch)
		undone[one] = true
		return err
	}, `SELECT k.id, e.epoch, u.undone FROM order_uses u JOIN epochs e ON e.no = u.epoch_no JOIN kiosks k ON k.no = u.kiosk_no WHERE u.undone > 0`)
	if err != nil {
		return nil, err
	}
	if len(undone) == 0 {
		return fn, nil
	}
	return func(c *qrgate.Checkin) error {
		if undone[taken{c.Kiosk, c.Epoch, c.Seq}] {
			return nil
		}
		return fn(c)
	}, nil
}
