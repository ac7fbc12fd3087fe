//go:build full

// Package lossydisk is a disk for tests whose power can be cut. It is one folder
// of files in memory, mounted through FUSE, so that a program under test writes,
// maps and syncs it as it would any other.
//
// Like a disk it owes a program only what was synced. Everything since then is
// pending; after a cut each pending write may be there, be missing or be torn at
// a sector, and of pending names (a file made, renamed, linked or removed) the
// first so many are there.
//
//	d := lossydisk.New(lossydisk.Image{})
//	unmount, err := d.Mount(dir)
//	d.CutAfter(100)
//	... start the program, wait for <-d.Off(), kill it, unmount ...
//	d = lossydisk.New(d.Crash(random))
//
// Mounting needs root and /dev/fuse. Use a fresh folder for each mount: the
// kernel remembers pages of the last.
package lossydisk

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const sector = 512

// An Image is what is on a disk without power. The zero Image is empty.
type Image struct{ names map[string]*file }

// Bytes returns the content of a file and whether it is there.
func (i Image) Bytes(name string) ([]byte, bool) {
	f := i.names[name]
	if f == nil {
		return nil, false
	}
	return slices.Clone(f.durable), true
}

type file struct {
	ino     uint64
	now     []byte  // what a program reads
	durable []byte  // what is there whatever happens
	pending []write // since then, oldest first
}

// A write puts data at off or, without data, sets the size to off.
type write struct {
	off  int64
	data []byte
}

func (w write) apply(b []byte) []byte {
	if w.data == nil {
		return resize(b, w.off)
	}
	if end := w.off + int64(len(w.data)); end > int64(len(b)) {
		b = resize(b, end)
	}
	copy(b[w.off:], w.data)
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// A Disk is safe for concurrent use.
type Disk struct {
	mu      sync.Mutex
	now     map[string]*file
	durable map[string]*file
	pending []func(names map[string]*file)
	lastIno uint64

	ops    int // done so far
	cutAt  int // 0 is never
	failAt int // 0 is never
	fault  syscall.Errno
	off    chan struct{}
	isOff  bool
}

// New returns a disk that holds what i holds. i must not be used again.
func New(i Image) *Disk {
	d := &Disk{now: map[string]*file{}, durable: map[string]*file{}, off: make(chan struct{}), lastIno: 1}
	for name, f := range i.names {
		if f.ino == 0 {
			d.lastIno++
			f.ino = d.lastIno
			f.now = slices.Clone(f.durable)
		}
		d.now[name], d.durable[name] = f, f
	}
	return d
}

// CutAfter cuts the power during the ops-th operation from now that changes or
// syncs something. From then on everything fails.
func (d *Disk) CutAfter(ops int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutAt = d.ops + ops
}

// FailAfter makes the ops-th operation from now fail once with errno, without
// effect.
func (d *Disk) FailAfter(ops int, errno syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt, d.fault = d.ops+ops, errno
}

// Off returns a channel that is closed when the power has been cut.
func (d *Disk) Off() <-chan struct{} { return d.off }

// Ops returns the number of operations so far.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// Crash cuts the power if it is on and returns what is on the disk then.
func (d *Disk) Crash(r *rand.Rand) Image {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut()
	names := maps.Clone(d.durable)
	for _, change := range d.pending[:r.IntN(len(d.pending)+1)] {
		change(names)
	}
	copies := map[*file]*file{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := names[name]
		if copies[f] == nil {
			copies[f] = &file{durable: f.crash(r)}
		}
		names[name] = copies[f]
	}
	return Image{names}
}

// crash returns the content with some of the pending writes.
func (f *file) crash(r *rand.Rand) []byte {
	b := slices.Clone(f.durable)
	pending := f.pending
	keep := func() bool { return true }
	switch r.IntN(4) {
	case 0:
		pending = nil
	case 1:
	case 2:
		pending = pending[:r.IntN(len(pending)+1)]
	default:
		keep = func() bool { return r.IntN(2) == 0 }
	}
	for _, w := range pending {
		switch {
		case keep():
			b = w.apply(b)
		case w.data != nil && r.IntN(2) == 0:
			for at := 0; at < len(w.data); at += sector {
				if r.IntN(2) == 0 {
					b = write{w.off + int64(at), w.data[at:min(at+sector, len(w.data))]}.apply(b)
				}
			}
		}
	}
	return b
}

func (d *Disk) cut() {
	if !d.isOff {
		d.isOff = true
		close(d.off)
	}
}

// do counts an operation and runs change, which makes it pending, unless the
// operation fails. If the power goes during the operation, it is pending and
// fails.
func (d *Disk) do(change func()) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isOff {
		return syscall.EIO
	}
	d.ops++
	if d.ops == d.failAt {
		return d.fault
	}
	change()
	if d.ops == d.cutAt {
		d.cut()
		return syscall.EIO
	}
	return 0
}

