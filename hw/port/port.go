// Package port reads scanners on serial lines: UARTs, USB adapters and USB
// scanners that show themselves as one (CDC). It hides which of two drivers
// opens the line, by which name the device is found, and how an idle line is
// told from a pulled cable.
//
// Its promise: a line that can be opened by either driver is read, and one that
// goes away is found again under the same configuration, whatever number the
// kernel gives it then.
//
//	src, err := port.New(port.Config{Device: "usb:1eab:0c06"}, profile, log, port.Options{})
//	defer src.Close()
//	s, err := src.Next(ctx)
//
// Framing, health and dialing again are scan.Stream's. Package pty makes lines
// without hardware.
package port

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	tarm "github.com/tarm/serial"
	bugst "go.bug.st/serial"
	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/hw/scan"
)

// A Driver is one of the libraries that open a line.
type Driver string

// The drivers.
const (
	AnyDriver Driver = ""          // GoBugSt, or Tarm where that fails
	GoBugSt   Driver = "go.bug.st" // reads the line's settings, then changes them
	Tarm      Driver = "tarm"      // only writes settings: for lines that cannot be asked
)

// A Config says which line to read, and how. Lines are always 8N1 without
// flow control, as scanners are.
type Config struct {
	// Device is the absolute path of a device, best one below
	// /dev/serial/by-id; or "usb:VID:PID" or "usb:VID:PID:SERIAL" with the
	// numbers in hex; or "auto", the first device in /dev/serial/by-id.
	Device string

	// Baud is the speed; zero means 9600. USB scanners ignore it.
	Baud int

	Driver Driver
}

// Options are for the workbench and for tests.
type Options struct {
	// Record takes down all bytes that arrive. It must never be set from the
	// configuration of a release: see scan.Recording.
	Record *scan.Recorder

	// Root is where dev and sys are; empty means "/".
	Root string

	// Open stands in for the function Open, to act out adapters that one of
	// the drivers cannot open.
	Open func(d Driver, path string, baud int) (io.ReadCloser, error)
}

var bauds = []int{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600}

// readTimeout is how long a read waits. Tarm counts in tenths of a second.
const readTimeout = 100 * time.Millisecond

// Check reports what in c can never work.
func (c Config) Check() error {
	if _, err := parseDevice(c.Device); err != nil {
		return err
	}
	if c.Baud != 0 && !slices.Contains(bauds, c.Baud) {
		return fmt.Errorf("port: %d baud is none of %v", c.Baud, bauds)
	}
	switch c.Driver {
	case AnyDriver, GoBugSt, Tarm:
		return nil
	}
	return fmt.Errorf("port: driver %q is neither %q nor %q", c.Driver, GoBugSt, Tarm)
}

// New returns the source of one line. Nothing is opened before its Next, and
// the device need not be there.
func New(c Config, p scan.Profile, log *slog.Logger, opt Options) (*scan.Stream, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	dev, err := parseDevice(c.Device)
	if err != nil {
		return nil, err
	}
	if c.Baud == 0 {
		c.Baud = 9600
	}
	if opt.Root == "" {
		opt.Root = "/"
	}
	if opt.Open == nil {
		opt.Open = Open
	}
	d := &dialer{config: c, opt: opt, device: dev, log: log.With("device", c.Device)}
	return scan.NewStream("serial:"+c.Device, d.dial, p, log)
}

// Open opens a line by one driver, 8N1. Its Read returns after a tenth of a
// second without a byte: with 0 and nil from GoBugSt, with io.EOF from Tarm,
// which says the same of a pulled cable. AnyDriver means GoBugSt here.
func Open(d Driver, path string, baud int) (io.ReadCloser, error) {
	if d == Tarm {
		p, err := tarm.OpenPort(&tarm.Config{Name: path, Baud: baud, ReadTimeout: readTimeout})
		if err != nil {
			return nil, fmt.Errorf("port: %s: %w", Tarm, err)
		}
		return p, nil
	}
	// This driver's descriptor would pass to every child we start, and a child
	// that outlives an unplugging keeps the device's name taken.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	p, err := bugst.Open(path, &bugst.Mode{BaudRate: baud, DataBits: 8})
	if err != nil {
		return nil, fmt.Errorf("port: %s: %w", GoBugSt, err)
	}
	if err := errors.Join(p.SetReadTimeout(readTimeout), closeOnExec(path)); err != nil {
		p.Close()
		return nil, fmt.Errorf("port: %s: %w", GoBugSt, err)
	}
	return p, nil
}

// closeOnExec keeps every open descriptor of the device from children.
func closeOnExec(path string) error {
	var dev unix.Stat_t
	if err := unix.Stat(path, &dev); err != nil {
		return err
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, f := range fds {
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == dev.Rdev {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

type dialer struct {
	config   Config
	opt      Options
	device   device
	log      *slog.Logger
	fellBack bool // has been logged
}

// dial opens the line as it is found now.
func (d *dialer) dial() (scan.Line, error) {
	path, err := d.device.find(d.opt.Root)
	if err != nil {
		return nil, err
	}
	// A descriptor of our own, beside the driver's: neither driver tells a
	// pulled cable from an idle line for sure, only one keeps others out, and
	// both may block in a write.
	guard, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("port: %w", &fs.PathError{Op: "open", Path: path, Err: err})
	}
	p, err := d.open(path)
	if err == nil {
		if err = unix.IoctlSetInt(guard, unix.TIOCEXCL, 0); err != nil {
			p.Close()
			err = fmt.Errorf("port: keep others from %s: %w", path, err)
		}
	}
	if err != nil {
		unix.Close(guard)
		return nil, err
	}
	l := &line{port: p, src: p, guard: guard}
	if d.opt.Record != nil {
		l.src = d.opt.Record.Tap(p)
	}
	return l, nil
}

func (d *dialer) open(path string) (io.ReadCloser, error) {
	if d.config.Driver != AnyDriver {
		return d.opt.Open(d.config.Driver, path, d.config.Baud)
	}
	p, err := d.opt.Open(GoBugSt, path, d.config.Baud)
	if err == nil {
		return p, nil
	}
	p, err2 := d.opt.Open(Tarm, path, d.config.Baud)
	if err2 != nil {
		return nil, fmt.Errorf("%w; %w", err, err2)
	}
	if !d.fellBack {
		d.fellBack = true
		d.log.Warn("serial line needs the second driver", "driver", Tarm, "err", err)
	}
	return p, nil
}

// A line is an open port that knows when its cable is pulled.
type line struct {
	port  io.Closer
	src   io.Reader // the port, or a tap of it
	guard int
}

var errUnplugged = errors.New("port: unplugged")

func (l *line) Read(p []byte) (int, error) {
	n, err := l.src.Read(p)
	if n > 0 {
		return n, nil
	}
	if hungUp(l.guard) {
		return 0, errUnplugged
	}
	if err == io.EOF {
		err = nil // Tarm's word for a pause
	}
	return 0, err
}

// Write never waits: a scanner that takes no bytes must not stop the reading.
// The drivers' descriptors block, ours does not.
func (l *line) Write(p []byte) (int, error) {
	n, err := unix.Write(l.guard, p)
	return max(n, 0), err
}

func (l *line) Close() error {
	err := l.port.Close()
	unix.Close(l.guard)
	return err
}

// hungUp reports whether the device behind the descriptor is gone. Modem lines
// do not matter: both drivers set CLOCAL.
func hungUp(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(fds, 0)
	return n > 0 && err == nil && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}
