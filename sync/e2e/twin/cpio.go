package twin

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
)

// An archive is an initramfs that is being made: cpio as "newc" has it.
type archive struct {
	b bytes.Buffer
	n int
}

// add adds a file, or with a mode of a directory one of those; the directory of each
// file comes before it.
func (a *archive) add(name string, mode fs.FileMode, content []byte) {
	a.n++
	bits := uint32(mode.Perm()) | 0o100000
	if mode.IsDir() {
		bits = uint32(mode.Perm()) | 0o040000
	}
	a.entry(name, bits, content)
}

func (a *archive) entry(name string, bits uint32, content []byte) {
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

func (a *archive) pad() {
	for a.b.Len()%4 != 0 {
		a.b.WriteByte(0)
	}
}

// packed returns the archive, compressed little, which is what a slow machine reads
// soonest.
func (a *archive) packed() ([]byte, error) {
	a.entry("TRAILER!!!", 0, nil)
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(a.b.Bytes()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
