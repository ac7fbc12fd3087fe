package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/durable"
)

// ErrShredded means that a key was destroyed and will not come back.
var ErrShredded = errors.New("key is shredded")

// A KeyStore keeps wrapped keys by name, such as "people.key" or
// "days/2026-11-24.key". It is safe for concurrent use by several processes.
type KeyStore interface {
	// Load returns a key. The error is fs.ErrNotExist if there never was one
	// and ErrShredded if there was.
	Load(name string) ([]byte, error)
	// Create stores a key durably unless the name is taken, and returns what is
	// stored: of two callers, both get the first one's. The error is
	// ErrShredded if the name is that of a shredded key.
	Create(name string, wrapped []byte) ([]byte, error)
	// Shred destroys a key for good and remembers that it did. Shredding what
	// is not there only remembers.
	Shred(name string) error
	// Names returns the names of all keys that are not shredded.
	Names() ([]string, error)
}

// Dir is a KeyStore in a directory of this name. Directories are made as they
// are needed, with mode 0700, files with mode 0600.
//
// A shredded key leaves a mark under its own name, so that creating it anew
// meets a file that exists. Overwriting is as good as the disk: flash may keep
// the old block, which is why keys are wrapped and never part of a data backup.
type Dir string

var _ KeyStore = Dir("")

const (
	shredMark  = "QGX1\n"
	tempPrefix = ".new-"
	maxKeyFile = 4096
)

// Load returns the wrapped key kept under name.
func (d Dir) Load(name string) ([]byte, error) {
	b, err := readKey(d.path(name))
	if err != nil {
		return nil, fmt.Errorf("vault: load %s: %w", name, err)
	}
	return b, nil
}

// Create keeps wrapped under name unless the name is taken.
func (d Dir) Create(name string, wrapped []byte) ([]byte, error) {
	path := d.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("vault: create %s: %w", name, err)
	}
	stored, err := createFile(path, wrapped)
	if err != nil {
		return nil, fmt.Errorf("vault: create %s: %w", name, err)
	}
	return stored, nil
}

// Shred overwrites the key kept under name and leaves the mark.
func (d Dir) Shred(name string) error {
	path := d.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("vault: shred %s: %w", name, err)
	}
	// Zeros read as shredded too: a power cut between the two steps leaves
	// neither a key nor a file that nobody can explain.
	if err := overwrite(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("vault: shred %s: %w", name, err)
	}
	if err := errors.Join(mark(path), sweep(filepath.Dir(path))); err != nil {
		return fmt.Errorf("vault: shred %s: %w", name, err)
	}
	return nil
}

func mark(path string) error {
	temp, err := writeTemp(filepath.Dir(path), []byte(shredMark))
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// Names returns the names of all keys that are not shredded.
func (d Dir) Names() ([]string, error) {
	var names []string
	err := d.each(func(name string, key []byte) error {
		if key != nil {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// each calls fn with every key, which is nil if it is shredded.
func (d Dir) each(fn func(name string, key []byte) error) error {
	err := filepath.WalkDir(string(d), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), tempPrefix) {
			return err
		}
		key, err := readKey(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil && !errors.Is(err, ErrShredded) {
			return err
		}
		rel, err := filepath.Rel(string(d), path)
		if err != nil {
			return err
		}
		return fn(filepath.ToSlash(rel), key)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("vault: names: %w", err)
	}
	return nil
}

// sweep removes what a crash in Create left behind more than an hour ago. It
// does not overwrite: such a file may be a second name of a key in use.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(info.ModTime()) < time.Hour {
			continue // another process is at work
		}
		if err := errors.Join(err, os.Remove(filepath.Join(dir, e.Name()))); err != nil {
			return err
		}
	}
	return nil
}

func (d Dir) path(name string) string {
	if !filepath.IsLocal(name) {
		panic("vault: key name " + name + " leaves the directory")
	}
	return filepath.Join(string(d), filepath.FromSlash(name))
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("%s: larger than any key", path)
	}
	if string(b) == shredMark || len(b) > 0 && len(bytes.Trim(b, "\x00")) == 0 {
		return nil, ErrShredded
	}
	return b, nil
}

// createFile makes a file that is there whole or not at all, and returns what
// the file holds: of two that try, both get the first one's.
func createFile(path string, b []byte) ([]byte, error) {
	dir := filepath.Dir(path)
	temp, err := writeTemp(dir, b)
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp)
	err = os.Link(temp, path)
	// The other one may not have got so far as to sync its name.
	if syncErr := durable.SyncDir(dir); syncErr != nil {
		return nil, syncErr
	}
	if errors.Is(err, fs.ErrExist) {
		return readKey(path)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

func writeTemp(dir string, b []byte) (string, error) {
	f, err := os.CreateTemp(dir, tempPrefix)
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func overwrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, info.Size()))
	}
	return errors.Join(err, f.Sync(), f.Close())
}
