// Package issuing keeps what portals ask to be signed, what was signed, and how much
// may be: all that those who ask and whoever holds the keys of cards share.
//
//	err := kept.Ask(ctx, order, passes)          // a portal
//	o, err := kept.Next(ctx, limits)             // whoever holds the keys: granted or nothing
//	more, err := kept.Sign(ctx, o, sign)         // some of it, until there is no more
//	answers, state, err := kept.Answers(ctx, id) // the portal
//
// The promise: only what stands in the register, as it stands there, and is not void is
// signed; a card's number and issue never with two contents; what is signed for the
// first time counts against the quotas of its day once, however often it is signed
// again; and each grant, refusal and raised quota has its audit row in the transaction
// that makes it so.
//
// Keys and signatures are package issue's matter.
package issuing

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// Part is how many passes are signed in one transaction.
const Part = 256

// keptFor is how long an order waits for its portal.
const keptFor = time.Hour

// A State is how an order stands.
type State int

// The states of an order.
const (
	Waiting State = 1
	Granted State = 2
	Signed  State = 3
	Refused State = 4
)

// Reasons of a refusal.
const (
	OverBatch = "batch" // the quota of one batch
	OverDay   = "day"   // the quota of the day
	Another   = "other" // a card was signed with another content before
	Hopeless  = "wrong" // no pass, or nobody to seal the answer to
)

// An Order asks for signatures.
type Order struct {
	ID      string
	Purpose wire.Purpose // ForCard or ForEvent
	Object  string       // as audit rows name it: "batch X", "card 7", "event 3"
	By      string       // account; empty if nobody was signed in
	Public  []byte       // to which answers are sealed
	Passes  int
	State   State
	Reason  string
}

// Limits are how many passes may be signed for the first time.
type Limits struct{ Batch, Day int }

// Issuing is what is shared. It is safe for concurrent use.
type Issuing struct {
	s   *store.Store
	now func() time.Time
}

// New returns what is shared in s.
func New(s *store.Store, now func() time.Time) *Issuing { return &Issuing{s, now} }

func (i *Issuing) today() int64 { return int64(qrgate.DayOf(i.now())) }

// passBytes is the length of a pass in a part.
const passBytes = 16

// pack writes what is to be signed. The key is whoever signs' to choose.
func pack(passes []pass.OwnCard) []byte {
	b := make([]byte, 0, len(passes)*passBytes)
	for _, c := range passes {
		b = append(b, byte(c.Kind), c.Issue, c.People, c.Lane)
		b = binary.BigEndian.AppendUint32(b, c.Number)
		b = binary.BigEndian.AppendUint16(b, uint16(c.First))
		b = binary.BigEndian.AppendUint16(b, uint16(c.Last))
		b = binary.BigEndian.AppendUint32(b, c.Event)
	}
	return b
}

func unpack(b []byte) (passes []pass.OwnCard, err error) {
	if len(b)%passBytes != 0 {
		return nil, fmt.Errorf("part of %d bytes: %w", len(b), qrgate.ErrInvalid)
	}
	for ; len(b) > 0; b = b[passBytes:] {
		passes = append(passes, pass.OwnCard{
			Kind: pass.Kind(b[0]), Issue: b[1], People: b[2], Lane: b[3], Number: binary.BigEndian.Uint32(b[4:]),
			First: pass.Day(binary.BigEndian.Uint16(b[8:])), Last: pass.Day(binary.BigEndian.Uint16(b[10:])), Event: binary.BigEndian.Uint32(b[12:]),
		})
	}
	return passes, nil
}

