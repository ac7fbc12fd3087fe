package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/neighbour"
)

// A neighbourConfig says who else counts people of the place.
type neighbourConfig struct {
	listen string // "" is nobody
	peers  []neighbour.Peer
}

func (raw rawConfig) neighbours(bad func(string, ...any)) neighbourConfig {
	c := neighbourConfig{listen: raw.Neighbours.Listen}
	if c.listen != "" {
		if _, port, err := net.SplitHostPort(c.listen); err != nil || port == "" {
			bad("neighbours.listen: must be host:port, not %q", c.listen)
		}
	}
	if (c.listen == "") != (len(raw.Neighbours.Peers) == 0) || len(raw.Neighbours.Peers) > neighbour.MaxPeers {
		bad("neighbours: an address to listen at and 1 to %d peers belong together", neighbour.MaxPeers)
	}
	known := map[string]bool{}
	for _, text := range raw.Neighbours.Peers {
		p, err := neighbour.ParsePeer(text)
		if err != nil {
			bad("neighbours.peers: %w", err)
			continue
		}
		if known[p.Kiosk] {
			bad("neighbours.peers: %s is named twice", p.Kiosk)
		}
		known[p.Kiosk] = true
		c.peers = append(c.peers, p)
	}
	return c
}

// startNeighbours tells the other kiosks of the place how many were counted here, and
// hears them. An address that is not there yet is tried again: no door waits for it.
func startNeighbours(ctx context.Context, tasks *errgroup.Group, s *station, c *counting, log *slog.Logger) {
	config := s.config.Neighbours
	if config.listen == "" {
		return
	}
	// One list may be given to all kiosks of the place.
	config.peers = slices.DeleteFunc(slices.Clone(config.peers), func(p neighbour.Peer) bool { return p.Kiosk == s.id.Kiosk })
	var kiosks []string
	for _, p := range config.peers {
		kiosks = append(kiosks, p.Kiosk)
	}
	s.inside.Neighbours(kiosks...)
	n := neighbour.New(neighbour.Options{
		Listen: config.listen, Peers: config.peers, CA: s.id.CA, Room: s.inside, Log: log,
		Place:       func() string { return c.lane.Load().Place },
		Certificate: func() *tls.Certificate { return s.id.Certificate() },
		At:          s.clock.TLSTime,
		Today:       s.today,
	})
	tasks.Go(func() error {
		for {
			err := n.Run(ctx)
			if ctx.Err() != nil {
				return nil
			}
			log.Warn("neighbours are not heard", "err", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(listenAgain):
			}
		}
	})
}

const listenAgain = 10 * time.Second
