//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const gadgets = "/sys/kernel/config/usb_gadget"

// controllers are the ports of the simulated bus, each good for one gadget.
var controllers = map[string]string{"acm": "dummy_udc.0", "hid": "dummy_udc.1"}

// put writes files of a tree that is no file system: each is written at once, and
// directories are made by making them.
func put(dir string, files ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if strings.Contains(files[i], "/") {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(files[i+1])
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// makeGadget makes a scanner on the bus: acm, a serial one, or hid, one that types.
// ids are vendor, product, maker, model and serial number.
func makeGadget(kind string, ids []string) error {
	dir := filepath.Join(gadgets, kind)
	err := put(dir, "idVendor", ids[0], "idProduct", ids[1],
		"strings/0x409/manufacturer", ids[2], "strings/0x409/product", ids[3], "strings/0x409/serialnumber", ids[4])
	if err != nil {
		return err
	}
	if err := put(filepath.Join(dir, "configs/c.1")); err != nil {
		return err
	}
	function := filepath.Join(dir, "functions", kind+".0")
	if err := put(function); err != nil {
		return err
	}
	if kind == "hid" {
		if err := put(function, "protocol", "1", "subclass", "1", "report_length", "8", "report_desc", keyboard); err != nil {
			return err
		}
	}
	if err := os.Symlink(function, filepath.Join(dir, "configs/c.1", kind+".0")); err != nil {
		return err
	}
	return plug(kind, true)
}

// plug puts a gadget on the bus or takes it off.
func plug(kind string, in bool) error {
	name := "\n"
	if in {
		name = controllers[kind]
	}
	return put(filepath.Join(gadgets, kind), "UDC", name)
}

// keyboard is the report descriptor of a keyboard as the boot protocol has it.
const keyboard = "\x05\x01\x09\x06\xa1\x01\x05\x07\x19\xe0\x29\xe7\x15\x00\x25\x01\x75\x01\x95\x08\x81\x02\x95\x01\x75\x08\x81\x03" +
	"\x95\x05\x75\x01\x05\x08\x19\x01\x29\x05\x91\x02\x95\x01\x75\x03\x91\x03\x95\x06\x75\x08\x15\x00\x25\x65\x05\x07\x19\x00\x29\x65\x81\x00\xc0"

// writeDevice writes to a device, which appears some time after its gadget.
func writeDevice(path string, b []byte) error {
	var f *os.File
	err := until(5*time.Second, func() (err error) { f, err = os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0); return err })
	if err != nil {
		return err
	}
	if t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil { // a line of this end, too
		t.Oflag &^= unix.OPOST
		t.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
		unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

const shift = 0x02 // left, in a report's first byte

// usage returns the key of a character on an American keyboard, by its number in a
// report.
func usage(c rune) (modifiers, key byte, err error) {
	const plain, shifted = "-=[]\\\x00;'`,./", "_+{}|\x00:\"~<>?"
	switch {
	case c >= 'a' && c <= 'z':
		return 0, byte(c-'a') + 4, nil
	case c >= 'A' && c <= 'Z':
		return shift, byte(c-'A') + 4, nil
	case c >= '1' && c <= '9':
		return 0, byte(c-'1') + 30, nil
	case c == '0':
		return 0, 39, nil
	case c == '\r' || c == '\n':
		return 0, 40, nil
	case c == ' ':
		return 0, 44, nil
	}
	if i := strings.IndexRune(plain, c); i >= 0 {
		return 0, byte(45 + i), nil
	}
	if i := strings.IndexRune(shifted, c); i >= 0 {
		return shift, byte(45 + i), nil
	}
	return 0, 0, fmt.Errorf("no key for %q", c)
}

const alt = 0x04 // left, in a report's first byte

// reports returns what a keyboard sends for a character. One that it has no key for is
// typed by its number, with Alt held and on the keypad, as scanners in "ALT mode" do.
func reports(c rune) (all [][8]byte, err error) {
	if c < 0x80 {
		modifiers, key, err := usage(c)
		return [][8]byte{{modifiers, 0, key}, {}}, err
	}
	for _, digit := range strconv.Itoa(int(c)) {
		all = append(all, [8]byte{alt, 0, 0x59 + byte(digit-'1'+10)%10}, [8]byte{alt})
	}
	return append(all, [8]byte{}), nil
}

// typeText types as a scanner does: a key goes down and up again.
func typeText(path, text string) error {
	var f *os.File
	err := until(5*time.Second, func() (err error) { f, err = os.OpenFile(path, os.O_RDWR, 0); return err })
	if err != nil {
		return err
	}
	defer f.Close()
	for _, c := range text {
		all, err := reports(c)
		if err != nil {
			return err
		}
		for _, report := range all {
			// The other side may not have made a keyboard of it yet.
			err := until(5*time.Second, func() error { _, err := f.Write(report[:]); return err })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

const grab = 0x40044590 // EVIOCGRAB

// isTaken reports whether a program has taken the keyboard of this name for itself.
func isTaken(name string) (bool, error) {
	names, err := filepath.Glob("/sys/class/input/event*/device/name")
	if err != nil {
		return false, err
	}
	for _, n := range names {
		if b, err := os.ReadFile(n); err != nil || !strings.Contains(string(b), name) {
			continue
		}
		f, err := os.Open("/dev/input/" + filepath.Base(filepath.Dir(filepath.Dir(n))))
		if err != nil {
			return false, err
		}
		defer f.Close() // gives up what was taken here
		err = unix.IoctlSetInt(int(f.Fd()), grab, 1)
		if errors.Is(err, unix.EBUSY) {
			return true, nil
		}
		return false, err
	}
	return false, fmt.Errorf("no keyboard %q", name)
}

const linesConfig = "/sys/kernel/config/gpio-sim/twin"

// lines are the places of the lines of the simulated chip, by name.
var lines = map[string]int{}

// makeLines makes a chip with lines of these names. Its label begins as a Raspberry
// Pi's does.
func makeLines(names []string) error {
	bank := filepath.Join(linesConfig, "bank0")
	if err := put(linesConfig); err != nil {
		return err
	}
	if err := put(bank, "num_lines", strconv.Itoa(len(names)), "label", "pinctrl-twin"); err != nil {
		return err
	}
	for i, name := range names {
		if err := put(filepath.Join(bank, "line"+strconv.Itoa(i)), "name", name); err != nil {
			return err
		}
		lines[name] = i
	}
	if err := put(linesConfig, "live", "1"); err != nil {
		return err
	}
	for _, name := range names {
		if err := until(5*time.Second, func() error { return watchLine(name) }); err != nil {
			return err
		}
	}
	return nil
}

func lineFile(name, file string) (string, error) {
	i, ok := lines[name]
	if !ok {
		return "", errors.New("no such line")
	}
	found, err := filepath.Glob(fmt.Sprintf("/sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio%d/%s", i, file))
	if err == nil && len(found) != 1 {
		err = os.ErrNotExist
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// seen are the levels that each line had, a digit for each change.
var (
	seenMu sync.Mutex
	seen   = map[string]string{}
)

// watchLine notes the levels of a line for as long as the machine runs. It looks often,
// because a lamp may be on for a short time only, and the test outside may be slow.
func watchLine(name string) error {
	path, err := lineFile(name, "value")
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	go func() {
		for b := make([]byte, 1); ; time.Sleep(20 * time.Millisecond) {
			if _, err := f.ReadAt(b, 0); err != nil {
				fmt.Println("guest: line:", name, err)
				return
			}
			seenMu.Lock()
			if s := seen[name]; s == "" || s[len(s)-1] != b[0] {
				seen[name] += string(b)
			}
			seenMu.Unlock()
		}
	}()
	return nil
}

func levels(name string) string {
	seenMu.Lock()
	defer seenMu.Unlock()
	return seen[name]
}

// pullLine pulls an input up or down, as a contact does.
func pullLine(name string, up bool) error {
	path, err := lineFile(name, "pull")
	if err != nil {
		return err
	}
	level := "pull-down"
	if up {
		level = "pull-up"
	}
	return os.WriteFile(path, []byte(level), 0)
}

// smbus is the argument of the I2C_SMBUS ioctl, of which a byte is written.
type smbus struct {
	readWrite byte
	command   byte
	size      uint32
	data      unsafe.Pointer
}

const (
	i2cSlave     = 0x0703
	i2cSMBus     = 0x0720
	smbusWrite   = 0
	smbusByte    = 2 // I2C_SMBUS_BYTE_DATA
	chipAddress  = 0x68
	chipRegister = 0x13 // how many there are
)

// makeChip makes a DS3231 that says a time and 25.25 degrees.
func makeChip(t time.Time) error {
	bus, err := stubBus()
	if err != nil {
		return err
	}
	fd, err := unix.Open("/dev/i2c-"+bus, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, i2cSlave, chipAddress); err != nil {
		return err
	}
	bcd := func(n int) byte { return byte(n/10<<4 | n%10) }
	registers := [chipRegister]byte{
		bcd(t.Second()), bcd(t.Minute()), bcd(t.Hour()), byte(t.Weekday()) + 1, bcd(t.Day()), bcd(int(t.Month())), bcd(t.Year() % 100),
		0x11: 25, 0x12: 0x40,
	}
	for i, b := range registers {
		value := [34]byte{b}
		arg := smbus{smbusWrite, byte(i), smbusByte, unsafe.Pointer(&value)}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), i2cSMBus, uintptr(unsafe.Pointer(&arg))); errno != 0 {
			return errno
		}
	}
	return put("/sys/bus/i2c/devices/i2c-"+bus, "new_device", "ds3231 0x68")
}

func stubBus() (string, error) {
	names, err := filepath.Glob("/sys/bus/i2c/devices/i2c-*/name")
	if err != nil {
		return "", err
	}
	for _, n := range names {
		if b, err := os.ReadFile(n); err == nil && strings.Contains(string(b), "SMBus stub") {
			return strings.TrimPrefix(filepath.Base(filepath.Dir(n)), "i2c-"), nil
		}
	}
	return "", errors.New("no simulated bus")
}

// heat makes the only thermometer say so many thousandths of a degree. The kernel has
// no simulation of one, so the files are made.
func heat(milli int64) error {
	const class, zone = "/sys/class/thermal", "/sys/class/thermal/thermal_zone0"
	if _, err := os.Stat(filepath.Join(zone, "twin")); err != nil {
		if err := mount("tmpfs", class, "tmpfs", 0, ""); err != nil {
			return err
		}
		if err := os.MkdirAll(zone, 0o755); err != nil {
			return err
		}
		if err := errors.Join(os.WriteFile(zone+"/twin", nil, 0o644), os.WriteFile(zone+"/type", []byte("cpu-thermal\n"), 0o644)); err != nil {
			return err
		}
	}
	return os.WriteFile(zone+"/temp", []byte(strconv.FormatInt(milli, 10)+"\n"), 0o644)
}
