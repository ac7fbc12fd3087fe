package main

import (
	"cmp"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// today returns the time by which people are counted, as the door has it: while the clock
// is not bound to the server's, one that is certainly past.
func (s *station) today() time.Time {
	if state := s.clock.Read().State; state == when.Synced || state == when.Holding {
		return s.clock.Now()
	}
	return s.clock.Floor()
}

// crowd returns how full the place is, as this door knows it, and by which share of its
// limit it is nearly full.
func (c *counting) crowd() (in room.Crowd, near uint8, known bool) {
	near = cmp.Or(c.lane.Load().NearFull, wire.DefaultNear)
	in, known = c.station.inside.Crowd(c.station.today(), c.station.inside.Connected(), near)
	return in, near, known
}

// tell has the screen and the beats say how full the place is.
func (c *counting) tell(heart *agent.Agent, face *screen.Screen) {
	face.Reconfigure(func(o *screen.Options) {
		o.Crowd = func() (near, full bool) {
			in, _, known := c.crowd()
			return known && in.Near, known && in.Full
		}
	})
	heart.Add(agent.Part{Fill: func(b *wire.Beat) {
		if in, near, known := c.crowd(); known && b.Room != nil {
			b.Room.Inside = &wire.InsideBeat{Least: in.Least, Most: in.Most, Limit: in.Limit, Near: near, Cut: !c.station.inside.Connected()}
		}
	}})
}
