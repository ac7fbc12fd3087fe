// Package wedge reads scanners that show themselves as USB keyboards. It hides
// the kernel's event devices: which of them is the scanner, the exclusive grab,
// and what its key presses mean in the layout that the scanner is set to.
//
// Its promise: what the scanner types reaches nobody else on the machine, and
// a keyboard that was not named in the configuration is never touched.
//
//	src, err := wedge.New(wedge.Config{Device: "usb:1eab:0022"}, profile, log, wedge.Options{})
//	defer src.Close()
//	s, err := src.Next(ctx)
//
// Framing, health and dialing again are scan.Stream's; the profile is one that
// ends at CR, because that is what Enter becomes. Scanners that can be set to a
// serial line (CDC) are better read by port: keys are slower, and text with
// Vietnamese marks survives them only as Alt codes.
package wedge

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/hw/scan"
)

// A Config says which keyboard is a scanner, and how it types.
type Config struct {
	// Device is the absolute path of an event device, in which * ? [ ] match
	// as in a shell, such as "/dev/input/by-id/usb-Newland_*-event-kbd"; or
	// "usb:VID:PID" or "usb:VID:PID:SERIAL" with the numbers in hex; or
	// "name:NAME" with the whole name that the kernel gives it; or "auto", the
	// first keyboard whose maker makes scanners and nothing else.
	Device string

	// Layout is the country that the scanner is set to; empty means US.
	Layout Layout

	// Upper turns a-z into upper case, for scanners on which CapsLock or a
	// setting has turned it round. Own cards are upper case anyway; foreign
	// codes are not.
	Upper bool
}

// Options are for the workbench and for tests.
type Options struct {
	// Record takes down the raw events. It must never be set from the
	// configuration of a release: see scan.Recording.
	Record *scan.Recorder

	// Root is where dev and sys are; empty means "/".
	Root string

	// Open stands in for the function Open where there are no event devices.
	Open func(path string) (Device, error)

	// EventSize is the length of an event as Open's devices deliver it; zero
	// means that of this machine.
	EventSize int
}

// A Device is an open event device. *os.File is one.
type Device interface {
	io.ReadCloser
	SetReadDeadline(t time.Time) error
}

// readTimeout is how long a read waits for keys.
const readTimeout = 100 * time.Millisecond

// Check reports what in c can never work.
func (c Config) Check() error {
	if _, err := parseMatch(c.Device); err != nil {
		return err
	}
	_, err := c.Layout.keycaps()
	return err
}

// New returns the source of one keyboard scanner. Nothing is opened before its
// Next, and the device need not be there.
func New(c Config, p scan.Profile, log *slog.Logger, opt Options) (*scan.Stream, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	m, err := parseMatch(c.Device)
	if err != nil {
		return nil, err
	}
	if opt.Root == "" {
		opt.Root = "/"
	}
	if opt.Open == nil {
		opt.Open = Open
	}
	return scan.NewStream("keyboard:"+c.Device, func() (scan.Line, error) { return dial(c, m, opt) }, p, log)
}

// eviocgrab is EVIOCGRAB, _IOW('E', 0x90, int).
const eviocgrab = 0x40044590

// Open opens an event device and grabs it, so that its keys reach no console,
// no screen and no other program.
func Open(path string) (Device, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("wedge: %w", err)
	}
	conn, err := f.SyscallConn()
	if err == nil {
		ctlErr := conn.Control(func(fd uintptr) { err = unix.IoctlSetInt(int(fd), eviocgrab, 1) })
		err = errors.Join(err, ctlErr)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("wedge: grab %s: %w", path, err)
	}
	return f, nil
}

func dial(c Config, m match, opt Options) (scan.Line, error) {
	path, err := m.find(opt.Root)
	if err != nil {
		return nil, err
	}
	dec, err := NewDecoder(c.Layout, opt.EventSize)
	if err != nil {
		return nil, err
	}
	dev, err := opt.Open(path)
	if err != nil {
		return nil, err
	}
	l := &line{Decoder: dec, dev: dev, src: dev, upper: c.Upper}
	if opt.Record != nil {
		l.src = opt.Record.Tap(dev)
	}
	return l, nil
}

// A line is a grabbed keyboard as scan.Stream reads it.
type line struct {
	*Decoder // its Stuck tells the Stream of a key that hangs
	dev      Device
	src      io.Reader // the device, or a tap of it
	upper    bool
	events   [64 * 24]byte
	text     []byte // decoded, not yet returned
}

func (l *line) Read(p []byte) (int, error) {
	if err := l.dev.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
		return 0, fmt.Errorf("wedge: %w", err)
	}
	// Releases and modifiers are no text: reading goes on, so that only a
	// keyboard without a key is idle.
	keys := false
	for len(l.text) == 0 {
		n, err := l.src.Read(l.events[:])
		l.text = l.Feed(l.text, l.events[:n])
		keys = keys || n > 0
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if !keys {
				l.text = l.Flush(l.text)
			}
			break
		}
		if err != nil {
			return 0, fmt.Errorf("wedge: %w", err)
		}
	}
	n := copy(p, l.text)
	if l.upper {
		upper(p[:n])
	}
	l.text = append(l.text[:0], l.text[n:]...)
	return n, nil
}

func (l *line) Close() error { return l.dev.Close() }

func upper(b []byte) {
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
}
