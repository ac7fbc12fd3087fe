package enrolment_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/blank"
	"github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/sync/wire"
)

// An engine hands out empty databases.
type engine struct {
	name string
	dsn  func(testing.TB) string
}

var sqlite = engine{"sqlite", func(t testing.TB) string { return blank.SQLite(t) }}

type world struct {
	*enrolment.Enrolments
	t   *testing.T
	s   *store.Store
	now time.Time
}

func onEach(t *testing.T, test func(*testing.T, *world)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := &world{t: t, now: time.UnixMilli(1_795_500_000_000)}
			now := func() time.Time { return w.now }
			s, err := store.Open(t.Context(), e.dsn(t), store.Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			w.s, w.Enrolments = s, enrolment.New(s, now)
			test(t, w)
		})
	}
}

var key = bytes.Repeat([]byte{7}, 32)

func (w *world) offer(id, replaces string) *enrolment.Offer {
	w.t.Helper()
	o := &enrolment.Offer{
		ID: id, Hash: sha256.Sum256([]byte(id)), Kiosk: "kiosk-" + id, Until: w.now.Add(15 * time.Minute), Replaces: replaces,
		Door: enrolment.Door{PlaceNo: 5, Place: "Chợ Đông Ba", Gate: "A1", Lane: 2, Direction: wire.In},
	}
	if err := w.Offer(w.t.Context(), "op", o); err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) want(err, want error, what string) {
	w.t.Helper()
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		w.t.Errorf("%s = %v, want %v", what, err, want)
	}
}

func (w *world) enrol(id, replaces string, key []byte) *enrolment.Offer {
	w.t.Helper()
	o := w.offer(id, replaces)
	if _, err := w.Ask(w.t.Context(), o.Hash, key, "a b c d", "Pi"); err != nil {
		w.t.Fatal(err)
	}
	got, err := w.Decide(w.t.Context(), "op", id, "a b c d", true)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *world) actions() (all []string) {
	w.t.Helper()
	err := w.s.Read(w.t.Context(), func(rows *sql.Rows) error {
		var action string
		err := rows.Scan(&action)
		all = append(all, action)
		return err
	}, "SELECT action FROM audit ORDER BY at, action")
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestOneCodeMakesOneKiosk(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		o := w.offer("0001", "")
		_, err := w.Ask(ctx, sha256.Sum256([]byte("guess")), key, "w", "")
		w.want(err, qrgate.ErrNotFound, "Ask with a guess")
		_, err = w.Decide(ctx, "op", "0001", "", true)
		w.want(err, qrgate.ErrConflict, "Decide before anybody has asked")
		for range 2 { // the kiosk asks again and again
			got, err := w.Ask(ctx, o.Hash, key, "a b c d", "Pi 4")
			if err != nil || got.State != enrolment.Asked || got.Words != "a b c d" || got.Model != "Pi 4" {
				t.Fatalf("Ask = %+v, %v", got, err)
			}
		}
		_, err = w.Decide(ctx, "op", "0001", "e f g h", true)
		w.want(err, qrgate.ErrConflict, "Decide for other words")
		if _, err := w.s.Kiosk(ctx, "kiosk-0001"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Fatalf("there is a kiosk before anybody has agreed: %v", err)
		}
		got, err := w.Decide(ctx, "op", "0001", "a b c d", true)
		if err != nil || got.State != enrolment.Granted || got.DecidedBy != "op" {
			t.Fatalf("Decide = %+v, %v", got, err)
		}
		_, err = w.Decide(ctx, "op", "0001", "a b c d", true)
		w.want(err, qrgate.ErrConflict, "Decide twice")
		_, err = w.Decide(ctx, "op", "0001", "a b c d", false)
		w.want(err, qrgate.ErrConflict, "Decide otherwise")
		if k, err := w.s.Kiosk(ctx, "kiosk-0001"); err != nil || k.PlaceNo != 5 || !bytes.Equal(k.Public, key) || k.State != qrgate.KioskActive {
			t.Errorf("Kiosk = %+v, %v", k, err)
		}
		if got, err := w.Ask(ctx, o.Hash, key, "a b c d", "Pi 4"); err != nil || got.State != enrolment.Granted {
			t.Errorf("Ask after it was granted = %+v, %v", got, err)
		}
		_, err = w.Ask(ctx, o.Hash, bytes.Repeat([]byte{8}, 32), "x", "")
		w.want(err, qrgate.ErrConflict, "Ask with another key after it was granted")
		if got, err := w.Offered(ctx, "0001"); err != nil || got.State != enrolment.Granted || got.Tries != 1 {
			t.Errorf("a second key has undone a grant: %+v, %v", got, err)
		}
		if err := w.Collected(ctx, "0001"); err != nil {
			t.Error(err)
		}
		w.now = w.now.Add(time.Second)
		i, err := w.Identity(ctx, "kiosk-0001")
		if err != nil || i.Gate != "A1" || i.Lane != 2 || i.Direction != wire.In || i.PlaceNo != 5 {
			t.Errorf("Identity = %+v, %v", i, err)
		}
		want := []string{"change configuration", "enrol kiosk", "kiosk asks for enrolment", "offer enrolment", "second key asks with one enrolment code"}
		if got := w.actions(); !slices.Equal(got, want) {
			t.Errorf("audit = %q, want %q", got, want)
		}
	})
}

