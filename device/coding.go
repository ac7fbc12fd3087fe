package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/carry"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/words"
)

// startCodes lets check-ins be carried as codes that the screen shows during maintenance
// while the server is not to be reached. A telephone that is to tell the time comes
// before, for without it nobody knows when people came.
func (s *station) startCodes(ctx context.Context, tasks *errgroup.Group, codes *carry.Codes, d carry.Door, sender *deliver.Sender, face *screen.Screen) {
	codes.Use(d, func() bool { return s.orders.Maintenance() && !sender.Stats().Connected })
	tasks.Go(func() error { return codes.Run(ctx) })
	face.Reconfigure(func(o *screen.Options) {
		setUp, ask, notice := o.SetUp, o.Ask, o.Notice
		first := func() string {
			if state := s.clock.Read().State; setUp == nil || state == when.Synced || state == when.Holding {
				return ""
			}
			return setUp()
		}
		o.SetUp = func() string {
			if text := first(); text != "" {
				return text
			}
			if shown := codes.Show(); shown != "" || setUp == nil {
				return shown
			}
			return setUp()
		}
		o.Ask = func() (vi, en string) {
			if first() == "" {
				vi, en = codes.Ask()
			}
			if vi == "" && ask != nil {
				return ask()
			}
			return vi, en
		}
		o.Notice = func() string {
			if said := codes.Notice(words.Vietnamese); said != "" || notice == nil {
				return said
			}
			return notice()
		}
	})
}
