package panel

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// HoldCoil has the file at path locked while the coil has current, so that whoever looks
// from outside sees it with [CoilHeld]. The kernel takes the lock from a program that is
// gone, however it went, as it takes a GPIO line with strict_gpiod. It is called before Run.
func (r *Recorder) HoldCoil(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("panel: coil: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.coil = func(current bool) {
		how := unix.LOCK_UN
		if current {
			how = unix.LOCK_EX | unix.LOCK_NB // whoever looks holds it for a moment
		}
		r.held = unix.Flock(int(f.Fd()), how) == nil && current
	}
	return f, nil
}

// CoilHeld reports whether a [Recorder] holds the coil of path.
func CoilHeld(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("panel: coil: %w", err)
	}
	defer f.Close()
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err {
	case nil:
		return false, nil
	case unix.EWOULDBLOCK:
		return true, nil
	default:
		return false, fmt.Errorf("panel: coil: %w", err)
	}
}
