package desk

import (
	"context"
	"errors"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A life is one boot of one machine with one ledger. None that is over comes back.
type life struct {
	boot  when.Boot
	epoch wire.Epoch
}

// lives are a kiosk's last two.
type lives struct{ now, before life }

// Beat looks at a kiosk's beat and gives it the certificate that it has asked for. It
// does not wait, as package ingest wants it.
func (d *Desk) Beat(kiosk string, b *wire.Beat, a *wire.BeatAnswer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, known := life{b.Boot, b.Epoch}, d.seen[kiosk]
	switch {
	case known.now == l:
	case known.before == l && known.before != (life{}):
		// Two machines take the connection from each other, or one by one.
		offer(d.clones, kiosk)
		fallthrough
	default:
		d.seen[kiosk] = lives{l, known.now}
	}
	if b.Cert == nil || !b.Cert.Ask {
		return
	}
	if cert, ok := d.ready[kiosk]; ok {
		a.Certificate = cert
		delete(d.ready, kiosk)
		return
	}
	offer(d.asks, kiosk)
}

// offer drops what finds no room: the next beat says it again.
func offer(c chan string, kiosk string) {
	select {
	case c <- kiosk:
	default:
	}
}

// Run makes the certificates that kiosks ask for in their beats, for the next one, and
// keeps what was seen of clones, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case kiosk := <-d.asks:
			if err := d.renew(ctx, kiosk); err != nil && ctx.Err() == nil {
				d.log.Warn("certificate not renewed", "kiosk", kiosk, "err", err)
			}
		case kiosk := <-d.clones:
			d.log.Error("two machines use one kiosk's identity", "kiosk", kiosk)
			if err := d.Enrolments.SawClone(ctx, kiosk); err != nil && ctx.Err() == nil {
				d.log.Warn("clone not noted", "kiosk", kiosk, "err", err)
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
