package main

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the kernel is told of a partition, as linux/blkpg.h has it.
const (
	blkpg       = 0x1269
	blkpgResize = 3
)

type blkpgPartition struct {
	start, length int64
	number        int32
	_             [2][64]byte // names
	_             int32
}

type blkpgArg struct {
	op, flags, size int32
	part            *blkpgPartition // after a gap only where pointers are longer
}

// resize tells the kernel how large a partition is now.
func resize(disk *os.File, n int, at, size int64) error {
	p := blkpgPartition{start: at, length: size, number: int32(n)}
	a := blkpgArg{op: blkpgResize, size: int32(unsafe.Sizeof(p)), part: &p}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, disk.Fd(), blkpg, uintptr(unsafe.Pointer(&a))); e != 0 {
		return e
	}
	return nil
}
