package camera

import (
	"context"
	"errors"
	"image"
	"time"
)

// Frames delivers pictures, newest first: a frame that nobody asked for in
// time is dropped, never queued.
type Frames interface {
	// Next blocks until a frame newer than the last one is there and returns it
	// with the time of its arrival. The picture is valid until the next call.
	//
	// Apart from ctx's error, ErrFrame means that this frame cannot be read and
	// another may follow; io.EOF that there is nothing more to come, ever; any
	// other that this device, program or folder has ended and must be opened
	// anew. Next is called by one goroutine at a time.
	Next(ctx context.Context) (*image.Gray, time.Time, error)

	// Close ends what delivers the frames and waits for it. It is called once,
	// after the last Next has returned.
	Close() error
}

// Errors of Frames that a Source treats differently from an unplugged camera.
var (
	ErrFrame  = errors.New("camera: bad frame")
	ErrSilent = errors.New("camera: no frames")
)

// How long a camera may take. Some need seconds to set their exposure before
// they deliver the first frame.
const (
	FirstFrame = 10 * time.Second // from opening to the first frame
	NextFrame  = 3 * time.Second  // from one frame to the next
)
