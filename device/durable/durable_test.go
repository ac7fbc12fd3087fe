package durable_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/qrgate/qrgate/device/durable"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("whole", `7`)
	write("half", `{"a`)
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	// Nothing is mapped where this file begins: reading it is EIO.
	if err := os.Symlink("/proc/self/mem", filepath.Join(dir, "unreadable")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		n            int
		damaged, err bool
	}{
		"whole": {7, false, false}, "missing": {}, "half": {0, true, false}, "unreadable": {0, true, false}, "folder": {0, false, true},
	} {
		n, path := 0, filepath.Join(dir, name)
		damaged, err := durable.Read(path, func(b []byte) error { return json.Unmarshal(b, &n) })
		if n != want.n || (damaged != nil) != want.damaged || (err != nil) != want.err {
			t.Errorf("Read(%s) of %d = %v, %v; want %+v", name, n, damaged, err, want)
		}
		for _, err := range []error{damaged, err} {
			if err != nil && strings.Count(err.Error(), path) != 1 {
				t.Errorf("Read(%s): %v, which is to name the file", name, err)
			}
		}
	}
}

// A file system that finds itself damaged said so by an error that was none of a disk's:
// one small file kept the door on amber for ever.
func TestWhatIsOfADisk(t *testing.T) {
	for of, want := range map[error]bool{
		syscall.EIO: true, syscall.EUCLEAN: true, syscall.EBADMSG: true, syscall.ENOSPC: true, syscall.EROFS: true,
		syscall.EACCES: false, fs.ErrNotExist: false, nil: false,
	} {
		var err error
		if of != nil {
			err = &fs.PathError{Op: "open", Path: "agent.json", Err: of}
		}
		if got := durable.Fails(err); got != want {
			t.Errorf("Fails(%v) = %t", err, got)
		}
	}
}
