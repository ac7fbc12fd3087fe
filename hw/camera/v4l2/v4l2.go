// Package v4l2 delivers the frames of cameras that Linux drives as Video4Linux
// devices: USB cameras above all. It hides how such a camera is found, how its
// size, format and exposure are settled, and how its buffers go round.
//
// Its promise: a frame is the newest that the camera has taken when Next asks
// for it, however long the caller was away; and a camera that is pulled, or that
// hangs, ends with an error within seconds, so that it can be opened again.
//
//	open := func() (camera.Frames, error) { return v4l2.Open(v4l2.Config{Device: "auto"}, log, v4l2.Options{}) }
//	src := camera.NewSource("door", open, qrread.Options{}, log)
//
// Opening again is the work of camera.Source. The cameras of the boards' own
// ribbon cable are read through a camera program, see camera.Start: what their
// driver delivers needs the processing that such a program does.
//
// The module github.com/blackjack/webcam did not serve: it returns the wished
// size for the settled one, hides the length of a line, the mark of a damaged
// frame and what one node of several can do, and lets children inherit the device.
package v4l2

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/hw/camera"
)

// Options are for tests.
type Options struct {
	// Root is where dev and sys are; empty means "/".
	Root string

	// Open stands in for the opening of a device node.
	Open func(path string) (Node, error)
}

const (
	buffers      = 4
	exposureUnit = 100 * time.Microsecond
	waitStep     = 100 * time.Millisecond // how soon the end of ctx is noticed
)

// A Camera is an open camera that is taking pictures. It implements camera.Frames.
type Camera struct {
	node     Node
	name     string
	picture  picture
	rate     float64
	lacks    []string // wished settings that it has not taken
	memory   [][]byte // of the buffers
	copied   []byte
	grey     *image.Gray
	patience time.Duration
}

// Open finds the camera, settles its format and starts it.
func Open(c Config, log *slog.Logger, o Options) (*Camera, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	dev, err := parseDevice(c.Device)
	if err != nil {
		return nil, err
	}
	if o.Root == "" {
		o.Root = "/"
	}
	if o.Open == nil {
		o.Open = openNode
	}
	if c.Width == 0 {
		c.Width, c.Height = DefaultWidth, DefaultHeight
	}
	if c.Rate == 0 {
		c.Rate = DefaultRate
	}
	path, err := dev.find(o.Root)
	if err != nil {
		return nil, err
	}
	n, err := o.Open(path)
	if err != nil {
		return nil, fmt.Errorf("v4l2: %w", err)
	}
	cam := &Camera{node: n, grey: new(image.Gray), patience: camera.FirstFrame}
	if err := cam.start(c, log); err != nil {
		cam.Close()
		if errors.Is(err, unix.EBUSY) {
			err = fmt.Errorf("%w: another program uses it", err)
		}
		return nil, fmt.Errorf("v4l2: %s: %w", path, err)
	}
	return cam, nil
}

