// Package orders keeps what kiosks were told to do, what became of it, and the command
// cards that were made. It is a room of package store, whose transactions it uses.
//
//	o, err := orders.Give(ctx, by, orders.New{Kiosk: id, Kind: wire.OrderIdentify, Life: time.Hour})
//	open, err := orders.Open(ctx)             // still to be followed
//	err = orders.Result(ctx, kiosk, result)   // as the kiosk says
//
// The promise: an order has one end, the first that is known, and each change has its
// audit row in its transaction. What an order brought, a log or a picture, is dropped
// after [KeepParts]. It leaves out signing and sending (package fleet/orders).
package orders

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

const (
	// DoorLife is how long the first step of a door order is valid.
	DoorLife = 2 * time.Minute

	// KeepParts is how long what an order brought can be looked at.
	KeepParts = time.Hour

	// keepRows is how long orders and uses are kept: longer than the audit of a year asks.
	keepRows = 400 * 24 * time.Hour

	// grace is how long after its end a result may still come: the kiosk's clock and the
	// line are not ours.
	grace = 2 * time.Minute
)

// Orders is the orders in a store. It is safe for concurrent use.
type Orders struct {
	s   *store.Store
	now func() time.Time
}

// At returns the orders in s.
func At(s *store.Store, now func() time.Time) *Orders { return &Orders{s, now} }

// An Order is what a kiosk was told, and what became of it.
type Order struct {
	ID      wire.OrderID
	Kiosk   string
	Kind    wire.OrderKind
	Args    wire.OrderArgs
	By      string // account
	Issued  time.Time
	Expires time.Time

	State  wire.OrderState // 0 while nothing is known
	Reason wire.Reason
	Detail string
	Ended  time.Time // zero while it may still be followed
	Checks []wire.Check
	Parts  int // of what it brought

	Waits   time.Time // a door order: when the kiosk began to wait for the second step
	Pressed time.Time // when that was given
}

// A New is an order to be given.
type New struct {
	Kiosk string
	Kind  wire.OrderKind
	Args  wire.OrderArgs
	Life  time.Duration
}

// Give keeps a new order. An unknown or revoked kiosk is qrgate.ErrNotFound; an order
// that says what does not belong to it is qrgate.ErrInvalid; a second order of its kind
// while the first is open is qrgate.ErrConflict.
func (o *Orders) Give(ctx context.Context, by string, n New) (*Order, error) {
	now := o.now()
	if n.Args.Validate(n.Kind) != nil || n.Life <= 0 || n.Life > wire.MaxOrderLife {
		return nil, fmt.Errorf("orders: give %s: %w", n.Kind, qrgate.ErrInvalid)
	}
	given := &Order{Kiosk: n.Kiosk, Kind: n.Kind, Args: n.Args, By: by, Issued: now, Expires: now.Add(n.Life)}
	rand.Read(given.ID[:])
	err := o.s.Write(ctx, func(t store.Tx) error {
		no, err := kioskNo(t, n.Kiosk)
		if err != nil {
			return err
		}
		open := 0
		err = t.Each(func(r *sql.Rows) error { return r.Scan(&open) },
			"SELECT COUNT(*) FROM orders WHERE kiosk_no = ? AND kind = ? AND ended = 0 AND expires > ?", no, int64(n.Kind), now.UnixMilli())
		if err != nil {
			return err
		}
		if open > 0 {
			return qrgate.ErrConflict
		}
		_, err = t.Exec(`INSERT INTO orders (id, kiosk_no, kind, args, made_by, issued, expires, state, reason, detail, ended, parts, waits, pressed)
			VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, '', 0, 0, 0, 0)`,
			given.ID[:], no, int64(n.Kind), wire.Encode(n.Args), by, now.UnixMilli(), given.Expires.UnixMilli())
		if err != nil {
			return err
		}
		return t.Audit(by, "give order", n.Kiosk, n.Kind.String()+", "+given.ID.String())
	})
	if err != nil {
		return nil, fmt.Errorf("orders: give %s to %q: %w", n.Kind, n.Kiosk, err)
	}
	return given, nil
}

// kioskNo returns the number of a kiosk that may be told something.
func kioskNo(t store.Tx, id string) (no int64, err error) {
	err = t.Each(func(r *sql.Rows) error { return r.Scan(&no) }, "SELECT no FROM kiosks WHERE id = ? AND kind = 0 AND state = ?", id, int64(qrgate.KioskActive))
	if err == nil && no == 0 {
		err = qrgate.ErrNotFound
	}
	return no, err
}

const columns = `SELECT o.id, k.id, o.kind, o.args, o.made_by, o.issued, o.expires, o.state, o.reason, o.detail, o.ended, o.checks, o.parts, o.waits, o.pressed
	FROM orders o JOIN kiosks k ON k.no = o.kiosk_no `

func (o *Orders) read(ctx context.Context, where string, args ...any) ([]Order, error) {
	var all []Order
	err := o.s.Read(ctx, func(r *sql.Rows) error {
		one, err := scan(r)
		all = append(all, one)
		return err
	}, columns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("orders: read: %w", err)
	}
	return all, nil
}

