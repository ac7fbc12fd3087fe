package retention_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// Erasure leaves nothing of a person and everything of others.
func TestErasure(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		one, other := humanOf(1), humanOf(2)
		w.comes(one, other)
		w.to(3)
		w.tidy()
		w.comes(other, one, one)
		w.card(one)
		w.card(other)
		holder := w.dossier(one).Details.Holder
		order := register.Order{Office: qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}, Kind: pass.Card, First: pass.DayOf(w.time()), Last: pass.DayOf(w.time()) + 100}
		if _, err := w.reg.Cards(w.v).Issue(ctx, "clerk-1", order, holder); err != nil {
			t.Fatal(err)
		}
		w.backup("before")
		w.to(4)
		before := w.dossier(other)
		if d := w.dossier(one); len(d.Checkins) != 3 || len(d.Cards) != 1 || d.Details.Name != one.name || len(d.Looks) != 1 || len(d.Backups) != 1 || d.Numbers < 2 {
			t.Errorf("held of one is %+v", d)
		}

		w.needed = []qrgate.Person{one.person}
		if _, err := w.Erase(ctx, "dpo", "request 1", one.person); !errors.Is(err, retention.ErrNeeded) {
			t.Errorf("Erase of who a case needs = %v", err)
		}
		w.needed = nil
		file, err := w.Erase(ctx, "dpo", "request 1", one.person)
		if err != nil {
			t.Fatal(err)
		}
		var said retention.Erasure
		if err := proof.Open(proof.Erasure, file, signer.Keys(), &said); err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{"checkins": 3, "identities": said.Rows["identities"], "details": 1, "people": 1, "holders": 1, "guests": 0, "merges": 0, "restraints": 0}
		if !cmp.Equal(said.Rows, want) || said.Object != "request 1" || len(said.Waiting.Backups) != 1 || len(said.Days) != 4 {
			t.Errorf("the file says %+v", said)
		}
		if d := w.dossier(one); d.Known || len(d.Checkins) != 0 || len(d.Cards) != 0 {
			t.Errorf("left of one is %+v", d)
		}
		if _, err := w.Find(ctx, pass.Phone, one.phone); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Find = %v", err)
		}
		if d := w.dossier(other); !cmp.Equal(d, before) {
			t.Errorf("the other lost %s", cmp.Diff(before, d))
		}
		// The names are in the backup until it goes; then nothing is left at all.
		w.to(12)
		w.comes(other)
		w.backup("after")
		w.once()
		w.gone(one)
		// Who comes again is somebody new.
		old := one.person
		w.comes(one)
		if one.person == old {
			t.Error("one is the same person as before")
		}
	})
}

func (w *world) dossier(h *human) *retention.Dossier {
	w.t.Helper()
	d, err := w.Export(w.t.Context(), "dpo", "request 1", h.person)
	if err != nil {
		w.t.Fatal(err)
	}
	file, err := w.File(d)
	if err != nil {
		w.t.Fatal(err)
	}
	var again retention.Dossier
	if err := proof.Open(proof.Export, file, signer.Keys(), &again); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// An erasure that was broken off goes on at the next run.
func TestErasureGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		h := humanOf(1)
		w.comes(h)
		if err := w.rights.BeginErasure(t.Context(), h.person); err != nil {
			t.Fatal(err)
		}
		w.once()
		w.forgotten(h)
		all, err := w.rights.Erasures(t.Context(), 10)
		if err != nil || len(all) != 1 || len(all[0].Proof) == 0 {
			t.Errorf("Erasures = %+v, %v", all, err)
		}
	})
}

// Whom an open case needs is kept until its end, after the check-ins have gone.
func TestNeededByACase(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		h := humanOf(1)
		w.comes(h)
		w.needed = []qrgate.Person{h.person}
		w.to(23)
		w.once()
		if d := w.dossier(h); !d.Known || len(d.Checkins) != 0 {
			t.Errorf("left is %+v", d)
		}
		w.needed = nil
		w.to(25)
		w.once()
		w.forgotten(h)
	})
}
