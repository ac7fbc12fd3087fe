package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// An Intake is one transaction that takes in batches.
type Intake struct {
	*tx
	Generation uint64

	books   map[string]*Book
	rows    []Row
	touched map[bootOf]bool // boots to be written
	redate  map[bootOf]*Epoch
}

// A Row is a check-in to be stored.
type Row struct {
	Under    *Epoch // under which it arrived
	Written  *Epoch // in which it was first written; Under unless it was carried over
	Header   wire.Header
	Digest   wire.Digest
	Day      qrgate.Day
	Subject  *qrgate.Subject // nil if nobody was identified
	When     when.Interval
	Received time.Time

	// Twice says that the same check-in may be stored already. Then it makes no
	// second row.
	Twice bool
}

// Intake runs fn in one transaction on the books of the named kiosks, of which
// unknown ones have none. See the package documentation for what its result
// means. One intake runs at a time in a process.
func (s *Store) Intake(ctx context.Context, kiosks []string, fn func(*Intake) error) error {
	kiosks = slices.Compact(slices.Sorted(slices.Values(kiosks))) // one order of locks for all servers
	s.intake.Lock()
	defer s.intake.Unlock()
	var done *Intake
	err := s.write(ctx, func(t *tx) error {
		in := &Intake{tx: t, books: map[string]*Book{}, touched: map[bootOf]bool{}, redate: map[bootOf]*Epoch{}}
		done = in
		if err := in.begin(kiosks); err != nil {
			return err
		}
		if err := fn(in); err != nil {
			return err
		}
		return in.finish()
	})
	if done == nil {
		return err
	}
	for name, b := range done.books {
		if err != nil {
			delete(s.books, name) // it holds what was not committed
		} else {
			s.books[name] = b
		}
	}
	return err
}

func (t *Intake) begin(kiosks []string) error {
	// A book that a failed try has changed must not serve the next.
	for _, name := range kiosks {
		b, err := t.book(name)
		if err != nil {
			if !isNotFound(err) {
				return err
			}
			continue
		}
		delete(t.s.books, name)
		t.books[name] = b
	}
	var g int64
	err := t.each(func(r *sql.Rows) error { return r.Scan(&g) }, "SELECT generation FROM meta")
	t.Generation = uint64(g)
	return err
}

// Book returns the book of one of the intake's kiosks, or nil.
func (t *Intake) Book(kiosk string) *Book { return t.books[kiosk] }

