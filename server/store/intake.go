package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// An Intake is one transaction that takes in batches. What it is told it writes
// when the function that it was handed to returns.
type Intake struct {
	*tx
	Generation uint64
	// Forgotten rises when people are forgotten. Who remembers what Person
	// returned forgets it when this is another number than before.
	Forgotten uint64
	// Held is, once Intake has returned, how many of a kiosk's rows made none
	// because they were stored already.
	Held map[string]int

	careful    bool // every row may be stored already
	books      map[string]*Book
	rows       []Row
	seen       map[bootOf]bool // boots to be written
	news       []bootOf        // boots that were not known
	anchors    []anchorOf      // that came, or went because others say more
	letters    []letter
	persons    map[identity]person
	identities []identity // of persons, those that nobody had
	people     []any
	details    []any
	arrival    arrival
	tallies    map[tallyKey]*tallied
	answers    map[VisitKey]*answered
}

type identity = [16]byte

// A person is who was found for an identity, if somebody was.
type person struct {
	id    qrgate.Person
	known bool
}

type bootOf struct {
	epoch *Epoch
	boot  when.Boot
}

type anchorOf struct {
	book   *Book
	anchor when.Anchor
}

type letter struct {
	epoch    *Epoch
	seq      uint64
	digest   wire.Digest
	reason   wire.Reason
	record   []byte
	received time.Time
}

// A Row is a check-in to be stored.
type Row struct {
	Under    *Epoch // under which it arrived
	Written  *Epoch // in which it was first written; Under unless it was carried over
	Header   wire.Header
	Digest   wire.Digest
	Day      qrgate.Day
	Subject  *qrgate.Subject // nil if nobody was identified
	When     when.Interval   // not later than Received; see Clamp
	Received time.Time
	Level    qrgate.Level
	Where    Where // zero for the place where the kiosk stands

	// Twice says that the same check-in may be stored already. Then it makes no
	// second row.
	Twice bool
}

// Where is the place of a check-in.
type Where struct {
	No   uint32 // 0 if it is not registered
	Name string
}

// Intake runs fn in one transaction on the books of the named kiosks, of which
// unknown ones have none. See the package documentation for what its result
// means. fn may be called several times, because another server was in the way
// or had newer books: only what its last call did counts. One intake runs at a
// time in a process.
func (s *Store) Intake(ctx context.Context, kiosks []string, fn func(*Intake) error) error {
	came, err := s.takeIn(ctx, kiosks, fn)
	if err != nil || came.waiting <= s.fileLimit {
		return err
	}
	// A little more than has come: readers' patience ends somewhere, and so does
	// memory.
	for range 2*came.rows/fileStep + 2 {
		if _, err := s.file(ctx, 0); err != nil {
			break // what was taken in is safe, and who files next says why
		}
	}
	return nil
}

// A cameIn is how many check-ins an intake brought, and how many wait to be filed.
type cameIn struct{ rows, waiting int }

func (s *Store) takeIn(ctx context.Context, kiosks []string, fn func(*Intake) error) (came cameIn, err error) {
	kiosks = slices.Compact(slices.Sorted(slices.Values(kiosks))) // in the order of locks
	s.intake.Lock()
	defer s.intake.Unlock()
	var last *Intake
	var careful, lock bool
	err = s.write(ctx, func(t *tx) (err error) {
		defer func() { lock = lock || errors.Is(err, errStale) }()
		last = &Intake{
			tx: t, Held: map[string]int{}, careful: careful, books: map[string]*Book{}, seen: map[bootOf]bool{}, persons: map[identity]person{},
			tallies: map[tallyKey]*tallied{}, answers: map[VisitKey]*answered{},
		}
		err = last.begin(kiosks, lock || s.contended > 0)
		if err == nil {
			if refused := fn(last); refused != nil {
				if stale := last.verify(last.books); errors.Is(stale, errStale) {
					return stale // it was an old book that made it refuse
				}
				return refused
			}
			err = last.finish()
		}
		if err == nil {
			return nil
		}
		careful = careful || errors.Is(err, errHeld)
		return fmt.Errorf("store: intake: %w", err)
	})
	// To lock before costs as much as to write: so that is done only while
	// another server has the same kiosks.
	if lock {
		s.contended = 100
	} else {
		s.contended = max(s.contended-1, 0)
	}
	if err == nil {
		for name, b := range last.books {
			s.books[name] = b
		}
		for i := range last.arrival.rows {
			s.tray.put(last.arrival.no, &last.arrival.rows[i])
		}
		s.tray.last = max(s.tray.last, last.arrival.no)
		came = cameIn{len(last.arrival.rows), s.tray.count}
	}
	return came, err
}

