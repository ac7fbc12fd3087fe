package store

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/stdlib"
)

// saveRows writes the check-ins and counts them.
func (t *Intake) saveRows() error {
	if len(t.rows) == 0 {
		return nil
	}
	if t.s.dialect == postgres {
		return t.copyRows()
	}
	return t.saveArrival()
}

// insertOnce makes no row of what the table has already, or of what comes twice
// in one statement: that does not come back.
var insertOnce = insertOf("checkins", rowColumns, "ON CONFLICT (epoch_no, seq, digest) DO NOTHING RETURNING under_no, epoch_no, seq, digest")

// copyRows writes check-ins into PostgreSQL, by a COPY if none of them is stored
// already.
func (t *Intake) copyRows() error {
	var fresh []checkin
	var twice []any
	under := map[int64]*Epoch{}
	rows := map[rowKey]*Row{}
	for i := range t.rows {
		r := &t.rows[i]
		c := r.checkin()
		if r.Twice || t.careful {
			twice = c.values(twice)
			under[r.Under.no] = r.Under
			rows[c.key()] = r
			t.Held[r.Under.Book.Kiosk]++
		} else {
			fresh = append(fresh, c)
			r.Under.checkins++
			t.tally(r)
		}
	}
	// In the order of the table, so that neighbours meet on one page.
	slices.SortFunc(fresh, func(a, b checkin) int { return a.key().compare(b.key()) })
	if err := t.copy(fresh); err != nil {
		if pgCode(err) == uniqueViolation {
			return fmt.Errorf("%w: %w", errHeld, err)
		}
		return err
	}
	_, err := t.run(insertOnce, twice, func(r *sql.Rows) error {
		var no int64
		var k rowKey
		if err := r.Scan(&no, &k.epoch, &k.seq, &k.digest); err != nil {
			return err
		}
		t.tally(rows[k])
		under[no].checkins++
		t.Held[under[no].Book.Kiosk]--
		return nil
	})
	return err
}

// errHeld ends an intake whose caller took a check-in for new that is stored
// already. It is done again, asking for each, lest it fail for ever.
var errHeld = errors.New("a check-in is stored already")

// copy writes rows by PostgreSQL's binary COPY, which costs the server a third of
// an INSERT.
func (t *Intake) copy(rows []checkin) error {
	if len(rows) == 0 {
		return nil
	}
	buf := append(make([]byte, 0, 64+len(rows)*256), "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for i := range rows {
		buf = rows[i].binary(buf)
	}
	buf = binary.BigEndian.AppendUint16(buf, 0xffff) // the end
	return t.conn.Raw(func(c any) error {
		_, err := c.(*stdlib.Conn).Conn().PgConn().CopyFrom(t.ctx, bytes.NewReader(buf), "COPY checkins ("+rowColumns+") FROM STDIN BINARY")
		return err
	})
}

// sizes are the bytes of the numbers in PostgreSQL's table.
var sizes = [columns]uint32{8, 8, 8, 8, 4, 2, 2, 2, 2, 2, 4, 2, 8, 2, 8, 4, 8, 8, 8, 8, 2, 8}

// binary appends the columns as PostgreSQL's COPY takes them.
func (c *checkin) binary(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.n)+1))
	for i, n := range c.n {
		if i == beforeSubject {
			if c.known {
				b = binary.BigEndian.AppendUint32(b, uint32(len(c.subject)))
				b = append(b, c.subject[:]...)
			} else {
				b = binary.BigEndian.AppendUint32(b, 0xffffffff) // NULL
			}
		}
		b = binary.BigEndian.AppendUint32(b, sizes[i])
		switch sizes[i] {
		case 8:
			b = binary.BigEndian.AppendUint64(b, uint64(n))
		case 4:
			b = binary.BigEndian.AppendUint32(b, uint32(n))
		case 2:
			b = binary.BigEndian.AppendUint16(b, uint16(n))
		}
	}
	return b
}
