package retention_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/wire"
)

// certificate returns what the newest certificate of a day says.
func (w *world) certificate(day qrgate.Day) (c retention.Certificate, version int) {
	w.t.Helper()
	kept, err := w.rights.Certificate(w.t.Context(), day)
	if err != nil {
		w.t.Fatalf("certificate of %s: %v", day, err)
	}
	if err := proof.Open(proof.Retention, kept.Body, signer.Keys(), &c); err != nil {
		w.t.Fatal(err)
	}
	if c.Waiting.Count() != kept.Waiting || c.Day != day.String() {
		w.t.Errorf("certificate %+v is kept as of %s, waiting %d", c, kept.Day, kept.Waiting)
	}
	return c, kept.Version
}

// card registers a human as a holder.
func (w *world) card(h *human) string {
	w.t.Helper()
	c := register.CardHolder{
		Office:  qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"},
		Details: register.Details{Name: h.name, Born: 1990, Phone: h.phone, Area: "19753@2025-07-01", Consent: 1},
	}
	if err := w.reg.Cards(w.v).AddHolders(w.t.Context(), "clerk-1", []*register.CardHolder{&c}); err != nil {
		w.t.Fatal(err)
	}
	return c.ID
}

func (w *world) write(name, content string, written time.Time) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600), os.Chtimes(path, written, written)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) has(name string) bool {
	_, err := os.Stat(filepath.Join(w.dir, name))
	return err == nil
}

func (w *world) days() (n []int) {
	w.t.Helper()
	days, err := w.s.Days(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range days {
		n = append(n, int(d-dayOf(1))+1)
	}
	return n
}

// After its retention nothing is left of a day, nor of who came on no other, in any
// file, with any key; and all of the others is there.
func TestNothingIsLeft(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		once, again, holder, later := humanOf(1), humanOf(2), humanOf(3), humanOf(4)
		w.comes(once, again, holder)
		w.card(holder)
		w.backup("first")
		w.write("backups/first.part-123", once.name, w.time())
		w.write("backups/notes.txt", "kept by hand", w.time())
		w.write("logs/qrgate-1.log", "old", w.time())
		w.write("logs/other.log", "of somebody else", w.time())
		w.to(2)
		w.tidy()
		w.to(4)
		w.comes(again, later)
		w.backup("second")
		w.to(22)
		w.once()
		if got := w.days(); !slices.Equal(got, []int{1, 4}) {
			t.Errorf("on day 22 there are days %v", got)
		}
		w.comes(later)
		w.to(23)
		w.once()
		if got := w.days(); !slices.Equal(got, []int{4, 22}) {
			t.Errorf("on day 23 there are days %v", got)
		}
		if w.has("backups/first") || w.has("backups/first.part-123") || w.has("logs/qrgate-1.log") || !w.has("backups/notes.txt") || !w.has("logs/other.log") || !w.has("backups/second") {
			t.Error("other files are left than should be")
		}
		c, version := w.certificate(dayOf(1))
		// The second backup still holds the names of who was forgotten after it.
		if version != 1 || c.Checkins != 3 || c.People != 1 || len(c.Waiting.Backups) != 1 || c.Waiting.Backups[0].File != "second" {
			t.Errorf("certificate %d says %+v", version, c)
		}
		if err := w.v.Shred(dayOf(30)); err != nil { // and nobody asks again
			t.Error(err)
		}

		w.to(26)
		w.once()
		w.backup("third")
		w.once()
		if w.has("backups/second") {
			t.Error("an old backup is left although there is a newer one")
		}
		w.gone(once, again)
		for _, h := range []*human{later, holder} {
			d, err := w.Export(t.Context(), "dpo", "request 1", w.whose(h.person))
			if err != nil || !d.Known || d.Details.Name != h.name {
				t.Errorf("of %s is left %+v, %v", h.name, d, err)
			}
		}
		if c, version := w.certificate(dayOf(1)); version != 2 || c.Waiting.Count() != 0 {
			t.Errorf("certificate %d says %+v", version, c)
		}
		w.once()
		if _, version := w.certificate(dayOf(1)); version != 2 {
			t.Errorf("certificate %d says nothing new", version)
		}
	})
}

