package rights_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store/rights"
)

// grow writes rows and seals them in portions.
func (w *world) grow(seals, each int) {
	for s := range seals {
		for n := range each {
			w.did("look", fmt.Sprintf("case %d", s*each+n))
			w.pass(time.Second)
		}
		w.seal()
	}
}

func TestSealedRowsAreWhole(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		if c := w.verify(); !c.OK() || c.Seals != 0 {
			t.Errorf("of nothing VerifyAudit = %+v", c)
		}
		w.grow(3, 4)
		w.did("look", "later")
		c := w.verify()
		if !c.OK() || c.Rows != 12 || c.Seals != 3 || c.Loose != 1 || c.Newest.Last != 12 {
			t.Errorf("VerifyAudit = %+v", c)
		}
		if n := w.seal(); n != 1 {
			t.Errorf("Seal = %d, want 1", n)
		}
		if n := w.seal(); n != 0 {
			t.Errorf("Seal again = %d, want 0", n)
		}
		if s, err := w.NewestSeal(t.Context(), 0); err != nil || s.No != 4 || !bytes.Equal(s.Previous, c.Newest.Hash) {
			t.Errorf("NewestSeal = %+v, %v", s, err)
		}
		if c, err := w.VerifyAudit(t.Context(), proof.Keys{}); err != nil || len(c.Found) != 4 || c.Found[0].Fault != rights.Forged {
			t.Errorf("without its key VerifyAudit = %+v, %v", c, err)
		}
	})
}

// What was there before there were seals is sealed by the first, in portions.
func TestManyOldRows(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		for i := range 250 {
			rows, args := "", []any{}
			for n := range 10 {
				if n > 0 {
					rows += ", "
				}
				rows += "(?, ?, 'old', 'x', '', '')"
				args = append(args, []byte(fmt.Sprintf("row %d", i*10+n)), int64(1000+(i*7919+n)%5000))
			}
			w.exec("INSERT INTO audit (id, at, action, object, actor, note) VALUES "+rows, args...)
		}
		if n := w.seal(); n != 2500 {
			t.Errorf("Seal = %d", n)
		}
		if c := w.verify(); !c.OK() || c.Rows != 2500 || c.Seals != 10 {
			t.Errorf("VerifyAudit = %+v", c)
		}
	})
}

// every returns values like v that differ from it in one byte.
func every(v any) (all []any) {
	switch v := v.(type) {
	case int64:
		for bit := 0; bit < 62; bit += 7 {
			all = append(all, v^1<<bit)
		}
	case string:
		for i := range len(v) {
			b := []byte(v)
			b[i] ^= 1
			all = append(all, string(b))
		}
		all = append(all, v+" ")
	case []byte:
		for i := range v {
			b := bytes.Clone(v)
			b[i] ^= 1
			all = append(all, b)
		}
		all = append(all, append(bytes.Clone(v), 0))
	}
	return all
}

// Whatever byte of whatever column of a row or a seal is changed, it is found,
// and by its seal.
func TestOneByteIsFound(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.grow(3, 3)
		for _, of := range []struct {
			table, key string
			columns    []string
		}{
			{"audit", "link", []string{"id", "at", "action", "object", "actor", "note", "link"}},
			{"audit_seals", "no", []string{"first", "last", "newest", "at", "previous", "hash", "key", "signature", "no"}},
		} {
			row := int64(5)
			if of.table == "audit_seals" {
				row = 2
			}
			for _, column := range of.columns {
				var was any
				err := w.s.Read(t.Context(), func(r *sql.Rows) error { return r.Scan(&was) }, "SELECT "+column+" FROM "+of.table+" WHERE "+of.key+" = ?", row)
				if err != nil {
					t.Fatal(err)
				}
				values := every(was)
				if len(values) == 0 {
					t.Fatalf("%s.%s = %v has no bytes", of.table, column, was)
				}
				for i, v := range values {
					if n, ok := v.(int64); ok && (column == "link" || column == "no") && n > 0 && n < 16 {
						continue // taken by another
					}
					if n, ok := v.(int64); ok && column == "key" && n > 1<<32-1 {
						continue // is no key's number, which is an error
					}
					at := row
					w.exec("UPDATE "+of.table+" SET "+column+" = ? WHERE "+of.key+" = ?", v, row)
					if column == of.key {
						at = v.(int64)
					}
					if c := w.verify(); c.OK() {
						t.Errorf("%s.%s: change %d of %v is not found", of.table, column, i, was)
					}
					w.exec("UPDATE "+of.table+" SET "+column+" = ? WHERE "+of.key+" = ?", was, at)
				}
			}
		}
		if c := w.verify(); !c.OK() {
			t.Errorf("put right again VerifyAudit = %+v", c)
		}
	})
}

