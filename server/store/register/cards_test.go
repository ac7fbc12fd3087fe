package register_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

var commune = qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"}

// cards returns the cards of the world and the vault behind them.
func (w *world) cards() (*register.Cards, *vault.Vault) {
	w.t.Helper()
	keys, master := vault.Dir(w.t.TempDir()), vault.NewMaster()
	if err := vault.Init(keys, master); err != nil {
		w.t.Fatal(err)
	}
	v, err := vault.Open(keys, master, vault.Options{Now: w.time})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Register.Cards(v), v
}

// checkin lets somebody check in by an identity, and returns who it was.
func (w *world) checkin(id [16]byte) (who qrgate.Person, isNew bool) {
	w.t.Helper()
	err := w.s.Intake(w.t.Context(), nil, func(t *store.Intake) (err error) {
		who, isNew, err = t.Person(id, vault.NewPerson)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return who, isNew
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func an() *register.CardHolder {
	return &register.CardHolder{Office: commune, Details: register.Details{
		Name: "Nguyễn Văn An", Born: 1948, Sex: "m", Phone: "+84905123456", Area: commune.ID, Street: "12 Lê Lợi", Identity: "046048001234", Insurance: "4612345678",
	}}
}

func order(w *world) register.Order {
	today := pass.DayOf(w.time())
	return register.Order{Office: commune, Kind: pass.Card, First: today, Last: today + 365}
}

// Whoever has a card is the same person at a door with the card, the identity card,
// the insurance card and the telephone, also if they came before they had a card.
func TestHolderIsOnePersonHoweverTheyCheckIn(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		c, v := w.cards()
		before, _ := w.checkin(v.Identity(pass.BHYT, "4612345678"))
		h := an()
		w.must(c.AddHolders(t.Context(), "clerk", []*register.CardHolder{h}))
		b, err := c.Issue(t.Context(), "clerk", order(w), h.ID)
		w.must(err)
		if b.Cards != 1 || b.Kind != pass.Card || b.MadeBy != "clerk" {
			t.Errorf("batch %+v", b)
		}
		all, err := c.CardsOf(t.Context(), h.ID)
		w.must(err)
		if len(all) != 1 || all[0].Number != 1 || all[0].Issue != 1 {
			t.Fatalf("cards %+v", all)
		}
		for _, id := range [][16]byte{
			v.Identity(pass.Card, "1"), v.Identity(pass.CCCD, "046048001234"), v.Identity(pass.BHYT, "4612345678"),
			v.Identity(pass.Phone, "+84905123456"), v.Identity(pass.Phone, "+84905123456\x00nguyễn văn an"),
		} {
			if who, isNew := w.checkin(id); who != before || isNew {
				t.Errorf("%x is %d, new %v, want %d", id, who, isNew, before)
			}
		}
		// A wife on the same telephone is somebody else.
		lan := an()
		lan.Details.Name, lan.Details.Identity, lan.Details.Insurance = "Trần Thị Lan", "", ""
		w.must(c.AddHolders(t.Context(), "clerk", []*register.CardHolder{lan}))
		if who, isNew := w.checkin(v.Identity(pass.Phone, "+84905123456\x00trần thị lan")); who == before || isNew {
			t.Errorf("his wife is %d, new %v, he is %d", who, isNew, before)
		}
		for _, name := range []string{"identity", "insurance"} {
			twice := an()
			twice.Details.Name, twice.Details.Phone = "Nguyễn An", ""
			if name == "identity" {
				twice.Details.Insurance = ""
			} else {
				twice.Details.Identity, twice.Details.Insurance = "", "GD4464612345678"
			}
			if err := c.AddHolders(t.Context(), "clerk", []*register.CardHolder{twice}); !errors.Is(err, register.ErrKnown) {
				t.Errorf("AddHolders with the same %s = %v", name, err)
			}
		}
		found, err := c.HolderOf(t.Context(), pass.CCCD, "046048001234")
		w.must(err)
		if diff := cmp.Diff(h, found); diff != "" {
			t.Errorf("HolderOf (-added +found):\n%s", diff)
		}
	})
}

func TestKnownHoldersAreFound(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		c, _ := w.cards()
		h := an()
		w.must(c.AddHolders(t.Context(), "clerk", []*register.CardHolder{h}))
		known, err := c.Known(t.Context(), []*register.Details{
			{Name: "Ai khác", Born: 1990},
			{Name: "nguyen  van an", Born: 1948, Area: commune.ID},
			{Name: "N. V. An", Born: 1950, Identity: "046048001234"},
			{Name: "Nguyễn Văn An", Born: 1949, Area: commune.ID},
		})
		w.must(err)
		want := map[int]register.Known{1: {h.ID, commune, false}, 2: {h.ID, commune, true}}
		if diff := cmp.Diff(want, known); diff != "" {
			t.Errorf("Known (-want +got):\n%s", diff)
		}
	})
}