// Records that come on day 20, 22 and 25 after they were made: the first is taken,
// and of the others nothing, whoever else has the key still in memory.
func TestLateDeliveries(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		h := humanOf(1)
		w.comes(h)
		for _, tt := range []struct {
			day  int
			want error
		}{{1 + 20, nil}, {1 + 22, vault.ErrShredded}, {1 + 25, vault.ErrShredded}} {
			w.to(tt.day)
			w.once()
			if _, err := w.v.Subject(dayOf(1), h.person); !errors.Is(err, tt.want) {
				t.Errorf("on day %d Subject = %v, want %v", tt.day, err, tt.want)
			}
		}
		// Of a day that never had a key none is made either.
		if _, err := w.v.Subject(dayOf(26-41), h.person); !errors.Is(err, vault.ErrDay) {
			t.Errorf("Subject of an old day = %v", err)
		}
		w.forgotten(h)
	})
}

// Messages that could not be used hold records that a key of the server opens.
func TestUnusableMessages(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.comes(humanOf(1))
		reject := func(seq uint64) {
			t.Helper()
			err := w.s.Intake(t.Context(), []string{"phones@server-1"}, func(in *store.Intake) error {
				e, err := in.Book("phones@server-1").Epoch(wire.Epoch{1})
				if err != nil {
					return err
				}
				return in.Reject(e, seq, 1, []byte("sealed canary"), w.time())
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		reject(100)
		w.to(5)
		reject(101)
		w.to(23)
		w.once()
		letters, err := w.s.DeadLetters(t.Context())
		if err != nil || len(letters) != 1 || letters[0].Seq != 101 { // of day 5
			t.Errorf("left are %+v, %v", letters, err)
		}
		if c, _ := w.certificate(dayOf(1)); c.Messages != 1 {
			t.Errorf("certificate says %+v", c)
		}
		w.to(27) // nobody came on day 5
		w.once()
		if letters, err := w.s.DeadLetters(t.Context()); err != nil || len(letters) != 0 {
			t.Errorf("left are %+v, %v", letters, err)
		}
	})
}

// A server that died after it destroyed a key, or between two steps, is followed
// by one that ends what it began.
func TestWhatWasBegunIsEnded(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		h := humanOf(1)
		w.comes(h)
		w.to(23)
		if err := errors.Join(w.v.Shred(dayOf(1)), w.rights.Shredded(t.Context(), dayOf(1))); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.s.DropDay(t.Context(), dayOf(1)); err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.Once(ended); err == nil {
			t.Error("Once of an ended context = nil")
		}
		w.once()
		w.forgotten(h)
		if drops, err := w.rights.Drops(t.Context(), 10); err != nil || len(drops) != 1 || drops[0].Done.IsZero() {
			t.Errorf("Drops = %+v, %v", drops, err)
		}
	})
}

// Several servers do it at once, and it is done once.
func TestServersAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		var all []*human
		for n := range 40 {
			all = append(all, humanOf(n))
		}
		w.comes(all...)
		w.to(2)
		w.comes(all[:20]...)
		var servers []*retention.Keeper
		for _, name := range []string{"server-1", "server-2", "server-3"} {
			servers = append(servers, w.started(retention.Options{Server: name}))
		}
		w.to(23)
		var tasks errgroup.Group
		for _, k := range servers {
			tasks.Go(func() error { return k.Once(t.Context()) })
		}
		if err := tasks.Wait(); err != nil {
			t.Fatal(err)
		}
		w.once()
		c, version := w.certificate(dayOf(1))
		if version != 1 || c.Checkins != 40 || c.People != 20 {
			t.Errorf("certificate %d says %+v", version, c)
		}
		w.forgotten(all[20:]...)
	})
}

// A lease keeps others from it, until it ends.
func TestServerThatDied(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.comes(humanOf(1))
		w.to(23)
		if held, err := w.rights.Lease(t.Context(), "retention", "server-9", time.Minute); !held || err != nil {
			t.Fatal(held, err)
		}
		w.once()
		if got := w.days(); !slices.Equal(got, []int{1}) {
			t.Errorf("somebody else is at it, and left are days %v", got)
		}
		if days, err := w.v.Days(); err != nil || len(days) != 0 {
			t.Errorf("keys of days %v are left, %v", days, err)
		}
		w.now.Add(time.Hour.Milliseconds())
		w.once()
		if got := w.days(); got != nil {
			t.Errorf("left are days %v", got)
		}
	})
}

