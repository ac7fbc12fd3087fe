package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

const rowColumns = `epoch_no, seq, digest, under_no, day, subject, pass, verdict, reason, presence, direction,
	gate_no, lane, said, clock, error, boot_no, since, earliest, latest, received, level, came_with`

// A checkin is a row of check-ins: its numbers in the order of the columns, and
// the subject, which stands behind the first five.
type checkin struct {
	n       [columns]int64
	subject qrgate.Subject
	known   bool // it has a subject
}

// The columns that are numbers.
const (
	epochNo = iota
	seq
	digest
	underNo
	day
	passKind
	verdict
	reason
	presence
	direction
	gateNo
	lane
	said
	clock
	errorBound
	bootNo
	since
	earliest
	latest
	received
	level
	cameWith

	columns // how many they are
)

// placeColumns are those of check-ins at a gate, all of which are in the index by
// which these are found; placeNumbers are the numbers among them.
const placeColumns = `seq, digest, day, subject, pass, verdict, reason, presence, direction,
	lane, boot_no, since, earliest, latest, received, level, came_with`

var (
	placeNumbers = []int{seq, digest, day, passKind, verdict, reason, presence, direction, lane, bootNo, since, earliest, latest, received, level, cameWith}
	allNumbers   = func() []int {
		all := make([]int, columns)
		for i := range all {
			all[i] = i
		}
		return all
	}()
)

// beforeSubject is how many numbers stand before the subject.
const beforeSubject = 5

// A rowKey is the primary key of check-ins.
type rowKey struct{ epoch, seq, digest int64 }

func (c *checkin) key() rowKey { return rowKey{c.n[epochNo], c.n[seq], c.n[digest]} }

func (k rowKey) compare(l rowKey) int {
	if n := cmp.Compare(k.epoch, l.epoch); n != 0 {
		return n
	}
	if n := cmp.Compare(k.seq, l.seq); n != 0 {
		return n
	}
	return cmp.Compare(k.digest, l.digest)
}

// checkin returns the row, whose gate and boot must have their numbers.
func (r *Row) checkin() checkin {
	h := &r.Header
	c := checkin{n: [columns]int64{
		r.Written.no, int64(h.Seq), digestInt(r.Digest), r.Under.no, int64(r.Day), int64(h.Pass), int64(h.Verdict), int64(h.Reason),
		int64(h.Presence), int64(h.Direction), r.Under.Book.gates[gateOf(r)], int64(h.Lane), h.Wall, int64(h.Clock), h.Error,
		r.Written.numbers[h.Boot], h.Since, r.When.Earliest, r.When.Latest, r.Received.UnixMilli(),
		int64(r.Level), int64(h.With),
	}}
	if r.Subject != nil {
		c.subject, c.known = *r.Subject, true
	}
	return c
}

// values appends the columns' values.
func (c *checkin) values(to []any) []any {
	for i, n := range c.n {
		if i == beforeSubject {
			to = append(to, c.subjectValue())
		}
		to = append(to, n)
	}
	return to
}

func (c *checkin) subjectValue() any {
	if !c.known {
		return nil
	}
	return c.subject[:]
}

// tell returns what the row says, with what its numbers stand for.
func (c *checkin) tell(kiosk string, epoch wire.Epoch, at gate, boot when.Boot) qrgate.Checkin {
	if at.placeNo != 0 {
		at.place = "" // the place has a name of its own
	}
	return qrgate.Checkin{
		Kiosk: kiosk, Epoch: epoch, Seq: uint64(c.n[seq]), Day: qrgate.Day(c.n[day]), Subject: c.subject, Pass: pass.Kind(c.n[passKind]),
		Verdict: wire.Verdict(c.n[verdict]), Reason: wire.Reason(c.n[reason]), Presence: wire.Presence(c.n[presence]),
		Direction: wire.Direction(c.n[direction]), PlaceNo: at.placeNo, Place: at.place, Gate: at.name, Lane: uint8(c.n[lane]), Said: c.n[said], Clock: when.State(c.n[clock]),
		Error: c.n[errorBound], Boot: boot, Since: c.n[since], Earliest: c.n[earliest], Latest: c.n[latest], Received: c.n[received],
		Digest: digestOf(c.n[digest]), Level: qrgate.Level(c.n[level]), With: uint64(c.n[cameWith]),
	}
}

