package desk

import (
	"context"
	"errors"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// Beat gives a kiosk the certificate that it has asked for in a beat. It does not wait,
// as package ingest wants it.
func (d *Desk) Beat(kiosk string, b *wire.Beat, a *wire.BeatAnswer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.Cert == nil || !b.Cert.Ask {
		return
	}
	if cert, ok := d.ready[kiosk]; ok {
		a.Certificate = cert
		delete(d.ready, kiosk)
		return
	}
	select {
	case d.asks <- kiosk:
	default: // no room: the next beat asks again
	}
}

// Run makes the certificates that kiosks ask for in their beats, for the next one, until
// ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case kiosk := <-d.asks:
			if err := d.renew(ctx, kiosk); err != nil && ctx.Err() == nil {
				d.log.Warn("certificate not renewed", "kiosk", kiosk, "err", err)
			}
		}
	}
}

func (d *Desk) renew(ctx context.Context, kiosk string) error {
	k, err := d.Kiosks.Kiosk(ctx, kiosk)
	if errors.Is(err, qrgate.ErrNotFound) || err == nil && k.State != qrgate.KioskActive {
		return nil
	}
	if err != nil {
		return err
	}
	cert, err := d.CA.Kiosk(kiosk, k.Public, d.now())
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready[kiosk] = cert
	return nil
}
