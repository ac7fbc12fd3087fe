package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// audit writes down what a command at the server did, in the transaction that
// does it.
func (t *tx) audit(action, object string) error { return t.auditBy("", action, object, "") }

// auditBy is audit for what an account did.
func (t *tx) auditBy(actor, action, object, note string) error {
	return t.auditAll(actor, action, []string{object}, note)
}

var saveAudits = insertOf("audit", "id, at, action, object, actor, note", "")

func (t *tx) auditAll(actor, action string, objects []string, note string) error {
	at := t.s.now().UnixMilli()
	values := make([]any, 0, len(objects)*saveAudits.width)
	for _, object := range objects {
		id := make([]byte, 16)
		rand.Read(id)
		values = append(values, id, at, action, object, actor, note)
	}
	_, err := t.run(saveAudits, values, nil)
	return err
}

// AddKiosk adds a kiosk. The error is qrgate.ErrConflict if its id is taken and
// qrgate.ErrInvalid if k can be no kiosk.
func (s *Store) AddKiosk(ctx context.Context, k qrgate.Kiosk) error {
	return s.AddKiosks(ctx, []qrgate.Kiosk{k})
}

// AddKiosks adds several kiosks, or none of them.
func (s *Store) AddKiosks(ctx context.Context, all []qrgate.Kiosk) error {
	at := ""
	err := s.write(ctx, func(t *tx) error {
		for _, k := range all {
			at = k.ID
			if !wire.ValidKiosk(k.ID) || !validPlace(k.Place) || len(k.Public) != 32 || k.State != qrgate.KioskActive {
				return qrgate.ErrInvalid
			}
			if err := t.addSource(k, kindKiosk); err != nil {
				return err
			}
			if err := t.audit("add kiosk", k.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: add kiosk %q: %w", at, err)
	}
	return nil
}

// AddKiosk is [Store.AddKiosk] within a transaction that does more, and says so in an
// audit row of its own.
func (t Tx) AddKiosk(k qrgate.Kiosk) error {
	if !wire.ValidKiosk(k.ID) || !validPlace(k.Place) || len(k.Public) != 32 || k.State != qrgate.KioskActive {
		return fmt.Errorf("store: add kiosk %q: %w", k.ID, qrgate.ErrInvalid)
	}
	return t.t.addSource(k, kindKiosk)
}

// What a row of kiosks stands for. The numbers stand in the database.
const (
	kindKiosk  = 0
	kindPhones = 1
)

// addSource adds a row of kiosks, or returns qrgate.ErrConflict if its id is
// taken.
func (t *tx) addSource(k qrgate.Kiosk, kind int64) error {
	// Two who add at the same moment take the same number: the lock makes one
	// wait.
	if t.s.dialect == postgres {
		if _, err := t.exec("LOCK TABLE kiosks IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
	}
	n, err := t.exec(`INSERT INTO kiosks (no, id, place, place_no, public, state, added, kind)
		SELECT COALESCE(MAX(no), 0) + 1, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), `+t.s.dialect.blob()+`,
			CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT) FROM kiosks WHERE true
		ON CONFLICT (id) DO NOTHING`, k.ID, k.Place, int64(k.PlaceNo), k.Public, int64(k.State), k.Added.UnixMilli(), kind)
	if err == nil && n == 0 {
		err = qrgate.ErrConflict
	}
	return err
}

// MoveKiosk says that a kiosk stands at another place from now on. What it
// delivered before stays where it was. An unknown kiosk is qrgate.ErrNotFound.
func (s *Store) MoveKiosk(ctx context.Context, id string, to Where) error {
	if !validPlace(to.Name) {
		return fmt.Errorf("store: move kiosk %q: place: %w", id, qrgate.ErrInvalid)
	}
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE kiosks SET place = ?, place_no = ?, version = version + 1 WHERE id = ? AND kind = 0", to.Name, int64(to.No), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return qrgate.ErrNotFound
		}
		return t.audit("move kiosk", id)
	})
	if err != nil {
		return fmt.Errorf("store: move kiosk %q: %w", id, err)
	}
	return nil
}

// validPlace reports whether both engines and a backup can hold a place's name.
func validPlace(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.Contains(name, "\x00")
}

// blob returns a placeholder whose type a SELECT list does not tell.
func (d dialect) blob() string {
	if d == postgres {
		return "CAST(? AS BYTEA)"
	}
	return "?"
}

// Kiosk returns one kiosk, or qrgate.ErrNotFound.
func (s *Store) Kiosk(ctx context.Context, id string) (qrgate.Kiosk, error) {
	var k qrgate.Kiosk
	var added int64
	err := s.read.QueryRowContext(ctx, s.bind("SELECT id, place, place_no, public, state, added FROM kiosks WHERE id = ? AND kind = 0"), id).
		Scan(&k.ID, &k.Place, &k.PlaceNo, &k.Public, &k.State, &added)
	if errors.Is(err, sql.ErrNoRows) {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return k, fmt.Errorf("store: kiosk %q: %w", id, err)
	}
	k.Added = time.UnixMilli(added)
	return k, nil
}

// RevokeKiosk ends a kiosk's right to deliver. Revoking it again changes
// nothing; an unknown kiosk is qrgate.ErrNotFound.
func (s *Store) RevokeKiosk(ctx context.Context, id string) error {
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE kiosks SET state = ?, version = version + 1 WHERE id = ? AND kind = 0", int64(qrgate.KioskRevoked), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return qrgate.ErrNotFound
		}
		return t.audit("revoke kiosk", id)
	})
	if err != nil {
		return fmt.Errorf("store: revoke kiosk %q: %w", id, err)
	}
	return nil
}

