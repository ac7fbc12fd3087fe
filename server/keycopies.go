package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
)

// namedTimeout ends the question whether a day had a key before.
const namedTimeout = 30 * time.Second

// openVault opens the keys of people and days, of which none is made anew that check-ins
// in s were made with.
func openVault(c Config, master vault.Master, s *store.Store) (*vault.Vault, error) {
	v, err := vault.Open(vault.Dir(c.daysDir()), master, vault.Options{Named: func(day qrgate.Day) (bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), namedTimeout)
		defer cancel()
		return s.Named(ctx, day)
	}})
	if missing := c.missingKeys(); errors.Is(err, fs.ErrNotExist) && len(missing) > 0 {
		err = fmt.Errorf("%w; put back what was kept of %s", err, strings.Join(missing, ", "))
	}
	return v, err
}

// copiesIn returns the copies of keys in a folder, or nil if none is named.
func (c Config) copiesIn(dir string) *vault.Copied {
	if dir == "" {
		return nil
	}
	return &vault.Copied{Keys: vault.Dir(c.daysDir()), Copy: vault.Dir(dir)}
}

// unopened returns the days of a backup that the copies of keys in a folder do not open.
func unopened(c Config, dir string, r store.BackupReport) (days []qrgate.Day, err error) {
	copies, subjects := c.copiesIn(dir), r.Subjects()
	var master vault.Master
	if copies != nil && len(subjects) > 0 {
		if master, err = vault.ReadMaster(c.Master); err != nil {
			return nil, err
		}
	}
	for _, day := range slices.Sorted(maps.Keys(subjects)) {
		opens := false
		if copies != nil {
			two := subjects[day]
			if opens, err = copies.Opens(master, day, two[:]...); err != nil {
				return nil, err
			}
		}
		if !opens {
			days = append(days, day)
		}
	}
	return days, nil
}

// nameCopies says how to name a folder for copies of keys in a settings file.
func nameCopies(path string) string {
	return fmt.Sprintf("Make a folder for copies of the keys, best on another disk, whose owner is the server's user (the package has made %[1]s), write in %[2]s under [retention] the line keys = %[1]q, and restart the server", packagedCopies, path)
}

// packagedCopies is the folder that the package makes.
const packagedCopies = "/var/backups/qrgate-keys"

// missingKeys returns which keys are not where a server looks for them, with where
// their copies are.
func (c Config) missingKeys() (missing []string) {
	for _, path := range []string{c.Master, c.keysDir(), c.daysDir()} {
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if path == c.daysDir() && c.KeyCopies != "" {
			path += " (a copy is what " + c.KeyCopies + " holds)"
		}
		missing = append(missing, path)
	}
	return missing
}

// errNoCopy says of which days kiosks forget nothing, and what to do.
func errNoCopy(days []qrgate.Day, dir, path string) error {
	if dir == "" {
		return fmt.Errorf("the backup is whole, but nobody could open its check-ins without the keys of %s, which have no copy: kiosks keep them. %s. Then run backup, and verify this backup again", listed(days), nameCopies(path))
	}
	return fmt.Errorf("the backup is whole, but nobody could open its check-ins with the copies of keys in %s, which lack those of %s: kiosks keep them. Run backup, or copy the keys there, and verify this backup again", dir, listed(days))
}

func listed(days []qrgate.Day) string {
	var said []string
	for _, d := range days {
		said = append(said, d.String())
	}
	return strings.Join(said, ", ")
}
