package orders

import (
	"context"
	"database/sql"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Card is a command card that was made. It is for one kiosk, or for every kiosk of a
// place.
type Card struct {
	Serial uint32
	Kind   wire.OrderKind
	Arg    uint64
	Single bool
	Kiosk  string
	Place  uint32
	From   pass.Hour
	Until  pass.Hour
	Note   string // who keeps it, where: not a person's name
	By     string
	Made   time.Time
}

// maxNote is the longest note in bytes.
const maxNote = 200

// Make keeps new cards like c, n of them, and returns them with their serial numbers.
func (o *Orders) Make(ctx context.Context, by string, c Card, n int) ([]Card, error) {
	if (c.Kiosk == "") == (c.Place == 0) || c.Single && c.Kiosk == "" || c.Until <= c.From || len(c.Note) > maxNote || !utf8.ValidString(c.Note) || n < 1 || n > 100 {
		return nil, fmt.Errorf("orders: make cards: %w", qrgate.ErrInvalid)
	}
	c.By, c.Made = by, o.now()
	var all []Card
	err := o.s.Write(ctx, func(t store.Tx) error {
		all = nil
		no, object := int64(0), fmt.Sprintf("place %d", c.Place)
		if c.Kiosk != "" {
			var err error
			if no, err = kioskNo(t, c.Kiosk); err != nil {
				return err
			}
			object = c.Kiosk
		}
		if err := t.Lock("command_cards"); err != nil {
			return err
		}
		last := int64(0)
		if err := t.Each(func(r *sql.Rows) error { return r.Scan(&last) }, "SELECT COALESCE(MAX(serial), 0) FROM command_cards"); err != nil {
			return err
		}
		for i := range n {
			c.Serial = uint32(last) + uint32(i) + 1
			_, err := t.Exec(`INSERT INTO command_cards (serial, kind, arg, single, kiosk_no, place_no, begins, ends, note, made_by, made)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, int64(c.Serial), int64(c.Kind), int64(c.Arg), flag(c.Single), no, int64(c.Place),
				c.From.Time().UnixMilli(), c.Until.Time().UnixMilli(), c.Note, by, c.Made.UnixMilli())
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return t.Audit(by, "make command cards", object, fmt.Sprintf("%s, cards %d to %d", c.Kind, all[0].Serial, c.Serial))
	})
	if err != nil {
		return nil, fmt.Errorf("orders: make cards: %w", err)
	}
	return all, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

const cardColumns = `SELECT c.serial, c.kind, c.arg, c.single, COALESCE(k.id, ''), c.place_no, c.begins, c.ends, c.note, c.made_by, c.made
	FROM command_cards c LEFT JOIN kiosks k ON k.no = c.kiosk_no `

// Cards returns the cards that were made last.
func (o *Orders) Cards(ctx context.Context, n int) ([]Card, error) {
	return o.cards(ctx, cardColumns+"ORDER BY c.serial DESC LIMIT ?", n)
}

// CardsFrom returns n cards from a serial number on.
func (o *Orders) CardsFrom(ctx context.Context, serial uint32, n int) ([]Card, error) {
	return o.cards(ctx, cardColumns+"WHERE c.serial >= ? ORDER BY c.serial LIMIT ?", int64(serial), n)
}

func (o *Orders) cards(ctx context.Context, query string, args ...any) ([]Card, error) {
	var all []Card
	err := o.s.Read(ctx, func(r *sql.Rows) error {
		var c Card
		var single, arg int64
		var from, until time.Time
		err := r.Scan(&c.Serial, &c.Kind, &arg, &single, &c.Kiosk, &c.Place, (*store.Milli)(&from), (*store.Milli)(&until), &c.Note, &c.By, (*store.Milli)(&c.Made))
		c.Arg, c.Single, c.From, c.Until = uint64(arg), single == 1, pass.HourOf(from), pass.HourOf(until)
		all = append(all, c)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("orders: cards: %w", err)
	}
	return all, nil
}

// A Use is how a kiosk judged an order, as its ledger says.
type Use struct {
	Kiosk  string
	Kind   wire.OrderKind // 0 if it could not be read
	State  wire.OrderState
	Reason wire.Reason
	Card   uint32 // serial number; 0 of a message, or of a card that is not to be believed
	Undone uint64
	Count  int64
	Latest time.Time // no later than this
	At     time.Time // when the server heard of it
}

// Uses returns what a kiosk's ledger says of command cards and of messages that were
// refused: the newest. With an empty kiosk it is that of all. What became of our own
// messages is with the orders.
func (o *Orders) Uses(ctx context.Context, kiosk string, n int) ([]Use, error) {
	var all []Use
	err := o.s.Read(ctx, func(r *sql.Rows) error {
		var u Use
		err := r.Scan(&u.Kiosk, &u.Kind, &u.State, &u.Reason, &u.Card, &u.Undone, &u.Count, (*store.Milli)(&u.Latest), (*store.Milli)(&u.At))
		all = append(all, u)
		return err
	}, `SELECT k.id, u.kind, u.state, u.reason, u.card, u.undone, u.count, u.latest, u.received FROM order_uses u JOIN kiosks k ON k.no = u.kiosk_no
		WHERE (? = '' OR k.id = ?) AND (u.id IS NULL OR u.reason = ? OR NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = u.id)) ORDER BY u.latest DESC, u.seq DESC LIMIT ?`, kiosk, kiosk, int64(wire.ReasonRepeated), n)
	if err != nil {
		return nil, fmt.Errorf("orders: uses: %w", err)
	}
	return all, nil
}