// A KioskStatus is a kiosk with what is known of it now.
type KioskStatus struct {
	qrgate.Kiosk
	Up       bool       // by its status message or last will
	Changed  time.Time  // when Up last changed; zero if never heard of
	Contact  time.Time  // of the last beat; zero if there was none
	Beat     *wire.Beat // the last one, nil if there was none
	Checkins int64      // rows it has delivered, of all epochs
	Late     int64      // check-ins that came after the end of retention and were dropped
	Received time.Time  // of the last batch; zero if there was none
	Revoked  time.Time  // zero if it was not, or nobody wrote down when
}

// Kiosks returns all kiosks in the order in which they were added.
func (s *Store) Kiosks(ctx context.Context) ([]KioskStatus, error) {
	var all []KioskStatus
	err := s.each(ctx, func(r *sql.Rows) error {
		var k KioskStatus
		var added, changed, contact, received, revoked int64
		var beat []byte
		err := r.Scan(&k.ID, &k.Place, &k.PlaceNo, &k.Public, &k.State, &added,
			&k.Up, &changed, &contact, &beat, &k.Checkins, &k.Late, &received, &revoked)
		if err != nil {
			return err
		}
		k.Added, k.Changed, k.Contact, k.Received, k.Revoked = milli(added), milli(changed), milli(contact), milli(received), milli(revoked)
		if beat != nil {
			k.Beat = new(wire.Beat)
			if err := wire.Decode(beat, k.Beat); err != nil {
				return err
			}
		}
		all = append(all, k)
		return nil
	}, `SELECT k.id, k.place, k.place_no, k.public, k.state, k.added,
			COALESCE(p.up, 0), COALESCE(p.since, 0), COALESCE(p.contact, 0), p.beat,
			CAST(COALESCE(SUM(e.checkins), 0) AS BIGINT), CAST(COALESCE(SUM(e.late), 0) AS BIGINT), COALESCE(MAX(e.received), 0),
			COALESCE((SELECT i.revoked FROM kiosk_identities i WHERE i.kiosk_no = k.no), 0)
		FROM kiosks k LEFT JOIN presences p ON p.kiosk_no = k.no LEFT JOIN epochs e ON e.kiosk_no = k.no
		WHERE k.kind = 0
		GROUP BY k.no, k.id, k.place, k.place_no, k.public, k.state, k.added, p.kiosk_no, p.up, p.since, p.contact, p.beat
		ORDER BY k.no`)
	if err != nil {
		return nil, fmt.Errorf("store: kiosks: %w", err)
	}
	return all, nil
}

