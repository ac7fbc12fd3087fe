package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/lease"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/sync/words"
)

// openLease opens the lease under which the kiosk holds list and room's events.
func openLease(c Config, machine *board.Board, list *agent.List, inside *room.Room, log *slog.Logger) (*lease.Lease, error) {
	return lease.Open(c.leaseFile(), lease.Options{
		Term: c.Lease, Boot: machine.BootID(), Since: machine.SinceBoot, Log: log,
		Drop: func() error { return errors.Join(list.Drop(), inside.Drop()) },
	})
}

// heard takes the server's time in a receipt that was verified.
func (s *station) heard(server time.Time) {
	s.clock.AtLeast(server)
	s.lease.Contact(server)
}

// notice returns what whoever looks after the kiosk is told: of a stick that is in it, or
// else of the lease.
func (s *station) notice(stick func() string) func() string {
	return func() string {
		if stick != nil {
			if said := stick(); said != "" {
				return said
			}
		}
		return s.lease.Notice(words.Vietnamese)
	}
}
