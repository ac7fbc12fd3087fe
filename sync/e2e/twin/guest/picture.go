//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pictures are this large, in bytes of grey.
const (
	pictureWidth  = 640
	pictureHeight = 480
)

// A picture is shown to the camera: it is sent out of the simulated card's HDMI
// output, which is wired to its own input.
type picture struct {
	fd      int
	buffers [][]byte

	mu   sync.Mutex
	next []byte // YUYV
}

// What follows is linux/videodev2.h as far as it is needed, on 64-bit machines.

type dvTimings struct {
	typ  uint32
	body [128]byte
}

type queryControl struct {
	id, typ uint32
	name    [32]byte
	_       [4]int32
	_       [3]uint32
}

type control struct {
	id    uint32
	value int32
}

type format struct {
	typ, _                     uint32
	width, height, code, field uint32
	bytesPerLine, size         uint32
	_                          [200 - 24]byte
}

type requestBuffers struct {
	count, typ, memory uint32
	_                  [2]uint32
}

type buffer struct {
	index, typ, used, flags, field uint32
	_                              uint32
	_                              [16]byte // time
	_                              [16]byte // timecode
	sequence, memory               uint32
	offset                         uint64
	length                         uint32
	_                              [3]uint32
}

const (
	videoOutput = 2
	mmapped     = 1
	progressive = 1
	yuyv        = 'Y' | 'U'<<8 | 'Y'<<16 | 'V'<<24
	nextControl = 0x80000000
)

func ioctl(fd int, direction, number uint32, arg unsafe.Pointer, size uintptr) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(direction|uint32(size)<<16|'V'<<8|number), uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

const (
	toKernel = 1 << 30
	both     = 3 << 30
)

// openPicture wires the card's output to its input; capture is the device that the
// kiosk opens.
func openPicture(capture string) (*picture, error) {
	in, err := unix.Open(capture, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(in)
	out, err := unix.Open("/dev/video1", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var first int32
	timings := dvTimings{body: dmt640x480()}
	for _, step := range []struct {
		what   string
		fd     int
		number uint32
		arg    unsafe.Pointer
		size   uintptr
	}{
		{"input", in, 39, unsafe.Pointer(&first), 4},
		{"output", out, 47, unsafe.Pointer(&first), 4},
		{"input's timings", in, 87, unsafe.Pointer(&timings), unsafe.Sizeof(timings)},
		{"output's timings", out, 87, unsafe.Pointer(&timings), unsafe.Sizeof(timings)},
	} {
		if err := ioctl(step.fd, both, step.number, step.arg, step.size); err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	looped := false
	for _, fd := range []int{in, out} {
		for _, want := range []struct {
			name  string
			value int32
		}{{"Loop Video", 1}, {"OSD Text Mode", 2}} {
			ok, err := setControl(fd, want.name, want.value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", want.name, err)
			}
			looped = looped || ok && want.name == "Loop Video"
		}
	}
	if !looped {
		return nil, errors.New("the card has no loop")
	}
	p := &picture{fd: out, next: make([]byte, 2*pictureWidth*pictureHeight)}
	if err := p.open(); err != nil {
		return nil, err
	}
	go p.run()
	return p, nil
}

// dmt640x480 is the timing of VESA's 640 by 480 at 60 Hz.
func dmt640x480() (b [128]byte) {
	words := []uint32{pictureWidth, pictureHeight, 0, 0, 25_175_000, 0, 16, 96, 48, 10, 2, 33}
	for i, w := range words {
		*(*uint32)(unsafe.Pointer(&b[4*i])) = w
	}
	return b
}

func setControl(fd int, name string, value int32) (bool, error) {
	q := queryControl{id: nextControl}
	for ioctl(fd, both, 36, unsafe.Pointer(&q), unsafe.Sizeof(q)) == nil {
		if end := bytes.IndexByte(q.name[:], 0); string(q.name[:max(end, 0)]) == name {
			c := control{q.id, value}
			return true, ioctl(fd, both, 28, unsafe.Pointer(&c), unsafe.Sizeof(c))
		}
		q.id |= nextControl
	}
	return false, nil
}

func (p *picture) open() error {
	f := format{typ: videoOutput, width: pictureWidth, height: pictureHeight, code: yuyv, field: progressive}
	if err := ioctl(p.fd, both, 5, unsafe.Pointer(&f), unsafe.Sizeof(f)); err != nil {
		return fmt.Errorf("format: %w", err)
	}
	if f.width != pictureWidth || f.height != pictureHeight || f.code != yuyv {
		return fmt.Errorf("format: %d by %d, %#x", f.width, f.height, f.code)
	}
	r := requestBuffers{count: 3, typ: videoOutput, memory: mmapped}
	if err := ioctl(p.fd, both, 8, unsafe.Pointer(&r), unsafe.Sizeof(r)); err != nil {
		return fmt.Errorf("buffers: %w", err)
	}
	for i := range r.count {
		b := buffer{index: i, typ: videoOutput, memory: mmapped}
		if err := ioctl(p.fd, both, 9, unsafe.Pointer(&b), unsafe.Sizeof(b)); err != nil {
			return fmt.Errorf("buffer: %w", err)
		}
		mapped, err := unix.Mmap(p.fd, int64(b.offset), int(b.length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("buffer: %w", err)
		}
		p.buffers = append(p.buffers, mapped)
		if err := p.queue(i); err != nil {
			return err
		}
	}
	typ := uint32(videoOutput)
	if err := ioctl(p.fd, toKernel, 18, unsafe.Pointer(&typ), 4); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	return nil
}

func (p *picture) queue(i uint32) error {
	p.mu.Lock()
	p.next[0]++ // no camera sends the same picture twice
	n := copy(p.buffers[i], p.next)
	p.mu.Unlock()
	b := buffer{index: i, typ: videoOutput, memory: mmapped, used: uint32(n), field: progressive}
	if err := ioctl(p.fd, both, 15, unsafe.Pointer(&b), unsafe.Sizeof(b)); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// run sends the picture for as long as the machine runs.
func (p *picture) run() {
	for {
		b := buffer{typ: videoOutput, memory: mmapped}
		err := ioctl(p.fd, both, 17, unsafe.Pointer(&b), unsafe.Sizeof(b))
		if err == nil {
			err = p.queue(b.index)
		}
		if err != nil {
			fmt.Println("guest: picture:", err)
			time.Sleep(time.Second)
		}
	}
}

// set shows a picture of grey bytes from now on.
func (p *picture) set(grey []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, y := range grey[:min(len(grey), pictureWidth*pictureHeight)] {
		p.next[2*i], p.next[2*i+1] = y, 128
	}
}