// Whoever has filmed the code and asks too ends it, whichever of the two was first.
func TestTwoKeysEndACode(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o := w.offer("0001", "")
		var wait sync.WaitGroup
		for n := range 8 {
			wait.Go(func() { w.Ask(t.Context(), o.Hash, bytes.Repeat([]byte{byte(n)}, 32), "w", "") })
		}
		wait.Wait()
		got, err := w.Offered(t.Context(), "0001")
		if err != nil || got.State != enrolment.Contested || got.Tries != 7 {
			t.Fatalf("Offered = %+v, %v", got, err)
		}
		_, err = w.Decide(t.Context(), "op", "0001", "w", true)
		w.want(err, qrgate.ErrConflict, "Decide a contested code")
		if got, err := w.Ask(t.Context(), o.Hash, got.Public, "w", ""); err != nil || got.State != enrolment.Contested {
			t.Errorf("Ask = %+v, %v", got, err)
		}
	})
}

func TestCodesEnd(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		unread, read := w.offer("0001", ""), w.offer("0002", "")
		if all, err := w.Waiting(ctx); err != nil || len(all) != 2 {
			t.Errorf("Waiting = %d, %v", len(all), err)
		}
		if _, err := w.Ask(ctx, read.Hash, key, "w", ""); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(15 * time.Minute)
		for _, o := range []*enrolment.Offer{unread, read} {
			_, err := w.Ask(ctx, o.Hash, key, "w", "")
			w.want(err, qrgate.ErrNotFound, "Ask after a quarter of an hour")
			_, err = w.Decide(ctx, "op", o.ID, "w", true)
			w.want(err, qrgate.ErrConflict, "Decide after a quarter of an hour")
		}
		if all, err := w.Waiting(ctx); err != nil || len(all) != 0 {
			t.Errorf("Waiting = %d, %v", len(all), err)
		}
		w.now = w.now.Add(25 * time.Hour)
		refused := w.offer("0003", "")
		if _, err := w.Offered(ctx, "0001"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("a code that nobody read is kept: %v", err)
		}
		if _, err := w.Decide(ctx, "op", "0003", "", false); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Ask(ctx, refused.Hash, key, "w", ""); err == nil && got.State != enrolment.Refused {
			t.Errorf("Ask with a refused code = %+v", got)
		}
	})
}

