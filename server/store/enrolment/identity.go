package enrolment

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

const ofKiosk = "kiosk_no = (SELECT no FROM kiosks WHERE id = ? AND kind = 0)"

// identify makes sure that a kiosk has a row of its identity.
func identify(t store.Tx, kiosk string) error {
	_, err := t.Exec(`INSERT INTO kiosk_identities (kiosk_no, gate, lane, direction, replaces, revoked, revoked_by, wipe, wiped, cloned)
		SELECT no, '', 0, 0, '', 0, '', 0, 0, 0 FROM kiosks WHERE id = ? AND kind = 0 ON CONFLICT (kiosk_no) DO NOTHING`, kiosk)
	return err
}

// An Identity is what is known of a kiosk's identity.
type Identity struct {
	Kiosk qrgate.Kiosk
	Door  // empty but for the place if it was not enrolled through the portal

	Replaces   string // the kiosk whose gate it took over, or empty
	ReplacedBy string // the one that took over its gate, or empty
	Revoked    time.Time
	RevokedBy  string
	Wipe       bool      // to forget who it is when it next asks
	Wiped      time.Time // when it said that it does
	Cloned     time.Time // when two machines were last seen to use it; zero if none were
}

const identityQuery = `SELECT k.id, k.place, k.place_no, k.public, k.state, k.added,
		COALESCE(i.gate, ''), COALESCE(i.lane, 0), COALESCE(i.direction, 0), COALESCE(i.replaces, ''),
		COALESCE((SELECT MAX(o.id) FROM kiosk_identities r JOIN kiosks o ON o.no = r.kiosk_no WHERE r.replaces = k.id), ''),
		COALESCE(i.revoked, 0), COALESCE(i.revoked_by, ''), COALESCE(i.wipe, 0), COALESCE(i.wiped, 0), COALESCE(i.cloned, 0)
	FROM kiosks k LEFT JOIN kiosk_identities i ON i.kiosk_no = k.no WHERE k.kind = 0 AND `

func scanIdentity(rows *sql.Rows, i *Identity) error {
	err := rows.Scan(&i.Kiosk.ID, &i.Kiosk.Place, &i.Kiosk.PlaceNo, &i.Kiosk.Public, &i.Kiosk.State, (*store.Milli)(&i.Kiosk.Added),
		&i.Gate, &i.Lane, &i.Direction, &i.Replaces, &i.ReplacedBy, (*store.Milli)(&i.Revoked), &i.RevokedBy, &i.Wipe, (*store.Milli)(&i.Wiped), (*store.Milli)(&i.Cloned))
	i.Place, i.PlaceNo = i.Kiosk.Place, i.Kiosk.PlaceNo
	return err
}

// Identity returns that of a kiosk, or qrgate.ErrNotFound.
func (e *Enrolments) Identity(ctx context.Context, kiosk string) (*Identity, error) {
	var found *Identity
	err := e.s.Read(ctx, func(rows *sql.Rows) error { found = new(Identity); return scanIdentity(rows, found) }, identityQuery+"k.id = ?", kiosk)
	if err == nil && found == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("enrolment: identity %q: %w", kiosk, err)
	}
	return found, nil
}

func (e *Enrolments) identities(ctx context.Context, where string, args ...any) ([]*Identity, error) {
	var all []*Identity
	err := e.s.Read(ctx, func(rows *sql.Rows) error {
		i := new(Identity)
		all = append(all, i)
		return scanIdentity(rows, i)
	}, identityQuery+where+" ORDER BY k.no", args...)
	if err != nil {
		return nil, fmt.Errorf("enrolment: identities: %w", err)
	}
	return all, nil
}

// Identities returns those of all kiosks, the oldest first.
func (e *Enrolments) Identities(ctx context.Context) ([]*Identity, error) {
	return e.identities(ctx, "1 = 1")
}

// AtGate returns every kiosk that stands or stood at a gate, the oldest first.
func (e *Enrolments) AtGate(ctx context.Context, place uint32, gate string) ([]*Identity, error) {
	return e.identities(ctx, "k.place_no = ? AND i.gate = ?", int64(place), gate)
}

// Cloned returns the kiosks whose identity two machines were seen to use.
func (e *Enrolments) Cloned(ctx context.Context) ([]*Identity, error) {
	return e.identities(ctx, "i.cloned > 0 AND k.state = 1")
}

// Revoke ends the kiosks' right to connect, all or none, and with wipe says that each
// is to forget who it is. What is revoked already may still be wiped. An unknown one
// is qrgate.ErrNotFound. Once Revoke has returned nil, the marks know of it too.
func (e *Enrolments) Revoke(ctx context.Context, by string, wipe bool, kiosks ...string) error {
	err := e.s.Write(ctx, func(t store.Tx) error {
		for _, id := range kiosks {
			if err := revoke(t, by, id, wipe, e.now()); err != nil {
				return fmt.Errorf("kiosk %q: %w", id, err)
			}
		}
		return nil
	})
	if err == nil {
		err = e.remember(ctx, kiosks)
	}
	if err != nil {
		return fmt.Errorf("enrolment: revoke: %w", err)
	}
	return nil
}

