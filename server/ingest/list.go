package ingest

import (
	"context"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

// listSenders is how many kiosks are sent parts of the list at once: few, because
// receipts matter more than how soon the last kiosk knows of a void card.
const listSenders = 4

// listPause is how long a kiosk that asks again is not sent anything, so that a
// beat that came twice or one that asks for ever costs no more than a beat.
const listPause = time.Second

// A parcel is what one kiosk is sent of the list.
type parcel struct {
	kiosk string
	parts [][]byte
}

// offerList has a kiosk sent what its beat asks for, and returns the newest
// version of the list.
func (in *Ingest) offerList(m message, b *wire.Beat) wire.Stamp {
	if in.Lists == nil || b.List == nil {
		return wire.Stamp{}
	}
	newest, parts := in.Lists.Answer(*b.List)
	if last, asked := in.posted[m.kiosk]; len(parts) == 0 || asked && m.at.Sub(last) < listPause {
		return newest
	}
	select {
	case in.parcels <- parcel{m.kiosk, parts}:
		in.posted[m.kiosk] = m.at
	default:
		in.nDropped.Add(1)
	}
	return newest
}

// sendLists sends parcels until ctx ends. A part that is lost is missing in the
// next beat.
func (in *Ingest) sendLists(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-in.parcels:
			for _, part := range p.parts {
				in.publish(ctx, func() (string, []byte) { return wire.Topic(p.kiosk, wire.DownList), part })
			}
		}
	}
}
