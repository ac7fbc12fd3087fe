package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Days returns the days of which check-ins are held, in order.
func (s *Store) Days(ctx context.Context) ([]qrgate.Day, error) {
	days, err := s.days(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: days: %w", err)
	}
	return days, nil
}

func (s *Store) days(ctx context.Context) ([]qrgate.Day, error) {
	v, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer v.close()
	held := map[qrgate.Day]bool{}
	if _, err := v.waiting(func(c *checkin) bool { held[qrgate.Day(c.n[day])] = true; return false }); err != nil {
		return nil, err
	}
	next := s.bind("SELECT MIN(day) FROM checkins WHERE day > ?") // to count them would read the whole index
	for last := int64(math.MinInt32); ; {
		var found sql.Null[int64]
		if err := v.each(func(r *sql.Rows) error { return r.Scan(&found) }, next, last); err != nil {
			return nil, err
		}
		if !found.Valid {
			return slices.Sorted(maps.Keys(held)), nil
		}
		last = found.V
		held[qrgate.Day(last)] = true
	}
}

// Named reports whether a day has check-ins that hold somebody.
func (s *Store) Named(ctx context.Context, d qrgate.Day) (bool, error) {
	named, err := s.named(ctx, d)
	if err != nil {
		return false, fmt.Errorf("store: named check-ins of %s: %w", d, err)
	}
	return named, nil
}

func (s *Store) named(ctx context.Context, d qrgate.Day) (found bool, err error) {
	v, err := s.view(ctx)
	if err != nil {
		return false, err
	}
	defer v.close()
	waiting, err := v.waitingOn(d)
	if err != nil {
		return false, err
	}
	for _, c := range waiting {
		if c.known {
			return true, nil
		}
	}
	err = v.each(func(*sql.Rows) error { found = true; return nil }, s.bind("SELECT 1 FROM subjects WHERE day = ? LIMIT 1"), int64(d))
	return found, err
}

// SubjectsOn calls fn with every subject of a day's check-ins, once or more.
func (s *Store) SubjectsOn(ctx context.Context, d qrgate.Day, fn func(qrgate.Subject) error) error {
	if err := s.subjectsOn(ctx, d, fn); err != nil {
		return fmt.Errorf("store: subjects of %s: %w", d, err)
	}
	return nil
}

