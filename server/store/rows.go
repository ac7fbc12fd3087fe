package store

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
	sqlite3 "modernc.org/sqlite"
)

const rowColumns = `epoch_no, seq, digest, under_no, day, subject, pass, verdict, reason, presence, direction,
	gate_no, lane, said, clock, error, boot_no, since, earliest, latest, received`

var (
	// PostgreSQL copies instead. "OR FAIL" spares SQLite a journal of every
	// statement, a third of its time here: after an error all is rolled back.
	insertRows = bulkOf("INSERT OR FAIL INTO checkins ("+rowColumns+") VALUES ", "(?"+strings.Repeat(", ?", strings.Count(rowColumns, ","))+")", "")
	// What the table has already, and what comes twice in one statement, makes
	// no row and does not come back.
	insertOnce = insertOf("checkins", rowColumns, "ON CONFLICT (epoch_no, seq, digest) DO NOTHING RETURNING under_no")
)

// saveRows writes the check-ins and counts them.
func (t *Intake) saveRows() error {
	plain := make([]*Row, 0, len(t.rows))
	var twice []any
	under := map[int64]*Epoch{}
	for i := range t.rows {
		r := &t.rows[i]
		if r.Twice || t.careful {
			twice = r.values(twice)
			under[r.Under.no] = r.Under
			t.Held[r.Under.Book.Kiosk]++
		} else {
			plain = append(plain, r)
			r.Under.checkins++
		}
	}
	// In the order of the table, so that neighbours meet on one page.
	slices.SortFunc(plain, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(a.Written.no, b.Written.no), cmp.Compare(a.Header.Seq, b.Header.Seq))
	})
	if err := t.savePlain(plain); err != nil {
		if repeats(err) {
			return fmt.Errorf("%w: %w", errHeld, err)
		}
		return err
	}
	_, err := t.run(insertOnce, twice, func(r *sql.Rows) error {
		var no int64
		if err := r.Scan(&no); err != nil {
			return err
		}
		under[no].checkins++
		t.Held[under[no].Book.Kiosk]--
		return nil
	})
	return err
}

// errHeld ends an intake whose caller took a check-in for new that is stored
// already. It is done again, asking for each, lest it fail for ever.
var errHeld = errors.New("a check-in is stored already")

func repeats(err error) bool {
	const uniqueViolation, constraint = "23505", 19
	var lite *sqlite3.Error
	return pgCode(err) == uniqueViolation || errors.As(err, &lite) && lite.Code()&0xff == constraint
}

// savePlain writes check-ins of which none is stored already.
func (t *Intake) savePlain(rows []*Row) error {
	if len(rows) == 0 {
		return nil
	}
	if t.s.dialect == postgres {
		return t.copyRows(rows)
	}
	values := make([]any, 0, len(rows)*insertRows.width)
	for _, r := range rows {
		values = r.values(values)
	}
	_, err := t.run(insertRows, values, nil)
	return err
}

// values appends the columns of r.
func (r *Row) values(to []any) []any {
	h := &r.Header
	var subject any
	if r.Subject != nil {
		subject = r.Subject[:]
	}
	return append(to, r.Written.no, int64(h.Seq), digestInt(r.Digest), r.Under.no, int64(r.Day), subject, int64(h.Pass),
		int64(h.Verdict), int64(h.Reason), int64(h.Presence), int64(h.Direction), r.gateNo(), int64(h.Lane), h.Wall, int64(h.Clock),
		h.Error, r.Written.numbers[h.Boot], h.Since, r.When.Earliest, r.When.Latest, r.Received.UnixMilli())
}

func (r *Row) gateNo() int64 { return r.Under.Book.gates[gateOf(r)] }

// copyRows writes rows by PostgreSQL's binary COPY, which costs the server a
// third of an INSERT.
func (t *Intake) copyRows(rows []*Row) error {
	buf := append(make([]byte, 0, 64+len(rows)*256), "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for _, r := range rows {
		buf = r.binary(buf)
	}
	buf = binary.BigEndian.AppendUint16(buf, 0xffff) // the end
	return t.conn.Raw(func(c any) error {
		_, err := c.(*stdlib.Conn).Conn().PgConn().CopyFrom(t.ctx, bytes.NewReader(buf), "COPY checkins ("+rowColumns+") FROM STDIN BINARY")
		return err
	})
}

// binary appends the columns of r as PostgreSQL's COPY takes them, in the types
// of the table.
func (r *Row) binary(b []byte) []byte {
	h := &r.Header
	field := func(size uint32) { b = binary.BigEndian.AppendUint32(b, size) }
	big := func(v int64) { field(8); b = binary.BigEndian.AppendUint64(b, uint64(v)) }
	integer := func(v int32) { field(4); b = binary.BigEndian.AppendUint32(b, uint32(v)) }
	small := func(v uint8) { field(2); b = binary.BigEndian.AppendUint16(b, uint16(v)) }
	b = binary.BigEndian.AppendUint16(b, uint16(insertRows.width))
	big(r.Written.no)
	big(int64(h.Seq))
	big(digestInt(r.Digest))
	big(r.Under.no)
	integer(int32(r.Day))
	if r.Subject != nil {
		field(uint32(len(r.Subject)))
		b = append(b, r.Subject[:]...)
	} else {
		field(0xffffffff) // NULL
	}
	small(uint8(h.Pass))
	small(uint8(h.Verdict))
	small(uint8(h.Reason))
	small(uint8(h.Presence))
	small(uint8(h.Direction))
	integer(int32(r.gateNo()))
	small(h.Lane)
	big(h.Wall)
	small(uint8(h.Clock))
	big(h.Error)
	integer(int32(r.Written.numbers[h.Boot]))
	big(h.Since)
	big(r.When.Earliest)
	big(r.When.Latest)
	big(r.Received.UnixMilli())
	return b
}
