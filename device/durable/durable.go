// Package durable replaces small files so that a power cut leaves the old content or
// the new, and never a part; and reads them so that what a disk has lost costs what was
// in the file and no more.
//
//	err := durable.Replace(path, b)
//	damaged, err := durable.Read(path, func(b []byte) error { return json.Unmarshal(b, &v) })
//
// When Replace returns nil the new content is on disk, and so is its name. What a file
// means, and who its one writer is, is its caller's matter.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Replace writes b in the place of what path holds. The temporary file beside it,
// path.new, has one name, so that cuts leave one and not a heap.
func Replace(path string, b []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp) // a full disk has no room for it
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Read has use take what the small file at path holds; one that is missing holds nothing.
// Damaged says why that is not known, and is nil as a rule: use refused it, or the disk
// cannot read it. The file is then as good as missing. An error means that it may not be
// read.
func Read(path string, use func([]byte) error) (damaged, err error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case Fails(err):
		return err, nil
	case err != nil:
		return nil, err
	}
	if err := use(b); err != nil {
		return fmt.Errorf("%s: %w", path, err), nil
	}
	return nil, nil
}

// Fails reports whether err is of a disk that fails, is damaged or full, or takes no write.
func Fails(err error) bool {
	of := []error{syscall.EIO, syscall.EUCLEAN, syscall.EBADMSG, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS}
	return slices.ContainsFunc(of, func(of error) bool { return errors.Is(err, of) })
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
