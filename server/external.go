package main

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/qrgate/qrgate/server/broker/external"
	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/qrgate"
)

// revokedList is the file of revoked certificates that an external broker reads.
func (c Config) revokedList() string { return filepath.Join(c.tlsDir(), "revoked.crl") }

// writeRevokedList makes an empty list where there is none: a broker does not start
// without the file.
func writeRevokedList(c Config, ca *enrol.CA) error {
	if _, err := os.Stat(c.revokedList()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := ca.WriteRevocationList(c.revokedList(), nil, time.Now())
	return err
}

// keepOut does what disconnectRevoked does, at a broker that is not this server's own.
func (e *enrolling) keepOut(ctx context.Context, ca *enrol.CA) error {
	return external.New(external.Options{
		CA: ca, Names: e.names, Kiosks: e.revoked, Nudge: e.nudge, List: e.env.config.revokedList(), Reload: e.env.config.BrokerReload,
		URL: e.env.config.BrokerURL, ServerName: e.env.config.serverName(), Log: e.env.log.With("task", "broker"),
	}).Run(ctx)
}

// names returns those of whose keys revoked tells.
func (e *enrolling) names(ctx context.Context) ([]string, error) {
	all, err := e.s.RevokedKiosks(ctx)
	for _, k := range e.unknown() {
		all = append(all, k.ID)
	}
	return all, err
}

// unknown returns the keys that a restored database does not know, but their marks do. A
// kiosk of their name may have come since, so they have none here.
func (e *enrolling) unknown() (all []external.Kiosk) {
	if gone := e.gone.Load(); gone != nil {
		for _, m := range *gone {
			all = append(all, external.Kiosk{ID: m.Kiosk + " " + hex.EncodeToString(m.Public), Revoked: enrol.Revoked{Public: m.Public, Since: m.Since}})
		}
	}
	return all
}

func (e *enrolling) revoked(ctx context.Context) ([]external.Kiosk, error) {
	all, err := e.rows.Identities(ctx)
	if err != nil {
		return nil, err
	}
	revoked := e.unknown()
	for _, i := range all {
		if i.Kiosk.State == qrgate.KioskRevoked {
			revoked = append(revoked, external.Kiosk{ID: i.Kiosk.ID, Revoked: enrol.Revoked{Public: i.Kiosk.Public, Since: i.Revoked}})
		}
	}
	return revoked, nil
}
