package system

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// A Me is the system that this program runs in.
type Me struct {
	Disk    string // of the card
	Slot    sdcard.Slot
	Version string
	Machine string // of release.Systems
	Boot    string // id of this start
}

// NoData is the file by which qrgate-init says that the data partition could not be
// mounted, and that memory is in its place until the next start.
const NoData = "/run/qrgate-system/no-data"

// WithoutData reports whether what this start writes is gone after it.
func WithoutData() bool {
	_, err := os.Stat(NoData)
	return err == nil
}

// Running returns the system that this program runs in. On a machine that was not
// started from a kiosk's card the error is [ErrNoCard].
func Running() (Me, error) {
	b, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return Me{}, fmt.Errorf("system: %w", err)
	}
	var me Me
	if me.Slot, err = sdcard.ParseSlot(string(b)); err != nil {
		return me, err
	}
	about, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return me, fmt.Errorf("system: %w", err)
	}
	for line := range strings.Lines(string(about)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "IMAGE_VERSION":
			me.Version = value
		case "IMAGE_ID":
			me.Machine = "system-" + runtime.GOARCH + "-" + strings.TrimPrefix(value, "qrgate-")
		}
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return me, fmt.Errorf("system: %w", err)
	}
	me.Boot = strings.TrimSpace(string(boot))
	// qrgate-init has said which disk it is.
	disk, err := os.ReadFile("/run/qrgate-system/disk")
	if err != nil {
		return me, fmt.Errorf("%w: %w", sdcard.ErrNoCard, err)
	}
	me.Disk = filepath.Clean(strings.TrimSpace(string(disk)))
	return me, nil
}
