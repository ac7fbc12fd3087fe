package vault_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
)

func TestCopiesFollowTheKeys(t *testing.T) {
	v, dir, m := newVault(t)
	c := vault.Copied{Keys: dir, Copy: vault.Dir(filepath.Join(t.TempDir(), "copy"))}
	if err := c.Follow(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Follow to a disk that is not there = %v, want %v", err, fs.ErrNotExist)
	}
	if err := os.Mkdir(string(c.Copy), 0o700); err != nil {
		t.Fatal(err)
	}
	opens := func(day qrgate.Day, s qrgate.Subject, want bool) {
		t.Helper()
		if got, err := c.Opens(m, day, s); got != want || err != nil {
			t.Errorf("Opens(%s) = %t, %v, want %t", day, got, err, want)
		}
	}
	follow := func() {
		t.Helper()
		if err := c.Follow(); err != nil {
			t.Fatalf("Follow = %v", err)
		}
	}
	yesterday := mustSubject(t, v, today-1, 1)
	opens(today-1, yesterday, false)
	follow()
	opens(today-1, yesterday, true)
	s := mustSubject(t, v, today, 1)
	opens(today, s, false)
	follow()
	opens(today, s, true)
	opens(today, yesterday, false)

	path := filepath.Join(string(c.Copy), "days", (today-1).String()+".key")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Shred(today - 1); err != nil {
		t.Fatal(err)
	}
	if !c.Has(today-1) || !c.Holds(today-1) {
		t.Error("the copy of a shredded key is gone before Follow")
	}
	opens(today-1, yesterday, true) // nobody is to
	follow()
	if is, err := os.ReadFile(path); err != nil || string(is) == string(was) || c.Holds(today-1) || c.Has(today-1) {
		t.Errorf("the copy of a shredded key is there: %v", err)
	}
	follow()

	if !c.Holds(today + 1) {
		t.Error("a copy that nobody has seen shredded is held to be")
	}
	if err := (vault.Copied{Keys: dir, Copy: dir}).Follow(); err == nil {
		t.Error("the keys are copies of themselves")
	}
}

// A backup is best verified on another machine, which has the copies and no keys.
func TestCopiesOpenWithoutTheKeys(t *testing.T) {
	v, dir, m := newVault(t)
	s := mustSubject(t, v, today, 1)
	c := vault.Copied{Keys: dir, Copy: vault.Dir(t.TempDir())}
	if err := c.Follow(); err != nil {
		t.Fatal(err)
	}
	c.Keys = vault.Dir(filepath.Join(t.TempDir(), "none"))
	if got, err := c.Opens(m, today, s); !got || err != nil {
		t.Errorf("Opens = %t, %v, want true", got, err)
	}
	if err := c.Follow(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Follow where there are no keys = %v, want %v", err, fs.ErrNotExist)
	}
}

// A copy is never replaced by another key: it may be the last of the right one.
func TestCopyOfAnotherKey(t *testing.T) {
	v, dir, _ := newVault(t)
	_, other, _ := newVault(t)
	mustSubject(t, v, today, 1)
	c := vault.Copied{Keys: dir, Copy: other}
	path := filepath.Join(string(other), "people.key")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Follow(); !errors.Is(err, vault.ErrCopy) {
		t.Errorf("Follow = %v, want %v", err, vault.ErrCopy)
	}
	if is, err := os.ReadFile(path); err != nil || string(is) != string(was) {
		t.Errorf("a copy of another key was replaced, %v", err)
	}
	if !c.Has(today) {
		t.Error("one copy of another key keeps the others from being made")
	}
}

func TestLostKeyIsNotMadeAnew(t *testing.T) {
	_, dir, m := newVault(t)
	named := map[qrgate.Day]bool{}
	o := at(&now)
	o.Named = func(day qrgate.Day) (bool, error) { return named[day], nil }
	v := open(t, dir, m, o)
	s := mustSubject(t, v, today, 1)
	named[today] = true
	path := filepath.Join(string(dir), "days", today.String()+".key")
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	v = open(t, dir, m, o)
	if _, err := v.Subject(today, 1); !errors.Is(err, vault.ErrLost) {
		t.Errorf("Subject = %v, want %v", err, vault.ErrLost)
	}
	mustSubject(t, v, today+1, 1)
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := mustSubject(t, v, today, 1); got != s {
		t.Error("with the key put back somebody is another subject")
	}
	if err := v.Renew(today); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("Renew of a day with its key = %v, want %v", err, qrgate.ErrConflict)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	v = open(t, dir, m, o)
	if err := v.Renew(today); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Person(today, s); !errors.Is(err, vault.ErrSubject) {
		t.Errorf("Person of a day that was given up = %v, want %v", err, vault.ErrSubject)
	}
	mustSubject(t, v, today, 1)
	asked := errors.New("no database")
	o.Named = func(qrgate.Day) (bool, error) { return false, asked }
	if _, err := open(t, dir, m, o).Subject(today-2, 1); !errors.Is(err, asked) {
		t.Errorf("Subject while nobody can say = %v, want %v", err, asked)
	}
}
