package main

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/fleet/courier"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/configs"
	"github.com/qrgate/qrgate/sync/wire"
)

// newCourier returns what leaves configurations with the broker for kiosks.
func newCourier(ctx context.Context, env environment, keys *enrol.Keys, s *store.Store) (*courier.Courier, error) {
	generation, err := s.Generation(ctx)
	if err != nil {
		return nil, err
	}
	sign := func() (uint32, ed25519.PrivateKey, error) { return keys.Signer(wire.ForConfig, time.Now()) }
	return courier.New(configs.New(s, time.Now), generation, sign, courier.Options{Log: env.log.With("task", "courier")}), nil
}