// Ask keeps an order and sets its ID, Passes and State.
func (i *Issuing) Ask(ctx context.Context, o *Order, passes []pass.OwnCard) error {
	o.ID, o.Passes, o.State = store.NewID(), len(passes), Waiting
	err := i.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO sign_orders (id, purpose, object, made_by, made, passes, public, state, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')",
			o.ID, string(o.Purpose), o.Object, o.By, i.now().UnixMilli(), o.Passes, o.Public, int64(Waiting))
		no := 0
		for some := range slices.Chunk(passes, Part) {
			if err == nil {
				_, err = t.Exec("INSERT INTO sign_parts (order_id, no, body) VALUES (?, ?, ?)", o.ID, no, pack(some))
			}
			no++
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("issuing: ask: %w", err)
	}
	return nil
}

// Answers returns how an order stands and, once it is signed, its answers in the order
// of its parts. The error is [qrgate.ErrNotFound] if it is not there any more.
func (i *Issuing) Answers(ctx context.Context, id string) (answers [][]byte, o Order, err error) {
	err = i.s.Read(ctx, func(rows *sql.Rows) error { o.ID = id; return rows.Scan(&o.State, &o.Reason) }, "SELECT state, reason FROM sign_orders WHERE id = ?", id)
	switch {
	case err == nil && o.ID == "":
		err = qrgate.ErrNotFound
	case err == nil && o.State == Signed:
		err = i.s.Read(ctx, func(rows *sql.Rows) error {
			var b []byte
			err := rows.Scan(&b)
			answers = append(answers, b)
			return err
		}, "SELECT answer FROM sign_parts WHERE order_id = ? ORDER BY no", id)
	}
	if err != nil {
		return nil, o, fmt.Errorf("issuing: answers: %w", err)
	}
	return answers, o, nil
}

// Forget drops an order: its portal has the answer, or wants none any more.
func (i *Issuing) Forget(ctx context.Context, id string) error {
	err := i.s.Write(ctx, func(t store.Tx) error { return forget(t, "id = ?", id) })
	if err != nil {
		return fmt.Errorf("issuing: forget: %w", err)
	}
	return nil
}

func forget(t store.Tx, where string, args ...any) error {
	if _, err := t.Exec("DELETE FROM sign_parts WHERE order_id IN (SELECT id FROM sign_orders WHERE "+where+")", args...); err != nil {
		return err
	}
	_, err := t.Exec("DELETE FROM sign_orders WHERE "+where, args...)
	return err
}

// Sweep drops orders whose portal has not come for them.
func (i *Issuing) Sweep(ctx context.Context) error {
	old, any := i.now().Add(-keptFor).UnixMilli(), false
	err := i.s.Read(ctx, func(*sql.Rows) error { any = true; return nil }, "SELECT 1 FROM sign_orders WHERE made < ? LIMIT 1", old)
	if err == nil && any {
		err = i.s.Write(ctx, func(t store.Tx) error { return forget(t, "made < ?", old) })
	}
	if err != nil {
		return fmt.Errorf("issuing: sweep: %w", err)
	}
	return nil
}

// open finds the order that is to be gone on with: one that was granted before all
// others, then the one that has waited longest.
const open = "FROM sign_orders WHERE state IN (1, 2) ORDER BY state DESC, made, id LIMIT 1"

