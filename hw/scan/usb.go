package scan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A USB tells a USB device by its numbers, which stay the same whatever port
// it is plugged into and in whatever order.
type USB struct {
	Vendor, Product uint16
	Serial          string // empty means any
}

// ParseUSB reads "usb:VID:PID" or "usb:VID:PID:SERIAL", the numbers in hex.
func ParseUSB(s string) (USB, error) {
	parts := strings.SplitN(s, ":", 4)
	if len(parts) < 3 || parts[0] != "usb" || len(parts) == 4 && parts[3] == "" {
		return USB{}, errors.New(`scan: want "usb:VID:PID" or "usb:VID:PID:SERIAL"`)
	}
	vid, err := strconv.ParseUint(parts[1], 16, 16)
	if err != nil {
		return USB{}, fmt.Errorf("scan: USB vendor %q is not a hex number of 16 bits", parts[1])
	}
	pid, err := strconv.ParseUint(parts[2], 16, 16)
	if err != nil {
		return USB{}, fmt.Errorf("scan: USB product %q is not a hex number of 16 bits", parts[2])
	}
	u := USB{Vendor: uint16(vid), Product: uint16(pid)}
	if len(parts) == 4 {
		u.Serial = parts[3]
	}
	return u, nil
}

// String returns what ParseUSB reads.
func (u USB) String() string {
	s := fmt.Sprintf("usb:%04x:%04x", u.Vendor, u.Product)
	if u.Serial != "" {
		s += ":" + u.Serial
	}
	return s
}

// Is reports whether sysfs describes this device: vendor and product as four
// hex digits, as in idVendor or id/vendor.
func (u USB) Is(vendor, product, serial string) bool {
	return vendor == fmt.Sprintf("%04x", u.Vendor) && product == fmt.Sprintf("%04x", u.Product) &&
		(u.Serial == "" || serial == u.Serial)
}

// Owns reports whether dir, a folder of sysfs without symbolic links, is part of
// this device: the nearest folder above it that is a USB device decides.
func (u USB) Owns(dir string) bool {
	for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if vendor := Attribute(dir, "idVendor"); vendor != "" {
			return u.Is(vendor, Attribute(dir, "idProduct"), Attribute(dir, "serial"))
		}
	}
	return false
}

// Attribute returns a value of sysfs, or "" if there is none.
func Attribute(dir, name string) string {
	b, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(b))
}
