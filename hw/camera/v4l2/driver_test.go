package v4l2_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wide is whether pointers have eight bytes.
const wide = unsafe.Sizeof(uintptr(0)) == 8

// The kernel's requests, from linux/videodev2.h by a C compiler, not from the code under test.
var requests = map[uint32]string{
	0x80685600: "QUERYCAP", 0xc0405602: "ENUM_FMT", 0xc02c564a: "ENUM_FRAMESIZES", 0xc034564b: "ENUM_FRAMEINTERVALS",
	0xc0145608: "REQBUFS", 0x40045612: "STREAMON", 0x40045613: "STREAMOFF", 0xc0cc5616: "S_PARM", 0xc008561c: "S_CTRL",
	pick[uint32](0xc0d05605, 0xc0cc5605): "S_FMT",
	pick[uint32](0xc0585609, 0xc0445609): "QUERYBUF",
	pick[uint32](0xc058560f, 0xc044560f): "QBUF",
	pick[uint32](0xc0585611, 0xc0445611): "DQBUF",
}

func pick[T any](ifWide, ifNarrow T) T {
	if wide {
		return ifWide
	}
	return ifNarrow
}

// Where the members of structures begin that differ.
var (
	formatAt = pick(8, 4)   // v4l2_format.fmt
	memoryAt = pick(60, 48) // v4l2_buffer.memory
	offsetAt = pick(64, 52) // v4l2_buffer.m
	lengthAt = pick(72, 56) // v4l2_buffer.length
)

// offer is a format of a driver: its sizes, and the fastest rate at each. No
// sizes means that the driver does not tell them.
type offer struct {
	fourcc string
	sizes  []size
	steps  []uint32 // instead of sizes: least, most and step of width, then of height
}

type size struct{ w, h, rate int }

// A driver acts out a camera at the level of ioctl, byte by byte.
type driver struct {
	offers []offer
	caps   [2]uint32                                        // of the device and of the node; zero: a camera
	stride int                                              // added to each line
	count  uint32                                           // buffers it gives; 0: as asked
	length uint32                                           // of a buffer; 0: as needed
	settle func(fourcc string, w, h int) (string, int, int) // nil: as asked
	fail   map[string]error                                 // requests that fail

	mu       sync.Mutex
	wake     chan struct{}
	gone     bool
	on       bool
	fourcc   string
	w, h     int
	memory   [][]byte
	queued   []uint32 // in the driver
	filled   []filled // waiting to be taken
	lost     int      // frames for which there was no buffer
	controls []string
	unmapped int
	closed   int
}

type filled struct {
	index, used, flags uint32
}

func newDriver(offers ...offer) *driver {
	return &driver{offers: offers, wake: make(chan struct{}, 1)}
}

func put(b []byte, at int, v ...uint32) {
	for i, v := range v {
		binary.LittleEndian.PutUint32(b[at+4*i:], v)
	}
}

