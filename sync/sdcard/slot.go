package sdcard

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// A Slot is one of the two places for a system on a card.
type Slot byte

// The slots.
const (
	A Slot = 'a'
	B Slot = 'b'
)

// Other returns the other slot.
func (s Slot) Other() Slot { return A + B - s }

// Partition returns the number of a slot's partition.
func (s Slot) Partition() int { return int(s-A) + SystemA }

func (s Slot) String() string { return string(s) }

// ErrNoCard is returned for what does not have the layout of a kiosk's card.
var ErrNoCard = errors.New("sdcard: not a kiosk's card")

// ParseSlot reads the slot that the kernel was told of, as qrgate.slot=a in its command
// line.
func ParseSlot(cmdline string) (Slot, error) {
	for _, word := range strings.Fields(cmdline) {
		switch word {
		case "qrgate.slot=a":
			return A, nil
		case "qrgate.slot=b":
			return B, nil
		}
	}
	return 0, fmt.Errorf("%w: the kernel was told no slot", ErrNoCard)
}

// autoboot is what the firmware reads: which partition it starts, and which when it is
// asked to try. Both numbers stand in the sector's first half.
const autoboot = `[all]
tryboot_a_b=1
boot_partition=%d
[tryboot]
boot_partition=%d
# The first of the two is the system that starts, the second the one that is tried. QRGate writes both.
`

// Autoboot returns autoboot.txt, one sector, for a default slot.
func Autoboot(s Slot) []byte {
	b := fmt.Appendf(nil, autoboot, s.Partition(), s.Other().Partition())
	b = append(b, bytes.Repeat([]byte(" "), Sector-1-len(b))...)
	return append(b, '\n')
}

// ParseAutoboot returns the default slot that autoboot.txt names.
func ParseAutoboot(b []byte) (Slot, error) {
	for _, s := range []Slot{A, B} {
		if bytes.Equal(b, Autoboot(s)) {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%w: autoboot.txt is not QRGate's: %.40q", ErrNoCard, b)
}
