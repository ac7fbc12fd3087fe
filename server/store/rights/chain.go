package rights

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
)

const (
	// sealRows is how many rows one seal takes in at most: an intake waits for no
	// more.
	sealRows = 250
	// late is how much older than those before it a row may be and still be no
	// surprise: servers' clocks differ, and transactions take their time.
	late = 10 * time.Minute
	// mostFound is how many faults are told.
	mostFound = 100

	sealContext = "qrgate audit seal v1\x00"
)

// A Seal holds rows of the chain together.
type Seal struct {
	No          int64
	First, Last int64     // places of its rows in the chain
	Newest      time.Time // the latest time of any row so far
	At          time.Time
	Previous    []byte // hash of the seal before, empty for the first
	Hash        []byte
	Key         uint32
	Signature   []byte
}

// A link is an audit row in its place.
type link struct {
	no                          int64
	id                          []byte
	at                          int64
	action, object, actor, note string
}

const linkColumns = "link, id, at, action, object, actor, note"

func (l *link) scan(rows *sql.Rows) error {
	return rows.Scan(&l.no, &l.id, &l.at, &l.action, &l.object, &l.actor, &l.note)
}

func (l *link) hash(into hash.Hash) {
	var b []byte
	b = binary.BigEndian.AppendUint64(b, uint64(l.no))
	b = binary.BigEndian.AppendUint64(b, uint64(l.at))
	for _, field := range []string{string(l.id), l.action, l.object, l.actor, l.note} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
	}
	into.Write(b)
}

// hash returns what the seal's Hash must be, over the hash of its rows.
func (s *Seal) hash(rows []byte) []byte {
	b := []byte(sealContext)
	for _, n := range []int64{s.No, s.First, s.Last, s.Newest.UnixMilli(), s.At.UnixMilli(), int64(s.Key), int64(len(s.Previous))} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	sum := sha256.Sum256(append(append(b, s.Previous...), rows...))
	return sum[:]
}

func (s *Seal) signed() []byte { return append([]byte(sealContext), s.Hash...) }

const sealColumns = "no, first, last, newest, at, previous, hash, key, signature"

func (s *Seal) scan(rows *sql.Rows) error {
	return rows.Scan(&s.No, &s.First, &s.Last, (*store.Milli)(&s.Newest), (*store.Milli)(&s.At), &s.Previous, &s.Hash, &s.Key, &s.Signature)
}

// Seal takes in all audit rows that are not sealed yet and returns how many they
// were. Servers that seal at the same time wait for each other; whoever writes
// audit rows does not.
func (r *Rights) Seal(ctx context.Context, by proof.Signer) (sealed int, err error) {
	for {
		loose := false
		err := r.s.Read(ctx, func(*sql.Rows) error { loose = true; return nil }, "SELECT 1 FROM audit WHERE link IS NULL LIMIT 1")
		if err != nil || !loose {
			return sealed, wrap("seal", err)
		}
		n := 0
		err = r.s.Write(ctx, func(t store.Tx) (err error) { n, err = r.sealSome(t, by); return err })
		if sealed += n; err != nil || n < sealRows {
			return sealed, wrap("seal", err)
		}
	}
}

func wrap(step string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rights: %s: %w", step, err)
}

func (r *Rights) sealSome(t store.Tx, by proof.Signer) (int, error) {
	if err := t.Lock("audit_seals"); err != nil {
		return 0, err
	}
	var before Seal
	err := t.Each(before.scan, "SELECT "+sealColumns+" FROM audit_seals ORDER BY no DESC LIMIT 1")
	if err != nil {
		return 0, err
	}
	var rows []link
	err = t.Each(func(r *sql.Rows) error {
		l := link{no: before.Last + int64(len(rows)) + 1}
		err := r.Scan(&l.id, &l.at, &l.action, &l.object, &l.actor, &l.note)
		rows = append(rows, l)
		return err
	}, "SELECT id, at, action, object, actor, note FROM audit WHERE link IS NULL ORDER BY at, id LIMIT ?", sealRows)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	s := Seal{
		No: before.No + 1, First: rows[0].no, Last: rows[len(rows)-1].no, Newest: before.Newest, At: r.now().Truncate(time.Millisecond),
		Previous: before.Hash, Key: by.ID,
	}
	if s.Previous == nil {
		s.Previous = []byte{}
	}
	sum := sha256.New()
	for i := range rows {
		l := &rows[i]
		n, err := t.Exec("UPDATE audit SET link = ? WHERE id = ? AND link IS NULL", l.no, l.id)
		if err == nil && n != 1 {
			err = fmt.Errorf("a row is sealed already: %w", qrgate.ErrConflict)
		}
		if err != nil {
			return 0, err
		}
		l.hash(sum)
		if at := time.UnixMilli(l.at); at.After(s.Newest) {
			s.Newest = at
		}
	}
	s.Hash = s.hash(sum.Sum(nil))
	s.Signature = ed25519.Sign(by.Key, s.signed())
	_, err = t.Exec("INSERT INTO audit_seals ("+sealColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		s.No, s.First, s.Last, s.Newest.UnixMilli(), s.At.UnixMilli(), s.Previous, s.Hash, int64(s.Key), s.Signature)
	return len(rows), err
}