func get(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

func (d *driver) Ioctl(request uint32, arg unsafe.Pointer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name, ok := requests[request]
	if !ok {
		panic(fmt.Sprintf("no request %#x", request))
	}
	if d.closed > 0 {
		return unix.EBADF
	}
	if d.gone {
		return unix.ENODEV
	}
	if err := d.fail[name]; err != nil {
		return err
	}
	return d.do(name, unsafe.Slice((*byte)(arg), request>>16&0x3fff))
}

func (d *driver) do(name string, b []byte) error {
	switch name {
	case "QUERYCAP":
		copy(b[16:], "HD Test Camera\x00rest")
		put(b, 84, 0x85200001, 0x04200001)
		if d.caps[0] != 0 {
			put(b, 84, d.caps[0], d.caps[1])
		}
	case "ENUM_FMT":
		i := int(get(b, 0))
		if i >= len(d.offers) || get(b, 4) != 1 {
			return unix.EINVAL
		}
		copy(b[44:48], d.offers[i].fourcc)
	case "ENUM_FRAMESIZES":
		return d.enumSizes(b)
	case "ENUM_FRAMEINTERVALS":
		o := d.offer(string(b[4:8]))
		i := slices.IndexFunc(o.sizes, func(s size) bool { return s.w == int(get(b, 8)) && s.h == int(get(b, 12)) })
		if i < 0 || o.sizes[i].rate == 0 || get(b, 0) > 1 {
			return unix.EINVAL
		}
		put(b, 16, 1, 1, uint32(o.sizes[i].rate)/(get(b, 0)+1))
	case "S_FMT":
		f := b[formatAt:]
		if d.offer(string(f[8:12])) == nil || get(f, 12) != 1 || get(b, 0) != 1 {
			return unix.EINVAL
		}
		d.fourcc, d.w, d.h = string(f[8:12]), int(get(f, 0)), int(get(f, 4))
		if d.settle != nil {
			d.fourcc, d.w, d.h = d.settle(d.fourcc, d.w, d.h)
		}
		put(f, 0, uint32(d.w), uint32(d.h))
		copy(f[8:12], d.fourcc)
		put(f, 16, uint32(d.line()), uint32(d.size()))
	case "S_PARM":
		if get(b, 0) != 1 {
			return unix.EINVAL
		}
		put(b, 12, 1, 25)
	case "S_CTRL":
		d.controls = append(d.controls, fmt.Sprintf("%x=%d", get(b, 0), get(b, 4)))
	case "REQBUFS":
		if d.count != 0 {
			put(b, 0, d.count)
		}
		for range min(get(b, 0), 32) {
			d.memory = append(d.memory, make([]byte, max(d.size(), 1)))
		}
	case "STREAMON":
		d.on = true
	case "STREAMOFF":
		d.on, d.queued, d.filled = false, nil, nil
	default:
		return d.buffer(name, b)
	}
	return nil
}

func (d *driver) enumSizes(b []byte) error {
	o, i := d.offer(string(b[4:8])), int(get(b, 0))
	switch {
	case o.steps != nil && i == 0:
		put(b, 8, 3)
		put(b, 12, o.steps...)
	case i < len(o.sizes):
		put(b, 8, 1, uint32(o.sizes[i].w), uint32(o.sizes[i].h))
	default:
		return unix.EINVAL
	}
	return nil
}

func (d *driver) buffer(name string, b []byte) error {
	if get(b, 4) != 1 || get(b, memoryAt) != 1 {
		return unix.EINVAL
	}
	i := get(b, 0)
	switch name {
	case "QUERYBUF":
		length := d.length
		if length == 0 {
			length = uint32(len(d.memory[i]))
		}
		put(b, offsetAt, i<<12)
		put(b, lengthAt, length)
	case "QBUF":
		if int(i) >= len(d.memory) || slices.Contains(d.queued, i) {
			return unix.EINVAL
		}
		d.queued = append(d.queued, i)
	case "DQBUF":
		if len(d.filled) == 0 {
			return unix.EAGAIN
		}
		f := d.filled[0]
		d.filled = d.filled[1:]
		put(b, 0, f.index)
		put(b, 8, f.used, f.flags)
	}
	return nil
}

func (d *driver) offer(fourcc string) *offer {
	for i := range d.offers {
		if d.offers[i].fourcc == fourcc {
			return &d.offers[i]
		}
	}
	return nil
}

// line is the bytes of one line, size those of a frame.
func (d *driver) line() int {
	switch d.fourcc {
	case "MJPG":
		return 0
	case "YUYV", "UYVY":
		return 2*d.w + d.stride
	}
	return d.w + d.stride
}

func (d *driver) size() int {
	switch d.fourcc {
	case "MJPG":
		return 1 << 20
	case "NV12":
		return d.line() * d.h * 3 / 2
	}
	return d.line() * d.h
}

func (d *driver) Map(offset int64, length int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail["mmap"]; err != nil {
		return nil, err
	}
	return d.memory[offset>>12], nil
}

func (d *driver) Unmap([]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unmapped++
	return nil
}

func (d *driver) Wait(most time.Duration) (bool, error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		d.mu.Lock()
		ready, gone := len(d.filled) > 0, d.gone
		d.mu.Unlock()
		if ready || gone {
			return true, nil
		}
		select {
		case <-d.wake:
		case <-timer.C:
			return false, nil
		}
	}
}

func (d *driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed++
	return nil
}

// expose takes a picture into the next buffer, or none if there is none.
func (d *driver) expose(frame []byte) { d.exposeAs(frame, uint32(len(frame)), 0) }

func (d *driver) exposeAs(frame []byte, used, flags uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.on || len(d.queued) == 0 {
		d.lost++
		return
	}
	i := d.queued[0]
	d.queued = d.queued[1:]
	copy(d.memory[i], frame)
	d.filled = append(d.filled, filled{i, used, flags})
	d.stir()
}

// pull takes the cable out.
func (d *driver) pull() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = true
	d.stir()
}

func (d *driver) stir() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}
