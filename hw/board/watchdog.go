package board

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Watchdog is the machine's own watchdog: it resets the machine unless it is
// fed. It has one owner; systemd with RuntimeWatchdogSec= is that owner, and
// opening then says that the device is busy.
type Watchdog struct {
	dev     *os.File
	timeout time.Duration
}

// OpenWatchdog starts the watchdog at path, for example "/dev/watchdog", and
// asks it to wait for timeout, rounded up to the second. A watchdog that
// cannot be set keeps its own time, see Timeout. From here on the machine is
// reset unless Feed or Close is called in time.
func OpenWatchdog(path string, timeout time.Duration) (*Watchdog, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("board: watchdog: %w", err)
	}
	w := &Watchdog{dev: f}
	fd := int(f.Fd())
	seconds := int((timeout + time.Second - 1) / time.Second)
	// Refused where the time is fixed (EOPNOTSUPP, ENOTTY) or out of range
	// (EINVAL). The machine is watched all the same.
	_ = unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, seconds)
	if s, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT); err == nil {
		w.timeout = time.Duration(s) * time.Second
	}
	return w, nil
}

// Timeout returns how long the watchdog waits; 0 if it does not tell.
func (w *Watchdog) Timeout() time.Duration { return w.timeout }

// Feed has the watchdog wait anew.
func (w *Watchdog) Feed() error {
	// A write is what every driver takes; the ioctl is optional.
	if _, err := w.dev.Write([]byte{0}); err != nil {
		return fmt.Errorf("board: watchdog: feed: %w", err)
	}
	return nil
}

// Close stops the watchdog, unless it was built never to stop, and gives it back.
func (w *Watchdog) Close() error {
	// A close without a V just before it counts as a crash.
	_, err := w.dev.Write([]byte{'V'})
	if err := errors.Join(err, w.dev.Close()); err != nil {
		return fmt.Errorf("board: watchdog: close: %w", err)
	}
	return nil
}