// sync counts an operation that makes pending ones durable. If the power goes
// during it, they stay pending.
func (d *Disk) sync(apply func()) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isOff {
		return syscall.EIO
	}
	d.ops++
	switch d.ops {
	case d.failAt:
		return d.fault
	case d.cutAt:
		d.cut()
		return syscall.EIO
	}
	apply()
	return 0
}

func (d *Disk) name(change func(names map[string]*file)) {
	change(d.now)
	d.pending = append(d.pending, change)
}

func (d *Disk) write(f *file, w write) {
	f.now = w.apply(f.now)
	f.pending = append(f.pending, w)
}

// Mount shows the disk at dir until unmount is called.
func (d *Disk) Mount(dir string) (unmount func() error, err error) {
	long := time.Hour // nobody else changes the files
	server, err := fs.Mount(dir, &folder{d: d}, &fs.Options{
		MountOptions:    fuse.MountOptions{DirectMountStrict: true, MaxWrite: 1 << 20, FsName: "lossydisk", DisableXAttrs: true},
		EntryTimeout:    &long,
		AttrTimeout:     &long,
		NullPermissions: true,
	})
	if err != nil {
		return nil, fmt.Errorf("lossydisk: mount: %w", err)
	}
	return func() error {
		// A killed program may not have let go of its map yet.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("lossydisk: unmount: %w", err)
		}
		ended := make(chan struct{})
		go func() { server.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(unmountWait):
		}
		return nil
	}, nil
}

// unmountWait is how long an unmounted disk is served on: one that another program's new
// mount namespace has taken a copy of ends with that namespace, for which nobody here waits.
const unmountWait = 2 * time.Second

type folder struct {
	fs.Inode
	d *Disk
}

type node struct {
	fs.Inode
	d *Disk
	f *file
}

func (n *folder) child(ctx context.Context, f *file, out *fuse.EntryOut) *fs.Inode {
	n.d.attr(f, &out.Attr)
	return n.NewInode(ctx, &node{d: n.d, f: f}, fs.StableAttr{Mode: syscall.S_IFREG, Ino: f.ino})
}

func (d *Disk) attr(f *file, out *fuse.Attr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out.Mode, out.Ino, out.Nlink, out.Size = syscall.S_IFREG|0o600, f.ino, 1, uint64(len(f.now))
}

func (n *folder) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	f := n.d.now[name]
	n.d.mu.Unlock()
	if f == nil {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, f, out), 0
}

func (n *folder) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	var f *file
	errno := n.d.do(func() {
		n.d.lastIno++
		f = &file{ino: n.d.lastIno}
		n.d.name(func(names map[string]*file) { names[name] = f })
	})
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return n.child(ctx, f, out), nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *folder) Unlink(_ context.Context, name string) syscall.Errno {
	return n.d.do(func() { n.d.name(func(names map[string]*file) { delete(names, name) }) })
}

func (n *folder) Rename(_ context.Context, from string, _ fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL
	}
	return n.d.do(func() {
		f := n.d.now[from]
		n.d.name(func(names map[string]*file) {
			delete(names, from)
			names[to] = f
		})
	})
}

func (n *folder) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	f := target.(*node).f
	if errno := n.d.do(func() { n.d.name(func(names map[string]*file) { names[name] = f }) }); errno != 0 {
		return nil, errno
	}
	return n.child(ctx, f, out), 0
}

func (n *folder) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	var all []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.d.now)) {
		all = append(all, fuse.DirEntry{Name: name, Mode: syscall.S_IFREG, Ino: n.d.now[name].ino})
	}
	return fs.NewListDirStream(all), 0
}

func (n *folder) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.d.sync(func() {
		for _, change := range n.d.pending {
			change(n.d.durable)
		}
		n.d.pending = nil
	})
}

func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.d.attr(n.f, &out.Attr)
	return 0
}

func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if errno := n.d.do(func() { n.d.write(n.f, write{off: int64(size)}) }); errno != 0 {
			return errno
		}
	}
	n.d.attr(n.f, &out.Attr)
	return 0
}

func (n *node) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	if mode != 0 {
		return syscall.EOPNOTSUPP
	}
	return n.d.do(func() {
		if end := int64(off + size); end > int64(len(n.f.now)) {
			n.d.write(n.f, write{off: end})
		}
	})
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if n.d.isOff {
		return nil, syscall.EIO
	}
	if off >= int64(len(n.f.now)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.f.now[off:])]), 0
}

func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	w := write{off, slices.Clone(data)}
	return uint32(len(data)), n.d.do(func() { n.d.write(n.f, w) })
}

func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.d.sync(func() {
		for _, w := range n.f.pending {
			n.f.durable = w.apply(n.f.durable)
		}
		n.f.pending = nil
	})
}