// Next returns an order that is granted and not yet signed, after it has decided about
// the oldest that waits; nil if there is nothing to do. One order is signed after
// another, also by several who hold the keys: no two are granted the same rest of a
// quota.
func (i *Issuing) Next(ctx context.Context, limits map[wire.Purpose]Limits) (o *Order, err error) {
	found := false
	err = i.s.Read(ctx, func(*sql.Rows) error { found = true; return nil }, "SELECT 1 "+open)
	for err == nil && found && o == nil {
		err = i.s.Write(ctx, func(t store.Tx) error {
			o, found = nil, false
			if err := t.Lock("sign_orders"); err != nil {
				return err
			}
			next := new(Order)
			err := t.Each(func(rows *sql.Rows) error {
				found = true
				return rows.Scan(&next.ID, &next.Purpose, &next.Object, &next.By, &next.Public, &next.Passes, &next.State)
			}, "SELECT id, purpose, object, made_by, public, passes, state "+open)
			if err != nil || !found {
				return err
			}
			if next.State == Waiting {
				if err := i.decide(t, next, limits[next.Purpose]); err != nil {
					return err
				}
			}
			if next.State == Granted {
				o = next
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("issuing: next: %w", err)
	}
	return o, nil
}

// decide grants or refuses an order.
func (i *Issuing) decide(t store.Tx, o *Order, l Limits) error {
	fresh, other := 0, false
	for no := 0; ; no++ {
		var body []byte
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&body) }, "SELECT body FROM sign_parts WHERE order_id = ? AND no = ?", o.ID, no)
		if err != nil {
			return err
		}
		if body == nil {
			break
		}
		passes, err := unpack(body)
		if err != nil {
			return err
		}
		news, another, err := i.news(t, o.Purpose, passes)
		if err != nil {
			return err
		}
		fresh, other = fresh+len(news), other || len(another) > 0
	}
	l, err := i.raised(t, o.Purpose, l)
	if err != nil {
		return err
	}
	used := 0
	err = t.Each(func(rows *sql.Rows) error { return rows.Scan(&used) }, "SELECT COUNT(*) FROM signed_passes WHERE purpose = ? AND day = ?", string(o.Purpose), i.today())
	if err != nil {
		return err
	}
	o.State = Granted
	switch {
	case other:
		o.State, o.Reason = Refused, Another
	case fresh > l.Batch:
		o.State, o.Reason = Refused, OverBatch
	case fresh > 0 && used+fresh > l.Day: // what was signed once may be printed whatever the quota is now
		o.State, o.Reason = Refused, OverDay
	}
	if _, err := t.Exec("UPDATE sign_orders SET state = ?, reason = ? WHERE id = ?", int64(o.State), o.Reason, o.ID); err != nil {
		return err
	}
	note := fmt.Sprintf("%s: %d of %d for the first time, %d of %d today", o.Purpose, fresh, o.Passes, used, l.Day)
	switch {
	case o.State == Refused:
		return t.Audit(o.By, "refuse to sign", o.Object, o.Reason+", "+note)
	case fresh == 0: // whoever prints again is in the audit for that
		return nil
	}
	return t.Audit(o.By, "sign", o.Object, note)
}

// news returns which passes were never signed, and the indices of cards that were with
// another content. An event may be moved to another day: its passes are signed anew.
func (i *Issuing) news(t store.Tx, purpose wire.Purpose, passes []pass.OwnCard) (fresh []pass.OwnCard, another []int, err error) {
	type key struct {
		number uint32
		issue  uint8
	}
	had := map[key]string{}
	args := []any{string(purpose)}
	for _, c := range passes {
		args = append(args, int64(c.Number))
	}
	err = t.Each(func(rows *sql.Rows) error {
		var k key
		var body []byte
		err := rows.Scan(&k.number, &k.issue, &body)
		had[k] = string(body)
		return err
	}, "SELECT number, issue, body FROM signed_passes WHERE purpose = ? AND number IN ("+marks(len(passes))+")", args...)
	for n, c := range passes {
		body, ok := had[key{c.Number, c.Issue}]
		switch {
		case c.Number == 0:
		case !ok:
			fresh = append(fresh, c)
		case purpose == wire.ForCard && body != string(pack(passes[n:n+1])):
			another = append(another, n)
		}
	}
	return fresh, another, err
}

func marks(n int) string { return "?" + strings.Repeat(", ?", n-1) }

