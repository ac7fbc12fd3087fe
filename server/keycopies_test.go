package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A door is an epoch of a kiosk's records.
type door struct {
	desk
	id   string
	seq  uint64
	hash wire.Hash
}

// comes has the kiosk deliver a check-in of somebody, of a day.
func (d *door) comes(day qrgate.Day, p qrgate.Person) {
	d.Helper()
	d.seq++
	at := day.Start().Add(8 * time.Hour)
	h := wire.Header{Seq: d.seq, Boot: when.Boot{1}, Since: int64(d.seq), Kind: wire.KindCheckin, Direction: wire.In, Pass: pass.Card, Verdict: wire.Admitted, Wall: at.UnixMilli()}
	record := wire.NewRecord(h, wire.Sealed{})
	encoded := wire.Encode(record)
	batch := &wire.Batch{V: wire.Version, Kiosk: d.id, Epoch: wire.Epoch{1}, First: d.seq, Prev: d.hash, Records: []cbor.RawMessage{encoded}}
	d.with(func(s *store.Store, v *vault.Vault) {
		subject, err := v.Subject(day, p)
		if err != nil {
			d.Fatal(err)
		}
		err = s.Intake(d.Context(), []string{d.id}, func(in *store.Intake) error {
			e, err := in.Book(d.id).Epoch(batch.Epoch)
			if err != nil {
				return err
			}
			if _, err := e.Ledger.Take(batch, func(from, to uint64) ([]wire.Digest, error) { return in.Known(e, from, to) }); err != nil {
				return err
			}
			in.Add(store.Row{
				Under: e, Written: e, Header: h, Digest: record.Digest(), Day: day, Subject: &subject,
				When: when.Interval{Earliest: at.UnixMilli(), Latest: at.UnixMilli()}, Received: at, Where: store.Where{Name: "Chợ Đông Ba"},
			})
			in.Seen(e, when.Span{Boot: h.Boot, First: h.Seq, Last: h.Seq, Start: h.Since, End: h.Since, Arrived: at.UnixMilli(), ArrivedSince: h.Since})
			e.Touch(at)
			return nil
		})
		if err != nil {
			d.Fatal(err)
		}
	})
	d.hash = d.hash.Next(encoded)
}

// safe returns up to which record the kiosk may forget.
func (d *door) safe() (safe uint64) {
	d.Helper()
	d.with(func(s *store.Store, _ *vault.Vault) {
		enough := errors.New("enough")
		err := s.Intake(d.Context(), []string{d.id}, func(in *store.Intake) error {
			e, err := in.Book(d.id).Epoch(wire.Epoch{1})
			if err != nil {
				return err
			}
			safe = e.Safe
			return enough
		})
		if !errors.Is(err, enough) {
			d.Fatal(err)
		}
	})
	return safe
}

func (d desk) refuses(want string, args ...string) {
	d.Helper()
	if code, _, errs := d.run(args...); code != exitFailed || !strings.Contains(errs, want) {
		d.Errorf("%q: exit status %d, said %q, want %d and %q", args, code, errs, exitFailed, want)
	}
}

func (d desk) folder(name string) string {
	d.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		d.Fatal(err)
	}
	return path
}

