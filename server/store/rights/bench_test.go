package rights_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/store"
)

// fill writes audit rows that no seal has taken in.
func (w *world) fill(from, n int) {
	w.t.Helper()
	err := w.s.Write(w.t.Context(), func(t store.Tx) error {
		for done := 0; done < n; done += 100 {
			args := []any{}
			for i := range 100 {
				args = append(args, fmt.Appendf(nil, "%016d", from+done+i), w.now.Load()+int64(from+done+i))
			}
			if _, err := t.Exec("INSERT INTO audit (id, at, action, object, actor, note) VALUES (?, ?, 'see person', 'person 0123456789abcdef0123456789abcdef', 'officer-1', 'case x')"+
				strings.Repeat(", (?, ?, 'see person', 'person 0123456789abcdef0123456789abcdef', 'officer-1', 'case x')", 99), args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// BenchmarkSeal says how long four full seals keep others from
// writing, one after the other.
func BenchmarkSeal(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			w := newWorld(b, e.dsn(b))
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				w.fill(n*1000, 1000)
				b.StartTimer()
				w.seal()
			}
		})
	}
}

// BenchmarkVerifyAudit says how long a check of a hundred thousand rows takes.
func BenchmarkVerifyAudit(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			w := newWorld(b, e.dsn(b))
			w.fill(0, 100_000)
			w.seal()
			for b.Loop() {
				if c := w.verify(); !c.OK() || c.Rows != 100_000 {
					b.Fatalf("VerifyAudit = %+v", c)
				}
			}
		})
	}
}