// Sign has the next part of a granted order signed, and reports whether there may be
// more. sign gets those of its passes that stand in the register; for the others there
// is a zero pass. It may be called again for the same part.
func (i *Issuing) Sign(ctx context.Context, o *Order, sign func(no int, passes []pass.OwnCard) ([]byte, error)) (more bool, err error) {
	err = i.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("sign_orders"); err != nil {
			return err
		}
		no, body := -1, []byte(nil)
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&no, &body) },
			"SELECT no, body FROM sign_parts WHERE order_id = ? AND answer IS NULL ORDER BY no LIMIT 1", o.ID)
		if err != nil {
			return err
		}
		if more = no >= 0; !more {
			_, err := t.Exec("UPDATE sign_orders SET state = ? WHERE id = ? AND state = ?", int64(Signed), o.ID, int64(Granted))
			return err
		}
		passes, err := unpack(body)
		if err != nil {
			return err
		}
		if err := i.onlyGenuine(t, o.Purpose, passes); err != nil {
			return err
		}
		if err := i.note(t, o.Purpose, passes); err != nil {
			return err
		}
		answer, err := sign(no, passes)
		if err != nil {
			return err
		}
		_, err = t.Exec("UPDATE sign_parts SET answer = ? WHERE order_id = ? AND no = ?", answer, o.ID, no)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("issuing: sign: %w", err)
	}
	return more, nil
}

// note counts what is signed for the first time, and makes zero of what was signed with
// another content since the order was granted.
func (i *Issuing) note(t store.Tx, purpose wire.Purpose, passes []pass.OwnCard) error {
	fresh, another, err := i.news(t, purpose, passes)
	if err != nil {
		return err
	}
	for _, n := range another {
		passes[n] = pass.OwnCard{}
	}
	if len(fresh) == 0 {
		return nil
	}
	var values []any
	for n := range fresh {
		values = append(values, string(purpose), int64(fresh[n].Number), int64(fresh[n].Issue), pack(fresh[n:n+1]), i.today())
	}
	const row = "(?, ?, ?, ?, ?)"
	_, err = t.Exec("INSERT INTO signed_passes (purpose, number, issue, body, day) VALUES "+row+strings.Repeat(", "+row, len(fresh)-1)+
		" ON CONFLICT (purpose, number, issue) DO NOTHING", values...)
	return err
}

// Fail ends an order that can never be signed.
func (i *Issuing) Fail(ctx context.Context, id string) error {
	err := i.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("UPDATE sign_orders SET state = ?, reason = ? WHERE id = ?", int64(Refused), Hopeless, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("issuing: fail: %w", err)
	}
	return nil
}

// onlyGenuine makes zero of what does not stand in the register like that, or is void.
func (i *Issuing) onlyGenuine(t store.Tx, purpose wire.Purpose, passes []pass.OwnCard) error {
	args := make([]any, len(passes))
	for n, c := range passes {
		args[n] = int64(c.Number)
	}
	stands := map[pass.OwnCard]bool{}
	var err error
	switch purpose {
	case wire.ForCard:
		err = t.Each(func(rows *sql.Rows) error {
			var c pass.OwnCard
			err := rows.Scan(&c.Number, &c.Kind, &c.People, &c.Issue, &c.First, &c.Last)
			stands[c] = true
			return err
		}, "SELECT number, kind, people, issue, first, last FROM cards WHERE revoked IS NULL AND number IN ("+marks(len(passes))+")", args...)
	case wire.ForEvent:
		err = t.Each(func(rows *sql.Rows) error {
			c := pass.OwnCard{Kind: pass.Event}
			var starts, early, ends int64
			err := rows.Scan(&c.Number, &c.Issue, &c.Event, &starts, &early, &ends)
			c.First, c.Last = pass.DayOf(time.UnixMilli(starts-early)), pass.DayOf(time.UnixMilli(ends))
			stands[c] = true
			return err
		}, `SELECT g.number, g.issue, g.event, e.starts, e.early, e.ends FROM guests g JOIN events e ON e.no = g.event
			WHERE g.cancelled IS NULL AND e.cancelled IS NULL AND g.number IN (`+marks(len(passes))+")", args...)
	}
	for n, c := range passes {
		if !stands[c] {
			passes[n] = pass.OwnCard{}
		}
	}
	return err
}
