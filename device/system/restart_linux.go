package system

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Restart starts the board anew with a command to its firmware. It returns only an
// error. What is to be kept is on the card before.
func Restart(command string) error {
	b, err := unix.BytePtrFromString(command)
	if err != nil {
		return err
	}
	_, _, e := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2, unix.LINUX_REBOOT_CMD_RESTART2, uintptr(unsafe.Pointer(b)), 0, 0)
	return fmt.Errorf("system: restart: %w", e)
}
