package room

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// A disk is the file, which a card may have damaged at any place.
type disk struct {
	db     *bbolt.DB
	file   *os.File
	broken error // why the file is not touched any more
}

func openDisk(path string) (d disk, err error) {
	err = guard(func() error {
		d.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: time.Second,
			OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
				d.file, err = os.OpenFile(name, flag, perm)
				return d.file, err
			},
		})
		return err
	})
	if err != nil && d.file != nil {
		d.leave()
	}
	return d, err
}

// errFault is of a page that the card cannot read or that makes no sense.
var errFault = errors.New("the file is damaged")

// guard runs fn on the mapped file. A page that the card cannot read is a fault that kills
// a Go process, unless the goroutine asks for a panic; and bbolt itself panics on a page
// that makes no sense.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errFault, p)
		}
	}()
	return fn()
}

func (d *disk) view(fn func(*bbolt.Tx) error) error {
	return d.try(func() error { return d.db.View(fn) })
}

func (d *disk) update(fn func(*bbolt.Tx) error) error {
	return d.try(func() error { return d.db.Update(fn) })
}

// try runs fn, unless a fault came before: bbolt may hold its own locks for good then.
func (d *disk) try(fn func() error) error {
	if d.broken != nil {
		return d.broken
	}
	err := guard(fn)
	if errors.Is(err, errFault) {
		d.broken = err
	}
	return err
}

// Close closes the file.
func (d *disk) Close() error {
	if d.broken != nil {
		return d.leave()
	}
	return d.db.Close()
}

// leave closes the file without bbolt. What is mapped stays so, and would keep the lock.
func (d *disk) leave() error {
	return errors.Join(unix.Flock(int(d.file.Fd()), unix.LOCK_UN), d.file.Close())
}
