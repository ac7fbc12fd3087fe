package main

import (
	"context"
	"sync"
	"time"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
)

// advise has say called with what a camera would tell who holds up a code that it
// cannot read, "" for nothing. It is called before the cameras are read.
func advise(cameras []*camera.Source, say func(hint string)) {
	var mu sync.Mutex
	now := make([]qrread.Hint, len(cameras))
	for i, c := range cameras {
		c.OnHint(func(h qrread.Hint) {
			mu.Lock()
			defer mu.Unlock()
			now[i] = h
			for _, h := range now {
				if h != qrread.NoHint {
					say(string(h))
					return
				}
			}
			say("")
		})
	}
}

// lightFor is how long the light stays on after it was last seen to be needed:
// while it shines nothing tells whether it still is.
const lightFor = 10 * time.Minute

// darkness returns what tells of each camera that it sees too little.
func darkness(cameras []*camera.Source) (dark []func() bool) {
	for _, c := range cameras {
		dark = append(dark, c.Dark)
	}
	return dark
}

// light switches the light on while any camera sees too little, until ctx ends.
func light(ctx context.Context, dark []func() bool, shine func(on bool)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var until time.Time
	lit := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, dark := range dark {
				if dark() {
					until = now.Add(lightFor)
				}
			}
			if on := now.Before(until); on != lit {
				lit = on
				shine(on)
			}
		}
	}
}
