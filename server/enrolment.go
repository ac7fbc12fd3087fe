package main

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/server/enrol"
	enroldesk "github.com/qrgate/qrgate/server/enrol/desk"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/sync/pairing"
)

// An enrolling is what enrols kiosks and ends their right to connect.
type enrolling struct {
	desk  *enroldesk.Desk
	rows  *enrolment.Enrolments
	s     *store.Store
	env   environment
	nudge chan struct{}
	gone  atomic.Pointer[[]enrolment.Mark] // revoked, and not in the database
}

// newEnrolling joins a desk to the beats that ingest answers.
func newEnrolling(env environment, keys *enrol.Keys, ca *enrol.CA, s *store.Store, in *ingest.Ingest, tokens []byte) *enrolling {
	e := &enrolling{rows: enrolments(env.config, s), s: s, env: env, nudge: make(chan struct{}, 1)}
	address, name := env.config.kioskBroker()
	e.desk = enroldesk.New(enroldesk.Parts{
		Enrolments: e.rows, Kiosks: s, Keys: keys, CA: ca, Opener: in.Opener, Sign: in.Sign, Tokens: tokens,
		Portal: strings.ToLower(env.config.PortalURL), Broker: address, BrokerName: name,
	}, enroldesk.Options{Log: env.log.With("task", "enrolment")})
	in.Beats = append(in.Beats, e.desk.Beat)
	return e
}

// pages returns what the portal shows of it, or nil if codes cannot name the portal.
func (e *enrolling) pages() *portal.Enrolment {
	if err := pairing.CheckAddress(strings.ToLower(e.env.config.PortalURL)); err != nil {
		e.env.log.Warn("no kiosks are enrolled through the portal: portal.url does not fit into a code", "err", err)
		return nil
	}
	if u, err := url.Parse(e.env.config.PortalURL); err == nil {
		if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
			e.env.log.Info("enrolment codes name this machine alone; set portal.url for kiosks elsewhere", "url", e.env.config.PortalURL)
		}
	}
	return &portal.Enrolment{Desk: e.desk, Rows: e.rows, Cut: func(...string) {
		select {
		case e.nudge <- struct{}{}:
		default:
		}
	}}
}

// kioskBroker returns where new kiosks are told to connect, and the name in that
// broker's certificate.
func (c Config) kioskBroker() (address, name string) {
	address = c.KioskURL
	if address == "" && c.Broker == "" {
		address = c.BrokerURL
	}
	if address == "" {
		_, port, _ := net.SplitHostPort(c.Broker)
		host := c.Names[0]
		if u, err := url.Parse(c.PortalURL); err == nil && (slices.Contains(c.Names, u.Hostname()) || host == "localhost" && u.Hostname() != "") {
			host = u.Hostname()
		}
		address = "tls://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(address)
	if err != nil {
		return address, ""
	}
	if name = u.Hostname(); c.Broker != "" && !slices.Contains(c.Names, name) {
		name = c.Names[0]
	}
	return address, name
}

// keepEvery is how soon this server remembers, outside of the database, whom another one
// has revoked.
const keepEvery = time.Minute

// keep lets nobody who was revoked have their right back by a restore.
func (e *enrolling) keep(ctx context.Context) error {
	k, err := e.rows.Keep(ctx)
	if err != nil {
		return err
	}
	e.gone.Store(&k.Unknown)
	for _, id := range k.Again {
		e.env.log.Warn("a backup had given a revoked kiosk its right back; it is revoked again", "kiosk", id)
	}
	return nil
}

// keepOn keeps until ctx ends.
func (e *enrolling) keepOn(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := e.keep(ctx); err != nil && ctx.Err() == nil {
			e.env.log.Error("revoked kiosks not remembered", "err", err)
		}
	}
}

// revokedEvery is how soon a kiosk that was revoked by another process loses
// its connection. What it sends counts no more from the revocation on.
const revokedEvery = time.Second

// disconnectRevoked ends the connections of kiosks that were revoked: at once by a page
// of this process, and in a second by another one.
func (e *enrolling) disconnectRevoked(ctx context.Context, b *broker.Broker) error {
	done := map[string]bool{}
	tick := time.NewTicker(revokedEvery)
	defer tick.Stop()
	for {
		revoked, err := e.s.RevokedKiosks(ctx)
		if err != nil {
			if ctx.Err() == nil {
				e.env.log.Warn("revoked kiosks not listed", "err", err)
			}
		} else {
			now := make(map[string]bool, len(revoked))
			for _, id := range revoked {
				if now[id] = true; !done[id] {
					b.Disconnect(id)
				}
			}
			done = now // one that was reinstated may be revoked again
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-e.nudge:
		}
	}
}
