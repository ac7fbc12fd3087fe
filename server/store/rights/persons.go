package rights

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// personRows says what else is erased of a person, table by table and in this
// order, before what the store holds of them. Every argument is the person.
var personRows = []struct{ table, query string }{
	// Kiosks learn that the passes are void.
	{"", "UPDATE events SET bundle = bundle + 1 WHERE no IN (SELECT event FROM guests WHERE person = ?)"},
	{"guests", "DELETE FROM guests WHERE person = ?"},
	{"", "UPDATE cards SET holder = NULL WHERE holder IN (SELECT id FROM holders WHERE person = ?)"},
	{"holders", "DELETE FROM holders WHERE person = ?"},
	{"merges", "DELETE FROM merges WHERE person = ?"},
	{"merges", "DELETE FROM merges WHERE same_as = ?"},
	{"restraints", "DELETE FROM restraints WHERE person = ?"},
}

// BeginErasure notes that persons are being erased, all of them or none, so that it
// goes on wherever it was broken off, and after a backup has brought them back.
func (r *Rights) BeginErasure(ctx context.Context, persons ...qrgate.Person) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		for _, p := range persons {
			_, err := t.Exec("INSERT INTO erasures (person, at, proof) VALUES (?, ?, ?) ON CONFLICT (person) DO NOTHING", int64(p), r.now().UnixMilli(), []byte{})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("begin erasure", err)
}

// An Erasing is what of a person is to be erased, and by whom.
type Erasing struct {
	Person   qrgate.Person
	Subjects map[qrgate.Day]qrgate.Subject // as the check-ins of each day hold the person
	By       string                        // account
	Object   string                        // what the audit row names: a request, never the person
}

// ErasePerson drops all that is known of a person, makes their check-ins those of
// nobody, and returns how many rows of which table that were.
func (r *Rights) ErasePerson(ctx context.Context, e Erasing) (map[string]int64, error) {
	var rows map[string]int64
	n, err := r.s.ForgetPerson(ctx, e.Person, e.Subjects, func(t store.Tx) error {
		rows = map[string]int64{}
		for _, table := range []string{"identities", "details", "people"} { // which the store drops
			err := t.Each(func(r *sql.Rows) error {
				var n int64
				err := r.Scan(&n)
				rows[table] = n
				return err
			}, "SELECT COUNT(*) FROM "+table+" WHERE person = ?", int64(e.Person))
			if err != nil {
				return err
			}
		}
		for _, step := range personRows {
			n, err := t.Exec(step.query, int64(e.Person))
			if err != nil {
				return fmt.Errorf("%s: %w", step.table, err)
			}
			if step.table != "" {
				rows[step.table] += n
			}
		}
		return t.Audit(e.By, "erase person", e.Object, "")
	})
	if err != nil {
		return nil, wrap("erase person", err)
	}
	rows["checkins"] = n
	return rows, nil
}

// EndErasure keeps the signed file that says what was erased of persons.
func (r *Rights) EndErasure(ctx context.Context, proof []byte, persons ...qrgate.Person) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		for _, p := range persons {
			n, err := t.Exec("UPDATE erasures SET proof = ? WHERE person = ?", proof, int64(p))
			if err == nil && n == 0 {
				err = qrgate.ErrNotFound
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("end erasure", err)
}

// Back returns those of whom an erasure was begun and something is in the database
// all the same, and those whose erasure was not ended.
func (r *Rights) Back(ctx context.Context) (all []qrgate.Person, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var p int64
		err := rows.Scan(&p)
		all = append(all, qrgate.Person(p))
		return err
	}, `SELECT e.person FROM erasures e WHERE LENGTH(e.proof) = 0 OR EXISTS (SELECT 1 FROM identities i WHERE i.person = e.person)
		OR EXISTS (SELECT 1 FROM people p WHERE p.person = e.person)`)
	return all, wrap("erasures", err)
}

// An Erased is that somebody was erased. The file does not say who.
type Erased struct {
	At    time.Time
	Proof []byte // empty while it is not ended
}

// Erasures returns the newest erasures, the latest first.
func (r *Rights) Erasures(ctx context.Context, most int) (all []Erased, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var e Erased
		err := rows.Scan((*store.Milli)(&e.At), &e.Proof)
		all = append(all, e)
		return err
	}, "SELECT at, proof FROM erasures ORDER BY at DESC, person LIMIT ?", most)
	return all, wrap("erasures", err)
}

// A LookCount is how often an officer has seen persons for a case.
type LookCount struct {
	Actor       string // account
	Year, Case  int    // number of the case; 0 if none was the reason
	Action      string
	N           int
	First, Last time.Time
}

// lookActions are the actions of audit rows that say that somebody saw a person.
var lookActions = []any{"see person", "trace person", "export person", "tell looks", "refuse looks", "use restricted data"}

// Looks returns who has seen persons since a time, by officer, action and case, the
// most first.
func (r *Rights) Looks(ctx context.Context, since time.Time, most int) (all []LookCount, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var l LookCount
		err := rows.Scan(&l.Actor, &l.Year, &l.Case, &l.Action, &l.N, (*store.Milli)(&l.First), (*store.Milli)(&l.Last))
		all = append(all, l)
		return err
	}, `SELECT e.actor, COALESCE(c.year, 0), COALESCE(c.no, 0), e.action, COUNT(*), MIN(e.at), MAX(e.at)
		FROM audit e LEFT JOIN cases c ON e.note = 'case ' || c.id
		WHERE e.action IN (?, ?, ?, ?, ?, ?) AND e.at >= ? GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 7 DESC LIMIT ?`, append(append([]any{}, lookActions...), since.UnixMilli(), most)...)
	return all, wrap("looks", err)
}

// Tries returns how often somebody has done something since a time.
func (r *Rights) Tries(ctx context.Context, by, action string, since time.Time) (n int, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&n) },
		"SELECT COUNT(*) FROM audit WHERE actor = ? AND at > ? AND action = ?", by, since.UnixMilli(), action)
	return n, wrap("tries", err)
}

// ProofOf returns the signed file of what was erased at a request, or
// qrgate.ErrNotFound.
func (r *Rights) ProofOf(ctx context.Context, request string) (proof []byte, err error) {
	needle := []byte("\"request\": \"" + requestObject(request) + "\"")
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var body []byte
		err := rows.Scan(&body)
		if bytes.Contains(body, needle) {
			proof = body
		}
		return err
	}, "SELECT proof FROM erasures ORDER BY at DESC LIMIT ?", searchedProofs)
	if err == nil && proof == nil {
		err = qrgate.ErrNotFound
	}
	return proof, wrap("proof", err)
}

// searchedProofs is how many of the newest erasures are looked through.
const searchedProofs = 10_000

// RequestObject is a request as audit rows and proofs name it.
func RequestObject(id string) string { return requestObject(id) }

// Numbers returns how many keyed hashes of numbers lead to a person.
func (r *Rights) Numbers(ctx context.Context, p qrgate.Person) (n int, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&n) }, "SELECT COUNT(*) FROM identities WHERE person = ?", int64(p))
	return n, wrap("numbers", err)
}

// NumbersOf returns the keyed hashes of numbers that lead to persons.
func (r *Rights) NumbersOf(ctx context.Context, of []qrgate.Person) (all [][]byte, err error) {
	in, args := inPersons(of)
	if len(args) == 0 {
		return nil, nil
	}
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var identity []byte
		err := rows.Scan(&identity)
		all = append(all, identity)
		return err
	}, "SELECT identity FROM identities WHERE person"+in+" ORDER BY identity", args...)
	return all, wrap("numbers", err)
}
