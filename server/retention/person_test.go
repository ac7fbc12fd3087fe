package retention_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store/events"
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
		if _, err := w.Erase(ctx, "dpo", "request 1", w.whose(one.person)); !errors.Is(err, retention.ErrNeeded) {
			t.Errorf("Erase of who a case needs = %v", err)
		}
		w.needed = nil
		file, err := w.Erase(ctx, "dpo", "request 1", w.whose(one.person))
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
	d, err := w.Export(w.t.Context(), "dpo", "request 1", w.whose(h.person))
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

// Two persons who were merged are one human: whoever asks for either gets both, also
// where they were found at once, and a third who was merged with the second.
func TestMergedAreOneHuman(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		card, phone, third, other := humanOf(1), humanOf(2), humanOf(3), humanOf(4)
		w.comes(card, phone, third, other)
		w.card(card)
		w.merge(card.person, phone.person)
		w.merge(phone.person, third.person)
		before := w.dossier(other)

		of := w.whose(card.person, phone.person)
		if len(of) != 3 || of[0] != (retention.Identity{Person: card.person, What: retention.Registered, Why: retention.Found}) || of[1].What != retention.Visiting || of[1].Why != retention.Merged {
			t.Fatalf("Identities = %+v", of)
		}
		if a, b := of.Mark(), w.whose(third.person).Mark(); a != b || a == w.whose(other.person).Mark() {
			t.Errorf("marks of one human are %s and %s", a, b)
		}
		d := w.dossier(phone)
		if len(d.Identities) != 3 || len(d.Checkins) != 3 || d.Details.Phone != phone.phone {
			t.Errorf("held of the human is %+v", d)
		}
		for _, h := range []*human{card, phone, third} {
			w.needed = []qrgate.Person{h.person}
			if _, err := w.Erase(ctx, "dpo", "request 1", of); !errors.Is(err, retention.ErrNeeded) {
				t.Errorf("Erase while a case needs one of them = %v", err)
			}
		}
		w.needed = nil

		// One was merged by mistake.
		if err := w.Part(ctx, "dpo", "request 1", third.person); err != nil {
			t.Fatal(err)
		}
		if err := w.Part(ctx, "dpo", "request 1", third.person); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Part of who is one with nobody = %v", err)
		}
		w.backup("before")
		file, err := w.Erase(ctx, "dpo", "request 1", w.whose(phone.person))
		if err != nil {
			t.Fatal(err)
		}
		var said retention.Erasure
		if err := proof.Open(proof.Erasure, file, signer.Keys(), &said); err != nil || said.Identities != 2 || said.Rows["checkins"] != 2 || said.Rows["holders"] != 1 || said.Rows["people"] != 2 || said.Rows["merges"] != 1 {
			t.Errorf("the file says %+v, %v", said, err)
		}
		for _, h := range []*human{card, phone} {
			if d := w.dossier(h); d.Known || len(d.Checkins) != 0 {
				t.Errorf("left is %+v", d)
			}
		}
		if d := w.dossier(third); !d.Known || len(d.Checkins) != 1 || len(d.Identities) != 0 {
			t.Errorf("who was parted has %+v", d)
		}
		if d := w.dossier(other); d.Known != before.Known || len(d.Checkins) != len(before.Checkins) {
			t.Errorf("another has %+v", d)
		}
		w.to(12)
		w.backup("after")
		w.once()
		w.gone(card)
		w.gone(phone)
	})
}

// An erasure of several persons that was broken off after the first goes on.
func TestErasureOfOneHumanGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		one, two := humanOf(1), humanOf(2)
		w.comes(one, two)
		if err := w.rights.BeginErasure(t.Context(), one.person, two.person); err != nil {
			t.Fatal(err)
		}
		w.once()
		w.forgotten(one)
		w.forgotten(two)
	})
}

// A guest of an event has no number that finds them: a request by telephone and name
// does, and leaves the rest of the family alone.
func TestGuestsByTelephone(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		one := humanOf(1)
		w.comes(one)
		guest := func(name, phone string) *events.Guest {
			return &events.Guest{Category: 1, Details: events.Details{Name: name, Phone: phone, From: "Hội Canary", Email: "canary@example.vn"}}
		}
		mine, child, elsewhere, unnamed := guest("TON NU canary 1", one.phone), guest("Tôn Nữ Bé", one.phone), guest(one.name, "+84935000999"), guest("", one.phone)
		w.invite(mine, child, elsewhere, unnamed)

		check := func(kind pass.Kind, number, name string, others int, want ...qrgate.Person) {
			t.Helper()
			found, more, err := w.Search(ctx, kind, number, name)
			slices.Sort(found)
			slices.Sort(want)
			if err != nil || !cmp.Equal(found, want) || more != others {
				t.Errorf("Search(%v, %s, %q) = %v, %d, %v, want %v, %d", kind, number, name, found, more, err, want, others)
			}
		}
		check(pass.Phone, one.phone, "", 2, one.person, mine.Person)
		check(pass.Phone, one.phone, "ton nu be", 1, one.person, mine.Person, child.Person)
		check(pass.Phone, "+84935000999", one.name, 0, elsewhere.Person)
		check(pass.Phone, "+84935000999", "", 1)
		check(pass.Phone, "+84935000000", one.name, 0)
		check(pass.Event, strconv.FormatUint(uint64(unnamed.Number), 10), "", 3, unnamed.Person)

		of := w.whose(one.person, mine.Person)
		d, err := w.Export(ctx, "dpo", "request 1", of)
		if err != nil || len(d.Identities) != 2 || d.Identities[1].What != retention.Invited || len(d.Invitations) != 1 {
			t.Fatalf("held is %+v, %v", d, err)
		}
		if to := d.Invitations[0]; to.Event != "Đêm nhạc Trịnh" || to.Pass != mine.Number || to.Email != "canary@example.vn" || to.From != "Hội Canary" || to.Phone != one.phone {
			t.Errorf("the invitation is %+v", to)
		}
		sheet, err := d.HTML(text.Vietnamese)
		if err != nil || !strings.Contains(string(sheet), "canary@example.vn") || !strings.Contains(string(sheet), "Khách mời của một sự kiện") {
			t.Errorf("the page does not tell of the invitation: %v\n%s", err, sheet)
		}
		if _, err := d.PDF(text.English); err != nil {
			t.Error(err)
		}
		file, err := w.Erase(ctx, "dpo", "request 1", of)
		if err != nil {
			t.Fatal(err)
		}
		var said retention.Erasure
		if err := proof.Open(proof.Erasure, file, signer.Keys(), &said); err != nil || said.Rows["guests"] != 1 || said.Rows["checkins"] != 1 {
			t.Errorf("the file says %+v, %v", said, err)
		}
		if _, err := w.events.Guest(ctx, mine.Number); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("the guest = %v", err)
		}
		for _, g := range []*events.Guest{child, elsewhere, unnamed} {
			if got, err := w.events.Guest(ctx, g.Number); err != nil || got.Details != g.Details {
				t.Errorf("another guest = %+v, %v", got, err)
			}
		}
	})
}