func (c *Camera) start(want Config, log *slog.Logger) error {
	var caps capability
	if err := c.node.Ioctl(queryCapability, unsafe.Pointer(&caps)); err != nil {
		return fmt.Errorf("not a video device: %w", err)
	}
	can := caps.capabilities
	if can&capDeviceCaps != 0 {
		can = caps.deviceCaps
	}
	if can&capVideoCapture == 0 || can&capStreaming == 0 {
		return errors.New("not a camera, or not this one of its nodes")
	}
	c.name = text(caps.card[:])
	m, err := c.choose(want)
	if err != nil {
		return err
	}
	if err := c.settle(m, want, log); err != nil {
		return err
	}
	if err := c.mapBuffers(); err != nil {
		return err
	}
	typ := uint32(typeVideoCapture)
	if err := c.node.Ioctl(streamOn, unsafe.Pointer(&typ)); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// maxEnum bounds the lists that drivers tell.
const maxEnum = 128

// choose asks the camera what it can do and returns the mode that serves want best.
func (c *Camera) choose(want Config) (mode, error) {
	var best mode
	found := false
	var others []string
	for i := range uint32(maxEnum) {
		f := formatDescription{index: i, typ: typeVideoCapture}
		if err := c.node.Ioctl(enumFormats, unsafe.Pointer(&f)); err != nil {
			break
		}
		rank, l := layoutOf(f.fourcc)
		if rank < 0 || want.Format != "" && want.Format != l.name {
			if len(others) < 8 {
				others = append(others, f.fourcc.String())
			}
			continue
		}
		for _, m := range c.modes(rank, want) {
			if !found || want.closer(m, best) {
				best, found = m, true
			}
		}
	}
	if !found {
		return mode{}, fmt.Errorf("camera does not have the format, but %q", others)
	}
	return best, nil
}

// modes returns the sizes that the camera has in one format.
func (c *Camera) modes(rank int, want Config) []mode {
	var all []mode
	add := func(w, h int) {
		if w > 0 && h > 0 && w <= camera.MaxPixels/h {
			all = append(all, mode{rank, w, h, c.fastest(layouts[rank].fourcc, w, h)})
		}
	}
	for i := range uint32(maxEnum) {
		s := frameSize{index: i, fourcc: layouts[rank].fourcc}
		if err := c.node.Ioctl(enumSizes, unsafe.Pointer(&s)); err != nil {
			break
		}
		if s.typ == sizeDiscrete {
			add(int(s.size[0]), int(s.size[1]))
			continue
		}
		add(nearest(want.Width, s.size[0], s.size[1], s.size[2]), nearest(want.Height, s.size[3], s.size[4], s.size[5]))
		break // steps are told at once
	}
	if all == nil { // a driver that does not tell takes what it can
		add(want.Width, want.Height)
	}
	return all
}

// nearest returns the number nearest to want from least to most in steps.
func nearest(want int, least, most, step uint32) int {
	lo, hi, by := int64(least), int64(max(most, least)), max(int64(step), 1)
	n := min(max(int64(want), lo), hi)
	n = lo + (n-lo+by/2)/by*by
	if n > hi {
		n -= by
	}
	return int(min(n, camera.MaxPixels))
}

// fastest returns the highest rate at one size, 0 if the driver does not tell.
func (c *Camera) fastest(f fourcc, w, h int) float64 {
	rate := 0.0
	for i := range uint32(maxEnum) {
		iv := frameInterval{index: i, fourcc: f, width: uint32(w), height: uint32(h)}
		if err := c.node.Ioctl(enumIntervals, unsafe.Pointer(&iv)); err != nil {
			break
		}
		if iv.least.numerator > 0 {
			rate = max(rate, float64(iv.least.denominator)/float64(iv.least.numerator))
		}
		if iv.typ != sizeDiscrete {
			break
		}
	}
	return rate
}

// settle sets format, rate and exposure. Only the format must be: a camera has
// the controls it has.
func (c *Camera) settle(m mode, want Config, log *slog.Logger) error {
	f := format{typ: typeVideoCapture, pixels: pixelFormat{
		width: uint32(m.width), height: uint32(m.height), fourcc: layouts[m.layout].fourcc, field: fieldNone,
	}}
	if err := c.node.Ioctl(setFormat, unsafe.Pointer(&f)); err != nil {
		return fmt.Errorf("set format: %w", err)
	}
	var err error
	if c.picture, err = newPicture(f.pixels); err != nil {
		return err
	}
	p := streamParameters{typ: typeVideoCapture, interval: fraction{1000, uint32(1000 * want.Rate)}}
	if err := c.node.Ioctl(setParameters, unsafe.Pointer(&p)); err != nil {
		log.Debug("camera keeps its rate", "err", err)
	} else if p.interval.numerator > 0 {
		c.rate = float64(p.interval.denominator) / float64(p.interval.numerator)
	}
	c.control(want, log)
	return nil
}

// control sets what of a camera's controls want has an opinion on. A camera keeps
// its settings until it is unplugged, so what it shall decide itself is set as well.
func (c *Camera) control(want Config, log *slog.Logger) {
	set := func(id uint32, value int) bool {
		err := c.node.Ioctl(setControl, unsafe.Pointer(&control{id, int32(value)}))
		if err != nil {
			log.Debug("camera lacks a control", "id", fmt.Sprintf("%#x", id), "value", value, "err", err)
		}
		return err == nil
	}
	wish := func(name string, id uint32, value int) {
		if !set(id, value) {
			c.lacks = append(c.lacks, name)
		}
	}
	if want.Mains != 0 {
		set(controlMains, want.Mains/10-4)
	}
	if want.Focus != 0 {
		set(controlAutoFocus, 0)
		wish("focus", controlFocus, want.Focus)
	} else {
		set(controlAutoFocus, 1)
	}
	if want.Exposure != 0 {
		set(controlExposure, 1)
		wish("exposure", controlExposureTime, int(want.Exposure/exposureUnit))
	} else {
		if !set(controlExposure, 3) {
			set(controlExposure, 0)
		}
		// In the dark a card that moves is read in a dim picture rather than in a
		// blurred one, and rather than four times a second.
		set(controlExposurePriority, 0)
	}
	// Last: many cameras take a gain only while the exposure is fixed.
	if want.Gain != 0 {
		set(controlAutoGain, 0)
		wish("gain", controlGain, want.Gain)
	} else {
		set(controlAutoGain, 1)
	}
}

// mapBuffers makes the driver's buffers ours and hands them all to the driver.
func (c *Camera) mapBuffers() error {
	req := requestBuffers{count: buffers, typ: typeVideoCapture, memory: memoryMmap}
	if err := c.node.Ioctl(reqBuffers, unsafe.Pointer(&req)); err != nil {
		return fmt.Errorf("buffers: %w", err)
	}
	if req.count < 2 || req.count > 32 {
		return fmt.Errorf("driver has %d buffers", req.count)
	}
	for i := range req.count {
		b := buffer{index: i, typ: typeVideoCapture, memory: memoryMmap}
		if err := c.node.Ioctl(queryBuffer, unsafe.Pointer(&b)); err != nil {
			return fmt.Errorf("buffers: %w", err)
		}
		if b.length == 0 || b.length > maxBuffer {
			return fmt.Errorf("driver's buffer has %d bytes", b.length)
		}
		memory, err := c.node.Map(int64(b.offset), int(b.length))
		if err != nil {
			return fmt.Errorf("map buffer: %w", err)
		}
		c.memory = append(c.memory, memory)
		if err := c.node.Ioctl(queueBuffer, unsafe.Pointer(&b)); err != nil {
			return fmt.Errorf("queue buffer: %w", err)
		}
	}
	return nil
}

// maxBuffer bounds one buffer: MaxPixels of four bytes and some.
const maxBuffer = 5 * camera.MaxPixels

// Next implements camera.Frames.
func (c *Camera) Next(ctx context.Context) (*image.Gray, time.Time, error) {
	stale := false
	for deadline := time.Now().Add(c.patience); ; {
		if err := ctx.Err(); err != nil {
			return nil, time.Time{}, err
		}
		ready, err := c.node.Wait(waitStep)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("v4l2: wait: %w", err)
		}
		at := time.Now()
		var (
			b buffer
			n int
		)
		if ready {
			if b, n, err = c.newest(); err != nil {
				return nil, time.Time{}, err
			}
		}
		if n == 0 {
			if !at.Before(deadline) {
				return nil, time.Time{}, fmt.Errorf("%w for %v", camera.ErrSilent, c.patience)
			}
			continue
		}
		if n >= len(c.memory) && !stale {
			// The driver had run out of buffers while we were away: all that it
			// held is old. The next frame is a frame's time away.
			stale = true
			if err := c.queue(b); err != nil {
				return nil, time.Time{}, err
			}
			continue
		}
		c.patience = camera.NextFrame
		img, err := c.read(b)
		return img, at, err
	}
}

