// Package durable replaces small files so that a power cut leaves the old content or the
// new, and never a part.
//
//	err := durable.Replace(path, b)
//	err := durable.ReplaceFor(path, b, 0o644) // for others to read too
//	err := durable.SyncDir(dir)               // after a file was made or removed otherwise
//
// When they return nil the new content is on disk, and so is its name. Several servers
// may share a folder: each writes beside the file under a name of its own, path.new-*, which
// a cut may leave.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes content in the place of what path holds, readable by this user alone.
func Replace(path string, content []byte) error { return ReplaceFor(path, content, 0o600) }

// ReplaceFor is Replace for whom mode allows.
func ReplaceFor(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir has the disk keep which names a folder holds.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
