// Package board owns what a kiosk knows of the machine it runs on: which
// machine and which boot this is, how long it has run, how hot, how well
// powered, how full and how sure of the time it is. It also speaks to what
// restarts a program that hangs: systemd and the hardware watchdog.
//
// Its promise: nothing here stops a kiosk. What a machine does not have, or
// does not let us read, is reported as unknown.
//
//	b := board.Open(board.Options{Disks: []string{"/var/lib/qrgate"}})
//	h := b.Health()
//	if h.Power.Known && h.Power.UnderVoltage { ... }
//
// It only reports. Whether a clock is believed, a temperature alarmed or a
// card counted as moved is decided elsewhere; in particular a clock chip that
// says 2099 is reported saying 2099.
package board

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options are what a board may be told. The zero value is right for a machine
// without a clock chip of its own whose disks are not watched.
type Options struct {
	// Root is the directory below which /proc, /sys and /etc are read;
	// empty is "/". Tests and emulated machines put files in another.
	Root string

	// Disks are paths whose file systems Health reports. Root does not apply.
	Disks []string

	// Chip is a clock chip that the kernel does not know; nil if there is none.
	Chip *DS3231
}

// A Board is the machine. Its methods may be called from several goroutines.
type Board struct {
	root  fs.FS
	disks []string
	chip  *DS3231
	boot  [16]byte
}

// Open returns the machine below o.Root.
func Open(o Options) *Board {
	b := &Board{
		root:  os.DirFS(cmp.Or(o.Root, "/")),
		disks: slices.Clone(o.Disks),
		chip:  o.Chip,
	}
	id, ok := parseUUID(b.line("proc/sys/kernel/random/boot_id"))
	if !ok {
		// Random is safe: what was said in another process then counts as
		// said in another boot, which claims less than is known.
		rand.Read(id[:])
	}
	b.boot = id
	return b
}

// BootID returns the kernel's random id of this boot. On a machine that tells
// none it is random for each Board.
func (b *Board) BootID() [16]byte { return b.boot }

// SinceBoot returns the time since the kernel started, sleep included. No
// setting of any clock moves it. It is 0 if the kernel does not tell.
func (b *Board) SinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Identity is what tells this machine and this storage from their copies.
// An empty field is unknown.
type Identity struct {
	// CPU is the processor's serial number, or the mainboard's UUID where
	// processors have none, in lower case as the machine spells it.
	CPU string

	// Card is a hash, in hex, of the unique number of the storage: the SD
	// card's or eMMC's CID, an NVMe or SCSI disk's WWID. Where there is
	// neither, it is a hash of the machine id, which a copied disk shares.
	Card string
}

// Identity reads the machine's identity.
func (b *Board) Identity() Identity {
	return Identity{CPU: b.cpu(), Card: b.card()}
}

// Model returns what the machine calls itself, "Raspberry Pi 4 Model B Rev 1.4" for
// example, or "" if it does not say.
func (b *Board) Model() string {
	if model := b.line("sys/firmware/devicetree/base/model"); model != "" {
		return model
	}
	return b.line("sys/class/dmi/id/product_name")
}

func (b *Board) cpu() string {
	serial := b.line("sys/firmware/devicetree/base/serial-number")
	if serial == "" {
		for line := range bytes.Lines(b.file("proc/cpuinfo")) {
			if key, value, ok := bytes.Cut(line, []byte(":")); ok && clean(key) == "Serial" {
				serial = clean(value)
			}
		}
	}
	if serial == "" {
		serial = b.line("sys/class/dmi/id/product_uuid")
	}
	// Firmware that does not know its number writes zeros.
	if strings.Trim(serial, "0-") == "" {
		return ""
	}
	return strings.ToLower(serial)
}

func (b *Board) card() string {
	for _, pattern := range []string{
		"sys/block/mmcblk*/device/cid",
		"sys/block/nvme*/wwid",
		"sys/block/sd*/device/wwid",
		"etc/machine-id",
	} {
		for _, name := range b.glob(pattern) {
			if id := b.line(name); id != "" {
				// A machine id must not leave the machine as it is
				// (machine-id(5)), so nothing does.
				sum := sha256.Sum256([]byte("qrgate card\x00" + id))
				return hex.EncodeToString(sum[:16])
			}
		}
	}
	return ""
}

// maxFile is more than any file that is read here holds.
const maxFile = 256 << 10

// file returns what the named file below root holds, at most maxFile of it,
// or nothing.
func (b *Board) file(name string) []byte {
	f, err := b.root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil
	}
	return text
}

// line returns the first line of the named file, cleaned.
func (b *Board) line(name string) string {
	first, _, _ := bytes.Cut(b.file(name), []byte("\n"))
	return clean(first)
}

// clean returns text without the white space around it and the zero byte that
// ends a device tree's strings, or nothing if it is not printable ASCII then.
func clean(text []byte) string {
	text = bytes.Trim(text, " \t\r\n\x00")
	for _, c := range text {
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return string(text)
}

// glob returns the names below root that match pattern, sorted.
func (b *Board) glob(pattern string) []string {
	names, err := fs.Glob(b.root, pattern)
	if err != nil {
		panic(err) // the pattern is malformed, and it is ours
	}
	return names
}

// parseUUID reads the form 01234567-89ab-cdef-0123-456789abcdef.
func parseUUID(s string) (id [16]byte, ok bool) {
	digits := strings.ReplaceAll(s, "-", "")
	if len(s) != 36 || len(digits) != 32 {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(digits))
	return id, err == nil
}
