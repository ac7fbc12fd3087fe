package panel

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// HoldCoil has the file at path locked while the coil has current, so that whoever looks
// from outside sees it by the lock. The kernel takes the lock from a program that is
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
