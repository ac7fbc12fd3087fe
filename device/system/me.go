package system

import (
	"fmt"
	"os"
	"path/filepath"
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
			me.Machine = "system-arm64-" + strings.TrimPrefix(value, "qrgate-")
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