func TestHolderIsChanged(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		c, v := w.cards()
		h := an()
		h.Details.Insurance = ""
		w.must(c.AddHolders(t.Context(), "clerk", []*register.CardHolder{h}))
		old := *h
		h.Details.Insurance, h.Details.Name = "4600000001", "Nguyễn Văn Ân"
		w.must(c.ChangeHolder(t.Context(), "clerk", h))
		if err := c.ChangeHolder(t.Context(), "clerk", &old); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("change of an old version = %v", err)
		}
		got, err := c.HolderOf(t.Context(), pass.BHYT, "4600000001")
		w.must(err)
		if diff := cmp.Diff(h, got); diff != "" {
			t.Errorf("changed (-want +got):\n%s", diff)
		}
		one, _ := w.checkin(v.Identity(pass.CCCD, "046048001234"))
		if other, isNew := w.checkin(v.Identity(pass.BHYT, "4600000001")); other != one || isNew {
			t.Errorf("the new number is %d, new %v, want %d", other, isNew, one)
		}
	})
}

func TestCardsAreReplacedAndRevoked(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c, v := w.cards()
		w.checkin(v.Identity(pass.Card, "2")) // a card that was signed by hand
		all := []*register.CardHolder{an(), {Office: commune, Details: register.Details{Name: "B", Born: 1950}}, {Office: commune, Details: register.Details{Name: "C", Born: 1951}}}
		w.must(c.AddHolders(ctx, "clerk", all))
		o := order(w)
		o.Kind, o.People = pass.Family, []uint8{4, 2, 3}
		b, err := c.Issue(ctx, "clerk", o, all[0].ID, all[1].ID, all[2].ID)
		w.must(err)
		var numbers []uint32
		w.must(c.EachCard(ctx, b.ID, func(d *register.Card) error {
			if d.Holder == nil || d.Holder.Details.Name != all[len(numbers)].Details.Name || d.People != o.People[len(numbers)] {
				t.Errorf("card %+v", d)
			}
			numbers = append(numbers, d.Number)
			return nil
		}))
		if diff := cmp.Diff([]uint32{1, 3, 4}, numbers); diff != "" {
			t.Errorf("numbers (-want +got):\n%s", diff)
		}
		w.must(c.Reissue(ctx, "clerk", 1, 1, o.First, o.Last+10))
		if err := c.Reissue(ctx, "clerk", 1, 1, o.First, o.Last); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("a second press of the same button = %v", err)
		}
		w.must(c.Revoke(ctx, "clerk", 3, register.Lost))
		w.must(c.Revoke(ctx, "clerk", 3, register.Stolen))
		if err := c.Reissue(ctx, "clerk", 3, 1, o.First, o.Last); !errors.Is(err, qrgate.ErrRevoked) {
			t.Errorf("reissue of a revoked card = %v", err)
		}
		if err := c.Revoke(ctx, "clerk", 99, register.Lost); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("revoke of no card = %v", err)
		}
		if err := c.Revoke(ctx, "clerk", 4, "x"); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("revoke for no reason = %v", err)
		}
		d, holder, err := c.Card(ctx, 3)
		w.must(err)
		if d.Reason != register.Lost || holder != all[1].ID {
			t.Errorf("card 3 = %+v of %s", d, holder)
		}
		list, err := void.New(w.s, w.time).Since(ctx, wire.Stamp{})
		w.must(err)
		revoked, err := list.Revocations()
		w.must(err)
		for _, tt := range []struct {
			number uint32
			issue  uint8
			want   bool
		}{{1, 1, true}, {1, 2, false}, {3, 1, true}, {3, 200, true}, {4, 1, false}} {
			if got := revoked.Contains(tt.number, tt.issue); got != tt.want {
				t.Errorf("card %d issue %d void = %v, want %v", tt.number, tt.issue, got, tt.want)
			}
		}
		audited := ""
		w.must(w.Audit(ctx, register.AuditQuery{}, 0, 100, func(a register.AuditRow) error {
			audited += a.Action + ", " + a.Object + ", " + a.Note + "\n"
			return nil
		}))
		for _, want := range []string{"reissue card, card 1, issue 2", "revoke card, card 3, lost", "issue cards, batch " + b.ID + ", 3 of kind family, numbers 1 to 4"} {
			if !strings.Contains(audited, want) {
				t.Errorf("no %q in\n%s", want, audited)
			}
		}
	})
}

func TestTestCardsHaveNoHolder(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		c, _ := w.cards()
		o := order(w)
		o.Kind, o.Tests = pass.Test, 2
		b, err := c.Issue(t.Context(), "clerk", o)
		w.must(err)
		n := 0
		w.must(c.EachCard(t.Context(), b.ID, func(d *register.Card) error {
			if n++; d.Holder != nil || d.Kind != pass.Test {
				t.Errorf("card %+v", d)
			}
			return nil
		}))
		if n != 2 {
			t.Errorf("%d cards", n)
		}
		for _, bad := range []register.Order{{}, {Office: commune, Kind: pass.Card, Tests: 2}, {Office: commune, Kind: pass.Event, Last: 1}, {Office: commune, Kind: pass.Test, Tests: register.MaxBatch + 1}} {
			if _, err := c.Issue(t.Context(), "clerk", bad); !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("Issue(%+v) = %v", bad, err)
			}
		}
	})
}

