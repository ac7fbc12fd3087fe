package twin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Mend mends the ext4 file system in a file as a kiosk's first program does before it
// mounts it: quickly, and only if that does not do thoroughly. A cut that tears the last
// block of a transaction leaves a journal that no kernel mounts.
func Mend(path string) (thorough bool, err error) {
	for _, args := range [][]string{{"-p", path}, {"-f", "-y", path}} {
		out, err := exec.Command("e2fsck", args...).CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil, errors.As(err, &exit) && exit.ExitCode() < 4:
			return thorough, nil
		case exit == nil || thorough:
			return thorough, fmt.Errorf("twin: e2fsck: %w: %s", err, out)
		}
		thorough = true
	}
	return thorough, nil
}

// Mend mends the file system that the disk is. The machine must be dead.
func (d *Disk) Mend() error {
	dir, err := os.MkdirTemp("", "twin-mend")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "disk")
	if err := os.WriteFile(path, d.read(0, len(d.media)), 0o600); err != nil {
		return err
	}
	if _, err := Mend(path); err != nil {
		return err
	}
	mended, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for at := 0; at < len(mended); at += sector {
		if b := mended[at : at+sector]; !bytes.Equal(b, d.media[at:at+sector]) {
			d.write(int64(at), b)
		}
	}
	d.keep()
	return nil
}