func TestTamperingIsFound(t *testing.T) {
	insert := "INSERT INTO audit (id, at, action, object, actor, note, link) SELECT ?, at - ?, action, object, actor, note, CAST(? AS BIGINT) FROM audit WHERE link = 5"
	tests := []struct {
		name string
		do   func(*world)
		want rights.Fault
	}{
		{"a row is taken out", func(w *world) { w.exec("DELETE FROM audit WHERE link = 5") }, rights.Missing},
		{"the first row is taken out", func(w *world) { w.exec("DELETE FROM audit WHERE link = 1") }, rights.Missing},
		{"the last row is taken out", func(w *world) { w.exec("DELETE FROM audit WHERE link = 9") }, rights.Missing},
		{"a row is put in after the newest", func(w *world) { w.exec(insert, []byte("new"), int64(0), int64(10)) }, rights.Unsealed},
		{"a row is put in before the first", func(w *world) { w.exec(insert, []byte("new"), int64(0), int64(0)) }, rights.Unsealed},
		{"a row is put in with an old date", func(w *world) {
			w.exec(insert, []byte("new"), int64(time.Hour/time.Millisecond), nil)
			w.seal()
		}, rights.Backdated},
		{"two rows change places", func(w *world) {
			w.exec("UPDATE audit SET link = 100 WHERE link = 4")
			w.exec("UPDATE audit SET link = 4 WHERE link = 5")
			w.exec("UPDATE audit SET link = 5 WHERE link = 100")
		}, rights.Changed},
		{"a row is to be sealed again", func(w *world) {
			w.exec("UPDATE audit SET link = NULL, note = 'other' WHERE link = 5")
			w.seal()
		}, rights.Missing},
		{"a seal is taken out with its rows", func(w *world) {
			w.exec("DELETE FROM audit WHERE link BETWEEN 4 AND 6")
			w.exec("DELETE FROM audit_seals WHERE no = 2")
		}, rights.Broken},
		{"the first seal is taken out with its rows", func(w *world) {
			w.exec("DELETE FROM audit WHERE link <= 3")
			w.exec("DELETE FROM audit_seals WHERE no = 1")
		}, rights.Broken},
		{"the newest seal is taken out", func(w *world) { w.exec("DELETE FROM audit_seals WHERE no = 3") }, rights.Unsealed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, w *world) {
				w.grow(3, 3)
				tt.do(w)
				c := w.verify()
				if !slices.ContainsFunc(c.Found, func(f rights.Found) bool { return f.Fault == tt.want }) {
					t.Errorf("VerifyAudit found %+v, want %s", c.Found, tt.want)
				}
			})
		})
	}
}

// Several servers write and seal at once: every row is in the chain once.
func TestSealersAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		var tasks errgroup.Group
		var mu sync.Mutex
		sealed := 0
		const servers, rows = 3, 40
		for range servers {
			other := newWorld(t, w.dsn)
			tasks.Go(func() error {
				for n := range rows {
					other.did("look", fmt.Sprint(n))
					if n%5 != 0 {
						continue
					}
					k, err := other.Seal(t.Context(), signer)
					if err != nil {
						return err
					}
					mu.Lock()
					sealed += k
					mu.Unlock()
					if _, err := other.VerifyAudit(t.Context(), signer.Keys()); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := tasks.Wait(); err != nil {
			t.Fatal(err)
		}
		sealed += w.seal()
		if c := w.verify(); !c.OK() || c.Rows != servers*rows || int64(sealed) != c.Rows {
			t.Errorf("VerifyAudit = %+v, sealed %d", c, sealed)
		}
	})
}
