package v4l2

import (
	"io/fs"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What follows is linux/videodev2.h as far as it is needed. Go lays these
// structures out as C does on all our boards. Two of them are larger where a
// pointer has eight bytes; where it has four, the buffer is the one whose times
// have 32 bits, which every kernel takes.

type capability struct {
	_            [16]byte // driver
	card         [32]byte
	_            [32]byte // bus
	_            uint32   // version
	capabilities uint32   // of all nodes of the device
	deviceCaps   uint32   // of this node, if capabilities has capDeviceCaps
	_            [3]uint32
}

type formatDescription struct {
	index  uint32
	typ    uint32
	_      [36]byte // flags, description
	fourcc fourcc
	_      [4]uint32
}

type frameSize struct {
	index  uint32
	fourcc fourcc
	typ    uint32
	size   [6]uint32 // width, height; or least, most, step of each
	_      [2]uint32
}

type frameInterval struct {
	index         uint32
	fourcc        fourcc
	width, height uint32
	typ           uint32
	least         fraction // or the only one
	_             [2]fraction
	_             [2]uint32
}

type fraction struct{ numerator, denominator uint32 } // of a second

type format struct {
	typ    uint32
	_      [unsafe.Sizeof(uintptr(0)) - 4]byte
	pixels pixelFormat
	_      [200 - unsafe.Sizeof(pixelFormat{})]byte
}

type pixelFormat struct {
	width, height uint32
	fourcc        fourcc
	field         uint32
	bytesPerLine  uint32
	sizeImage     uint32
	_             [6]uint32
}

type streamParameters struct {
	typ      uint32
	_        [2]uint32
	interval fraction
	_        [184]byte
}

type requestBuffers struct {
	count  uint32
	typ    uint32
	memory uint32
	_      [2]uint32
}

type buffer struct {
	index     uint32
	typ       uint32
	bytesUsed uint32
	flags     uint32
	_         uint32 // field
	_         unix.Timeval
	_         [16]byte // timecode
	_         uint32   // sequence
	memory    uint32
	offset    uint32
	_         [unsafe.Sizeof(uintptr(0)) - 4]byte
	length    uint32
	_         [2]uint32
}

type control struct {
	id    uint32
	value int32
}

const (
	capVideoCapture = 0x00000001
	capStreaming    = 0x04000000
	capDeviceCaps   = 0x80000000

	typeVideoCapture = 1
	memoryMmap       = 1
	fieldNone        = 1
	sizeDiscrete     = 1
	flagError        = 0x40

	controlAutoGain         = 0x00980912 // 0 off, 1 on
	controlGain             = 0x00980913
	controlFocus            = 0x009a090a
	controlAutoFocus        = 0x009a090c // 0 off, 1 on
	controlMains            = 0x00980918 // 0 off, 1 50 Hz, 2 60 Hz
	controlExposure         = 0x009a0901 // 0 automatic, 1 manual, 3 automatic with a fixed aperture
	controlExposureTime     = 0x009a0902 // in units of 100 microseconds
	controlExposurePriority = 0x009a0903 // 1: long exposures may lower the frame rate
)

// Requests of ioctl.
var (
	queryCapability = request(read, 0, unsafe.Sizeof(capability{}))
	enumFormats     = request(read|write, 2, unsafe.Sizeof(formatDescription{}))
	setFormat       = request(read|write, 5, unsafe.Sizeof(format{}))
	reqBuffers      = request(read|write, 8, unsafe.Sizeof(requestBuffers{}))
	queryBuffer     = request(read|write, 9, unsafe.Sizeof(buffer{}))
	queueBuffer     = request(read|write, 15, unsafe.Sizeof(buffer{}))
	dequeueBuffer   = request(read|write, 17, unsafe.Sizeof(buffer{}))
	streamOn        = request(write, 18, unsafe.Sizeof(uint32(0)))
	streamOff       = request(write, 19, unsafe.Sizeof(uint32(0)))
	setParameters   = request(read|write, 22, unsafe.Sizeof(streamParameters{}))
	setControl      = request(read|write, 28, unsafe.Sizeof(control{}))
	enumSizes       = request(read|write, 74, unsafe.Sizeof(frameSize{}))
	enumIntervals   = request(read|write, 75, unsafe.Sizeof(frameInterval{}))
)

const (
	write = 1 << 30 // from the program to the kernel
	read  = 2 << 30
)

func request(direction, number uint32, size uintptr) uint32 {
	return direction | uint32(size)<<16 | 'V'<<8 | number
}

// A fourcc names a layout of pixels by four letters.
type fourcc uint32

func code(s string) fourcc {
	return fourcc(s[0]) | fourcc(s[1])<<8 | fourcc(s[2])<<16 | fourcc(s[3])<<24
}

// String returns the four letters.
func (f fourcc) String() string {
	return string([]byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f >> 24)})
}

// A Node is an open device of Video4Linux.
type Node interface {
	// Ioctl does one request; arg points to its structure. EINTR is not among
	// its errors.
	Ioctl(request uint32, arg unsafe.Pointer) error

	// Map maps a buffer of the driver's; the bytes are valid until Unmap or Close.
	Map(offset int64, length int) ([]byte, error)
	Unmap(b []byte) error

	// Wait waits at most d and reports whether a filled buffer can be taken, or
	// the taking would tell what is wrong.
	Wait(d time.Duration) (bool, error)

	Close() error
}

// node is the kernel's.
type node int

func openNode(path string) (Node, error) {
	// Not os.OpenFile: Go would ask the device whether it is readable, for which
	// some drivers begin to stream and refuse every setting from then on.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return node(fd), nil
}

func (n node) Ioctl(request uint32, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n), uintptr(request), uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

func (n node) Map(offset int64, length int) ([]byte, error) {
	return unix.Mmap(int(n), offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (n node) Unmap(b []byte) error { return unix.Munmap(b) }

func (n node) Wait(d time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(n), Events: unix.POLLIN}}
	events, err := unix.Poll(fds, int(d.Milliseconds()))
	if err != nil && err != unix.EINTR {
		return false, err
	}
	return events > 0, nil
}

func (n node) Close() error { return unix.Close(int(n)) }
