package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A check-in is kept under the day of its latest moment as it was known when it
// was stored. Dated again, its bounds get narrower as a rule, and the day stays.
// So what may have happened at a moment is kept under the day of that moment or
// under a later one: a record of a boot without anchor may be kept under the day
// on which it arrived, weeks after. Bounds also move a little, because crystals
// drift, and far, where anchors contradict each other. A check-in that is dated
// to more than strayDays after its day marks its epoch, all days of which are
// searched from then on; see redate.
const strayDays = 1

// farthest is a time, in milliseconds from 1970, within which a Day can be counted.
const farthest = 1 << 56

// daysAtOnce is how many days one query asks about. Fewer are filled up by
// repeating one, so that there are few texts.
const daysAtOnce = 32

var (
	ofSubject = byDialect("SELECT "+ofTable("c", rowColumns)+` FROM subjects s CROSS JOIN checkins c
		ON c.epoch_no = s.epoch_no AND c.seq = s.seq AND c.digest = s.digest WHERE s.day = ? AND s.subject = ?`,
		"SELECT "+rowColumns+" FROM checkins WHERE day = ? AND subject = ?")
	atGate = func() map[int]texts {
		all := map[int]texts{}
		for n := 1; n <= daysAtOnce; n *= 2 {
			where := "WHERE day IN (?" + strings.Repeat(", ?", n-1) + ") AND epoch_no = ? AND gate_no = ? AND earliest <= ? AND latest >= ?"
			// SQLite does not know how many rows a day has, and takes the
			// primary key.
			all[n] = byDialect("SELECT "+placeColumns+" FROM checkins INDEXED BY checkins_place "+where, "SELECT "+placeColumns+" FROM checkins "+where)
		}
		return all
	}()
)

// texts are a query in both dialects, bound.
type texts map[dialect]string

func byDialect(lite, pg string) texts { return texts{sqlite: lite, postgres: rebind(pg)} }

// ofTable names each of the columns as one of a table.
func ofTable(table, columns string) string {
	names := strings.Split(columns, ",")
	for i, c := range names {
		names[i] = table + "." + strings.TrimSpace(c)
	}
	return strings.Join(names, ", ")
}

// CheckinsOf calls fn with every check-in of these subjects, one a day, but those that
// were taken back at the door. Their
// order is any, and what fn is handed is valid until it returns.
func (s *Store) CheckinsOf(ctx context.Context, subjects map[qrgate.Day]qrgate.Subject, fn func(*qrgate.Checkin) error) error {
	fn, err := s.butUndone(ctx, fn)
	if err == nil {
		err = s.checkinsOf(ctx, subjects, fn)
	}
	if err != nil {
		return fmt.Errorf("store: check-ins of a subject: %w", err)
	}
	return nil
}

