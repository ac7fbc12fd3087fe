// Package enrolment keeps the codes that new kiosks are enrolled by, and what is known
// of each kiosk's identity: its gate, whose gate it took over, whether it was revoked,
// is to be wiped, or is used by two machines. It is a room of package store, whose
// transactions it uses.
//
//	err := e.Offer(ctx, by, offer)                 // the portal shows a code
//	offer, err := e.Ask(ctx, hash, key, words, "") // a kiosk has read it
//	offer, err = e.Decide(ctx, by, id, words, true)
//
// The promise: a code makes at most one kiosk, of the key that asked first, and only
// after somebody has agreed to the words of that key. Whoever asks second with another
// key ends the code. Each step has its audit row in the same transaction. And who was
// revoked stays so when an older backup is restored, if a folder of marks outside of
// the database is named, and [Enrolments.Keep] is called before anybody is listened to.
package enrolment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/sync/wire"
)

// Enrolments is the room. It is safe for concurrent use, also by several servers.
type Enrolments struct {
	Marks string // folder that remembers, outside of the database, who is revoked; empty means none

	s   *store.Store
	now func() time.Time
}

// New returns the enrolments in s.
func New(s *store.Store, now func() time.Time) *Enrolments { return &Enrolments{s: s, now: now} }

// A State is where a code stands. The numbers stand in the database.
type State uint8

// The states of a code.
const (
	Offered   State = 1 // shown, not yet read
	Asked     State = 2 // read by a kiosk: somebody has to compare the words
	Granted   State = 3
	Refused   State = 4
	Contested State = 5 // two keys have asked: whoever was the second, the code is worth nothing
)

// A Door is where a kiosk stands.
type Door struct {
	PlaceNo   uint32
	Place     string
	Gate      string
	Lane      uint8
	Direction wire.Direction
}

// An Offer is a code that was shown.
type Offer struct {
	ID   string
	Hash [32]byte // of the token
	Door
	Replaces string // id of the kiosk whose gate it takes over, or empty
	Kiosk    string // the id that it gets

	State     State
	Tries     int    // by other keys
	Public    []byte // that asked
	Words     string // of that key
	Model     string // of the machine that asked, as it says
	MadeBy    string // account
	Made      time.Time
	Until     time.Time
	Asked     time.Time
	DecidedBy string
	Decided   time.Time
	Collected time.Time // when the kiosk had its certificate; zero if it has not
}

// Open reports whether the code is still worth something.
func (o *Offer) Open(now time.Time) bool {
	return (o.State == Offered || o.State == Asked) && now.Before(o.Until)
}

const columns = `id, hash, kiosk, place_no, place, gate, lane, direction, replaces, state, tries, public, words, model, made_by, made, until, asked, decided_by, decided, collected`

func scan(rows *sql.Rows, o *Offer) error {
	var hash []byte
	err := rows.Scan(&o.ID, &hash, &o.Kiosk, &o.PlaceNo, &o.Place, &o.Gate, &o.Lane, &o.Direction, &o.Replaces, &o.State, &o.Tries, &o.Public, &o.Words, &o.Model,
		&o.MadeBy, (*store.Milli)(&o.Made), (*store.Milli)(&o.Until), (*store.Milli)(&o.Asked), &o.DecidedBy, (*store.Milli)(&o.Decided), (*store.Milli)(&o.Collected))
	copy(o.Hash[:], hash)
	return err
}

// keepUnread is how long a code that nobody has read stays in the database.
const keepUnread = 24 * time.Hour

