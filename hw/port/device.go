package port

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/qrgate/qrgate/hw/scan"
)

// A device is how a line is found: by path, by USB numbers or the first there is.
type device struct {
	path string
	auto bool
	usb  scan.USB
}

func parseDevice(s string) (device, error) {
	if s == "auto" {
		return device{auto: true}, nil
	}
	if filepath.IsAbs(s) {
		return device{path: s}, nil
	}
	usb, err := scan.ParseUSB(s)
	if err != nil {
		return device{}, fmt.Errorf(`port: device %q is neither an absolute path nor "auto": %w`, s, err)
	}
	return device{usb: usb}, nil
}

// find returns the path of the device's node.
func (d device) find(root string) (string, error) {
	switch {
	case d.path != "":
		return d.path, nil
	case d.auto:
		return first(filepath.Join(root, "dev/serial/by-id"))
	}
	ttys, err := os.ReadDir(filepath.Join(root, "sys/class/tty"))
	if err != nil {
		return "", fmt.Errorf("port: %w", err)
	}
	for _, tty := range ttys {
		// Not every tty has a device; a CDC tty's is the USB interface, an
		// adapter's a port below it.
		dir, err := filepath.EvalSymlinks(filepath.Join(root, "sys/class/tty", tty.Name(), "device"))
		if err == nil && d.usb.Owns(dir) {
			return filepath.Join(root, "dev", tty.Name()), nil
		}
	}
	return "", fmt.Errorf("port: no serial device %s", d.usb)
}

func first(dir string) (string, error) {
	links, err := os.ReadDir(dir) // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("port: %w", err)
	}
	for _, l := range links {
		if !strings.HasPrefix(l.Name(), ".") {
			return filepath.Join(dir, l.Name()), nil
		}
	}
	return "", errors.New("port: no serial device in /dev/serial/by-id")
}
