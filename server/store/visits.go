package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// phonesName is what a server may be called.
var phonesName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

const phonesPrefix = "phones@"

// IsPhones reports whether an id is one that Phones returns, and no kiosk's.
func IsPhones(id string) bool { return strings.HasPrefix(id, phonesPrefix) }

// Phones returns the id under which the check-ins by phone of the named server
// are stored, as a kiosk's are under its own. It is no id that a kiosk can have,
// so nothing connects by that name or sends a batch under it; lists of kiosks
// leave it out. Each server has its own, so that none waits for another; two
// processes of one name are safe and slower.
func (s *Store) Phones(ctx context.Context, server string) (id string, err error) {
	if !phonesName.MatchString(server) {
		return "", fmt.Errorf("store: phones of server %q: %w", server, qrgate.ErrInvalid)
	}
	id = phonesPrefix + server
	found := false
	err = s.each(ctx, func(*sql.Rows) error { found = true; return nil }, "SELECT 1 FROM kiosks WHERE id = ?", id)
	if err == nil && !found {
		err = s.write(ctx, func(t *tx) error {
			err := t.addSource(qrgate.Kiosk{ID: id, Public: []byte{}, State: qrgate.KioskActive, Added: s.now()}, kindPhones)
			if errors.Is(err, qrgate.ErrConflict) { // another process was first
				return nil
			}
			return err
		})
	}
	if err != nil {
		return "", fmt.Errorf("store: phones of server %q: %w", server, err)
	}
	return id, nil
}

// PhoneCheckins returns how many check-ins by phone are stored, of all servers.
func (s *Store) PhoneCheckins(ctx context.Context) (n int64, err error) {
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&n) },
		"SELECT CAST(COALESCE(SUM(e.checkins), 0) AS BIGINT) FROM kiosks k JOIN epochs e ON e.kiosk_no = k.no WHERE k.kind = 1")
	if err != nil {
		return 0, fmt.Errorf("store: check-ins by phone: %w", err)
	}
	return n, nil
}

// A VisitKey stands for one visit by phone, however often it is sent.
type VisitKey [16]byte

// An Answer is what a visit by phone was answered. It names nobody.
type Answer struct {
	Place     uint32
	Direction wire.Direction
	People    int
	Happened  int64 // Unix milliseconds, between the next two
	Earliest  int64
	Latest    int64
	Received  int64
	Body      string // what tells another visit from the same one, or empty
}

// An answered is the answer to a key, if it has one.
type answered struct {
	Answer
	known bool
	fresh bool // of this intake
}

var findAnswers = inOf("SELECT key, place_no, direction, people, happened, earliest, latest, received, body FROM visits WHERE key", "")

// ExpectVisits reads at once what was answered to these keys. It comes before
// Answered and Answer.
func (t *Intake) ExpectVisits(keys []VisitKey) error {
	var values []any
	for i := range keys {
		if t.answers[keys[i]] == nil {
			t.answers[keys[i]] = &answered{}
			values = append(values, keys[i][:])
		}
	}
	_, err := t.run(findAnswers, values, func(r *sql.Rows) error {
		var key, body []byte
		a := answered{known: true}
		if err := r.Scan(&key, &a.Place, &a.Direction, &a.People, &a.Happened, &a.Earliest, &a.Latest, &a.Received, &body); err != nil {
			return err
		}
		a.Body = string(body)
		if len(key) != len(VisitKey{}) {
			return fmt.Errorf("a key of %d bytes", len(key))
		}
		t.answers[VisitKey(key)] = &a
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: visits: %w", err)
	}
	return nil
}

// Answered returns what was answered to a key, if anything was.
func (t *Intake) Answered(k VisitKey) (Answer, bool) {
	a := t.answers[k]
	return a.Answer, a.known
}

// Answer keeps the answer to a key that had none.
func (t *Intake) Answer(k VisitKey, a Answer) {
	t.answers[k] = &answered{a, true, true}
}

var saveVisits = insertOf("visits", "key, place_no, direction, people, happened, earliest, latest, received, body", "ON CONFLICT (key) DO NOTHING")

// saveAnswers writes the new answers. If another server was first with one of
// them, the whole intake must be done again.
func (t *Intake) saveAnswers() error {
	var fresh []VisitKey
	for k, a := range t.answers {
		if a.fresh {
			fresh = append(fresh, k)
		}
	}
	// In one order, so that two servers do not wait for each other.
	slices.SortFunc(fresh, func(a, b VisitKey) int { return bytes.Compare(a[:], b[:]) })
	var values []any
	for _, k := range fresh {
		a := t.answers[k]
		values = append(values, k[:], int64(a.Place), int64(a.Direction), int64(a.People), a.Happened, a.Earliest, a.Latest, a.Received, []byte(a.Body))
	}
	n, err := t.run(saveVisits, values, nil)
	if err == nil && n < int64(len(fresh)) {
		err = errAgain
	}
	if err != nil {
		return fmt.Errorf("visits: %w", err)
	}
	return nil
}

// forgetStep is how many answers one transaction forgets: an intake waits for no
// more.
const forgetStep = 1000

// ForgetVisits forgets some of what was answered before the given time, and
// reports whether there may be more.
func (s *Store) ForgetVisits(ctx context.Context, before time.Time) (more bool, err error) {
	found := false
	err = s.each(ctx, func(*sql.Rows) error { found = true; return nil }, "SELECT 1 FROM visits WHERE received < ? LIMIT 1", before.UnixMilli())
	if err == nil && found {
		err = s.transact(ctx, lazily, func(t *tx) error {
			n, err := t.exec("DELETE FROM visits WHERE key IN (SELECT key FROM visits WHERE received < ? ORDER BY received LIMIT ?)",
				before.UnixMilli(), forgetStep)
			more = n == forgetStep
			return err
		})
	}
	if err != nil {
		return false, fmt.Errorf("store: forget visits: %w", err)
	}
	return more, nil
}
