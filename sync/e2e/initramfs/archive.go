// Package initramfs makes the file system that a kernel starts with: an [Archive] of
// files, as cpio's "newc" format has them, and [Resolve], which puts a kernel's modules
// into the order in which they can be loaded. The same files give the same bytes.
package initramfs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
)

// An Archive is an initramfs that is being made: cpio as "newc" has it. [Archive.Bytes]
// or [Archive.Packed] ends it.
type Archive struct {
	b bytes.Buffer
	n int
}

// Add adds a file, or with a mode of a directory one of those; the directory of each
// file comes before it.
func (a *Archive) Add(name string, mode fs.FileMode, content []byte) {
	a.n++
	bits := uint32(mode.Perm()) | 0o100000
	if mode.IsDir() {
		bits = uint32(mode.Perm()) | 0o040000
	}
	a.entry(name, bits, content)
}

func (a *Archive) entry(name string, bits uint32, content []byte) {
	// The fields are: inode, mode, user, group, links, time, size, device (4), length of
	// the name, checksum.
	fmt.Fprintf(&a.b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.n, bits, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	a.b.WriteString(name)
	a.b.WriteByte(0)
	a.pad()
	a.b.Write(content)
	a.pad()
}

func (a *Archive) pad() {
	for a.b.Len()%4 != 0 {
		a.b.WriteByte(0)
	}
}

// Bytes returns the archive as it is.
func (a *Archive) Bytes() []byte {
	a.entry("TRAILER!!!", 0, nil)
	return a.b.Bytes()
}

// Packed returns the archive, compressed little, which is what a slow machine reads
// soonest.
func (a *Archive) Packed() ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(a.Bytes()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
