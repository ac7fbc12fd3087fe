package main

import (
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/fleet/orders"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// newOrders returns what gives kiosks orders, or nil on a server whose keys were made
// before there were any: those are made with the next rotation.
func newOrders(env environment, keys *enrol.Keys, s *store.Store, in *ingest.Ingest) *orders.Orders {
	id, key, err := keys.Signer(wire.ForOrder, time.Now())
	if err != nil {
		env.log.Warn("no orders: there is no key to sign them with", "err", err)
		return nil
	}
	o := orders.New(s, in.Link, wire.Signer{ID: id, Key: key}, orders.Options{Portal: strings.TrimSuffix(env.config.PortalURL, "/"), Log: env.log.With("task", "orders")})
	in.Beats = append(in.Beats, o.Beat)
	return o
}
