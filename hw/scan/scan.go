// Package scan turns what scanners deliver into scans: it owns the framing of
// bytes into codes, the health of a source, the filter against repeats and the
// recordings that stand in for hardware.
//
// Its promise: a Scan is one whole code. A fragment that was cut off by an
// unplugged cable, a pause or an overlong stream is counted and dropped, never
// delivered and never joined to the next visitor's code.
//
//	group := scan.Many(serial, keyboard, camera)
//	go group.Run(ctx)
//	for {
//		s, err := group.Next(ctx)
//		...
//	}
//
// A device package gives bytes (a Line) and gets the rest from NewStream:
// dialing again after an unplug, framing by a Profile, health. What a code
// means is decided elsewhere; text is passed on exactly as it was read.
package scan

import (
	"context"
	"time"
)

// A Scan is one code as a source delivered it.
type Scan struct {
	Text      string    // bytes as read; may be invalid UTF-8
	At        time.Time // when the last byte or frame arrived, with Go's monotonic reading
	Source    string    // stable name of the source, such as "serial:/dev/ttyACM0" or "camera:door"
	Symbology string    // AIM identifier without its ']' when the profile strips it, else ""
}

// A Source yields scans.
type Source interface {
	// Next blocks until a scan arrives, ctx ends (it then returns ctx's error)
	// or the source is broken for good. A pulled cable is not broken for good.
	// Next is called by one goroutine at a time.
	Next(ctx context.Context) (Scan, error)
}

// A Checker is a Source that knows its own health. Health may be called at any
// time from any goroutine.
type Checker interface {
	Health() Health
}
