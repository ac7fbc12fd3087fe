package when

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// A Boot names one run of the kernel. Two readings of one Boot share a clock
// that only goes forward; readings of two do not.
type Boot [16]byte

// ParseBoot reads a boot id as the kernel prints it: 32 hexadecimal digits with
// or without hyphens.
func ParseBoot(s string) (Boot, error) {
	var b Boot
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), "-", ""))
	if err != nil || len(raw) != len(b) {
		return b, fmt.Errorf("when: %q is not a boot id", s)
	}
	copy(b[:], raw)
	return b, nil
}

// ReadBoot returns the running kernel's boot id.
func ReadBoot() (Boot, error) {
	s, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Boot{}, fmt.Errorf("when: boot id: %w", err)
	}
	return ParseBoot(string(s))
}

func (b Boot) String() string { return hex.EncodeToString(b[:]) }

// State says how a kiosk came to believe its time. The numbers travel on the
// wire and stand in the database.
type State uint8

// The states. A [Clock] is never Unset: it has a floor.
const (
	Unset   State = 0 // nothing is known
	Floor   State = 1 // the system's clock contradicts the floor, which is all that is known
	Chip    State = 2 // from a clock chip or a saved time; nobody has vouched for it
	Synced  State = 3 // bound to a fresh sample of the server's time
	Holding State = 4 // was synced in this boot, drifting since
)

func (s State) String() string {
	switch s {
	case Unset:
		return "unset"
	case Floor:
		return "floor"
	case Chip:
		return "chip"
	case Synced:
		return "synced"
	case Holding:
		return "holding"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// A Reading is what a kiosk believed of the time at one moment.
type Reading struct {
	Boot  Boot
	Since int64 // milliseconds since boot, suspended time included (CLOCK_BOOTTIME)
	Wall  int64 // Unix milliseconds as believed
	State State
	Error int64 // bound on Wall in milliseconds; 0 is unknown
}

// An Anchor ties one moment of a boot to the server's time: at Since, the
// server's clock stood within Error of Server.
type Anchor struct {
	Boot   Boot
	Since  int64 // milliseconds since boot
	Server int64 // Unix milliseconds
	Error  int64 // bound in milliseconds
}