func revoke(t store.Tx, by, kiosk string, wipe bool, now time.Time) error {
	n, err := t.Exec("UPDATE kiosks SET state = ?, version = version + 1 WHERE id = ? AND kind = 0", int64(qrgate.KioskRevoked), kiosk)
	if err != nil {
		return err
	}
	if n == 0 {
		return qrgate.ErrNotFound
	}
	if err := identify(t, kiosk); err != nil {
		return err
	}
	if _, err := t.Exec("UPDATE kiosk_identities SET revoked = ?, revoked_by = ? WHERE "+ofKiosk, now.UnixMilli(), by, kiosk); err != nil {
		return err
	}
	action := "revoke kiosk"
	if wipe {
		action = "revoke kiosk and wipe"
		if _, err := t.Exec("UPDATE kiosk_identities SET wipe = 1 WHERE "+ofKiosk, kiosk); err != nil {
			return err
		}
	}
	return t.Audit(by, action, kiosk, "")
}

// reinstated is the action of audit rows by which Keep knows that a mark is no longer true.
const reinstated = "reinstate kiosk"

// Reinstate gives a kiosk that was revoked by mistake its right back. The error is
// qrgate.ErrConflict for one that is not revoked, was replaced, or has been told to
// forget who it is: that one is enrolled again by a new code.
func (e *Enrolments) Reinstate(ctx context.Context, by, kiosk string) error {
	var public []byte
	err := e.s.Write(ctx, func(t store.Tx) error {
		if err := identify(t, kiosk); err != nil {
			return err
		}
		found := false
		err := t.Each(func(r *sql.Rows) error { found = true; return r.Scan(&public) }, "SELECT public FROM kiosks WHERE id = ? AND kind = 0", kiosk)
		if err != nil || !found {
			return orNotFound(err)
		}
		n, err := t.Exec(`UPDATE kiosks SET state = ?, version = version + 1 WHERE id = ? AND kind = 0 AND state = ?
			AND no NOT IN (SELECT kiosk_no FROM kiosk_identities WHERE wiped > 0)
			AND NOT EXISTS (SELECT 1 FROM kiosk_identities r JOIN kiosks o ON o.no = r.kiosk_no WHERE r.replaces = kiosks.id AND o.state = 1)`,
			int64(qrgate.KioskActive), kiosk, int64(qrgate.KioskRevoked))
		if err != nil {
			return err
		}
		if n == 0 {
			return qrgate.ErrConflict
		}
		if _, err := t.Exec("UPDATE kiosk_identities SET revoked = 0, revoked_by = '', wipe = 0, cloned = 0 WHERE "+ofKiosk, kiosk); err != nil {
			return err
		}
		return t.Audit(by, reinstated, kiosk, "")
	})
	if err == nil && e.Marks != "" {
		err = e.forget(Mark{Kiosk: kiosk, Public: public})
	}
	if err != nil {
		return fmt.Errorf("enrolment: reinstate %q: %w", kiosk, err)
	}
	return nil
}

func orNotFound(err error) error {
	if err != nil {
		return err
	}
	return qrgate.ErrNotFound
}

// Wiped says that a kiosk has been told to forget who it is, and does.
func (e *Enrolments) Wiped(ctx context.Context, kiosk string) error {
	err := e.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE kiosk_identities SET wiped = ? WHERE wiped = 0 AND wipe = 1 AND "+ofKiosk, e.now().UnixMilli(), kiosk)
		if err != nil || n == 0 {
			return err
		}
		return t.Audit("", "kiosk wiped", kiosk, "")
	})
	if err != nil {
		return fmt.Errorf("enrolment: wiped %q: %w", kiosk, err)
	}
	return nil
}

// SawClone says that two machines use a kiosk's identity; Settle that somebody has
// looked into it.
func (e *Enrolments) SawClone(ctx context.Context, kiosk string) error {
	err := e.s.Write(ctx, func(t store.Tx) error {
		if err := identify(t, kiosk); err != nil {
			return err
		}
		now := e.now()
		n, err := t.Exec("UPDATE kiosk_identities SET cloned = ? WHERE cloned = 0 AND "+ofKiosk, now.UnixMilli(), kiosk)
		if err != nil {
			return err
		}
		if n > 0 { // once until it is settled
			return t.Audit("", "two machines use one identity", kiosk, "")
		}
		_, err = t.Exec("UPDATE kiosk_identities SET cloned = ? WHERE "+ofKiosk, now.UnixMilli(), kiosk)
		return err
	})
	if err != nil {
		return fmt.Errorf("enrolment: clone of %q: %w", kiosk, err)
	}
	return nil
}

// Settle ends what SawClone began.
func (e *Enrolments) Settle(ctx context.Context, by, kiosk string) error {
	err := e.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE kiosk_identities SET cloned = 0 WHERE cloned > 0 AND "+ofKiosk, kiosk)
		if err != nil {
			return err
		}
		if n == 0 {
			return qrgate.ErrConflict
		}
		return t.Audit(by, "settle cloned identity", kiosk, "")
	})
	if err != nil {
		return fmt.Errorf("enrolment: settle %q: %w", kiosk, err)
	}
	return nil
}