// many returns n holders who differ.
func many(n int) []*register.CardHolder {
	all := make([]*register.CardHolder, n)
	for i := range all {
		all[i] = &register.CardHolder{Office: commune, Details: register.Details{
			Name: "Người số " + strconv.Itoa(i), Born: 1940 + i%70, Phone: fmt.Sprintf("+849%08d", i), Identity: fmt.Sprintf("046%09d", i), Area: commune.ID,
		}}
	}
	return all
}

func TestUploadIsTakenOnceAndFoundByName(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c, _ := w.cards()
		w.account("clerk")
		upload, err := w.AddUpload(ctx, "clerk", "x", []byte("sealed"))
		w.must(err)
		all := many(1234)
		b, err := c.Import(ctx, "clerk", upload, order(w), all)
		w.must(err)
		if _, err := c.Import(ctx, "clerk", upload, order(w), many(3)); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("a second time = %v", err)
		}
		n := 0
		w.must(c.EachCard(ctx, b.ID, func(d *register.Card) error {
			if d.Holder.Details.Name != all[n].Details.Name {
				t.Errorf("card %d is %q's, want %q", d.Number, d.Holder.Details.Name, all[n].Details.Name)
			}
			n++
			return nil
		}))
		if n != len(all) {
			t.Errorf("%d cards, want %d", n, len(all))
		}
		offices, err := c.Offices(ctx)
		w.must(err)
		if diff := cmp.Diff([]qrgate.Scope{commune}, offices); diff != "" {
			t.Errorf("offices (-want +got):\n%s", diff)
		}
		found, total, err := c.Holders(ctx, offices, "nguoi 77", 0, 5)
		w.must(err)
		if total != 21 || len(found) != 5 { // 77, 177 to 1177, 770 to 779
			t.Errorf("%d of %d found", len(found), total)
		}
		if _, total, err := c.Holders(ctx, nil, "", 0, 5); err != nil || total != 0 {
			t.Errorf("holders of no office = %d, %v", total, err)
		}
		if batches, err := c.Batches(ctx, offices, 10); err != nil || len(batches) != 1 || batches[0].ID != b.ID {
			t.Errorf("batches %+v, %v", batches, err)
		}
	})
}

// The database tells nobody's name, number or telephone, in no way of writing it.
func TestHoldersAreNotInTheDatabaseInClear(t *testing.T) {
	dir := t.TempDir()
	w := &world{t: t}
	w.now.Store(1_795_000_000_000)
	s, err := store.Open(t.Context(), blank.At(t, filepath.Join(dir, "qrgate.db")), store.Options{Now: w.time})
	w.must(err)
	w.s, w.Register = s, register.New(s, w.time)
	c, _ := w.cards()
	h := an()
	h.Details.Guardian, h.Details.GuardianPhone = "Lê Thị Canary", "+84905777888"
	w.must(c.AddHolders(t.Context(), "clerk", []*register.CardHolder{h}))
	h.Details.Street = "99 Đường Canary"
	w.must(c.ChangeHolder(t.Context(), "clerk", h))
	_, err = c.Issue(t.Context(), "clerk", order(w), h.ID)
	w.must(err)
	w.must(s.Read(context.Background(), func(*sql.Rows) error { return nil }, "SELECT 1 FROM audit"))
	w.must(s.Close())
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	w.must(err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		w.must(err)
		for _, canary := range []string{"Nguyễn", "Canary", "046048001234", "4612345678", "905123456", "905777888", "Lê Lợi", "1948"} {
			if bytes.Contains(b, []byte(canary)) {
				t.Errorf("%s holds %q", filepath.Base(name), canary)
			}
		}
	}
}

func BenchmarkImportCards(b *testing.B) {
	for range b.N {
		b.StopTimer()
		s, err := store.Open(b.Context(), blank.SQLite(b), store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		keys, master := vault.Dir(b.TempDir()), vault.NewMaster()
		if err := vault.Init(keys, master); err != nil {
			b.Fatal(err)
		}
		v, err := vault.Open(keys, master, vault.Options{})
		if err != nil {
			b.Fatal(err)
		}
		w := &world{s: s}
		w.now.Store(1_795_000_000_000)
		w.Register = register.New(s, w.time)
		all := many(register.MaxBatch)
		c := w.Register.Cards(v)
		if err := s.Write(b.Context(), func(t store.Tx) error {
			_, err := t.Exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES ('x', 'x', 'x', '', 0, '', 1, 0, 0)")
			return err
		}); err != nil {
			b.Fatal(err)
		}
		upload, err := w.AddUpload(b.Context(), "x", "x", []byte{1})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := c.Import(b.Context(), "x", upload, order(w), all); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Close()
	}
}
