// Package sdcard is how a kiosk's card is laid out, as the builder of images, the kiosk and
// the board's firmware must agree on:
//
//	partition 1  FAT16   what the firmware reads first, with autoboot.txt; settings
//	partition 2  a system: FAT with kernel and initramfs, then, at [RootOffset], its root (squashfs)
//	partition 3  another
//	partition 4  data (ext4), made and grown at the first start
//
// The promise: what decides which system starts is one sector, [Autoboot], whose two
// texts differ in two digits of its first half, so that also a torn write leaves one of
// them. Who writes to a card, and when, is package system's of the kiosk.
package sdcard

import "errors"

// Numbers of the layout.
const (
	Sector = 512
	// Signature is the disk's, in its partition table, by which a card is known.
	Signature = 0x31475251 // "QRG1"
	// RootOffset is where in a system's partition its root begins.
	RootOffset = 96 << 20

	Start   = 1 // partitions
	SystemA = 2
	Data    = 4

	TableAt = 446  // of the four entries in the first sector
	Made    = 0x83 // type of the data partition once it is one: Linux
	Unmade  = 0xda // and before: no file system
)

// TryCommand is what the firmware takes, for the next start alone, as the order to
// start the system that is tried.
const TryCommand = "0 tryboot"

// ErrSum is returned for a system that is not, or not as it lies on the card, what was
// wanted.
var ErrSum = errors.New("sdcard: not the bytes that were wanted")