// milli returns a time of Unix milliseconds, of which 0 stands for none.
func milli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// A Presence is a kiosk's last sign of life. Zero fields are not news.
type Presence struct {
	Kiosk   string
	Online  *wire.Online // status message or last will
	Changed time.Time    // when Online arrived
	Beat    *wire.Beat
	Contact time.Time // when Beat arrived
}

// SavePresences stores signs of life, at most one a kiosk. The status of a
// session older than the stored one changes nothing: it is the late will of a
// connection that the kiosk has long replaced. Unknown kiosks are skipped.
func (s *Store) SavePresences(ctx context.Context, ps []Presence) error {
	err := s.write(ctx, func(t *tx) error {
		for _, p := range ps {
			if err := t.savePresence(p); err != nil {
				return fmt.Errorf("kiosk %q: %w", p.Kiosk, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: save presences: %w", err)
	}
	return nil
}

// maxBeat is far more than the beat of a kiosk with many scanners. What is over
// it would make the row too long for a backup.
const maxBeat = 16 << 10

func (t *tx) savePresence(p Presence) error {
	_, err := t.exec(`INSERT INTO presences (kiosk_no, up, session, since, contact)
		SELECT no, 0, 0, 0, 0 FROM kiosks WHERE id = ? ON CONFLICT (kiosk_no) DO NOTHING`, p.Kiosk)
	if err != nil {
		return err
	}
	const kiosk = "kiosk_no = (SELECT no FROM kiosks WHERE id = ?)"
	if o := p.Online; o != nil {
		up := int64(0)
		if o.Up {
			up = 1
		}
		_, err = t.exec(`UPDATE presences SET since = CASE WHEN up = ? AND since > 0 THEN since ELSE ? END, up = ?, session = ?
			WHERE session <= ? AND `+kiosk, up, p.Changed.UnixMilli(), up, int64(o.Session), int64(o.Session), p.Kiosk)
		if err != nil {
			return err
		}
	}
	if p.Beat != nil {
		beat := wire.Encode(p.Beat)
		if len(beat) > maxBeat {
			beat = nil
		}
		_, err = t.exec("UPDATE presences SET contact = ?, beat = ? WHERE contact <= ? AND "+kiosk,
			p.Contact.UnixMilli(), beat, p.Contact.UnixMilli(), p.Kiosk)
	}
	return err
}

// ActiveKiosks returns the ids of the kiosks that may deliver.
func (s *Store) ActiveKiosks(ctx context.Context) ([]string, error) {
	return s.kiosksIn(ctx, qrgate.KioskActive)
}

// RevokedKiosks returns the ids of the kiosks that may not.
func (s *Store) RevokedKiosks(ctx context.Context) ([]string, error) {
	return s.kiosksIn(ctx, qrgate.KioskRevoked)
}

func (s *Store) kiosksIn(ctx context.Context, state qrgate.KioskState) ([]string, error) {
	var all []string
	err := s.each(ctx, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		all = append(all, id)
		return err
	}, "SELECT id FROM kiosks WHERE kind = 0 AND state = ? ORDER BY no", int64(state))
	if err != nil {
		return nil, fmt.Errorf("store: kiosks %s: %w", state, err)
	}
	return all, nil
}

// GateNames returns the name of each kiosk's gate, by the kiosk's id: the newest under
// which it has delivered where it stands now.
func (s *Store) GateNames(ctx context.Context) (map[string]string, error) {
	names := map[string]string{}
	err := s.each(ctx, func(r *sql.Rows) error {
		var id, gate string
		err := r.Scan(&id, &gate)
		names[id] = gate
		return err
	}, `SELECT k.id, g.gate FROM gates g JOIN kiosks k ON k.no = g.kiosk_no AND k.place_no = g.place_no
		WHERE k.kind = 0 AND (k.place_no > 0 OR k.place = g.place) ORDER BY g.no`)
	if err != nil {
		return nil, fmt.Errorf("store: names of gates: %w", err)
	}
	return names, nil
}
