// Package system is the card that a kiosk starts from: a part that names the system to
// start, two systems, and the data.
//
//	partition 1  FAT16   what the board's firmware reads first, with autoboot.txt; settings
//	partition 2  a system: FAT with kernel and initramfs, then, at [RootOffset], its root (squashfs)
//	partition 3  another
//	partition 4  data (ext4), made and grown at the first start
//
// A newer system goes into the slot that does not run, is read back, and is started
// once (the firmware's "tryboot"). It is the default only once it has shown that the
// door works:
//
//	card, err := system.Open("/dev/mmcblk0")
//	err = card.Install(card.Default().Other(), image, size, sum)
//	... reboot "0 tryboot", in the new system: ...
//	err = card.SetDefault(running)
//
// The promise: whatever moment the power goes at, the card starts a system that has
// worked before. What decides is one sector, autoboot.txt, whose two texts differ in
// two digits of its first half, so that also a torn write leaves one of them; and
// nothing ever writes to the slot that is the default.
//
// Whose systems may be trusted is package update's matter. The first program of a
// start is qrgate-init beside this package, the administrator's one qrgate-system.
package system
