package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/qrgate/qrgate/hw/board"
)

// watchdogTime is how long the machine waits for a sign of life before it is reset: a
// door that hangs is noticed by itself some seconds before.
const watchdogTime = 30 * time.Second

// feed feeds the machine's watchdog for as long as the door is alive, until ctx ends.
// A machine without one is no reason for a door to stay shut.
func feed(ctx context.Context, path string, alive func() bool, log *slog.Logger) error {
	w, err := board.OpenWatchdog(path, watchdogTime)
	if err != nil {
		log.Warn("nothing resets this machine if it hangs", "err", err)
		return nil
	}
	every := watchdogTime / 6
	if t := w.Timeout(); t > 0 {
		every = min(every, t/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if alive() {
			if err := w.Feed(); err != nil {
				log.Warn("watchdog not fed", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return w.Close() // what ends as it should is no reason for a reset
		case <-tick.C:
		}
	}
}
