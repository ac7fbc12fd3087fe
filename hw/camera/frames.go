package camera

import (
	"context"
	"image"
	"time"
)

// Frames delivers pictures, newest first: a frame that nobody asked for in
// time is dropped, never queued.
type Frames interface {
	// Next blocks until a frame newer than the last one is there and returns it
	// with the time of its arrival. The picture is valid until the next call. An
	// error other than ctx's means that this device, program or folder has ended
	// and must be opened anew; io.EOF means that there is nothing more to come.
	// Next is called by one goroutine at a time.
	Next(ctx context.Context) (*image.Gray, time.Time, error)

	// Close ends what delivers the frames and waits for it. It is called once,
	// after the last Next has returned.
	Close() error
}