// Offer keeps a new code. If it takes over a gate, that kiosk must be one of the place,
// else the error is qrgate.ErrInvalid.
func (e *Enrolments) Offer(ctx context.Context, by string, o *Offer) error {
	o.State, o.MadeBy, o.Made = Offered, by, e.now()
	if !wire.ValidKiosk(o.Kiosk) || o.Place == "" || o.Gate == "" || len(o.Gate) > 16 || o.Direction != wire.In && o.Direction != wire.Out {
		return fmt.Errorf("enrolment: offer: %w", qrgate.ErrInvalid)
	}
	err := e.s.Write(ctx, func(t store.Tx) error {
		if err := open(t); err != nil {
			return err
		}
		if o.Replaces != "" {
			found := false
			err := t.Each(func(*sql.Rows) error { found = true; return nil },
				"SELECT no FROM kiosks WHERE id = ? AND kind = 0 AND place_no = ?", o.Replaces, int64(o.PlaceNo))
			if err != nil || !found {
				return errors.Join(err, qrgate.ErrInvalid)
			}
		}
		if _, err := t.Exec("DELETE FROM enrolments WHERE state = 1 AND until < ?", o.Made.Add(-keepUnread).UnixMilli()); err != nil {
			return err
		}
		_, err := t.Exec(`INSERT INTO enrolments (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, NULL, '', '', ?, ?, ?, 0, '', 0, 0)`,
			o.ID, o.Hash[:], o.Kiosk, int64(o.PlaceNo), o.Place, o.Gate, int64(o.Lane), int64(o.Direction), o.Replaces, by, o.Made.UnixMilli(), o.Until.UnixMilli())
		if err != nil {
			return err
		}
		return t.Audit(by, "offer enrolment", o.Kiosk, "")
	})
	if err != nil {
		return fmt.Errorf("enrolment: offer: %w", err)
	}
	return nil
}

// Offered returns a code by its id, or qrgate.ErrNotFound.
func (e *Enrolments) Offered(ctx context.Context, id string) (*Offer, error) {
	var o *Offer
	err := e.s.Read(ctx, func(rows *sql.Rows) error { o = new(Offer); return scan(rows, o) }, "SELECT "+columns+" FROM enrolments WHERE id = ?", id)
	if err == nil && o == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("enrolment: offer %q: %w", id, err)
	}
	return o, nil
}

// Waiting returns the codes that can still be used, the newest first.
func (e *Enrolments) Waiting(ctx context.Context) ([]*Offer, error) {
	var all []*Offer
	err := e.s.Read(ctx, func(rows *sql.Rows) error {
		o := new(Offer)
		all = append(all, o)
		return scan(rows, o)
	}, "SELECT "+columns+" FROM enrolments WHERE state IN (1, 2) AND until > ? ORDER BY made DESC", e.now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("enrolment: waiting: %w", err)
	}
	return all, nil
}

// one reads the row that a condition names within a transaction.
func one(t store.Tx, where string, args ...any) (*Offer, error) {
	var o *Offer
	err := t.Each(func(rows *sql.Rows) error { o = new(Offer); return scan(rows, o) }, "SELECT "+columns+" FROM enrolments WHERE "+where, args...)
	if err == nil && o == nil {
		err = qrgate.ErrNotFound
	}
	return o, err
}

// Ask says that a key asks with the token of a hash. The same key may ask again. The
// error is qrgate.ErrNotFound for a token that is unknown or whose time is over, and
// qrgate.ErrConflict if another key has asked before: that ends a code that is not yet
// decided.
func (e *Enrolments) Ask(ctx context.Context, hash [32]byte, public []byte, words, model string) (*Offer, error) {
	var o *Offer
	contested := false
	err := e.s.Write(ctx, func(t store.Tx) (err error) {
		contested = false
		if err := t.Lock("enrolments"); err != nil {
			return err
		}
		if err := open(t); err != nil {
			return err
		}
		if o, err = one(t, "hash = ?", hash[:]); err != nil {
			return err
		}
		now := e.now()
		switch same := string(o.Public) == string(public); {
		case o.State == Offered && o.Open(now):
			o.State, o.Public, o.Words, o.Model, o.Asked = Asked, public, words, model, now
			if _, err := t.Exec("UPDATE enrolments SET state = 2, public = ?, words = ?, model = ?, asked = ? WHERE id = ?",
				public, words, model, now.UnixMilli(), o.ID); err != nil {
				return err
			}
			return t.Audit("", "kiosk asks for enrolment", o.Kiosk, "")
		case o.Public != nil && !same:
			contested = true
			if o.State == Asked {
				o.State = Contested
			}
			o.Tries++
			if _, err := t.Exec("UPDATE enrolments SET state = ?, tries = ? WHERE id = ?", int64(o.State), int64(o.Tries), o.ID); err != nil {
				return err
			}
			if o.Tries > 1 {
				return nil // whoever goes on trying fills no log
			}
			return t.Audit("", "second key asks with one enrolment code", o.Kiosk, "")
		case o.State == Granted && o.Collected.IsZero() && now.After(o.Until.Add(keepUnread)):
			return qrgate.ErrNotFound
		case (o.State == Offered || o.State == Asked) && !o.Open(now):
			return qrgate.ErrNotFound
		}
		return nil
	})
	if err == nil && contested {
		err = qrgate.ErrConflict
	}
	if err != nil {
		return nil, fmt.Errorf("enrolment: ask: %w", err)
	}
	return o, nil
}