func (t *Intake) begin(kiosks []string, lock bool) error {
	if err := t.open(kiosks, lock); err != nil {
		return fmt.Errorf("books: %w", err)
	}
	if t.s.dialect == sqlite {
		var first, last int64
		err := t.each(func(r *sql.Rows) error { return r.Scan(&t.Generation, &t.Forgotten, &first, &last) }, `SELECT generation,
			(SELECT number FROM forgotten), COALESCE((SELECT MIN(no) FROM arrivals), 0), COALESCE((SELECT MAX(no) FROM arrivals), 0) FROM meta`)
		if err != nil {
			return err
		}
		return t.s.tray.read(t.tx, first, last)
	}
	return t.each(func(r *sql.Rows) error { return r.Scan(&t.Generation, &t.Forgotten) },
		"SELECT generation, (SELECT number FROM forgotten) FROM meta") // see holdIntakes
}

// Book returns the book of one of the intake's kiosks, or nil.
func (t *Intake) Book(kiosk string) *Book { return t.books[kiosk] }

const knownCheckins = "SELECT seq, digest FROM checkins WHERE epoch_no = ? AND seq BETWEEN ? AND ? AND under_no = epoch_no"

// Known returns the digests of records from..to of e, as deliver.Ledger.Take
// asks for them; zero for a record of which none is kept.
func (t *Intake) Known(e *Epoch, from, to uint64) ([]wire.Digest, error) {
	digests := make([]wire.Digest, to-from+1)
	put := func(seq uint64, d wire.Digest) {
		if seq >= from && seq <= to {
			digests[seq-from] = d
		}
	}
	for i := range t.rows {
		if r := &t.rows[i]; r.Under == e && r.Written == e {
			put(r.Header.Seq, r.Digest)
		}
	}
	for _, a := range t.s.tray.epochs[e.no] {
		if a.own {
			put(uint64(a.seq), digestOf(a.digest))
		}
	}
	for i := range t.letters {
		if l := &t.letters[i]; l.epoch == e {
			put(l.seq, l.digest)
		}
	}
	stored := func(r *sql.Rows) error {
		var seq, d int64
		err := r.Scan(&seq, &d)
		put(uint64(seq), digestOf(d))
		return err
	}
	if err := t.each(stored, knownCheckins, e.no, int64(from), int64(to)); err != nil {
		return nil, fmt.Errorf("store: known check-ins: %w", err)
	}
	const letters = "SELECT seq, digest FROM dead_letters WHERE epoch_no = ? AND seq BETWEEN ? AND ?"
	if err := t.each(stored, letters, e.no, int64(from), int64(to)); err != nil {
		return nil, fmt.Errorf("store: known dead letters: %w", err)
	}
	return digests, nil
}

func digestInt(d wire.Digest) int64 { return int64(binary.BigEndian.Uint64(d[:])) }

func digestOf(n int64) (d wire.Digest) {
	binary.BigEndian.PutUint64(d[:], uint64(n))
	return d
}

// Seen notes records of a boot that came under e, where they were written. It
// comes before Add of any of them.
func (t *Intake) Seen(e *Epoch, s when.Span) { t.see(e, s, false) }

// Carried is Seen for records that were written in e and came under a later
// epoch. Of a boot that is known by them alone the place among e's other boots
// is not known, for e may have two histories: so it is dated by its own anchors,
// and no other boot by it.
func (t *Intake) Carried(e *Epoch, s when.Span) { t.see(e, s, true) }