func TestGateIsTakenOver(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.enrol("0001", "", key)
		other := &enrolment.Offer{ID: "9", Kiosk: "kiosk-0009", Until: w.now.Add(time.Minute), Replaces: "kiosk-0001",
			Door: enrolment.Door{PlaceNo: 6, Place: "Bến xe", Gate: "A1", Direction: wire.In}}
		w.want(w.Offer(ctx, "op", other), qrgate.ErrInvalid, "Offer that takes over the gate of another place")
		w.now = w.now.Add(time.Minute)
		w.enrol("0002", "kiosk-0001", bytes.Repeat([]byte{8}, 32))
		old, err := w.Identity(ctx, "kiosk-0001")
		if err != nil || old.Kiosk.State != qrgate.KioskRevoked || old.ReplacedBy != "kiosk-0002" || old.RevokedBy != "op" {
			t.Errorf("Identity of the old one = %+v, %v", old, err)
		}
		if all, err := w.AtGate(ctx, 5, "A1"); err != nil || len(all) != 2 || all[1].Replaces != "kiosk-0001" {
			t.Errorf("AtGate = %+v, %v", all, err)
		}
		w.want(w.Reinstate(ctx, "op", "kiosk-0001"), qrgate.ErrConflict, "Reinstate one that was replaced")
	})
}

func TestRevokeAndReinstate(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, id := range []string{"0001", "0002", "0003"} {
			w.enrol(id, "", key)
		}
		w.want(w.Revoke(ctx, "op", false, "kiosk-0001", "kiosk-0009"), qrgate.ErrNotFound, "Revoke an unknown one")
		if i, _ := w.Identity(ctx, "kiosk-0001"); i.Kiosk.State != qrgate.KioskActive {
			t.Error("half of a bulk was revoked")
		}
		w.want(w.Reinstate(ctx, "op", "kiosk-0001"), qrgate.ErrConflict, "Reinstate one that is not revoked")
		w.want(w.Reinstate(ctx, "op", "kiosk-0009"), qrgate.ErrNotFound, "Reinstate an unknown one")
		if err := w.Revoke(ctx, "op", false, "kiosk-0001", "kiosk-0002"); err != nil {
			t.Fatal(err)
		}
		if err := w.Reinstate(ctx, "op", "kiosk-0001"); err != nil {
			t.Fatal(err)
		}
		if i, err := w.Identity(ctx, "kiosk-0001"); err != nil || i.Kiosk.State != qrgate.KioskActive || !i.Revoked.IsZero() {
			t.Errorf("Identity = %+v, %v", i, err)
		}
		if err := w.Revoke(ctx, "op", true, "kiosk-0002"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.Wiped(ctx, "kiosk-0002"); err != nil {
				t.Fatal(err)
			}
		}
		if i, err := w.Identity(ctx, "kiosk-0002"); err != nil || !i.Wipe || !i.Wiped.Equal(w.now) {
			t.Errorf("Identity = %+v, %v", i, err)
		}
		w.want(w.Reinstate(ctx, "op", "kiosk-0002"), qrgate.ErrConflict, "Reinstate one that has forgotten who it is")
		if all, err := w.Identities(ctx); err != nil || len(all) != 3 {
			t.Errorf("Identities = %d, %v", len(all), err)
		}
	})
}

func TestClones(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.enrol("0001", "", key)
		w.want(w.Settle(ctx, "op", "kiosk-0001"), qrgate.ErrConflict, "Settle nothing")
		for range 3 {
			w.now = w.now.Add(time.Second)
			if err := w.SawClone(ctx, "kiosk-0001"); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := w.Cloned(ctx); err != nil || len(all) != 1 || !all[0].Cloned.Equal(w.now) {
			t.Errorf("Cloned = %+v, %v", all, err)
		}
		if err := w.Settle(ctx, "op", "kiosk-0001"); err != nil {
			t.Fatal(err)
		}
		if all, err := w.Cloned(ctx); err != nil || len(all) != 0 {
			t.Errorf("Cloned = %+v, %v", all, err)
		}
		var seen int
		for _, a := range w.actions() {
			if a == "two machines use one identity" {
				seen++
			}
		}
		if seen != 1 {
			t.Errorf("%d audit rows of one clone", seen)
		}
	})
}