// Decide says whether the words were the same. What is agreed to is a key: words must
// be those that the code has, or the error is qrgate.ErrConflict, as it is for a code
// that cannot be decided any more. With a grant the kiosk's row is there, and that of
// the one that it replaces is revoked; Keep marks that one.
func (e *Enrolments) Decide(ctx context.Context, by, id, words string, grant bool) (*Offer, error) {
	var o *Offer
	err := e.s.Write(ctx, func(t store.Tx) (err error) {
		if err := t.Lock("enrolments"); err != nil {
			return err
		}
		if o, err = one(t, "id = ?", id); err != nil {
			return err
		}
		now := e.now()
		if !grant && o.Open(now) {
			o.State = Refused
		} else if o.State != Asked || !o.Open(now) || o.Words != words {
			return qrgate.ErrConflict
		} else if err := open(t); err != nil {
			return err
		} else {
			o.State = Granted
		}
		o.DecidedBy, o.Decided = by, now
		if _, err := t.Exec("UPDATE enrolments SET state = ?, decided_by = ?, decided = ? WHERE id = ?", int64(o.State), by, now.UnixMilli(), id); err != nil {
			return err
		}
		if !grant {
			return t.Audit(by, "refuse enrolment", o.Kiosk, "")
		}
		return e.grant(t, by, o)
	})
	if err != nil {
		return nil, fmt.Errorf("enrolment: decide: %w", err)
	}
	return o, nil
}

func (e *Enrolments) grant(t store.Tx, by string, o *Offer) error {
	err := t.AddKiosk(qrgate.Kiosk{ID: o.Kiosk, Place: o.Place, PlaceNo: o.PlaceNo, Public: o.Public, State: qrgate.KioskActive, Added: o.Decided})
	if err != nil {
		return err
	}
	if err := identify(t, o.Kiosk); err != nil {
		return err
	}
	_, err = t.Exec("UPDATE kiosk_identities SET gate = ?, lane = ?, direction = ?, replaces = ? WHERE "+ofKiosk,
		o.Gate, int64(o.Lane), int64(o.Direction), o.Replaces, o.Kiosk)
	if err != nil {
		return err
	}
	if o.Replaces != "" {
		if err := revoke(t, by, o.Replaces, false, e.now()); err != nil {
			return err
		}
	}
	// Where it stands is what its configuration begins with.
	door := configs.Door{Kiosk: o.Kiosk, Gate: o.Gate, Lane: o.Lane, Direction: o.Direction, Replaces: o.Replaces}
	if err := configs.Begin(t, e.now(), door, by); err != nil {
		return err
	}
	return t.Audit(by, "enrol kiosk", o.Kiosk, o.Replaces)
}

// Collected says that a kiosk has had its certificate.
func (e *Enrolments) Collected(ctx context.Context, id string) error {
	err := e.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("UPDATE enrolments SET collected = ? WHERE id = ? AND collected = 0", e.now().UnixMilli(), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("enrolment: collected: %w", err)
	}
	return nil
}
