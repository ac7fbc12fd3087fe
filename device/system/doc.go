// Package system keeps the card that a kiosk starts from, which has two slots for systems
// (package sdcard): one runs, and a newer one goes into the other, is read back, and is
// started once (the firmware's "tryboot"). It is the default only once it has shown that
// the door works:
//
//	c, err := system.Open("/dev/mmcblk0")
//	err = c.Install(slot.Other(), image, sum)
//	... reboot "0 tryboot", and in the new system, when the door says that it works: ...
//	err = c.SetDefault(slot)
//
// A [Keeper] does this by what the door's program, which may write to no disk, wishes
// ([Wish]), and says what it has done ([State]).
//
// The promise: whatever moment the power goes at, the card starts a system that has
// worked before: nothing ever writes to the slot that is the default, and what decides
// is one sector.
//
// Whose systems may be trusted is package update's matter. The first program of a
// start is qrgate-init beside this package, the administrator's one qrgate-system.
package system
