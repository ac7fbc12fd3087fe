package retention_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/sync/pass"
)

// asks has somebody ask that their data is not used, and fulfils it. It returns the
// request.
func (w *world) asks(kind rights.Kind, p qrgate.Person) string {
	w.t.Helper()
	ctx := w.t.Context()
	requests, err := w.rights.Requests(make([]byte, 32))
	if err != nil {
		w.t.Fatal(err)
	}
	q := &rights.Request{Kind: kind, Office: qrgate.All, Asker: &rights.Asker{Name: "N", Person: p}}
	if err := requests.Add(ctx, "clerk-1", q); err != nil {
		w.t.Fatal(err)
	}
	err = w.Restrain(ctx, "dpo", q.ID, kind, []qrgate.Person{p}, func() error { return requests.Finish(ctx, "dpo", q.ID, q.Version, "") })
	if err != nil {
		w.t.Fatal(err)
	}
	return q.ID
}

// restrained checks what keeps somebody's data from being used.
func (w *world) restrained(when string, h *human, want rights.Kind) {
	w.t.Helper()
	if kind, err := w.rights.RestraintOf(w.t.Context(), h.person); err != nil || kind != want {
		w.t.Errorf("%s: %s is restrained by %q, %v, want %q", when, h.name, kind, err, want)
	}
}

func TestRestraintsOutliveARestore(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx := t.Context()
			w := newWorld(t, e.dsn(t))
			restricts, objects, lifts, erased, twice, other := humanOf(1), humanOf(2), humanOf(3), humanOf(4), humanOf(5), humanOf(6)
			w.comes(restricts, objects, lifts, erased, twice, other)
			w.card(objects)
			holder := w.dossier(objects).Details.Holder
			order := register.Order{Office: qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}, Kind: pass.Card, First: pass.DayOf(w.time()), Last: pass.DayOf(w.time()) + 100}
			if _, err := w.reg.Cards(w.v).Issue(ctx, "clerk-1", order, holder); err != nil {
				t.Fatal(err)
			}
			lifted := w.asks(rights.Restriction, lifts.person)
			backup, err := os.ReadFile(w.backup("b"))
			if err != nil {
				t.Fatal(err)
			}

			w.to(2)
			later := humanOf(7) // of whom the backup knows nothing
			w.comes(later)
			w.asks(rights.Restriction, later.person)
			w.asks(rights.Restriction, restricts.person)
			if err := w.Object(ctx, "dpo", w.whose(objects.person)); err != nil {
				t.Fatal(err)
			}
			w.asks(rights.Objection, objects.person)
			if err := w.Lift(ctx, "dpo", lifted); err != nil {
				t.Fatal(err)
			}
			w.asks(rights.Restriction, erased.person)
			if _, err := w.Erase(ctx, "dpo", "request 1", w.whose(erased.person)); err != nil {
				t.Fatal(err)
			}
			w.asks(rights.Restriction, twice.person)
			if err := w.Lift(ctx, "dpo", w.asks(rights.Restriction, twice.person)); err != nil {
				t.Fatal(err)
			}
			check := func(when string) {
				t.Helper()
				w.restrained(when, restricts, rights.Restriction)
				w.restrained(when, objects, rights.Objection)
				for _, h := range []*human{lifts, erased, twice, other} {
					w.restrained(when, h, "")
				}
				if d := w.dossier(objects); len(d.Cards) != 1 || d.Cards[0].Revoked.IsZero() {
					t.Errorf("%s: a card of who objected opens doors: %+v", when, d.Cards)
				}
				if d := w.dossier(erased); d.Known {
					t.Errorf("%s: who was erased is back", when)
				}
			}
			w.once()
			check("before the restore")
			w.restrained("before the restore", later, rights.Restriction)

			w.dsn = e.dsn(t)
			w.open()
			if _, err := w.s.Restore(ctx, bytes.NewReader(backup)); err != nil {
				t.Fatal(err)
			}
			w.restrained("as the backup has it", restricts, "")
			w.restrained("as the backup has it", lifts, rights.Restriction)
			if err := w.Start(ctx); err != nil {
				t.Fatal(err)
			}
			check("before it listens")

			// Whom kiosks bring back is somebody else by then, with the same telephone.
			before := later.person
			w.comes(later)
			if later.person == before {
				t.Fatal("who came back is the same person")
			}
			w.once()
			w.restrained("once they came back", later, rights.Restriction)
			w.once()
			check("at the next turn")
			if n, err := w.rights.CountRestrained(ctx); err != nil || n[rights.Restriction] != 2 || n[rights.Objection] != 1 {
				t.Errorf("restrained are %v, %v", n, err)
			}
			rows := 0
			if err := w.s.Read(ctx, func(*sql.Rows) error { rows++; return nil }, "SELECT 1 FROM audit WHERE action = 'restrain again'"); err != nil || rows != 3 {
				t.Errorf("%d audit rows say who was restrained again, %v, want 3", rows, err)
			}

			// A request by which it was restrained again is lifted like any other.
			again := w.asks(rights.Restriction, later.person)
			if err := w.Lift(ctx, "dpo", again); err != nil {
				t.Fatal(err)
			}
			w.once()
			w.restrained("after it was lifted", later, "")
		})
	}
}

// A request that could not be fulfilled restrains nobody, after a restore either; one
// that was fulfilled already goes on to.
func TestRestraintThatFails(t *testing.T) {
	w := newWorld(t, sqlite.dsn(t))
	ctx := t.Context()
	h, other := humanOf(1), humanOf(2)
	w.comes(h, other)
	backup, err := os.ReadFile(w.backup("b"))
	if err != nil {
		t.Fatal(err)
	}
	fails := func() error { return qrgate.ErrConflict }
	if err := w.Restrain(ctx, "dpo", "request-1", rights.Restriction, []qrgate.Person{other.person}, fails); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("Restrain = %v, want %v", err, qrgate.ErrConflict)
	}
	request := w.asks(rights.Restriction, h.person)
	if err := w.Restrain(ctx, "dpo", request, rights.Restriction, []qrgate.Person{h.person}, fails); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("Restrain = %v, want %v", err, qrgate.ErrConflict)
	}
	w.dsn = sqlite.dsn(t)
	w.open()
	if _, err := w.s.Restore(ctx, bytes.NewReader(backup)); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	w.restrained("after the restore", h, rights.Restriction)
	w.restrained("after the restore", other, "")
}