// Known returns the digests of records from..to of e, as deliver.Ledger.Take
// asks for them; zero for a record of which none is kept.
func (t *Intake) Known(e *Epoch, from, to uint64) ([]wire.Digest, error) {
	digests := make([]wire.Digest, to-from+1)
	put := func(seq int64, d wire.Digest) {
		if n := uint64(seq); n >= from && n <= to {
			digests[n-from] = d
		}
	}
	for i := range t.rows {
		if r := &t.rows[i]; r.Under == e && r.Written == e {
			put(int64(r.Header.Seq), r.Digest)
		}
	}
	err := t.each(func(r *sql.Rows) error {
		var seq, d int64
		err := r.Scan(&seq, &d)
		put(seq, digestOf(d))
		return err
	}, "SELECT seq, digest FROM checkins WHERE epoch_no = ? AND under_no = ? AND seq BETWEEN ? AND ?", e.no, e.no, int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	err = t.each(func(r *sql.Rows) error {
		var seq int64
		var record []byte
		err := r.Scan(&seq, &record)
		put(seq, deliver.Digest(record))
		return err
	}, "SELECT seq, record FROM dead_letters WHERE epoch_no = ? AND seq BETWEEN ? AND ?", e.no, int64(from), int64(to))
	return digests, err
}

func digestInt(d wire.Digest) int64 { return int64(binary.BigEndian.Uint64(d[:])) }

func digestOf(n int64) (d wire.Digest) {
	binary.BigEndian.PutUint64(d[:], uint64(n))
	return d
}

// Seen notes records of a boot of e.
func (t *Intake) Seen(e *Epoch, s when.Span) {
	e.Boots.Add(s)
	e.bootNo(s.Boot)
	e.dirty = true
	t.touched[bootOf{e.no, s.Boot}] = true
}

// Anchor notes a boot's anchor. Check-ins that it dates better are dated again
// by Redate.
func (t *Intake) Anchor(b *Book, a when.Anchor) error {
	if b.anchors[a] {
		return nil
	}
	b.anchors[a] = true
	for _, e := range b.epochs {
		e.Boots.Anchor(a)
		for _, boot := range e.Boots.Around(a.Boot) {
			if _, ok := e.boots[boot]; ok {
				t.redate[bootOf{e.no, boot}] = e
			}
		}
	}
	_, err := t.exec("INSERT INTO anchors (kiosk_no, boot, since, server, error) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		b.no, a.Boot[:], a.Since, a.Server, a.Error)
	return err
}

// Add stores a check-in when the intake commits.
func (t *Intake) Add(r Row) {
	r.Under.dirty = true
	t.rows = append(t.rows, r)
}

// Reject keeps a record that could not be taken as a dead letter.
func (t *Intake) Reject(e *Epoch, seq uint64, reason wire.Reason, record []byte, received time.Time) error {
	_, err := t.exec("INSERT INTO dead_letters (epoch_no, seq, reason, record, received) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		e.no, int64(seq), int64(reason), record, received.UnixMilli())
	return err
}

// Person returns who has the identity, and whether nobody had it before; then
// fresh makes the person.
func (t *Intake) Person(identity [16]byte, fresh func() qrgate.Person) (qrgate.Person, bool, error) {
	var person int64
	found := false
	err := t.each(func(r *sql.Rows) error {
		found = true
		return r.Scan(&person)
	}, "SELECT person FROM identities WHERE identity = ?", identity[:])
	if err != nil || found {
		return qrgate.Person(person), false, err
	}
	p := fresh()
	_, err = t.exec("INSERT INTO identities (identity, person) VALUES (?, ?)", identity[:], int64(p))
	return p, true, err
}

// Detail keeps what a pass said of a person: sealed under the person's own key,
// which is kept wrapped.
func (t *Intake) Detail(p qrgate.Person, wrapped, sealed []byte) error {
	if _, err := t.exec("INSERT INTO people (person, wrapped) VALUES (?, ?)", int64(p), wrapped); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO details (person, sealed) VALUES (?, ?)", int64(p), sealed)
	return err
}

const rowColumns = 21

// chunk is how many rows one statement inserts: SQLite takes 32766 values.
const chunk = 64

var (
	insertOne  = insertRows(1)
	insertMany = insertRows(chunk)
)

func insertRows(n int) string {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", rowColumns), ", ") + ")"
	return `INSERT INTO checkins (epoch_no, seq, digest, under_no, day, subject, pass, verdict, reason, presence, direction,
		gate_no, lane, said, clock, error, boot_no, since, earliest, latest, received) VALUES ` +
		strings.TrimSuffix(strings.Repeat(one+", ", n), ", ") + " ON CONFLICT DO NOTHING"
}

// finish writes the rows and books.
func (t *Intake) finish() error {
	args := make([]any, 0, chunk*rowColumns)
	flush := func(query string) error {
		_, err := t.exec(query, args...)
		args = args[:0]
		return err
	}
	for i := range t.rows {
		r := &t.rows[i]
		if r.Twice {
			one, err := t.values(nil, r)
			if err != nil {
				return err
			}
			res, err := t.exec(insertOne, one...)
			if err != nil {
				return fmt.Errorf("insert: %w", err)
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			r.Under.checkins += n
			continue
		}
		var err error
		if args, err = t.values(args, r); err != nil {
			return err
		}
		r.Under.checkins++
		if len(args) == cap(args) {
			if err := flush(insertMany); err != nil {
				return fmt.Errorf("insert: %w", err)
			}
		}
	}
	for len(args) > 0 {
		rest := args[rowColumns:]
		args = args[:rowColumns]
		if _, err := t.exec(insertOne, args...); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		args = rest
	}
	for where, e := range t.redate {
		no := e.boots[where.boot]
		_, err := t.exec(`INSERT INTO redates (epoch_no, boot_no, since, until, next, last) VALUES (?, ?, 0, ?, 0, ?)
			ON CONFLICT (epoch_no, boot_no, since, until) DO UPDATE SET next = 0, last = excluded.last`,
			e.no, no, int64(1)<<62, int64(1)<<62)
		if err != nil {
			return fmt.Errorf("note dates: %w", err)
		}
	}
	for _, b := range t.books {
		if err := t.save(b); err != nil {
			return err
		}
	}
	return nil
}

// values appends the columns of one row.
func (t *Intake) values(args []any, r *Row) ([]any, error) {
	h := &r.Header
	gate, err := t.gate(r.Under.Book, h.Gate)
	if err != nil {
		return nil, err
	}
	var subject any
	if r.Subject != nil {
		subject = r.Subject[:]
	}
	return append(args, r.Written.no, int64(h.Seq), digestInt(r.Digest), r.Under.no, int64(r.Day), subject, int64(h.Pass),
		int64(h.Verdict), int64(h.Reason), int64(h.Presence), int64(h.Direction), gate, int64(h.Lane), h.Wall, int64(h.Clock),
		h.Error, r.Written.bootNo(h.Boot), h.Since, r.When.Earliest, r.When.Latest, r.Received.UnixMilli()), nil
}

// gate returns the number of a gate of the kiosk's place, which stays when the
// kiosk moves to another.
func (t *Intake) gate(b *Book, gate string) (int64, error) {
	if no, ok := b.gates[gateName(b.Place, gate)]; ok {
		return no, nil
	}
	no := int64(len(b.gates)) + 1
	_, err := t.exec("INSERT INTO gates (kiosk_no, no, place, gate) VALUES (?, ?, ?, ?)", b.no, no, b.Place, gate)
	if err == nil {
		b.gates[gateName(b.Place, gate)] = no
	}
	return no, err
}

// redateStep is how many rows one transaction dates again, so that an intake
// never waits long for it.
const redateStep = 500

// Redate dates check-ins again for which an anchor has arrived, and reports
// whether there is more to do. The day of a check-in stays what it was.
func (s *Store) Redate(ctx context.Context) (more bool, err error) {
	var kiosk string
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&kiosk) }, `SELECT k.id FROM redates d
		JOIN epochs e ON e.no = d.epoch_no JOIN kiosks k ON k.no = e.kiosk_no LIMIT 1`)
	if err != nil || kiosk == "" {
		return false, err
	}
	err = s.Intake(ctx, []string{kiosk}, func(t *Intake) error { return t.redateOne(t.Book(kiosk)) })
	return err == nil, err
}