func (s *Store) checkinsOf(ctx context.Context, subjects map[qrgate.Day]qrgate.Subject, fn func(*qrgate.Checkin) error) error {
	v, err := s.view(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	of, asked := qrgate.Day(-1), false
	var subject qrgate.Subject
	waiting, err := v.waiting(func(c *checkin) bool {
		if d := qrgate.Day(c.n[day]); d != of { // many follow each other on one day
			subject, asked = subjects[d]
			of = d
		}
		return asked && c.known && c.subject == subject
	})
	if err != nil {
		return err
	}
	var rows []checkin
	for _, d := range slices.Sorted(maps.Keys(subjects)) {
		subject := subjects[d]
		err := v.eachCheckin(func(c *checkin) error {
			delete(waiting, c.key())
			rows = append(rows, *c)
			return nil
		}, ofSubject[s.dialect], int64(d), subject[:])
		if err != nil {
			return err
		}
	}
	for _, c := range waiting {
		rows = append(rows, *c)
	}
	return v.tellEach(rows, fn)
}

// CheckinsAt calls fn with every check-in at a place that may have happened
// between two moments (Unix milliseconds, both included), also those of nobody, but
// those that were taken back at the door;
// what the kiosk believed the time to be (Said, Clock, Error) is left out. Their
// order is any, and what fn is handed is valid until it returns.
func (s *Store) CheckinsAt(ctx context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error {
	fn, err := s.butUndone(ctx, fn)
	if err == nil {
		err = s.checkinsAt(ctx, at, from, to, fn)
	}
	if err != nil {
		return fmt.Errorf("store: check-ins at a place: %w", err)
	}
	return nil
}

func (s *Store) checkinsAt(ctx context.Context, at qrgate.Spot, from, to int64, fn func(*qrgate.Checkin) error) error {
	if from > to {
		return nil
	}
	v, err := s.view(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	desks, err := v.desks(at, from)
	if err != nil || len(desks) == 0 {
		return err
	}
	waiting, err := v.waitingAt(desks, from, to)
	if err != nil {
		return err
	}
	held, err := v.days()
	if err != nil {
		return err
	}
	for no, k := range desks {
		tell := func(c *checkin) error {
			told := c.tell(k.kiosk, k.epoch, k.gate, k.boots[c.n[bootNo]])
			told.Said, told.Clock, told.Error = 0, 0, 0 // of those that wait it is known
			return fn(&told)
		}
		days := held
		if !k.strayed {
			days.from = max(days.from, qrgate.DayOfMilli(min(max(from, -farthest), farthest))-strayDays)
		}
		for ; days.from <= days.to; days.from += daysAtOnce {
			args := days.args()
			n := len(args)
			err := v.eachOf(placeNumbers, func(c *checkin) error {
				c.n[epochNo], c.n[gateNo] = no.epoch, no.gate
				if len(waiting) > 0 {
					delete(waiting, c.key())
				}
				return tell(c)
			}, atGate[n][s.dialect], append(args, no.epoch, no.gate, to, from)...)
			if err != nil {
				return err
			}
		}
		for key, c := range waiting {
			if key.epoch != no.epoch || c.n[gateNo] != no.gate {
				continue
			}
			if err := tell(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// A desk is a gate in one epoch of its kiosk.
type desk struct {
	kiosk   string
	epoch   wire.Epoch
	gate    gate
	boots   map[int64]when.Boot
	strayed bool
}

type deskNo struct{ epoch, gate int64 }

// A dayRange is days from one to another, both included.
type dayRange struct{ from, to qrgate.Day }

// args returns the first of the days, at most daysAtOnce, as many as there is a
// text for.
func (r dayRange) args() []any {
	n := 1
	for n < daysAtOnce && n < int(r.to-r.from)+1 {
		n *= 2
	}
	args := make([]any, n, n+4)
	for i := range args {
		args[i] = int64(min(r.from+qrgate.Day(i), r.to))
	}
	return args
}

// A view is the database at one moment, for reading check-ins.
type view struct {
	s    *Store
	ctx  context.Context
	conn *sql.Conn
	*sql.Tx
}

func (s *Store) view(ctx context.Context) (*view, error) {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := s.snapshotOn(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &view{s, ctx, conn, tx}, nil
}

func (v *view) close() {
	v.Rollback()
	v.conn.Close()
}

// each runs a query that is kept prepared where the driver does not do so.
func (v *view) each(scan func(*sql.Rows) error, bound string, args ...any) error {
	var rows *sql.Rows
	stmt, err := v.s.readings.of(v.ctx, v.s, bound)
	if err != nil {
		return err
	}
	if stmt != nil {
		rows, err = v.StmtContext(v.ctx, stmt).QueryContext(v.ctx, args...)
	} else {
		rows, err = v.QueryContext(v.ctx, bound, args...)
	}
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// eachCheckin runs a query of rowColumns. fn may run no other.
func (v *view) eachCheckin(fn func(*checkin) error, bound string, args ...any) error {
	return v.eachOf(allNumbers, fn, bound, args...)
}

// eachOf runs a query of the subject and, in the order of rowColumns, of some
// numbers.
func (v *view) eachOf(numbers []int, fn func(*checkin) error, bound string, args ...any) error {
	if v.s.dialect == postgres {
		err := v.conn.Raw(func(c any) error { return eachBinary(v.ctx, c.(*stdlib.Conn).Conn(), numbers, fn, bound, args) })
		if !errors.Is(err, errText) {
			return err
		}
	}
	var c checkin
	var subject sql.RawBytes
	into := c.into((*[]byte)(&subject), numbers)
	return v.each(func(r *sql.Rows) error {
		if err := r.Scan(into...); err != nil {
			return err
		}
		c.setSubject(subject)
		return fn(&c)
	}, bound, args...)
}

// errText says that rows come as text, as an administrator may have it who puts a pool
// between (default_query_exec_mode=exec).
var errText = errors.New("rows come as text")

// eachBinary is eachOf of PostgreSQL's rows as they come over the wire: to have each of
// their numbers made a value and scanned costs a trace as much as the rest of reading them.
func eachBinary(ctx context.Context, conn *pgx.Conn, numbers []int, fn func(*checkin) error, bound string, args []any) error {
	rows, err := conn.Query(ctx, bound, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for _, f := range rows.FieldDescriptions() {
		if f.Format != pgx.BinaryFormatCode {
			return errText
		}
	}
	var c checkin
	for rows.Next() {
		if err := c.setBinary(rows.RawValues(), numbers); err != nil {
			return err
		}
		if err := fn(&c); err != nil {
			return err
		}
	}
	return rows.Err()
}

// days returns the first and the last day of which check-ins are filed.
func (v *view) days() (r dayRange, err error) {
	r = dayRange{0, -1}
	var first, last sql.Null[qrgate.Day]
	err = v.each(func(r *sql.Rows) error { return r.Scan(&first, &last) }, "SELECT (SELECT MIN(day) FROM checkins), (SELECT MAX(day) FROM checkins)")
	if err == nil && first.Valid {
		r = dayRange{first.V, last.V}
	}
	return r, err
}

// Whoever received nothing since a moment has nothing of that moment: what is
// later than its arrival is not believed.
var desksAt, bootsAt = func() (desks, boots map[bool]texts) {
	desks, boots = map[bool]texts{}, map[bool]texts{}
	for named, where := range map[bool]string{false: "g.place_no = ? AND g.place_no > 0", true: "g.place = ? AND g.place_no = 0"} {
		const from = " FROM gates g JOIN kiosks k ON k.no = g.kiosk_no JOIN epochs e ON e.kiosk_no = g.kiosk_no WHERE "
		where = from + where + " AND e.received >= ?"
		q := "SELECT k.id, e.no, e.epoch, e.strayed, g.no, g.place, g.place_no, g.gate" + where
		desks[named] = byDialect(q, q)
		q = "SELECT epoch_no, no, boot FROM boots WHERE epoch_no IN (SELECT e.no" + where + ")"
		boots[named] = byDialect(q, q)
	}
	return desks, boots
}()

// desks returns the gates of a place that may have check-ins of a moment or after.
func (v *view) desks(at qrgate.Spot, from int64) (map[deskNo]*desk, error) {
	var place any = storable(at.Name)
	if at.No != 0 {
		place = int64(at.No)
	}
	all := map[deskNo]*desk{}
	boots := map[int64]map[int64]when.Boot{}
	err := v.each(func(r *sql.Rows) error {
		var no deskNo
		var k desk
		var epoch []byte
		if err := r.Scan(&k.kiosk, &no.epoch, &epoch, &k.strayed, &no.gate, &k.gate.place, &k.gate.placeNo, &k.gate.name); err != nil {
			return err
		}
		copy(k.epoch[:], epoch)
		if boots[no.epoch] == nil {
			boots[no.epoch] = map[int64]when.Boot{}
		}
		k.boots = boots[no.epoch]
		all[no] = &k
		return nil
	}, desksAt[at.No == 0][v.s.dialect], place, from)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	err = v.each(func(r *sql.Rows) error {
		var epoch, no int64
		var boot []byte
		err := r.Scan(&epoch, &no, &boot)
		boots[epoch][no] = bootOfBytes(boot)
		return err
	}, bootsAt[at.No == 0][v.s.dialect], place, from)
	return all, err
}

func bootOfBytes(column []byte) (b when.Boot) {
	copy(b[:], column)
	return b
}

var bootsOfEpoch = byDialect("SELECT no, boot FROM boots WHERE epoch_no = ?", "SELECT no, boot FROM boots WHERE epoch_no = ?")

func (v *view) bootsOf(epochNo int64, to map[int64]when.Boot) error {
	return v.each(func(r *sql.Rows) error {
		var no int64
		var boot []byte
		if err := r.Scan(&no, &boot); err != nil {
			return err
		}
		to[no] = bootOfBytes(boot)
		return nil
	}, bootsOfEpoch[v.s.dialect], epochNo)
}

var deskOf = func() texts {
	const q = `SELECT k.id, e.epoch, g.place, g.place_no, g.gate FROM epochs e JOIN kiosks k ON k.no = e.kiosk_no
		JOIN gates g ON g.kiosk_no = e.kiosk_no WHERE e.no = ? AND g.no = ?`
	return byDialect(q, q)
}()

// tellEach calls fn with what rows of any kiosks say.
func (v *view) tellEach(rows []checkin, fn func(*qrgate.Checkin) error) error {
	desks := map[deskNo]*desk{}
	boots := map[int64]map[int64]when.Boot{}
	for i := range rows {
		c := &rows[i]
		no := deskNo{c.n[epochNo], c.n[gateNo]}
		k := desks[no]
		if k == nil {
			k = &desk{boots: boots[no.epoch]}
			if k.boots == nil {
				k.boots = map[int64]when.Boot{}
				boots[no.epoch] = k.boots
				if err := v.bootsOf(no.epoch, k.boots); err != nil {
					return err
				}
			}
			err := v.each(func(r *sql.Rows) error {
				var epoch []byte
				err := r.Scan(&k.kiosk, &epoch, &k.gate.place, &k.gate.placeNo, &k.gate.name)
				copy(k.epoch[:], epoch)
				return err
			}, deskOf[v.s.dialect], no.epoch, no.gate)
			if err != nil {
				return err
			}
			desks[no] = k
		}
		told := c.tell(k.kiosk, k.epoch, k.gate, k.boots[c.n[bootNo]])
		if err := fn(&told); err != nil {
			return err
		}
	}
	return nil
}
