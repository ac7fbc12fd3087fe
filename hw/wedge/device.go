package wedge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/hw/scan"
)

// scannerMakers are USB vendors under whose numbers only scanners are sold.
// Makers of scan engines whose USB chip is anybody's are not among them.
var scannerMakers = []string{
	"05e0", // Symbol, Zebra
	"05f9", // PSC, Datalogic
	"065a", // Opticon
	"0536", // Hand Held Products
	"0c2e", // Metrologic, Honeywell
	"1eab", // Newland
}

// A match is how a keyboard is found; one of its fields is set.
type match struct {
	path string // with wildcards
	auto bool
	name string
	usb  scan.USB
}

func parseMatch(s string) (match, error) {
	if s == "auto" {
		return match{auto: true}, nil
	}
	if name, ok := strings.CutPrefix(s, "name:"); ok && name != "" {
		return match{name: name}, nil
	}
	if filepath.IsAbs(s) {
		if _, err := filepath.Match(s, ""); err != nil {
			return match{}, fmt.Errorf("wedge: device %q: %w", s, err)
		}
		return match{path: s}, nil
	}
	usb, err := scan.ParseUSB(s)
	if err != nil {
		return match{}, fmt.Errorf(`wedge: device %q is neither an absolute path nor "name:NAME" nor "auto": %w`, s, err)
	}
	return match{usb: usb}, nil
}

// find returns the path of the keyboard's event device.
func (m match) find(root string) (string, error) {
	if m.path != "" {
		paths, err := filepath.Glob(m.path) // sorted
		if err != nil || len(paths) == 0 {
			return "", fmt.Errorf("wedge: no keyboard %s", m.path)
		}
		return paths[0], nil
	}
	class := filepath.Join(root, "sys/class/input")
	devs, err := os.ReadDir(class)
	if err != nil {
		return "", fmt.Errorf("wedge: %w", err)
	}
	for _, dev := range devs {
		dir := filepath.Join(class, dev.Name(), "device")
		if strings.HasPrefix(dev.Name(), "event") && typesText(dir) && m.fits(dir) {
			return filepath.Join(root, "dev/input", dev.Name()), nil
		}
	}
	return "", errors.New("wedge: no keyboard " + m.String())
}

// fits reports whether the input device described in dir is the one.
func (m match) fits(dir string) bool {
	vendor := scan.Attribute(dir, "id/vendor")
	switch {
	case m.auto:
		return slices.Contains(scannerMakers, vendor)
	case m.name != "":
		return scan.Attribute(dir, "name") == m.name
	}
	return m.usb.Is(vendor, scan.Attribute(dir, "id/product"), scan.Attribute(dir, "uniq"))
}

func (m match) String() string {
	switch {
	case m.auto:
		return "of a maker of scanners"
	case m.name != "":
		return "name:" + m.name
	}
	return m.usb.String()
}

// typesText reports whether the device has digits, Enter and A. A scanner often
// shows a second event device, for volume keys or for settings.
func typesText(dir string) bool {
	const want = 0b11_1111_1111<<2 | 1<<keyEnter | 1<<30
	words := strings.Fields(scan.Attribute(dir, "capabilities/key"))
	if len(words) == 0 {
		return false
	}
	// Words are as long as the kernel's; these keys are in the lowest 32 bits.
	last, err := strconv.ParseUint(words[len(words)-1], 16, 64)
	return err == nil && last&want == want
}