// A database that was restored from an old backup, before its server listens.
func TestRestoredServer(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			w := newWorld(t, e.dsn(t))
			old, erased, young := humanOf(1), humanOf(2), humanOf(3)
			w.comes(old)
			w.to(10)
			w.comes(erased, young)
			w.card(erased)
			path := w.backup("elsewhere")
			backup, err := os.ReadFile(path)
			if err := errors.Join(err, os.Remove(path)); err != nil {
				t.Fatal(err)
			}
			w.to(11)
			if _, err := w.Erase(t.Context(), "dpo", "request 1", w.whose(erased.person)); err != nil {
				t.Fatal(err)
			}
			w.to(24)
			w.once()
			w.dsn = e.dsn(t)
			w.open()
			if _, err := w.s.Restore(t.Context(), bytes.NewReader(backup)); err != nil {
				t.Fatal(err)
			}
			if got := w.days(); !slices.Equal(got, []int{1, 10}) {
				t.Fatalf("restored are days %v", got)
			}
			if err := w.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := w.v.Person(dayOf(1), old.subjects[0]); !errors.Is(err, vault.ErrShredded) {
				t.Errorf("before it listens an old check-in opens: %v", err)
			}
			if d := w.dossier(erased); d.Known {
				t.Error("before it listens who was erased is back")
			}
			w.once()
			if got := w.days(); !slices.Equal(got, []int{10}) {
				t.Errorf("left are days %v", got)
			}
			w.forgotten(old, erased)
			if d, err := w.Export(t.Context(), "dpo", "request 2", w.whose(young.person)); err != nil || len(d.Checkins) != 1 {
				t.Errorf("of who was neither is left %+v, %v", d, err)
			}
			if c, _ := w.certificate(dayOf(1)); c.Checkins != 1 {
				t.Errorf("certificate says %+v", c)
			}
		})
	}
}

// A kiosk that may still hold records is named, until it is heard of with nothing
// left to deliver, or somebody says that its card was destroyed.
func TestKiosksThatMayHoldRecords(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, id := range []string{"kiosk-silent", "kiosk-queued", "kiosk-well", "kiosk-revoked"} {
			k := qrgate.Kiosk{ID: id, Place: "Chợ", Public: make([]byte, 32), State: qrgate.KioskActive, Added: w.time().Add(-time.Hour)}
			if err := w.s.AddKiosk(ctx, k); err != nil {
				t.Fatal(err)
			}
		}
		beat := func(id string, queued uint64) {
			t.Helper()
			p := store.Presence{Kiosk: id, Contact: w.time(), Beat: &wire.Beat{V: wire.Version, Queued: queued}}
			if err := w.s.SavePresences(ctx, []store.Presence{p}); err != nil {
				t.Fatal(err)
			}
		}
		w.comes(humanOf(1))
		beat("kiosk-silent", 0)
		if err := w.s.RevokeKiosk(ctx, "kiosk-revoked"); err != nil {
			t.Fatal(err)
		}
		w.to(20)
		beat("kiosk-queued", 12)
		beat("kiosk-well", 0)
		w.to(23)
		w.once()
		named := func() map[string]string {
			c, _ := w.certificate(dayOf(1))
			all := map[string]string{}
			for _, k := range c.Waiting.Kiosks {
				all[k.ID] = k.Why
			}
			return all
		}
		want := map[string]string{"kiosk-silent": retention.Silent, "kiosk-queued": retention.Queued, "kiosk-revoked": retention.Revoked}
		if got := named(); !cmp.Equal(got, want) {
			t.Errorf("not confirmed are %v, want %v", got, want)
		}
		w.to(24)
		beat("kiosk-silent", 0)
		beat("kiosk-queued", 0)
		if err := w.rights.Gone(ctx, "operator-1", retention.KioskID("kiosk-revoked")); err != nil {
			t.Fatal(err)
		}
		w.once()
		if got := named(); len(got) != 0 {
			t.Errorf("not confirmed are %v, want none", got)
		}
	})
}