func scan(r *sql.Rows) (Order, error) {
	var o Order
	var id, args, checks []byte
	err := r.Scan(&id, &o.Kiosk, &o.Kind, &args, &o.By, (*store.Milli)(&o.Issued), (*store.Milli)(&o.Expires), &o.State, &o.Reason, &o.Detail,
		(*store.Milli)(&o.Ended), &checks, &o.Parts, (*store.Milli)(&o.Waits), (*store.Milli)(&o.Pressed))
	if err != nil {
		return o, err
	}
	if copy(o.ID[:], id) != len(o.ID) {
		return o, errors.New("order without a number")
	}
	if len(checks) > 0 {
		err = wire.Decode(checks, &o.Checks)
	}
	return o, errors.Join(err, wire.Decode(args, &o.Args))
}

// Open returns every order that may still be followed.
func (o *Orders) Open(ctx context.Context) ([]Order, error) {
	return o.read(ctx, "WHERE o.ended = 0 AND o.expires > ? AND k.state = ?", o.now().UnixMilli(), int64(qrgate.KioskActive))
}

// Of returns the newest orders of a kiosk.
func (o *Orders) Of(ctx context.Context, kiosk string, n int) ([]Order, error) {
	return o.read(ctx, "WHERE k.id = ? ORDER BY o.issued DESC, o.id LIMIT ?", kiosk, n)
}

// Order returns an order of a kiosk, or qrgate.ErrNotFound.
func (o *Orders) Order(ctx context.Context, kiosk string, id wire.OrderID) (*Order, error) {
	all, err := o.read(ctx, "WHERE o.id = ? AND k.id = ?", id[:], kiosk)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("orders: %s: %w", id, qrgate.ErrNotFound)
	}
	return &all[0], nil
}

// Waits notes that a kiosk waits for the second step of a door order.
func (o *Orders) Waits(ctx context.Context, kiosk string, id wire.OrderID) error {
	err := o.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec(`UPDATE orders SET state = ?, waits = ? WHERE id = ? AND ended = 0 AND waits = 0
			AND kiosk_no = (SELECT no FROM kiosks WHERE id = ?)`, int64(wire.OrderPrepared), o.now().UnixMilli(), id[:], kiosk)
		return err
	})
	if err != nil {
		return fmt.Errorf("orders: waits: %w", err)
	}
	return nil
}

// Press gives the second step of a door order, once. An order for whose second step
// nobody waits is qrgate.ErrConflict.
func (o *Orders) Press(ctx context.Context, by, kiosk string, id wire.OrderID) error {
	err := o.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec(`UPDATE orders SET pressed = ? WHERE id = ? AND kind = ? AND ended = 0 AND waits > 0 AND pressed = 0
			AND kiosk_no = (SELECT no FROM kiosks WHERE id = ?)`, o.now().UnixMilli(), id[:], int64(wire.OrderDoor), kiosk)
		if err == nil && n == 0 {
			err = qrgate.ErrConflict
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "open door", kiosk, id.String())
	})
	if err != nil {
		return fmt.Errorf("orders: press: %w", err)
	}
	return nil
}

