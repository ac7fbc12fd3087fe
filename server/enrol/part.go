package enrol

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/wire"
)

// Part moves the private keys for some purposes into a new folder, where another master
// key wraps them: [Load] reads it there, and whoever has only the old folder cannot sign
// for those purposes any more. A folder of which Part has not come to the end is made
// anew by another call, for nothing is removed before all of it is there.
func (k *Keys) Part(dir string, master vault.Master, purposes ...wire.Purpose) error {
	names, err := k.dir.Names()
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return !slices.ContainsFunc(purposes, func(p wire.Purpose) bool { return strings.HasPrefix(name, string(p)+"-") })
	})
	if len(names) == 0 {
		return errors.New("enrol: part: these keys are not here")
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("enrol: part: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, listFile)); err == nil {
		return fmt.Errorf("enrol: part: %s holds keys: %w", dir, os.ErrExist)
	}
	to := vault.Dir(dir)
	for _, name := range names {
		seed, err := k.seed(name)
		if err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("enrol: part: %w", err)
		}
		if _, err := to.Create(name, master.Wrap(name, seed)); err != nil {
			return err
		}
	}
	public, err := publicPEM(k.root)
	if err != nil {
		return err
	}
	// The list comes last, as in a folder that Init makes.
	err = errors.Join(writeFile(filepath.Join(dir, rootFile), public, 0o644), writeFile(filepath.Join(dir, listFile), k.signed, 0o644))
	if err != nil {
		return err
	}
	parted, err := Load(dir, master)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := parted.seed(name); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := k.dir.Shred(name); err != nil {
			return err
		}
	}
	return nil
}