// A copy of the database, such as a replica, stands in the certificate of each day
// until somebody says that it has let go of that day.
func TestCopiesThatMayHoldADay(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.Keeper = w.started(retention.Options{Copies: []string{"replica-2", "warehouse"}})
		w.comes(humanOf(1))
		w.to(2)
		w.comes(humanOf(2))
		w.to(24)
		w.once()
		waits := func(day int, want ...string) {
			t.Helper()
			if c, _ := w.certificate(dayOf(day)); !slices.Equal(c.Waiting.Copies, want) {
				t.Errorf("the certificate of day %d waits for %q, want %q", day, c.Waiting.Copies, want)
			}
		}
		waits(1, "replica-2", "warehouse")
		waits(2, "replica-2", "warehouse")
		if err := w.rights.Gone(ctx, "", retention.CopyID("replica-2", dayOf(1))); err != nil {
			t.Fatal(err)
		}
		w.once()
		waits(1, "warehouse")
		waits(2, "replica-2", "warehouse")
		state, err := w.State(ctx, 10)
		if err != nil || !slices.Equal(state.Waiting.Copies, []string{"warehouse", "replica-2"}) && !slices.Equal(state.Waiting.Copies, []string{"replica-2", "warehouse"}) {
			t.Errorf("waited for are %q, %v", state.Waiting.Copies, err)
		}
	})
}

// Copies of the keys of days are destroyed with them. While the disk with the copies is
// away, the certificate of each day says so, until it is back or somebody says that it
// was destroyed.
func TestCopiesOfKeysThatMayOpenADay(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := &vault.Copied{Keys: vault.Dir(filepath.Join(w.dir, "days")), Copy: vault.Dir(filepath.Join(w.dir, "copies"))}
		w.Keys = c
		away := filepath.Join(w.dir, "away")
		if err := os.Mkdir(string(c.Copy), 0o700); err != nil {
			t.Fatal(err)
		}
		w.comes(humanOf(1))
		w.to(2)
		w.comes(humanOf(2))
		w.once()
		if !c.Has(dayOf(1)) || !c.Has(dayOf(2)) {
			t.Fatal("the keys of days were not copied")
		}
		waits := func(day int, want ...string) {
			t.Helper()
			if c, _ := w.certificate(dayOf(day)); !slices.Equal(c.Waiting.Copies, want) {
				t.Errorf("the certificate of day %d waits for %q, want %q", day, c.Waiting.Copies, want)
			}
		}
		w.to(23)
		w.once()
		waits(1)
		if c.Holds(dayOf(1)) || !c.Has(dayOf(2)) {
			t.Error("the copy of a day's key did not end with the day")
		}
		if err := os.Rename(string(c.Copy), away); err != nil {
			t.Fatal(err)
		}
		w.to(24)
		if err := w.Start(ctx); err != nil {
			t.Errorf("Start without the disk of copies = %v", err)
		}
		if err := w.Once(ctx); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Once without the disk of copies = %v, want %v", err, fs.ErrNotExist)
		}
		waits(2, retention.KeysCopy)
		if _, err := os.Stat(string(c.Copy)); err == nil {
			t.Error("a folder of copies was made where the disk is not")
		}
		if err := os.Rename(away, string(c.Copy)); err != nil {
			t.Fatal(err)
		}
		w.once()
		waits(2)
		if c.Holds(dayOf(2)) {
			t.Error("the copy of a day's key outlives the day")
		}
		if err := os.RemoveAll(string(c.Copy)); err != nil {
			t.Fatal(err)
		}
		w.comes(humanOf(3))
		w.to(46)
		if err := w.Once(ctx); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Once without the disk of copies = %v, want %v", err, fs.ErrNotExist)
		}
		waits(24, retention.KeysCopy)
		if err := w.rights.Gone(ctx, "", retention.CopyID(retention.KeysCopy, dayOf(24))); err != nil {
			t.Fatal(err)
		}
		if err := w.Once(ctx); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Once without the disk of copies = %v, want %v", err, fs.ErrNotExist)
		}
		waits(24)
	})
}