func (t *Intake) see(e *Epoch, s when.Span, carried bool) {
	b := bootOf{e, s.Boot}
	if e.see(s, carried) {
		t.news = append(t.news, b)
	}
	t.seen[b] = true
}

// Anchor notes a boot's anchor. Check-ins that it dates better are dated again
// by Redate.
func (t *Intake) Anchor(b *Book, a when.Anchor) error {
	if b.anchors.Has(a) {
		return nil
	}
	b.dirty = true
	t.anchors = append(t.anchors, anchorOf{b, a})
	t.anchor(b, a)
	return nil
}

// anchor keeps an anchor in b.
func (t *Intake) anchor(b *Book, a when.Anchor) {
	for _, gone := range b.anchors.Add(a) {
		t.anchors = append(t.anchors, anchorOf{b, gone})
	}
}

// Add stores a check-in.
func (t *Intake) Add(r Row) {
	if _, ok := r.Written.numbers[r.Header.Boot]; !ok {
		h, at := &r.Header, r.Received.UnixMilli()
		span := when.Span{Boot: h.Boot, First: h.Seq, Last: h.Seq, Start: h.Since, End: h.Since, Arrived: at, ArrivedSince: h.Since}
		t.see(r.Written, span, r.Written != r.Under)
	}
	// Neither can have a check-in that is later than what it received last.
	r.Under.Touch(r.Received)
	r.Written.Touch(r.Received)
	t.rows = append(t.rows, r)
}

// Reject keeps a record that could not be taken as a dead letter, of which no
// more is stored than the longest record.
func (t *Intake) Reject(e *Epoch, seq uint64, reason wire.Reason, record []byte, received time.Time) error {
	e.dirty = true
	t.letters = append(t.letters, letter{e, seq, deliver.Digest(record), reason, record[:min(len(record), wire.MaxRecord)], received})
	return nil
}

var findPersons = inOf("SELECT identity, person FROM identities WHERE identity", "")

// Expect reads at once who has these identities, so that Person need not ask for
// each.
func (t *Intake) Expect(identities [][16]byte) error {
	ids := make([]any, len(identities))
	for i := range identities {
		ids[i] = identities[i][:]
		if _, ok := t.persons[identities[i]]; !ok {
			t.persons[identities[i]] = person{}
		}
	}
	_, err := t.run(findPersons, ids, func(r *sql.Rows) error {
		var id []byte
		var p int64
		if err := r.Scan(&id, &p); err != nil {
			return err
		}
		if len(id) != len(identity{}) {
			return fmt.Errorf("an identity of %d bytes", len(id))
		}
		t.persons[identity(id)] = person{qrgate.Person(p), true}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: persons: %w", err)
	}
	return nil
}

// Person returns who has the identity, and whether nobody had it before; then
// fresh makes the person.
func (t *Intake) Person(identity [16]byte, fresh func() qrgate.Person) (qrgate.Person, bool, error) {
	if _, asked := t.persons[identity]; !asked {
		if err := t.Expect([][16]byte{identity}); err != nil {
			return 0, false, err
		}
	}
	if p := t.persons[identity]; p.known {
		return p.id, false, nil
	}
	p := fresh()
	t.persons[identity] = person{p, true}
	t.identities = append(t.identities, identity)
	return p, true, nil
}

// Detail keeps what a pass said of a person: sealed under the person's own key,
// which is kept wrapped.
func (t *Intake) Detail(p qrgate.Person, wrapped, sealed []byte) error {
	t.people = append(t.people, int64(p), wrapped)
	t.details = append(t.details, int64(p), sealed)
	return nil
}

// Clamp ends an interval at the moment when the check-in was received: nothing
// arrives before it happens.
func Clamp(in when.Interval, received int64) when.Interval {
	in.Latest = min(in.Latest, received)
	in.Earliest = min(in.Earliest, in.Latest)
	return in
}