func (s *Store) subjectsOn(ctx context.Context, d qrgate.Day, fn func(qrgate.Subject) error) error {
	v, err := s.view(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	waiting, err := v.waitingOn(d)
	if err != nil {
		return err
	}
	for _, c := range waiting {
		if !c.known {
			continue
		}
		if err := fn(c.subject); err != nil {
			return err
		}
	}
	return v.each(func(r *sql.Rows) error {
		var b sql.RawBytes
		var subject qrgate.Subject
		if err := r.Scan(&b); err != nil {
			return err
		}
		copy(subject[:], b)
		return fn(subject)
	}, s.bind("SELECT DISTINCT subject FROM subjects WHERE day = ?"), int64(d))
}

var checkinsOn = byDialect("SELECT "+rowColumns+" FROM checkins INDEXED BY checkins_place WHERE day = ?", "SELECT "+rowColumns+" FROM checkins WHERE day = ?")

// EachOfDay calls fn with every check-in that is kept under a day; its Boot is
// left out. Their order is any, and what fn is handed is valid until it returns.
// Of all the day it holds in memory what is not filed yet, and the names of gates.
func (s *Store) EachOfDay(ctx context.Context, d qrgate.Day, fn func(*qrgate.Checkin) error) error {
	if err := s.eachOfDay(ctx, d, fn); err != nil {
		return fmt.Errorf("store: check-ins of %s: %w", d, err)
	}
	return nil
}

func (s *Store) eachOfDay(ctx context.Context, d qrgate.Day, fn func(*qrgate.Checkin) error) error {
	v, err := s.view(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	kiosks, epochs, gates := map[int64]string{}, map[int64]wire.Epoch{}, map[[2]int64]gate{}
	err = v.each(func(r *sql.Rows) error {
		var no int64
		var id string
		err := r.Scan(&no, &id)
		kiosks[no] = id
		return err
	}, "SELECT no, id FROM kiosks")
	if err != nil {
		return err
	}
	err = v.each(func(r *sql.Rows) error {
		var no int64
		var id sql.RawBytes
		err := r.Scan(&no, &id)
		var e wire.Epoch
		copy(e[:], id)
		epochs[no] = e
		return err
	}, "SELECT no, epoch FROM epochs")
	if err != nil {
		return err
	}
	err = v.each(func(r *sql.Rows) error {
		var no [2]int64
		var g gate
		err := r.Scan(&no[0], &no[1], &g.place, &g.placeNo, &g.name)
		gates[no] = g
		return err
	}, "SELECT kiosk_no, no, place, place_no, gate FROM gates")
	if err != nil {
		return err
	}
	waiting, err := v.waitingOn(d)
	if err != nil {
		return err
	}
	tell := func(c *checkin) error {
		kiosk := c.n[epochNo] / epochsPerKiosk
		told := c.tell(kiosks[kiosk], epochs[c.n[epochNo]], gates[[2]int64{kiosk, c.n[gateNo]}], when.Boot{})
		return fn(&told)
	}
	err = v.eachCheckin(func(c *checkin) error {
		delete(waiting, c.key())
		return tell(c)
	}, checkinsOn[s.dialect], int64(d))
	if err != nil {
		return err
	}
	for _, c := range waiting {
		if err := tell(c); err != nil {
			return err
		}
	}
	return nil
}

// Steps of dropping a day. A transaction that took longer than dropLong, its commit
// and all, is followed by a smaller one: an intake waits for it, and disks differ.
// One call goes on for about dropFor. After each dropLog rows what SQLite's log has
// goes into the file, beside intakes: it would otherwise go all at once, within
// the commit of some intake.
const (
	dropLog   = 4096
	dropFirst = 256
	dropLeast = 32
	dropMost  = 4096
	dropLong  = 40 * time.Millisecond
	dropFor   = time.Second
)

// In the order of an index: neighbours on its pages go together, and no step looks
// at all that is left.
var (
	dropCheckins = byDialect("DELETE FROM checkins WHERE (epoch_no, seq, digest) IN (SELECT epoch_no, seq, digest FROM checkins INDEXED BY checkins_place "+firstOfDay+")",
		"DELETE FROM checkins WHERE (epoch_no, seq, digest) IN (SELECT epoch_no, seq, digest FROM checkins "+firstOfDay+")")
	dropSubjects = `DELETE FROM subjects WHERE (day, subject, epoch_no, seq, digest) IN
		(SELECT day, subject, epoch_no, seq, digest FROM subjects WHERE day = ? ORDER BY day, subject LIMIT ?)`
)

const firstOfDay = "WHERE day = ? ORDER BY day, epoch_no, gate_no, earliest, latest LIMIT ?"

// DropDay drops some of the check-ins that are kept under a day, returns how many
// they were, and reports whether there are more. No intake waits long for it. What
// was dropped stays in the ledgers, so that it is neither missing nor taken in
// again, and in [Store.Counts], which name nobody. Dead letters and visits have no
// such day; see [Store.ForgetVisits]. Who drops a day no longer takes in what
// would be kept under it.
func (s *Store) DropDay(ctx context.Context, d qrgate.Day) (n int64, more bool, err error) {
	n, more, err = s.dropDay(ctx, d)
	if err != nil {
		return n, false, fmt.Errorf("store: drop %s: %w", d, err)
	}
	return n, more, nil
}

func (s *Store) dropDay(ctx context.Context, d qrgate.Day) (n int64, more bool, err error) {
	waits, err := s.waits(ctx, d)
	if err == nil && waits {
		_, err = s.fileArrived(ctx)
	}
	more = true
	size, logged := int64(dropFirst), n
	for begun := time.Now(); err == nil && more && time.Since(begun) < dropFor; {
		var start time.Time // with the lock
		err = s.transact(ctx, lazily, func(t *tx) error {
			start = time.Now()
			dropped, err := t.execBound(dropCheckins[s.dialect], []any{int64(d), size})
			if err != nil {
				return err
			}
			n += dropped
			more = dropped == size
			if s.dialect == sqlite {
				dropped, err = t.exec(dropSubjects, int64(d), size)
				more = more || dropped == size
			}
			return err
		})
		if took := time.Since(start); took > dropLong {
			size = max(size/2, dropLeast)
		} else if took < dropLong/2 {
			size = min(size*2, dropMost)
		}
		if err == nil && n-logged >= dropLog {
			logged, err = n, s.shrinkLog(ctx)
		}
	}
	return n, more, err
}

// waits reports whether a check-in that is kept under a day is not filed.
func (s *Store) waits(ctx context.Context, d qrgate.Day) (bool, error) {
	v, err := s.view(ctx)
	if err != nil {
		return false, err
	}
	defer v.close()
	waiting, err := v.waitingOn(d)
	return len(waiting) > 0, err
}

// errWaits ends a transaction that cannot see to check-ins which are not filed.
var errWaits = errors.New("a check-in is not filed yet")

// ForgetPerson makes the check-ins of a person, whose subjects are given, those of
// nobody, drops all that is known of the person, and returns how many check-ins
// they were. also, if it is not nil, runs first in the same transaction: there go
// rows of other tables that name the person, and the audit row. It may run several
// times, of which the last counts. Who checks in as that person later is somebody
// new.
func (s *Store) ForgetPerson(ctx context.Context, p qrgate.Person, subjects map[qrgate.Day]qrgate.Subject, also func(Tx) error) (n int64, err error) {
	for try := 1; ; try++ {
		n, err = s.forgetPerson(ctx, p, subjects, also)
		if err == nil {
			return n, nil
		}
		if try == tries || !errors.Is(err, errWaits) {
			return 0, fmt.Errorf("store: forget a person: %w", err)
		}
	}
}

func (s *Store) forgetPerson(ctx context.Context, p qrgate.Person, subjects map[qrgate.Day]qrgate.Subject, also func(Tx) error) (n int64, err error) {
	filed, err := s.fileArrived(ctx)
	if err != nil {
		return 0, err
	}
	err = s.Write(ctx, func(t Tx) error {
		n = 0
		if err := t.t.holdIntakes(); err != nil {
			return err
		}
		if also != nil {
			if err := also(t); err != nil {
				return err
			}
		}
		if err := t.t.waitsAfter(filed, subjects); err != nil {
			return err
		}
		for _, d := range slices.Sorted(maps.Keys(subjects)) {
			subject := subjects[d]
			of, err := t.t.exec(`UPDATE checkins SET subject = NULL WHERE (epoch_no, seq, digest) IN
				(SELECT epoch_no, seq, digest FROM subjects WHERE day = ? AND subject = ?)`, int64(d), subject[:])
			if err != nil {
				return err
			}
			n += of
			if s.dialect == sqlite {
				if _, err := t.t.exec("DELETE FROM subjects WHERE day = ? AND subject = ?", int64(d), subject[:]); err != nil {
					return err
				}
			}
		}
		return t.ForgetPeople(p)
	})
	return n, err
}

// waitsAfter returns errWaits if there is an arrival after the given one with a
// check-in of one of these subjects.
func (t *tx) waitsAfter(no int64, subjects map[qrgate.Day]qrgate.Subject) error {
	if t.s.dialect == postgres {
		return nil
	}
	waits := false
	err := t.each(func(r *sql.Rows) error {
		var rows []byte
		if err := r.Scan(&rows); err != nil {
			return err
		}
		return decode(rows, func(c *checkin) {
			subject, asked := subjects[qrgate.Day(c.n[day])]
			waits = waits || asked && c.known && c.subject == subject
		})
	}, "SELECT rows FROM arrivals WHERE no > ?", no)
	if err == nil && waits {
		err = errWaits
	}
	return err
}

// peopleAtOnce is how many people one statement forgets.
const peopleAtOnce = 500

// ForgetPeople drops all that is known of people: what identifies them, what they
// said, and their keys. Their check-ins stay, under subjects that stand for
// nobody. Rows of other tables that name them must have gone before. Whoever
// remembers people is told so; see [Intake].Forgotten.
func (t Tx) ForgetPeople(people ...qrgate.Person) error {
	if err := t.t.holdIntakes(); err != nil {
		return kindOf(err)
	}
	for some := range slices.Chunk(people, peopleAtOnce) {
		args := make([]any, len(some))
		for i, p := range some {
			args[i] = int64(p)
		}
		in := " WHERE person IN (?" + strings.Repeat(", ?", len(args)-1) + ")"
		for _, table := range []string{"identities", "details", "people"} {
			if _, err := t.Exec("DELETE FROM "+table+in, args...); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
	}
	_, err := t.Exec("UPDATE forgotten SET number = number + 1")
	return err
}

// holdIntakes waits until no intake of another server is under way that may have
// read who somebody is, and holds new ones up until the transaction ends: a
// check-in must not be stored for a person who is forgotten meanwhile. Every
// intake reads that table. It does not wait long, for whoever waits for such a
// lock holds up all that come after.
func (t *tx) holdIntakes() error {
	if t.s.dialect == sqlite { // which has one writer
		return nil
	}
	for _, step := range []string{"SET LOCAL lock_timeout = '100ms'", "LOCK TABLE forgotten IN ACCESS EXCLUSIVE MODE", "SET LOCAL lock_timeout = 0"} {
		if _, err := t.exec(step); err != nil {
			return err
		}
	}
	return nil
}

// fileArrived files all that has arrived until now, and returns the last of it.
func (s *Store) fileArrived(ctx context.Context) (last int64, err error) {
	if s.dialect == postgres {
		return 0, nil
	}
	if err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&last) }, "SELECT COALESCE(MAX(no), 0) FROM arrivals"); err != nil {
		return 0, err
	}
	for {
		first := last + 1
		err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&first) }, "SELECT COALESCE(MIN(no), ?) FROM arrivals", last+1)
		if err != nil || first > last {
			return last, err
		}
		if _, err := s.file(ctx, last); err != nil {
			return last, fmt.Errorf("file: %w", err)
		}
	}
}
