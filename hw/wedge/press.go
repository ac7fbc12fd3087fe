package wedge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// dialAgain is how long a keyboard that is not there is left alone.
const dialAgain = 2 * time.Second

// Presses calls fn for each press of any key of the keyboard, whichever it is, until
// ctx ends: a pedal or a key by which a guard counts. A key that is held down is pressed
// once. The device need not be there, and layout does not matter.
func Presses(ctx context.Context, c Config, log *slog.Logger, opt Options, fn func()) error {
	m, err := parseMatch(c.Device)
	if err != nil {
		return err
	}
	if opt.Root == "" {
		opt.Root = "/"
	}
	if opt.Open == nil {
		opt.Open = Open
	}
	if opt.EventSize == 0 {
		opt.EventSize = EventSize
	}
	away := false
	for {
		err := m.presses(ctx, opt, fn, func() { away = false })
		if ctx.Err() != nil {
			return nil
		}
		if !away {
			log.Warn("key is not there", "device", c.Device, "err", err)
		}
		away = true
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(dialAgain):
		}
	}
}

// presses reads one keyboard until it goes away.
func (m match) presses(ctx context.Context, opt Options, fn, opened func()) error {
	path, err := m.find(opt.Root)
	if err != nil {
		return err
	}
	dev, err := opt.Open(path)
	if err != nil {
		return err
	}
	defer dev.Close()
	opened()
	event := make([]byte, opt.EventSize)
	have := 0
	for ctx.Err() == nil {
		if err := dev.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
			return fmt.Errorf("wedge: %w", err)
		}
		n, err := dev.Read(event[have:])
		have += n
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("wedge: %w", err)
		}
		if have < len(event) {
			continue
		}
		have = 0
		said := event[len(event)-8:] // type, code, value
		if binary.NativeEndian.Uint16(said) == evKey && binary.NativeEndian.Uint32(said[4:]) == pressed {
			fn()
		}
	}
	return nil
}