// The keys were copied in the evening, and a day's first check-in came in the night: a
// backup of that night lets kiosks forget nothing of the new day, until its key has a
// copy too. And if the key is lost nevertheless, no other takes its place unasked.
func TestKeyThatIsInOnePlaceOnly(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	d.kiosk("kiosk-0001")
	days := filepath.Join(d.dir, "state", "days")
	today := qrgate.DayOf(time.Now())
	k := &door{desk: d, id: "kiosk-0001"}
	k.comes(today-1, 1)
	evening := d.folder("evening")
	if err := (vault.Copied{Keys: vault.Dir(days), Copy: vault.Dir(evening)}).Follow(); err != nil {
		t.Fatal(err)
	}
	k.comes(today, 2)
	night := filepath.Join(d.dir, "night")
	d.must("backup", night)

	wants := func(safe uint64) {
		t.Helper()
		if got := k.safe(); got != safe {
			t.Errorf("kiosks may forget up to %d, want %d", got, safe)
		}
	}
	verified := func(want bool) {
		t.Helper()
		d.with(func(s *store.Store, _ *vault.Vault) {
			if all, err := s.Backups(t.Context()); err != nil || len(all) != 1 || all[0].Verified.IsZero() == want {
				t.Errorf("backups are %+v, %v, want one, verified %t", all, err, want)
			}
		})
	}
	d.refuses("which have no copy", "verify-backup", night)
	wants(0)
	verified(false)
	d.refuses("is where the keys are", "verify-backup", "-keys", days, night)
	d.refuses("which lack those of "+today.String(), "verify-backup", "-keys", evening, night)
	wants(1)
	verified(false)

	keys := d.folder("keys")
	database := filepath.Join(d.dir, "state", "qrgate.db")
	configure := func() { d.configure("[store]\ndsn = %q\n[retention]\nkeys = %q\n", "sqlite:"+database, keys) }
	configure()
	d.must("backup", filepath.Join(d.dir, "morning"))
	d.must("verify-backup", night)
	wants(2)
	verified(true)

	database = filepath.Join(d.dir, "new.db")
	configure()
	d.must("restore", night)
	key := filepath.Join(days, "days", today.String()+".key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	subject := func() error {
		c, err := readConfig(d.config)
		if err != nil {
			t.Fatal(err)
		}
		master, err := vault.ReadMaster(c.Master)
		if err != nil {
			t.Fatal(err)
		}
		return withStore(t.Context(), c, func(s *store.Store) error {
			v, err := openVault(c, master, s)
			if err != nil {
				return err
			}
			if _, err := v.Subject(today+1, 3); err != nil { // of which there is nothing yet
				return err
			}
			_, err = v.Subject(today, 3)
			return err
		})
	}
	if err := subject(); !errors.Is(err, vault.ErrLost) {
		t.Errorf("Subject of a day whose key is lost = %v, want %v", err, vault.ErrLost)
	}
	if _, err := os.Stat(key); err == nil {
		t.Error("another key was made")
	}
	d.refuses("there is a copy of its key", "retention", "lost", today.String())
	copied, err := os.ReadFile(filepath.Join(keys, "days", today.String()+".key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := subject(); err != nil {
		t.Errorf("Subject with the copy put back = %v", err)
	}
	d.with(func(s *store.Store, v *vault.Vault) {
		err := s.SubjectsOn(t.Context(), today, func(subject qrgate.Subject) error {
			if p, err := v.Person(today, subject); p != 2 || err != nil {
				t.Errorf("with the copy put back, who came is %d, %v", p, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})

	for _, path := range []string{key, filepath.Join(keys, "days", today.String()+".key")} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if out := d.must("retention", "lost", today.String()); !strings.Contains(out, "Mở sổ mới") || !strings.HasSuffix(out, "kiosk-0001\n") {
		t.Errorf("retention lost says %q, want which kiosks may know who came", out)
	}
	if err := subject(); err != nil {
		t.Errorf("Subject of a day that was given up = %v", err)
	}
	d.refuses("conflict", "retention", "lost", (today - 1).String())
}

// Settings of before there were copies of keys say nothing of them, and a server that was
// lost begins with a restore on a machine that has none: each message says what to do
// next, and none leads to keys that no kiosk knows.
func TestOperatorIsLedToTheKeys(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	d.kiosk("kiosk-0001")
	k := &door{desk: d, id: "kiosk-0001"}
	today := qrgate.DayOf(time.Now())
	k.comes(today, 1)
	backup := filepath.Join(d.dir, "backup")
	line := `write in ` + d.config + ` under [retention] the line keys = "/var/backups/qrgate-keys"`
	if out := d.must("backup", backup); !strings.Contains(out, line) {
		t.Errorf("backup without copies of keys says %q", out)
	}
	d.refuses(line, "verify-backup", backup)
	copies := filepath.Join(d.dir, "copies")
	d.configure("[retention]\nkeys = %q\n", copies)
	d.refuses("make the folder", "backup", filepath.Join(d.dir, "other"))
	d.folder("copies")
	d.must("backup", filepath.Join(d.dir, "another"))
	d.must("verify-backup", backup)

	n := newDesk(t)
	state := filepath.Join(n.dir, "state")
	n.configure("[retention]\nkeys = %q\n", copies)
	n.refuses("restore for one that was lost", "kiosk", "list")
	out := n.must("restore", backup)
	for _, want := range []string{
		"do not run init", filepath.Join(state, "master.key"), filepath.Join(state, "keys"), filepath.Join(state, "days") + " (a copy is what " + copies + " holds)",
		"qrgate-server enrolment confirm",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("restore says %q, want %q in it", out, want)
		}
	}
	n.refuses("this is no new server", "init")
	if _, err := os.Stat(filepath.Join(state, "master.key")); err == nil {
		t.Fatal("init has made another master key")
	}
	for _, name := range []string{"master.key", "keys", "days"} {
		n.refuses("put back what was kept of", "serve")
		from, to := filepath.Join(d.dir, "state", name), filepath.Join(state, name)
		if name == "days" {
			from = copies
		}
		if name == "master.key" {
			b, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		} else if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	n.with(func(s *store.Store, v *vault.Vault) {
		err := s.SubjectsOn(t.Context(), today, func(subject qrgate.Subject) error {
			if p, err := v.Person(today, subject); p != 1 || err != nil {
				t.Errorf("with the keys put back, who came is %d, %v", p, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	n.refuses("made before this database was restored", "verify-backup", backup)
	again := filepath.Join(n.dir, "again")
	n.must("backup", again)
	n.must("verify-backup", again)
}
