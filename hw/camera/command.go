package camera

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Format is how a camera program writes its frames.
type Format string

// The formats.
const (
	MJPEG  Format = "mjpeg"  // JPEGs in a row
	YUV420 Format = "yuv420" // planes of one fixed size; costs no unpacking
)

// A Program is a command that writes frames to its standard output without
// end, such as
//
//	rpicam-vid -n -t 0 -v 0 --width 640 --height 480 --codec mjpeg --flush -o -
type Program struct {
	Args   []string // the command and its arguments; no shell reads them
	Format Format

	// Width and Height are those of YUV420, which does not tell them itself.
	// Zero for MJPEG.
	Width, Height int
}

// lineWidth divides the widths at which camera programs write YUV420 without
// filling up the lines: the camera hardware of the boards wants it so.
const lineWidth = 64

// Check reports what in p can never work.
func (p Program) Check() error {
	if len(p.Args) == 0 || p.Args[0] == "" {
		return errors.New("camera: no camera program")
	}
	switch p.Format {
	case MJPEG:
		if p.Width != 0 || p.Height != 0 {
			return errors.New("camera: a size is for yuv420 only, each picture of mjpeg has its own")
		}
		return nil
	case YUV420:
		if p.Width <= 0 || p.Width%lineWidth != 0 || p.Height <= 0 || p.Height%2 != 0 || p.Width > MaxPixels/p.Height {
			return fmt.Errorf("camera: yuv420 of %dx%d: want a width in steps of %d, an even height and at most %d pixels",
				p.Width, p.Height, lineWidth, MaxPixels)
		}
		return nil
	}
	return fmt.Errorf("camera: format %q is neither %q nor %q", p.Format, MJPEG, YUV420)
}

// stopTime is how long a camera program may take to end when asked.
const stopTime = time.Second

// Start starts a camera program in a process group of its own. Its frames end
// with an error when it ends; Close ends it and all it has started.
//
// A program that outlives us, because we were killed, ends by itself when it
// writes its next frame.
func Start(p Program, log *slog.Logger) (Frames, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("camera: %w", err)
	}
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	words := &lastWords{log: log}
	cmd.Stdout, cmd.Stderr = in, words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = stopTime // for who holds standard error open behind our back
	err = cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("camera: program: %w", err)
	}
	r := &running{
		program: p, cmd: cmd, out: out, words: words, patience: FirstFrame,
		arrived: make(chan struct{}, 1), exited: make(chan struct{}), ended: make(chan struct{}),
	}
	go r.reap()
	go r.pump()
	return r, nil
}

// A running program. Three buffers go round: one is filled, one holds the
// newest frame, one is being read.
type running struct {
	program Program
	cmd     *exec.Cmd
	out     *os.File
	words   *lastWords

	mu     sync.Mutex
	newest []byte
	at     time.Time // when newest arrived
	fresh  bool      // newest has not been returned
	torn   bool      // a frame was cut off, and that has not been returned
	reaped bool

	arrived chan struct{} // holds a token if fresh or torn may be set
	exited  chan struct{} // closed when the process is gone
	ended   chan struct{} // closed when no more frames can come
	exit    error         // of the process; to be read after exited

	filling  []byte // of pump
	reading  []byte // of Next
	patience time.Duration
}

// reap waits for the process, and ends what it has left behind.
func (r *running) reap() {
	pid := r.cmd.Process.Pid
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	r.mu.Lock()
	r.reaped = true
	r.mu.Unlock()
	// Before Wait: until then the dead process keeps its number, and so the
	// group's, from being given to somebody else.
	unix.Kill(-pid, unix.SIGKILL)
	r.exit = r.cmd.Wait()
	close(r.exited)
}

// pump keeps the newest frame, so that the program never waits for a reader
// and no frame grows old in the pipe.
func (r *running) pump() {
	if r.program.Format == YUV420 {
		r.pumpPlanes()
	} else {
		r.pumpJPEG()
	}
	r.out.Close() // whoever still writes is told that nobody reads
	r.signal(unix.SIGTERM)
	close(r.ended)
}

func (r *running) pumpPlanes() {
	size := r.program.Width * r.program.Height * 3 / 2
	for {
		if r.filling == nil {
			r.filling = make([]byte, size)
		}
		if _, err := io.ReadFull(r.out, r.filling); err != nil {
			return
		}
		r.put()
	}
}