// NewestSeal returns the newest seal, or the one with this number if it is not 0;
// qrgate.ErrNotFound if there is none.
func (r *Rights) NewestSeal(ctx context.Context, no int64) (s Seal, err error) {
	query, args := "SELECT "+sealColumns+" FROM audit_seals ORDER BY no DESC LIMIT 1", []any{}
	if no != 0 {
		query, args = "SELECT "+sealColumns+" FROM audit_seals WHERE no = ?", []any{no}
	}
	err = r.s.Read(ctx, s.scan, query, args...)
	if err == nil && s.No == 0 {
		err = qrgate.ErrNotFound
	}
	return s, wrap("seal", err)
}

// A Fault is what is wrong with the chain. Its text is a key of texts for people.
type Fault string

// The faults.
const (
	Changed   Fault = "changed"   // a row of the seal is not what was sealed
	Missing   Fault = "missing"   // a row of the seal is not there
	Unsealed  Fault = "unsealed"  // a row has a place in the chain that no seal gave it
	Broken    Fault = "broken"    // a seal is missing, or does not follow the one before it
	Forged    Fault = "forged"    // the signature of a seal is of no key of ours
	Backdated Fault = "backdated" // a row was sealed long after the time that it says
	Cut       Fault = "cut"       // the newest seals are gone
)

// Found is a fault and where it is.
type Found struct {
	Fault Fault
	Seal  int64
	From  time.Time // when the seal before it was made
	To    time.Time
}

// A Chain is what a check of all audit rows has found.
type Chain struct {
	Rows, Seals int64 // that were checked
	Loose       int64 // rows that no seal has taken in yet
	Newest      Seal  // zero if there is none
	Found       []Found
	More        int // faults that are not in Found
	At          time.Time
}

// OK reports whether nothing was found.
func (c *Chain) OK() bool { return len(c.Found) == 0 }

func (c *Chain) find(f Fault, s *Seal, after time.Time) {
	found := Found{Fault: f, Seal: s.No, From: after, To: s.At}
	switch n := len(c.Found); {
	case n > 0 && c.Found[n-1] == found:
	case n == mostFound:
		c.More++
	default:
		c.Found = append(c.Found, found)
	}
}

// sealsAtOnce is how many seals are read at once.
const sealsAtOnce = 200

// VerifyAudit reads every audit row and says whether they are what was sealed. It
// takes a second for a hundred thousand rows or so.
func (r *Rights) VerifyAudit(ctx context.Context, keys proof.Keys) (*Chain, error) {
	c := &Chain{At: r.now()}
	var before Seal
	for {
		var seals []Seal
		err := r.s.Read(ctx, func(rows *sql.Rows) error {
			var s Seal
			err := s.scan(rows)
			seals = append(seals, s)
			return err
		}, "SELECT "+sealColumns+" FROM audit_seals WHERE no > ? ORDER BY no LIMIT ?", before.No, sealsAtOnce)
		if err != nil {
			return nil, wrap("verify audit", err)
		}
		if len(seals) == 0 {
			break
		}
		if err := r.verifySeals(ctx, c, before, seals, keys); err != nil {
			return nil, wrap("verify audit", err)
		}
		before = seals[len(seals)-1]
	}
	c.Newest = before
	err := r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&c.Loose) }, "SELECT COUNT(*) FROM audit WHERE link IS NULL")
	if err != nil {
		return nil, wrap("verify audit", err)
	}
	// One statement, so that a seal that is made now does not look like a fault.
	stray := int64(0)
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&stray) }, `SELECT COUNT(*) FROM audit
		WHERE (link > ? AND NOT EXISTS (SELECT 1 FROM audit_seals WHERE no > ?)) OR link < 1`, before.Last, before.No)
	if err == nil && stray > 0 {
		c.find(Unsealed, &Seal{No: before.No, At: c.At}, before.At)
	}
	return c, wrap("verify audit", err)
}

// verifySeals checks some seals that follow each other, and their rows.
func (r *Rights) verifySeals(ctx context.Context, c *Chain, before Seal, seals []Seal, keys proof.Keys) error {
	i, sum, n := 0, sha256.New(), int64(0)
	newest := before.Newest
	// end ends the seal that is checked now.
	end := func() {
		s := &seals[i]
		if s.No != before.No+1 || s.First != before.Last+1 || s.Last < s.First || !bytes.Equal(s.Previous, before.Hash) {
			c.find(Broken, s, before.At)
		}
		key := keys[s.Key]
		switch whole := n == s.Last-s.First+1; {
		case len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, s.signed(), s.Signature):
			c.find(Forged, s, before.At)
		case !whole:
			c.find(Missing, s, before.At)
		case !bytes.Equal(s.Hash, s.hash(sum.Sum(nil))):
			c.find(Changed, s, before.At)
		}
		newest = s.Newest
		before, i, n = *s, i+1, 0
		sum.Reset()
		c.Seals++
	}
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for j := range seals {
		from, to = min(from, seals[j].First), max(to, seals[j].Last)
	}
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var l link
		if err := l.scan(rows); err != nil {
			return err
		}
		for i < len(seals) && l.no > seals[i].Last {
			end()
		}
		if i == len(seals) {
			return errEnded
		}
		c.Rows++
		if l.no < seals[i].First {
			c.find(Unsealed, &seals[i], before.At)
			return nil
		}
		n++
		l.hash(sum)
		if !newest.IsZero() && l.at < newest.Add(-late).UnixMilli() {
			c.find(Backdated, &seals[i], before.At)
		}
		return nil
	}, "SELECT "+linkColumns+" FROM audit WHERE link >= ? AND link <= ? ORDER BY link", from, to)
	if errors.Is(err, errEnded) {
		err = nil
	}
	for err == nil && i < len(seals) {
		end()
	}
	return err
}

// errEnded ends a reading that has all it needs.
var errEnded = errors.New("rights: ended")
