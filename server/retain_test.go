package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
)

// with opens what a desk's commands work on.
func (d desk) with(do func(s *store.Store, v *vault.Vault)) {
	d.Helper()
	c, err := readConfig(d.config)
	if err != nil {
		d.Fatal(err)
	}
	master, err := vault.ReadMaster(c.Master)
	if err != nil {
		d.Fatal(err)
	}
	v, err := vault.Open(vault.Dir(c.daysDir()), master, vault.Options{})
	if err != nil {
		d.Fatal(err)
	}
	s, err := store.Open(d.Context(), c.Store, store.Options{})
	if err != nil {
		d.Fatal(err)
	}
	do(s, v)
	if err := s.Close(); err != nil {
		d.Fatal(err)
	}
}

// A day past its retention is dropped by a command, its certificate is one that
// this server signed, and a changed one is not.
func TestRetentionCommands(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	old := qrgate.DayOf(time.Now()) - 25
	d.with(func(_ *store.Store, v *vault.Vault) {
		if _, err := v.Subject(old, 1); err != nil {
			t.Fatal(err)
		}
	})
	d.must("retention", "run")
	if out := d.must("retention", "show"); !strings.Contains(out, "kept: 21 days") || !strings.Contains(out, old.String()) {
		t.Errorf("retention show says %q", out)
	}
	path := filepath.Join(d.dir, "certificate.json")
	d.must("retention", "certificate", old.String(), path)
	if out := d.must("retention", "verify", path); !strings.Contains(out, "signed by this server") {
		t.Errorf("retention verify says %q", out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[10] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := d.run("retention", "verify", path); code != exitFailed || !strings.Contains(errs, proof.ErrProof.Error()) {
		t.Errorf("verify of a changed one: exit status %d, %q", code, errs)
	}
	d.must("retention", "confirm", "backup", "0123456789abcdef")
	d.must("retention", "confirm", "copy", "standby", old.String())
	for _, args := range [][]string{{"retention"}, {"retention", "confirm", "copy", "standby", "soon"}, {"retention", "certificate", "soon"}, {"person"}, {"person", "erase", "name", "x"}, {"audit"}} {
		if code, _, _ := d.run(args...); code != exitUsage {
			t.Errorf("%q: exit status %d, want %d", args, code, exitUsage)
		}
	}
}

// A server whose clock is far ahead of what it knows drops nothing, until somebody says
// that it is right who knows what day it is.
func TestConfirmClock(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	old := qrgate.DayOf(time.Now()) - 25
	d.with(func(_ *store.Store, v *vault.Vault) {
		if _, err := v.Subject(old, 1); err != nil {
			t.Fatal(err)
		}
	})
	c, err := readConfig(d.config)
	if err == nil {
		err = os.WriteFile(c.clockFile(), []byte(`{"known":"2020-02-29T00:00:00Z"}`), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	waits := func(when string) {
		t.Helper()
		if code, _, errs := d.run("retention", "run"); code != exitFailed || !strings.Contains(errs, "retention confirm clock TODAY") {
			t.Errorf("%s: retention run: exit status %d, %q", when, code, errs)
		}
		if out := d.must("retention", "show"); !strings.Contains(out, "2020-02-29") || !strings.Contains(out, "nothing is dropped") {
			t.Errorf("%s: retention show says %q", when, out)
		}
	}
	waits("before")
	if code, _, _ := d.run("retention", "confirm", "clock", "today"); code != exitUsage {
		t.Errorf("confirm of no day: exit status %d, want %d", code, exitUsage)
	}
	if code, _, errs := d.run("retention", "confirm", "clock", "2020-02-29"); code != exitFailed || !strings.Contains(errs, "set it right first") {
		t.Errorf("confirm of another day: exit status %d, %q", code, errs)
	}
	waits("after another day was said")
	d.must("retention", "confirm", "clock", qrgate.DayOf(time.Now()).String())
	d.must("retention", "run")
	if out := d.must("retention", "show"); strings.Contains(out, "clock") || !strings.Contains(out, old.String()) {
		t.Errorf("retention show says %q", out)
	}
}

func TestAuditCommand(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	d.must("kiosk", "add", "kiosk-0001", "-place", "Cho", "-out", filepath.Join(d.dir, "kiosk"))
	if out := d.must("audit", "verify"); !strings.Contains(out, "whole") {
		t.Errorf("audit verify says %q", out)
	}
	d.with(func(s *store.Store, _ *vault.Vault) {
		err := s.Write(t.Context(), func(t store.Tx) error {
			_, err := t.Exec("UPDATE audit SET object = 'kiosk-0002' WHERE object = 'kiosk-0001'")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if code, out, errs := d.run("audit", "verify"); code != exitFailed || !strings.Contains(out, "changed: seal 1") || !strings.Contains(errs, "1 faults") {
		t.Errorf("audit verify of a changed row: exit status %d, %q, %q", code, out, errs)
	}
}

// invite makes somebody the guest of an event.
func invite(t *testing.T, s *store.Store, v *vault.Vault, name, phone string) {
	t.Helper()
	ctx := t.Context()
	err := s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES ('o', 'o', 'o', 'trade', '', '', 0)")
		return err
	})
	p := &qrgate.Place{Organisation: "o", Name: "Nhà hát", Sector: "trade", Kind: "market", Area: "19753@2025-07-01", AreaNow: "19753@2025-07-01", Street: "2 Lê Lợi"}
	if err == nil {
		err = register.New(s, time.Now).AddPlace(ctx, "", p)
	}
	starts, all := time.Now().Add(48*time.Hour), events.New(s, v, time.Now)
	e := &events.Event{Organisation: "o", Place: p.No, Name: "Đêm nhạc Trịnh", Starts: starts, Ends: starts.Add(3 * time.Hour), Categories: []events.Category{{No: 1, Kind: events.Public}}}
	if err == nil {
		err = all.Add(ctx, "", e)
	}
	if err == nil {
		err = all.Invite(ctx, "", e.No, []*events.Guest{{Category: 1, Details: events.Details{Name: name, Phone: phone}}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestPersonCommands(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	d.with(func(s *store.Store, v *vault.Vault) {
		h := register.CardHolder{
			Office:  qrgate.Scope{Kind: qrgate.InArea, ID: "19753@2025-07-01"},
			Details: register.Details{Name: "Nguyễn Thị Hoa", Born: 1980, Phone: "+84905111222", Area: "19753@2025-07-01", Consent: 1},
		}
		if err := register.New(s, time.Now).Cards(v).AddHolders(t.Context(), "clerk", []*register.CardHolder{&h}); err != nil {
			t.Fatal(err)
		}
		invite(t, s, v, "nguyen thi hoa", "+84905111222")
	})
	out := d.must("person", "export", "phone", "+84905111222", "-out", d.dir)
	files := strings.Fields(out)
	if len(files) != 3 {
		t.Fatalf("person export printed %q", out)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		said := "Đêm nhạc Trịnh"          // to which she is invited
		if filepath.Ext(name) == ".pdf" { // whose text is packed
			said = "%PDF-"
		}
		if err != nil || !strings.Contains(string(b), said) {
			t.Errorf("%s lacks %q, %v", name, said, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	if code, out, errs := d.run("person", "erase", "phone", "+84905111222"); code != exitOK || !strings.Contains(out, "would erase: 0 check-ins, 0 cards, 1 invitations") ||
		!strings.Contains(errs, "Registered at an office") || !strings.Contains(errs, "Guest of an event") {
		t.Errorf("person erase: exit status %d, %q, %q", code, out, errs)
	}
	proofs := d.must("person", "erase", "phone", "+84905111222", "-yes", "-out", d.dir, "-request", "r1")
	d.must("retention", "verify", filepath.Join(d.dir, strings.TrimSpace(proofs)))
	if code, _, _ := d.run("person", "export", "phone", "+84905111222"); code != exitFailed {
		t.Errorf("export of who was erased: exit status %d", code)
	}
}