func (r *running) pumpJPEG() {
	var c Cutter
	buf := make([]byte, 64<<10)
	for {
		n, err := r.out.Read(buf)
		dropped := c.Dropped()
		c.Feed(buf[:n], func(jpeg []byte) {
			r.filling = append(r.filling[:0], jpeg...)
			r.put()
		})
		if c.Dropped() > dropped {
			r.tear()
		}
		if err != nil {
			return
		}
	}
}

// put makes what was filled the newest frame.
func (r *running) put() {
	r.mu.Lock()
	r.filling, r.newest, r.at, r.fresh = r.newest, r.filling, time.Now(), true
	r.mu.Unlock()
	r.arrive()
}

func (r *running) tear() {
	r.mu.Lock()
	r.torn = true
	r.mu.Unlock()
	r.arrive()
}

func (r *running) arrive() {
	select {
	case r.arrived <- struct{}{}:
	default: // the one before was not asked for
	}
}

var errTorn = fmt.Errorf("%w: cut off", ErrFrame)

// Next implements Frames.
func (r *running) Next(ctx context.Context) (*image.Gray, time.Time, error) {
	timer := time.NewTimer(r.patience)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, time.Time{}, ctx.Err()
		case <-timer.C:
			return nil, time.Time{}, fmt.Errorf("%w from the camera program for %v", ErrSilent, r.patience)
		case <-r.arrived:
		case <-r.ended:
			select {
			case <-r.arrived: // its last
			default:
				return nil, time.Time{}, r.fate(ctx)
			}
		}
		r.mu.Lock()
		at, fresh, torn := r.at, r.fresh, r.torn
		r.torn = false
		if fresh && !torn {
			r.reading, r.newest, r.fresh = r.newest, r.reading, false
		}
		r.mu.Unlock()
		switch {
		case torn:
			r.arrive() // for the frame that may be there as well
			return nil, time.Time{}, errTorn
		case fresh:
			img, err := r.unpack()
			return img, at, err
		}
	}
}

// unpack returns the picture in r.reading.
func (r *running) unpack() (*image.Gray, error) {
	r.patience = NextFrame
	if r.program.Format == YUV420 {
		w, h := r.program.Width, r.program.Height
		return &image.Gray{Pix: r.reading[:w*h], Stride: w, Rect: image.Rect(0, 0, w, h)}, nil
	}
	img, err := Decode(r.reading)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return img, nil
}

// fate returns why the frames have ended.
func (r *running) fate(ctx context.Context) error {
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errors.New("camera: program closed its output and goes on")
	case <-r.exited:
	}
	how := "exit status 0"
	if r.exit != nil {
		how = r.exit.Error()
	}
	if said := r.words.last(); said != "" {
		return fmt.Errorf("camera: program ended: %s: %s", how, said)
	}
	return fmt.Errorf("camera: program ended: %s", how)
}

// signal sends sig to the program and all it has started.
func (r *running) signal(sig unix.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.reaped {
		unix.Kill(-r.cmd.Process.Pid, sig)
	}
}

// Close implements Frames.
func (r *running) Close() error {
	r.signal(unix.SIGTERM)
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-r.exited:
	case <-timer.C:
		r.signal(unix.SIGKILL)
		<-r.exited
	}
	// Ends a read that somebody outside of the group keeps waiting.
	r.out.Close()
	<-r.ended
	return nil
}

// Bounds of what is kept of a program's standard error.
const (
	maxWords = 200 // bytes of a line
	maxLines = 20  // logged of one run, at level debug
)

// lastWords is the standard error of a program: it keeps the last line.
type lastWords struct {
	log   *slog.Logger
	mu    sync.Mutex
	line  []byte // being written
	done  string // the last that is whole and not empty
	lines int
}

// Write takes part of the program's standard error. It never fails.
func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; len(rest) > 0; {
		part, after, whole := bytes.Cut(rest, []byte{'\n'})
		w.line = append(w.line, part[:min(len(part), maxWords-len(w.line))]...)
		if whole {
			w.end()
		}
		rest = after
	}
	return len(p), nil
}

func (w *lastWords) end() {
	line := string(bytes.ToValidUTF8(bytes.TrimSpace(w.line), []byte("?")))
	w.line = w.line[:0]
	if line == "" {
		return
	}
	w.done = line
	if w.lines < maxLines {
		w.lines++
		w.log.Debug("camera program says", "line", line)
	}
}

func (w *lastWords) last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
	return w.done
}