// Result takes what a kiosk says of one of its orders. Of another's, or of one that has
// ended otherwise, nothing is kept.
func (o *Orders) Result(ctx context.Context, kiosk string, r *wire.Result) error {
	now := o.now()
	err := o.s.Write(ctx, func(t store.Tx) error {
		var state wire.OrderState
		var ended int64
		known := false
		err := t.Each(func(rows *sql.Rows) error { known = true; return rows.Scan(&state, &ended) },
			"SELECT state, ended FROM orders WHERE id = ? AND kind = ? AND kiosk_no = (SELECT no FROM kiosks WHERE id = ?)", r.Order[:], int64(r.Kind), kiosk)
		if err != nil || !known {
			return err
		}
		var checks any
		if len(r.Checks) > 0 {
			checks = wire.Encode(r.Checks)
		}
		// That nothing came in time was our own guess.
		guess := state == wire.OrderExpired && r.State != wire.OrderExpired
		if ended == 0 || guess {
			_, err = t.Exec("UPDATE orders SET state = ?, reason = ?, detail = ?, ended = ?, checks = ?, parts = ? WHERE id = ?",
				int64(r.State), int64(r.Reason), r.Detail, now.UnixMilli(), checks, int64(r.Parts), r.Order[:])
		} else if state == r.State && r.Parts > 0 {
			_, err = t.Exec("UPDATE orders SET checks = COALESCE(checks, ?) WHERE id = ?", checks, r.Order[:])
		}
		if err != nil || len(r.Data) == 0 || ended > 0 && now.Sub(time.UnixMilli(ended)) > KeepParts {
			return err
		}
		_, err = t.Exec("INSERT INTO order_parts (id, part, data, received) VALUES (?, ?, ?, ?) ON CONFLICT (id, part) DO NOTHING",
			r.Order[:], int64(r.Part), r.Data, now.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("orders: result of %q: %w", kiosk, err)
	}
	return nil
}

// Data returns what an order brought, if all of it is there, and otherwise nil.
func (o *Orders) Data(ctx context.Context, of *Order) ([]byte, error) {
	var all []byte
	n := 0
	err := o.s.Read(ctx, func(r *sql.Rows) error {
		var part []byte
		err := r.Scan(&part)
		all, n = append(all, part...), n+1
		return err
	}, "SELECT data FROM order_parts WHERE id = ? ORDER BY part", of.ID[:])
	if err != nil {
		return nil, fmt.Errorf("orders: data: %w", err)
	}
	if n < of.Parts {
		return nil, nil
	}
	return all, nil
}

// Tidy ends orders of which nothing came in time, and drops what is past its end.
func (o *Orders) Tidy(ctx context.Context) error {
	now := o.now()
	late, nothing := false, true
	err := o.s.Read(ctx, func(r *sql.Rows) error {
		var n, parts int64
		err := r.Scan(&n, &parts)
		late, nothing = n > 0, n+parts == 0
		return err
	}, "SELECT (SELECT COUNT(*) FROM orders WHERE ended = 0 AND expires < ?), (SELECT COUNT(*) FROM order_parts WHERE received < ?)",
		now.Add(-grace).UnixMilli(), now.Add(-KeepParts).UnixMilli())
	if err == nil && !nothing {
		err = o.s.Write(ctx, func(t store.Tx) error {
			if late {
				_, err := t.Exec("UPDATE orders SET state = ?, reason = ?, ended = ? WHERE ended = 0 AND expires < ?",
					int64(wire.OrderExpired), int64(wire.ReasonExpired), now.UnixMilli(), now.Add(-grace).UnixMilli())
				if err != nil {
					return err
				}
			}
			_, err := t.Exec("DELETE FROM order_parts WHERE received < ?", now.Add(-KeepParts).UnixMilli())
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("orders: tidy: %w", err)
	}
	return nil
}

// Drop forgets orders and uses of long ago.
func (o *Orders) Drop(ctx context.Context) error {
	before := o.now().Add(-keepRows).UnixMilli()
	err := o.s.Write(ctx, func(t store.Tx) error {
		for _, q := range []string{"DELETE FROM orders WHERE issued < ?", "DELETE FROM order_uses WHERE received < ?", "DELETE FROM command_cards WHERE ends < ?"} {
			if _, err := t.Exec(q, before); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("orders: drop: %w", err)
	}
	return nil
}

// Places returns the numbers of the places where kiosks stand.
func (o *Orders) Places(ctx context.Context) (map[string]uint32, error) {
	all := map[string]uint32{}
	err := o.s.Read(ctx, func(r *sql.Rows) error {
		var id string
		var no uint32
		err := r.Scan(&id, &no)
		all[id] = no
		return err
	}, "SELECT id, place_no FROM kiosks WHERE kind = 0 AND place_no > 0")
	if err != nil {
		return nil, fmt.Errorf("orders: places: %w", err)
	}
	return all, nil
}

// A Kiosk is where a kiosk stands and what it last said of itself.
type Kiosk struct {
	ID      string
	Place   string
	PlaceNo uint32
	Active  bool
	Contact time.Time // of its last beat; zero if there was none
	Beat    *wire.Beat
}

// Kiosk returns a kiosk, or qrgate.ErrNotFound.
func (o *Orders) Kiosk(ctx context.Context, id string) (*Kiosk, error) {
	all, err := o.kiosks(ctx, "WHERE k.kind = 0 AND k.id = ?", id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("orders: kiosk %q: %w", id, qrgate.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// Kiosks returns every kiosk that may be told something.
func (o *Orders) Kiosks(ctx context.Context) ([]Kiosk, error) {
	return o.kiosks(ctx, "WHERE k.kind = 0 AND k.state = ? ORDER BY k.place, k.id", int64(qrgate.KioskActive))
}

func (o *Orders) kiosks(ctx context.Context, where string, args ...any) ([]Kiosk, error) {
	var all []Kiosk
	err := o.s.Read(ctx, func(r *sql.Rows) error {
		var k Kiosk
		var state int64
		var beat []byte
		if err := r.Scan(&k.ID, &k.Place, &k.PlaceNo, &state, (*store.Milli)(&k.Contact), &beat); err != nil {
			return err
		}
		k.Active = state == int64(qrgate.KioskActive)
		if beat != nil {
			k.Beat = new(wire.Beat)
			if wire.Decode(beat, k.Beat) != nil {
				k.Beat = nil // of a later release
			}
		}
		all = append(all, k)
		return nil
	}, "SELECT k.id, k.place, k.place_no, k.state, COALESCE(p.contact, 0), p.beat FROM kiosks k LEFT JOIN presences p ON p.kiosk_no = k.no "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("orders: kiosks: %w", err)
	}
	return all, nil
}
