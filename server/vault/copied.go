package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/qrgate/qrgate/server/qrgate"
)

// ErrCopy means that another key lies where the copy of one belongs.
var ErrCopy = errors.New("the copy is of another key")

// Copied are the keys in a directory and their copies in another one. A day's key is
// made when its first check-in comes: a copy that is made by hand in the evening lacks
// that of the night.
type Copied struct{ Keys, Copy Dir }

// Follow makes the copies anew: of each key that has none, and it shreds those whose
// key is shredded. The directory of copies is not made: that of a disk which is not
// there would be one on the disk of the keys. It never replaces a key by another one:
// then the error is ErrCopy, and it goes on with the others.
func (c Copied) Follow() error {
	_, err := os.Stat(string(c.Keys))
	if err == nil {
		err = c.apart()
	}
	if err != nil {
		return fmt.Errorf("vault: copy keys: %w", err)
	}
	var errs []error
	err = c.Keys.each(func(name string, key []byte) error {
		if err := c.follow(name, key); err != nil {
			errs = append(errs, fmt.Errorf("vault: copy %s to %s: %w", name, string(c.Copy), err))
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}

// follow copies a key, or shreds its copy if the key is nil.
func (c Copied) follow(name string, key []byte) error {
	copied, err := c.Copy.Load(name)
	shredded := errors.Is(err, ErrShredded)
	switch {
	case key == nil && shredded, key != nil && err == nil && bytes.Equal(copied, key):
		return nil
	case key == nil:
		return c.Copy.Shred(name)
	case err == nil, shredded:
		return ErrCopy
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	copied, err = c.Copy.Create(name, key)
	if err == nil && !bytes.Equal(copied, key) {
		err = ErrCopy
	}
	return err
}

// apart refuses a directory of copies that is not there, or is that of the keys.
func (c Copied) apart() error {
	copies, err := os.Stat(string(c.Copy))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; mount its disk, or make the folder", err)
	}
	if err != nil {
		return err
	}
	keys, err := os.Stat(string(c.Keys))
	if errors.Is(err, fs.ErrNotExist) { // as on a machine that has the copies alone
		return nil
	}
	if err == nil && os.SameFile(keys, copies) {
		err = fmt.Errorf("%s is where the keys are themselves", c.Copy)
	}
	return err
}

// Holds reports whether the copy of a day's key may still be there: it is not known
// that it was shredded.
func (c Copied) Holds(day qrgate.Day) bool {
	_, err := c.Copy.Load(dayName(day))
	return !errors.Is(err, ErrShredded)
}

// Has reports whether there is a copy of a day's key.
func (c Copied) Has(day qrgate.Day) bool {
	_, err := c.Copy.Load(dayName(day))
	return err == nil
}

// Opens reports whether the copies alone open subjects of a day, and the names of
// people. Nobody is to open those of a day whose key is shredded: of that day they do.
func (c Copied) Opens(master Master, day qrgate.Day, subjects ...qrgate.Subject) (bool, error) {
	if err := c.apart(); err != nil {
		return false, fmt.Errorf("vault: copy of keys: %w", err)
	}
	if _, err := c.Keys.Load(dayName(day)); errors.Is(err, ErrShredded) {
		return true, nil
	}
	people, err := c.Keys.Load(peopleName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // another machine may have the copies alone
		return false, err
	}
	copied, err := c.Copy.Load(peopleName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if people != nil && !bytes.Equal(people, copied) {
		return false, fmt.Errorf("vault: %s: %w", filepath.Join(string(c.Copy), peopleName), ErrCopy)
	}
	v, err := Open(c.Copy, master, Options{})
	if err != nil {
		return false, err
	}
	for _, s := range subjects {
		switch _, err := v.Person(day, s); {
		case errors.Is(err, qrgate.ErrNotFound), errors.Is(err, ErrSubject), errors.Is(err, ErrShredded):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return true, nil
}
