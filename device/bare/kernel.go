package bare

import (
	"fmt"
	"image"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Kernel is the kernel's own picture of a screen, as Linux has it. It is a [Console].
type Kernel struct {
	Frame    string // device of the picture
	Terminal string // device of the terminal that would write into it

	shown *shown
}

// shown is what was drawn into what.
type shown struct {
	name  [16]byte // of the driver: another one has another memory
	frame Frame
}

// Of linux/fb.h and linux/kd.h, which golang.org/x/sys does not have.
const (
	fbVariable = 0x4600 // FBIOGET_VSCREENINFO
	fbSet      = 0x4601 // FBIOPUT_VSCREENINFO
	fbForce    = 128    // FB_ACTIVATE_FORCE
	fbFixed    = 0x4602 // FBIOGET_FSCREENINFO
	kdGetMode  = 0x4b3b // KDGETMODE
	kdSetMode  = 0x4b3a // KDSETMODE
	kdGraphics = 1      // KD_GRAPHICS: the terminal writes nothing
)

type bitField struct{ Offset, Length, Right uint32 }

// variable is struct fb_var_screeninfo.
type variable struct {
	Width, Height, VirtualWidth, VirtualHeight, X, Y uint32
	Bits, Gray                                       uint32
	Red, Green, Blue, Transparent                    bitField
	_, Activate                                      uint32
	_                                                [18]uint32
}

// fixedInfo is struct fb_fix_screeninfo, of which the pointers are as long as the board's.
type fixedInfo struct {
	Name            [16]byte
	_               uintptr
	Length          uint32
	Kind, _, Visual uint32
	_, _, _         uint16
	Line            uint32
	_               uintptr
	_, _            uint32
	Capabilities    uint16
	_               [2]uint16
}

// Both are as long as the kernel's own.
var (
	_ [160]byte                              = [unsafe.Sizeof(variable{})]byte{}
	_ [56 + 3*unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(fixedInfo{})]byte{}
)

// Show draws what draw returns for the screen's size. It does nothing while what the last
// call drew is there still, unless again is set. Under a browser it draws unseen.
func (k *Kernel) Show(draw func(width, height int) *image.Paletted, again bool) error {
	f, err := os.OpenFile(k.Frame, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("bare: screen: %w", err)
	}
	defer f.Close()
	now, v, err := describe(f)
	if err != nil {
		return err
	}
	wiped, err := k.quiet() // words that a terminal may write over are better than none
	if !wiped && !again && k.shown != nil && *k.shown == now {
		return err
	}
	if err := now.frame.check(); err != nil {
		return err
	}
	// Has the kernel show its picture where nobody did so yet. It refuses that while
	// somebody else has the screen, as it should.
	v.Activate = fbForce
	_ = ioctl(f, fbSet, unsafe.Pointer(&v))
	if err := now.frame.Put(f, draw(now.frame.Width, now.frame.Height)); err != nil {
		return err
	}
	k.shown = &now
	return err
}

// describe asks the kernel how its picture lies in memory.
func describe(f *os.File) (s shown, v variable, err error) {
	var x fixedInfo
	if err := ioctl(f, fbVariable, unsafe.Pointer(&v)); err != nil {
		return s, v, fmt.Errorf("bare: screen: %w", err)
	}
	if err := ioctl(f, fbFixed, unsafe.Pointer(&x)); err != nil {
		return s, v, fmt.Errorf("bare: screen: %w", err)
	}
	field := func(b bitField) Field { return Field{int(b.Offset), int(b.Length)} }
	return shown{x.Name, Frame{
		Width: int(v.Width), Height: int(v.Height), Bits: int(v.Bits), Line: int(x.Line),
		From: int(v.Y)*int(x.Line) + int(v.X)*int(v.Bits)/8,
		Red:  field(v.Red), Green: field(v.Green), Blue: field(v.Blue),
	}}, v, nil
}

// quiet keeps the terminal from writing into the picture, and reports whether it did so
// until now, as after a browser has given the screen back.
func (k *Kernel) quiet() (wrote bool, err error) {
	t, err := os.OpenFile(k.Terminal, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false, fmt.Errorf("bare: terminal: %w", err)
	}
	defer t.Close()
	mode := int32(0)
	if err := ioctl(t, kdGetMode, unsafe.Pointer(&mode)); err != nil {
		return false, fmt.Errorf("bare: terminal: %w", err)
	}
	if mode == kdGraphics {
		return false, nil
	}
	if err := unix.IoctlSetInt(int(t.Fd()), kdSetMode, kdGraphics); err != nil {
		return false, fmt.Errorf("bare: terminal: %w", err)
	}
	return true, nil
}

func ioctl(f *os.File, request uintptr, at unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(at)); errno != 0 {
		return errno
	}
	return nil
}