// into returns where to scan the subject and these numbers, in the order of the
// columns; subject gets the bytes.
func (c *checkin) into(subject *[]byte, numbers []int) []any {
	var to []any
	for _, i := range numbers {
		to = append(to, (*number)(&c.n[i]))
	}
	behind := slices.IndexFunc(numbers, func(i int) bool { return i >= beforeSubject })
	return slices.Insert(to, behind, any(subject))
}

// setSubject takes the bytes of a column, nil where it is null.
func (c *checkin) setSubject(b []byte) {
	c.subject, c.known = qrgate.Subject{}, b != nil
	copy(c.subject[:], b)
}

// setBinary takes the columns of the subject and of these numbers, in the order of the
// columns, as PostgreSQL sends them in binary.
func (c *checkin) setBinary(row [][]byte, numbers []int) error {
	behind := false
	for i, no := range numbers {
		if !behind && no >= beforeSubject {
			behind = true
			c.setSubject(row[i])
		}
		if behind {
			i++
		}
		switch b := row[i]; len(b) {
		case 8:
			c.n[no] = int64(binary.BigEndian.Uint64(b))
		case 4:
			c.n[no] = int64(int32(binary.BigEndian.Uint32(b)))
		case 2:
			c.n[no] = int64(int16(binary.BigEndian.Uint16(b)))
		default:
			return fmt.Errorf("a number of %d bytes", len(b))
		}
	}
	return nil
}

// A number is scanned without the reflection that an int64 is.
type number int64

// Scan implements [database/sql.Scanner].
func (n *number) Scan(v any) error {
	i, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a number in a column of %T", v)
	}
	*n = number(i)
	return nil
}

// encodings says how many numbers there are in encoded check-ins, by their first
// byte. Arrivals of an earlier release may wait when this one starts.
var encodings = [...]int{1: level, 2: cameWith, 3: columns}

const encodingVersion = 3

// encode returns check-ins in few bytes: of each number the difference from the
// check-in before, about 60 bytes a check-in.
func encode(rows []checkin) []byte {
	b := append(make([]byte, 0, 64*len(rows)+1), encodingVersion)
	var before checkin
	for i := range rows {
		c := &rows[i]
		for j, n := range c.n {
			b = binary.AppendVarint(b, n-before.n[j])
		}
		if c.known {
			b = append(append(b, 1), c.subject[:]...)
		} else {
			b = append(b, 0)
		}
		before = *c
	}
	return b
}

var errEncoding = errors.New("encoded check-ins are damaged")

// decode calls fn with each of the check-ins that encode was given. The check-in
// is fn's only until it returns.
func decode(b []byte, fn func(*checkin)) error {
	if len(b) == 0 || int(b[0]) >= len(encodings) || encodings[b[0]] == 0 {
		return fmt.Errorf("%w: version", errEncoding)
	}
	var c checkin
	numbers := c.n[:encodings[b[0]]]
	b = b[1:]
	for len(b) > 0 {
		for j := range numbers {
			d, n := binary.Varint(b)
			if n <= 0 {
				return fmt.Errorf("%w: number", errEncoding)
			}
			numbers[j] += d
			b = b[n:]
		}
		if len(b) == 0 || b[0] > 1 || len(b) < 1+int(b[0])*len(c.subject) {
			return fmt.Errorf("%w: subject", errEncoding)
		}
		c.subject, c.known = qrgate.Subject{}, b[0] == 1
		b = b[1:]
		if c.known {
			b = b[copy(c.subject[:], b):]
		}
		fn(&c)
	}
	return nil
}