// newest takes all filled buffers out of the driver, gives back all but the
// last and returns that with their number.
func (c *Camera) newest() (last buffer, n int, err error) {
	for n < 2*len(c.memory) {
		b := buffer{typ: typeVideoCapture, memory: memoryMmap}
		err := c.node.Ioctl(dequeueBuffer, unsafe.Pointer(&b))
		if err == unix.EAGAIN {
			break
		}
		if err != nil { // ENODEV: unplugged; EIO: whose buffers are whose is undefined
			return last, n, fmt.Errorf("v4l2: take frame: %w", err)
		}
		if int64(b.index) >= int64(len(c.memory)) {
			return last, n, fmt.Errorf("v4l2: driver returned buffer %d of %d", b.index, len(c.memory))
		}
		if n > 0 {
			if err := c.queue(last); err != nil {
				return last, n, err
			}
		}
		last = b
		n++
	}
	return last, n, nil
}

func (c *Camera) queue(b buffer) error {
	again := buffer{index: b.index, typ: typeVideoCapture, memory: memoryMmap}
	if err := c.node.Ioctl(queueBuffer, unsafe.Pointer(&again)); err != nil {
		return fmt.Errorf("v4l2: return buffer: %w", err)
	}
	return nil
}

// read unpacks the picture in b and gives b back.
func (c *Camera) read(b buffer) (*image.Gray, error) {
	data := c.memory[b.index]
	data = data[:min(int64(b.bytesUsed), int64(len(data)))]
	var (
		img *image.Gray
		err error
	)
	switch {
	case b.flags&flagError != 0:
		err = errors.New("damaged on its way")
	case c.picture.layout.step == 0:
		// Unpacking takes a frame's time. Meanwhile the driver has its buffer.
		c.copied = append(c.copied[:0], data...)
	default:
		img, err = c.picture.unpack(data, c.grey)
	}
	if err := c.queue(b); err != nil {
		return nil, err
	}
	if err == nil && img == nil {
		img, err = c.picture.unpack(c.copied, c.grey)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", camera.ErrFrame, err)
	}
	if c.picture.layout.step != 0 {
		c.grey = img
	}
	return img, nil
}

// String describes the camera, what it delivers, and the settings that it has not
// taken.
func (c *Camera) String() string {
	s := fmt.Sprintf("%s: %dx%d %s, %.4g a second", c.name, c.picture.width, c.picture.height, c.picture.layout.fourcc, c.rate)
	if c.lacks != nil {
		s += ", takes no " + strings.Join(c.lacks, ", ")
	}
	return s
}

// Close implements camera.Frames.
func (c *Camera) Close() error {
	typ := uint32(typeVideoCapture)
	// Both fail when the camera is gone, and are then not needed.
	c.node.Ioctl(streamOff, unsafe.Pointer(&typ))
	for _, m := range c.memory {
		c.node.Unmap(m)
	}
	if err := c.node.Close(); err != nil {
		return fmt.Errorf("v4l2: %w", err)
	}
	return nil
}