func (t *Intake) redateOne(b *Book) error {
	var epochNo, bootNo, until, next int64
	err := t.each(func(r *sql.Rows) error { return r.Scan(&epochNo, &bootNo, &until, &next) },
		`SELECT d.epoch_no, d.boot_no, d.until, d.next FROM redates d JOIN epochs e ON e.no = d.epoch_no WHERE e.kiosk_no = ? LIMIT 1`, b.no)
	if err != nil || epochNo == 0 {
		return err
	}
	var epoch *Epoch
	for _, e := range b.epochs {
		if e.no == epochNo {
			epoch = e
		}
	}
	var boot when.Boot
	for name, no := range epoch.boots {
		if no == bootNo {
			boot = name
		}
	}
	type row struct{ seq, digest, since, received int64 }
	var rows []row
	err = t.each(func(r *sql.Rows) error {
		var one row
		err := r.Scan(&one.seq, &one.digest, &one.since, &one.received)
		rows = append(rows, one)
		return err
	}, "SELECT seq, digest, since, received FROM checkins WHERE epoch_no = ? AND seq >= ? AND boot_no = ? ORDER BY seq LIMIT ?",
		epochNo, next, bootNo, redateStep)
	if err != nil {
		return err
	}
	for _, r := range rows {
		in := Clamp(epoch.Boots.Bounds(boot, r.since), r.received)
		_, err := t.exec("UPDATE checkins SET earliest = ?, latest = ? WHERE epoch_no = ? AND seq = ? AND digest = ?",
			in.Earliest, in.Latest, epochNo, r.seq, r.digest)
		if err != nil {
			return err
		}
	}
	if len(rows) < redateStep {
		_, err = t.exec("DELETE FROM redates WHERE epoch_no = ? AND boot_no = ? AND until = ?", epochNo, bootNo, until)
	} else {
		_, err = t.exec("UPDATE redates SET next = ? WHERE epoch_no = ? AND boot_no = ? AND until = ?", rows[len(rows)-1].seq, epochNo, bootNo, until)
	}
	return err
}

// Clamp ends an interval at the moment when the check-in was received: nothing
// arrives before it happens.
func Clamp(in when.Interval, received int64) when.Interval {
	in.Latest = min(in.Latest, received)
	in.Earliest = min(in.Earliest, in.Latest)
	return in
}
