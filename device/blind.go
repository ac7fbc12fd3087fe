package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/words"
)

// blindFor is how long no scanner must have read before a door says so: they are looked
// for when it starts, and a cable that was touched comes back.
const blindFor = 10 * time.Second

// watchScanners has the door say, until ctx ends, when none of its scanners can read.
func watchScanners(ctx context.Context, health func() []scan.Health, door *kiosk.Kiosk) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now() // when one could
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if canRead(health()) {
				last = now
			}
			door.SetBlind(now.Sub(last) >= blindFor)
		}
	}
}

// canRead reports whether a scanner is there that can read a code. A camera that is covered
// or in the dark cannot, nor can a scanner that sends the same code, or none, without end; a
// camera before which a code is left reads others beside it. A door that is to have no
// scanner misses none.
func canRead(all []scan.Health) bool {
	return len(all) == 0 || slices.ContainsFunc(all, func(h scan.Health) bool {
		h.Stuck = h.Stuck && !strings.HasPrefix(h.Source, "camera:")
		return !h.Faulty()
	})
}

// blindNotice returns what whoever looks after a door is told: that no scanner can read,
// or else what otherwise says.
func blindNotice(door *kiosk.Kiosk, otherwise func() string) func() string {
	said := guide.Of(words.Vietnamese, guide.NoScanner.Key())
	return func() string {
		if door.Blind() {
			return said.Head + ". " + said.Do
		}
		return otherwise()
	}
}
