// Package pty makes serial lines without hardware: one end is a file that a
// virtual scanner writes to, the other a device path that port opens like any
// serial adapter. Closing the file is pulling the cable.
//
//	master, path, err := pty.Open()
//	// port opens path; what is written to master comes in there
//
// Speed, parity and modem lines mean nothing on such a line.
package pty

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Open returns a new pair: the scanner's end and the path of the other. The
// line is raw from the start, so that bytes written before the other end is
// opened arrive unchanged, up to about 4 kB.
func Open() (master *os.File, path string, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, "", fmt.Errorf("pty: %w", err)
	}
	var n int
	conn, err := master.SyscallConn()
	if err == nil {
		ctlErr := conn.Control(func(fd uintptr) { n, err = set(int(fd)) })
		if err == nil {
			err = ctlErr
		}
	}
	if err != nil {
		master.Close()
		return nil, "", fmt.Errorf("pty: %w", err)
	}
	return master, fmt.Sprintf("/dev/pts/%d", n), nil
}

// set unlocks the pair of fd, makes it raw and returns its number.
func set(fd int) (int, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return 0, fmt.Errorf("unlock: %w", err)
	}
	// On a master, the terminal settings are those of the other end.
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return 0, fmt.Errorf("settings: %w", err)
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return 0, fmt.Errorf("settings: %w", err)
	}
	return unix.IoctlGetInt(fd, unix.TIOCGPTN)
}
